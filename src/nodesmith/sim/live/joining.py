"""Kubelets on a real cluster: the box's instances become Nodes, and stop answering when they are gone.

A kubelet's part ends with its Node being there: kwok makes it Ready, renews its lease and runs its pods. What EKS's
cloud controller does for Nodes is done here as well, as there is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from nodesmith.adapters.aws.client import RunBlocking
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import CONFIG_MAP, CSI_NODE, NODE
from nodesmith.api.meta import format_time
from nodesmith.model.labels import HOSTNAME
from nodesmith.model.resources import format_resources
from nodesmith.model.taints import Taint
from nodesmith.ports.clock import Clock
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import AlreadyExists, NotFound, PortError
from nodesmith.ports.log import Log
from nodesmith.sim.world.boxhosts import AWS_AUTH
from nodesmith.sim.world.hosts import Host, Hosts, Registration, TurnedAway
from nodesmith.sim.world.kubelet import UNINITIALIZED
from nodesmith.sim.world.raw import with_conditions

EBS_DRIVER: Final = "ebs.csi.aws.com"
VOLUMES_ARE_ATTACHED: Final = "volumes.kubernetes.io/controller-managed-attach-detach"
"""Without this word of the kubelet the control plane leaves volumes to it."""

EBS_VOLUMES: Final = 25
"""How many volumes the driver says a node can have."""


def _as_written(manifest: Manifest) -> Manifest:
    return manifest


_NODE: Final[Kind[Manifest]] = Kind(NODE.group, NODE.version, NODE.name, NODE.plural, _as_written)
_CSI_NODE: Final[Kind[Manifest]] = Kind(CSI_NODE.group, CSI_NODE.version, CSI_NODE.name, CSI_NODE.plural, _as_written)


@dataclass(frozen=True, slots=True)
class LivePace:
    """How long things take; much less than in life, so that nobody waits for nothing."""

    look_every: timedelta = timedelta(seconds=0.25)
    boot: timedelta = timedelta(seconds=1)
    cloud_controller: timedelta = timedelta(seconds=0.25)
    silence: timedelta = timedelta(seconds=2)
    forget: timedelta = timedelta(seconds=5)
    try_again: timedelta = timedelta(seconds=0.5)


class AwsAuth:
    """The cluster's aws-auth, as it was when it was last read."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._stated: Manifest | None = None

    async def read(self) -> None:
        """What `find` says is true now."""
        try:
            self._stated = await self._cluster.get(CONFIG_MAP, AWS_AUTH, namespace="kube-system")
        except NotFound:
            self._stated = None

    def find(self, kind: Kind[Any], name: str, *, namespace: str = "") -> Manifest | None:
        """The ConfigMap, if it is the one."""
        return self._stated if (kind, name, namespace) == (CONFIG_MAP, AWS_AUTH, "kube-system") else None


Step = Callable[["_Machine"], Awaitable["tuple[timedelta, Step] | None"]]
"""Does one thing; says what comes next, and after how long."""


@dataclass(slots=True)
class _Machine:
    host: Host
    step: Step
    due: float
    is_running: bool = True
    is_joined: bool = False
    registration: Registration | None = None


@dataclass(slots=True)
class Joining:
    """All instances' kubelets, and the cloud's controller of Nodes."""

    hosts: Hosts
    cluster: Cluster
    auth: AwsAuth
    clock: Clock
    log: Log
    run_blocking: RunBlocking
    pace: LivePace = field(default_factory=LivePace)
    _machines: dict[str, _Machine] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        """Live until cancelled."""
        while True:
            self._see(await self.run_blocking(self.hosts.running))
            now = self.clock.monotonic()
            async with asyncio.TaskGroup() as group:
                for machine in list(self._machines.values()):
                    if machine.due <= now:
                        group.create_task(self._go_on(machine), name=f"kubelet-{machine.host.instance_id}")
            await self.clock.sleep(self.pace.look_every)

    def _see(self, running: Mapping[str, Host]) -> None:
        """Machines that are new begin to boot; those that are gone fall silent."""
        now = self.clock.monotonic()
        for instance_id, machine in self._machines.items():
            if instance_id not in running and machine.is_running:
                machine.is_running = False
                machine.step, machine.due = self._fall_silent, now + self.pace.silence.total_seconds()
        for instance_id, host in running.items():
            if instance_id not in self._machines:
                due = now + self.pace.boot.total_seconds()
                self._machines[instance_id] = _Machine(host, self._join, due)

    async def _go_on(self, machine: _Machine) -> None:
        step = machine.step
        try:
            following = await step(machine)
        except PortError as error:
            self.log.info("kubelet tries again", Node=machine.host.name, error=str(error))
            following = (self.pace.try_again, step)
        if following is None:
            following = (timedelta.max, step)
        delay, machine.step = following
        machine.due = self.clock.monotonic() + delay.total_seconds()

    # --- coming ---

    async def _join(self, machine: _Machine) -> tuple[timedelta, Step] | None:
        await self.auth.read()
        registration = await self.run_blocking(lambda: self.hosts.register(machine.host))
        if isinstance(registration, TurnedAway):
            self.log.warning("instance turned away", instance=machine.host.instance_id, reason=registration.reason)
            return None
        machine.registration = registration
        for kind, manifest in (
            (_NODE, self._node(machine.host, registration)),
            (_CSI_NODE, _csi_node(machine.host)),
        ):
            try:
                await self.cluster.create(kind, manifest)
            except AlreadyExists:
                continue
        machine.is_joined = True
        self.log.info("instance joined", instance=machine.host.instance_id, Node=machine.host.name)
        return self.pace.cloud_controller, self._initialize

    def _node(self, host: Host, registration: Registration) -> Manifest:
        taints = [_taint_json(taint) for taint in (*registration.taints, UNINITIALIZED)]
        starting = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "starting"}
        return {
            "metadata": {
                "name": host.name,
                "labels": {**registration.labels, HOSTNAME: host.name},
                "annotations": {VOLUMES_ARE_ATTACHED: "true"},
            },
            "spec": {"providerID": host.provider_id, "taints": taints},
            "status": {
                "capacity": format_resources(registration.capacity),
                "allocatable": format_resources(registration.allocatable),
                "conditions": with_conditions({}, self.clock.now(), starting),
            },
        }

    async def _initialize(self, machine: _Machine) -> None:
        """The cloud's controller tells where the node is and what it is."""
        node = await self.cluster.get(_NODE, machine.host.name)
        labels = dict(machine.registration.cloud_labels) if machine.registration else {}
        left = [each for each in node["spec"].get("taints") or () if each["key"] != UNINITIALIZED.key]
        patch = {"metadata": {"labels": labels}, "spec": {"taints": left}}
        version = node["metadata"]["resourceVersion"]
        await self.cluster.patch(_NODE, machine.host.name, patch, resource_version=version)

    # --- going ---

    async def _fall_silent(self, machine: _Machine) -> tuple[timedelta, Step] | None:
        """The node lifecycle controller misses the heartbeats."""
        if not machine.is_joined:
            return None
        name = machine.host.name
        try:
            node = await self.cluster.get(_NODE, name)
            silent = {
                "type": "Ready",
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastHeartbeatTime": format_time(self.clock.now()),
            }
            status = {"conditions": with_conditions(node, self.clock.now(), silent)}
            await self.cluster.patch(_NODE, name, {"status": status}, subresource="status")
        except NotFound:
            return self.pace.forget, self._forget
        self.log.info("node fell silent", Node=name)
        return self.pace.forget, self._forget

    async def _forget(self, machine: _Machine) -> None:
        """The cloud's controller deletes Nodes that do not answer and whose instance is gone."""
        if not await self.run_blocking(lambda: self.hosts.exists(machine.host.provider_id)):
            for kind in (_NODE, _CSI_NODE):
                try:
                    await self.cluster.delete(kind, machine.host.name)
                except NotFound:
                    continue


def _csi_node(host: Host) -> Manifest:
    driver = {
        "name": EBS_DRIVER,
        "nodeID": host.instance_id,
        "topologyKeys": ["topology.kubernetes.io/zone"],
        "allocatable": {"count": EBS_VOLUMES},
    }
    return {"metadata": {"name": host.name}, "spec": {"drivers": [driver]}}


def _taint_json(taint: Taint) -> dict[str, Any]:
    stated = {"key": taint.key, "value": taint.value, "effect": taint.effect}
    return {name: value for name, value in stated.items() if value}
