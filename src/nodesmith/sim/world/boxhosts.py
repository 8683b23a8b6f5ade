"""The instances of AWS in a box as machines on which kubelets start.

A kubelet here knows what a real one knows: its instance's user data, its instance type, and its role. The cluster lets
it in if the role is mapped, in the aws-auth ConfigMap or by an EKS access entry, as its authentication mode says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import yaml
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.eks.models import eks_backends
from moto.iam.models import iam_backends

from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import CONFIG_MAP
from nodesmith.model.labels import ARCH, INSTANCE_TYPE, OS, REGION, ZONE
from nodesmith.model.quantity import parse, parse_resource
from nodesmith.model.resources import Resources, minus
from nodesmith.sim.aws.box import Box
from nodesmith.sim.aws.ec2.backend import backend_of
from nodesmith.sim.aws.ec2.instance import GONE, BoxInstance
from nodesmith.sim.aws.world import ACCOUNT
from nodesmith.sim.world.hosts import Host, Registration, TurnedAway
from nodesmith.sim.world.userdata import NodeadmError, NodeConfig, read_node_config

AWS_AUTH: Final = "aws-auth"
NODE_GROUPS: Final = frozenset({"system:bootstrappers", "system:nodes"})
_MIB: Final = 2**20
_SEEN_OF_MEMORY: Final = (97, 100)
"""What Linux sees of an instance's memory."""
_CORE_STEPS: Final = ((1000, 600), (1000, 100), (2000, 50))
"""Milli-cores, and how many hundredths of a percent nodeadm reserves of them; 0.25 % of all above."""
_REST: Final = 25


class Finds(Protocol):
    """Where aws-auth is looked up."""

    def find(self, kind: Kind[Any], name: str, *, namespace: str = "") -> Manifest | None:
        """The object, or None."""
        ...


class BoxHosts:
    """Running instances of the box in one region."""

    def __init__(self, box: Box, server: Finds, cluster: str) -> None:
        self._box = box
        self._server = server
        self._cluster = cluster

    def running(self) -> Mapping[str, Host]:
        """The instances that are running."""
        with self._box.world.lock:
            self._box.world.settle()
            found = backend_of(self._box.region).instances_by_id.values()
            return {each.id: _host(each) for each in found if each.state == "running"}

    def exists(self, provider_id: str) -> bool:
        """Whether the instance is not on its way out."""
        with self._box.world.lock:
            found = backend_of(self._box.region).get_instance_by_id(provider_id.rpartition("/")[2])
            return found is not None and found.state not in GONE

    def register(self, host: Host) -> Registration | TurnedAway:
        """What nodeadm and the kubelet make of the user data, if the cluster lets the role in."""
        with self._box.world.lock:
            instance = backend_of(self._box.region).get_instance(host.instance_id)
            text = instance.user_data.decode() if instance.user_data else ""
            role = _role_of(instance)
        try:
            config = read_node_config(text)
        except NodeadmError as error:
            return TurnedAway(f"nodeadm: {error}")
        if config.cluster != self._cluster:
            return TurnedAway(f"the user data names cluster {config.cluster!r}, not {self._cluster!r}")
        if role is None:
            return TurnedAway("Unauthorized: the instance has no role")
        if not self._is_mapped(role):
            return TurnedAway(f"Unauthorized: {role} is mapped neither in aws-auth nor by an access entry")
        return _registration(instance, config)

    def _is_mapped(self, role: str) -> bool:
        backend: Any = eks_backends[ACCOUNT][self._box.region]
        cluster = backend.clusters.get(self._cluster)
        mode = (cluster.access_config if cluster else {}).get("authenticationMode", "CONFIG_MAP")
        entry = backend.access_entries.get((self._cluster, role))
        if "API" in mode and entry is not None and entry["type"] == "EC2_LINUX":
            return True
        return "CONFIG_MAP" in mode and self._is_in_aws_auth(role)

    def _is_in_aws_auth(self, role: str) -> bool:
        stated = self._server.find(CONFIG_MAP, AWS_AUTH, namespace="kube-system")
        rows = yaml.safe_load(((stated or {}).get("data") or {}).get("mapRoles") or "") or ()
        return any(row.get("rolearn") == role and set(row.get("groups") or ()) >= NODE_GROUPS for row in rows)


def _host(instance: BoxInstance) -> Host:
    zone = instance.availability_zone
    return Host(instance.id, f"aws:///{zone}/{instance.id}", str(instance.private_dns_name))


def _role_of(instance: BoxInstance) -> str | None:
    arn = (instance.iam_instance_profile or {}).get("Arn")
    iam: Any = iam_backends[ACCOUNT]["aws"]
    for profile in iam.instance_profiles.values():
        if profile.arn == arn and profile.roles:
            return str(profile.roles[0].arn)
    return None


def _registration(instance: BoxInstance, config: NodeConfig) -> Registration:
    facts: Any = INSTANCE_TYPES[instance.instance_type]
    zone = str(instance.availability_zone)
    capacity = _capacity(facts, config.kubelet)
    arch = {"x86_64": "amd64"}.get(facts["ProcessorInfo"]["SupportedArchitectures"][0], "arm64")
    return Registration(
        labels={ARCH: arch, OS: "linux", **config.labels},
        taints=config.taints,
        capacity=capacity,
        allocatable=_allocatable(capacity, config.kubelet),
        cloud_labels={INSTANCE_TYPE: instance.instance_type, ZONE: zone, REGION: zone[:-1]},
    )


def _capacity(facts: Any, kubelet: Mapping[str, Any]) -> Resources:
    network, (part, whole) = facts["NetworkInfo"], _SEEN_OF_MEMORY
    pods = network["MaximumNetworkInterfaces"] * (network["Ipv4AddressesPerInterface"] - 1) + 2
    return {
        "cpu": facts["VCpuInfo"]["DefaultVCpus"] * 1000,
        "memory": facts["MemoryInfo"]["SizeInMiB"] * _MIB * part // whole,
        "ephemeral-storage": 20 * 2**30,
        "pods": int(kubelet.get("maxPods") or pods),
    }


def _allocatable(capacity: Resources, kubelet: Mapping[str, Any]) -> Resources:
    """What nodeadm's reservations and the kubelet's leave for pods."""
    reserved: dict[str, int] = {"cpu": _reserved_cpu(capacity["cpu"]), "memory": (255 + 11 * capacity["pods"]) * _MIB}
    reserved |= {"ephemeral-storage": 2**30, **_amounts(kubelet.get("kubeReserved"))}
    left = minus(minus(capacity, reserved), _amounts(kubelet.get("systemReserved")))
    eviction = {"memory.available": "100Mi", "nodefs.available": "10%", **(kubelet.get("evictionHard") or {})}
    for signal, name in (("memory.available", "memory"), ("nodefs.available", "ephemeral-storage")):
        left[name] -= _threshold(str(eviction[signal]), capacity[name])
    return {name: amount for name, amount in left.items() if name in capacity}


def _reserved_cpu(milli: int) -> int:
    reserved = 0
    for step, share in _CORE_STEPS:
        reserved += min(step, milli) * share
        milli -= min(step, milli)
    return (reserved + milli * _REST) // 10_000


def _amounts(stated: Mapping[str, str] | None) -> dict[str, int]:
    return {name: parse_resource(name, value) for name, value in (stated or {}).items()}


def _threshold(stated: str, whole: int) -> int:
    return whole * int(float(stated[:-1]) * 100) // 10_000 if stated.endswith("%") else parse(stated)
