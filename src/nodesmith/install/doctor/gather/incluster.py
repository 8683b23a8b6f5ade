"""What the API server has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, TypeVar

from nodesmith.adapters.kubernetes.lease import parse_record
from nodesmith.api import kinds
from nodesmith.api.core import decode_raw
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.kind import Kind, Manifest
from nodesmith.install.awsauth import AWS_AUTH
from nodesmith.install.doctor.clusterfacts import (
    Budget,
    Controller,
    ControllerPod,
    Definition,
    Lease,
    ServiceAccount,
    ServicePort,
)
from nodesmith.install.doctor.gather.controllers import controllers_of, pod_of, ports_of
from nodesmith.install.doctor.naming import LEASE, NAMESPACE
from nodesmith.install.doctor.own import FIELDS, definition_of
from nodesmith.install.identity import AGENT
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod
from nodesmith.model.storage import CSINode, PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttachment
from nodesmith.model.workload import DaemonSet, Namespace, PodDisruptionBudget
from nodesmith.ports.clock import Clock
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import NotFound
from nodesmith.state.snapshot import Snapshot
from nodesmith.state.store import Store

T = TypeVar("T")

_MOST_PODS: Final = 10
_RAW_POD: Final = Kind("", "v1", "Pod", "pods", decode_raw, is_namespaced=True)
_RAW_BUDGET: Final = Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", decode_raw, is_namespaced=True)
_KEPT: Final[tuple[tuple[Kind[Any], type[Any]], ...]] = (
    (kinds.NODE, Node),
    (kinds.NODE_CLAIM, NodeClaim),
    (kinds.NODE_POOL, NodePool),
    (kinds.POD, Pod),
    (kinds.DAEMON_SET, DaemonSet),
    (kinds.NAMESPACE, Namespace),
    (kinds.POD_DISRUPTION_BUDGET, PodDisruptionBudget),
    (kinds.PERSISTENT_VOLUME, PersistentVolume),
    (kinds.PERSISTENT_VOLUME_CLAIM, PersistentVolumeClaim),
    (kinds.STORAGE_CLASS, StorageClass),
    (kinds.CSI_NODE, CSINode),
    (kinds.VOLUME_ATTACHMENT, VolumeAttachment),
)


async def reached(cluster: Cluster) -> bool:
    """Whether the API server answers.

    Raises:
        PortError: with the reason why it does not.
    """
    await cluster.list(kinds.NAMESPACE)
    return True


async def snapshot(cluster: Cluster, clock: Clock) -> Snapshot:
    """The cluster, as decisions see it.

    Raises:
        PortError: when the API server does not answer.
    """
    store = Store()
    for kind, model in _KEPT:
        store.replace(model, await _all(cluster, kind))
    return store.snapshot(clock.now())


async def node_classes(cluster: Cluster) -> tuple[EC2NodeClass, ...]:
    """All EC2NodeClasses, by name."""
    return tuple(sorted(await _all(cluster, kinds.EC2_NODE_CLASS), key=lambda each: each.name))


async def controllers(cluster: Cluster, seen: Snapshot) -> tuple[Controller, ...]:
    """The controllers with their pods, by key."""
    found = [await _with_pods(cluster, each, seen) for each in controllers_of(await _all(cluster, kinds.DEPLOYMENT))]
    return tuple(sorted(found, key=lambda each: each.key))


async def _with_pods(cluster: Cluster, controller: Controller, seen: Snapshot) -> Controller:
    pools = {node.name: node.pool_name for node in seen.nodes}
    own = [
        each
        for each in seen.pods
        if each.meta.namespace == controller.namespace
        and controller.selector
        and controller.selector.items() <= each.meta.labels.items()
        and each.is_active
    ]
    pods: list[ControllerPod] = []
    for each in own[:_MOST_PODS]:
        try:
            manifest = await cluster.get(_RAW_POD, each.meta.name, namespace=each.meta.namespace)
        except NotFound:
            continue
        pods.append(pod_of(manifest, pools.get(each.node_name, "")))
    return replace(controller, pods=tuple(pods))


async def service_account(cluster: Cluster, namespace: str, name: str) -> ServiceAccount | None:
    """The service account; None where there is none."""
    manifest = await _maybe(cluster, kinds.SERVICE_ACCOUNT, name, namespace)
    return None if manifest is None else ServiceAccount(namespace, name, manifest["metadata"].get("annotations") or {})


async def has_pod_identity_agent(cluster: Cluster) -> bool:
    """Whether the agent's DaemonSet is there."""
    return await _maybe(cluster, kinds.DAEMON_SET, AGENT, NAMESPACE) is not None


async def service_ports(cluster: Cluster, controller: Controller | None) -> tuple[ServicePort, ...]:
    """The ports of the controller's Services."""
    return () if controller is None else tuple(ports_of(await _all(cluster, kinds.SERVICE), controller))


async def leases(cluster: Cluster) -> tuple[Lease, ...]:
    """The leases of controllers, in every namespace."""
    return tuple(_lease(each) for each in await _all(cluster, kinds.LEASE) if each["metadata"]["name"] == LEASE)


def _lease(manifest: Manifest) -> Lease:
    record = parse_record(manifest)
    metadata = manifest["metadata"]
    return Lease(
        metadata.get("namespace") or "",
        metadata["name"],
        record.holder,
        record.renewed_at,
        timedelta(seconds=record.duration_s),
    )


async def aws_auth(cluster: Cluster) -> str | None:
    """The text of `mapRoles`; None where there is no ConfigMap."""
    manifest = await _maybe(cluster, kinds.CONFIG_MAP, AWS_AUTH, NAMESPACE)
    return None if manifest is None else str((manifest.get("data") or {}).get("mapRoles") or "")


async def definitions(cluster: Cluster) -> tuple[Definition, ...]:
    """The CustomResourceDefinitions of the kinds that nodesmith defines."""
    listed = await _all(cluster, kinds.CUSTOM_RESOURCE_DEFINITION)
    return tuple(definition_of(each) for each in listed if each["metadata"]["name"] in FIELDS)


async def budgets(cluster: Cluster) -> tuple[Budget, ...]:
    """The PodDisruptionBudgets that some controller has looked at."""
    return tuple(_budget(each) for each in await _all(cluster, _RAW_BUDGET) if each.get("status"))


def _budget(manifest: Manifest) -> Budget:
    metadata, status = manifest["metadata"], manifest["status"]
    return Budget(
        f"{metadata['namespace']}/{metadata['name']}",
        int(status.get("disruptionsAllowed") or 0),
        int(status.get("expectedPods") or 0),
        int(status.get("currentHealthy") or 0),
        int(status.get("desiredHealthy") or 0),
    )


async def _all(cluster: Cluster, kind: Kind[T]) -> Sequence[T]:
    """Everything of the kind; nothing where the API server does not know the kind, which is another check's to say."""
    try:
        return (await cluster.list(kind)).items
    except NotFound:
        return ()


async def _maybe(cluster: Cluster, kind: Kind[Any], name: str, namespace: str) -> Manifest | None:
    raw: Callable[[Manifest], Manifest] = decode_raw
    plain = Kind(kind.group, kind.version, kind.name, kind.plural, raw, kind.is_namespaced)
    try:
        return await cluster.get(plain, name, namespace=namespace)
    except NotFound:
        return None
