"""Kubelets: instances become nodes, nodes run pods, and when the instance is gone nobody answers any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from nodesmith.adapters.memory.history import Occurrence
from nodesmith.adapters.memory.objects import meta
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import NODE, POD
from nodesmith.api.meta import format_time
from nodesmith.model.labels import HOSTNAME
from nodesmith.model.resources import format_resources
from nodesmith.model.taints import NO_SCHEDULE, Taint
from nodesmith.ports.errors import AlreadyExists
from nodesmith.sim.world.engine import Engine
from nodesmith.sim.world.hosts import Host, Hosts, Registration, TurnedAway
from nodesmith.sim.world.raw import condition, find, is_deleting, remove, set_status, with_conditions

UNINITIALIZED: Final = Taint("node.cloudprovider.kubernetes.io/uninitialized", NO_SCHEDULE, "true")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take on a node, as shortest and longest."""

    boot: tuple[timedelta, timedelta] = (timedelta(seconds=22), timedelta(seconds=38))
    cloud_controller: timedelta = timedelta(seconds=1)
    ready: tuple[timedelta, timedelta] = (timedelta(seconds=6), timedelta(seconds=11))
    start: tuple[timedelta, timedelta] = (timedelta(seconds=1), timedelta(seconds=4))
    stop: tuple[timedelta, timedelta] = (timedelta(seconds=1), timedelta(seconds=3))
    silence: timedelta = timedelta(seconds=40)
    look_every: timedelta = timedelta(seconds=1)
    cloud_look_every: timedelta = timedelta(seconds=5)
    """How often the cloud's controller looks for nodes whose instance is gone."""


@dataclass(slots=True)
class _Kubelet:
    host: Host
    is_joined: bool = False


class Kubelets:
    """All nodes' agents."""

    def __init__(self, engine: Engine, hosts: Hosts, pace: Pace | None = None) -> None:
        self.turned_away: dict[str, str] = {}
        """Instances that could not join, and why."""
        self._engine = engine
        self._server = engine.server
        self._hosts = hosts
        self._pace = pace or Pace()
        self._up: dict[str, _Kubelet] = {}
        self._names: dict[str, str] = {}
        """Instance ids by node name, of kubelets that are up."""
        self._mark = engine.queue(self._look_at_pod)
        engine.on(POD, self._pod_changed)
        engine.every(self._pace.look_every, self._look_at_hosts)

    def is_up(self, node_name: str) -> bool:
        """Whether the node's kubelet answers."""
        return node_name in self._names

    # --- coming and going ---

    def _look_at_hosts(self) -> None:
        running = self._hosts.running()
        for instance_id in [each for each in self._up if each not in running]:
            self._down(self._up.pop(instance_id))
        for instance_id, host in running.items():
            if instance_id not in self._up:
                self._up[instance_id] = _Kubelet(host)
                self._engine.after(self._drawn(self._pace.boot), lambda host=host: self._join(host))  # type: ignore[misc]  # a default argument

    def _down(self, kubelet: _Kubelet) -> None:
        self._names.pop(kubelet.host.name, None)
        if kubelet.is_joined:
            self._engine.after(self._pace.silence, lambda: self._fall_silent(kubelet.host))

    def _fall_silent(self, host: Host) -> None:
        """The node lifecycle controller misses the heartbeats."""
        node = self._server.find(NODE, host.name)
        if node is not None and (node.get("spec") or {}).get("providerID") == host.provider_id:
            self._say_ready(node, "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")

    def _join(self, host: Host) -> None:
        kubelet = self._up.get(host.instance_id)
        if kubelet is None:
            return
        registration = self._hosts.register(host)
        if isinstance(registration, TurnedAway):
            self.turned_away[host.instance_id] = registration.reason
            return
        self._create_node(host, registration)
        kubelet.is_joined = True
        self._names[host.name] = host.instance_id
        self._engine.after(self._pace.cloud_controller, lambda: self._initialize(host, registration.cloud_labels))
        self._engine.after(self._drawn(self._pace.ready), lambda: self._get_ready(host))

    def _create_node(self, host: Host, registration: Registration) -> None:
        taints = [_taint_json(taint) for taint in (*registration.taints, UNINITIALIZED)]
        starting = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "starting"}
        status = {
            "capacity": format_resources(registration.capacity),
            "allocatable": format_resources(registration.allocatable),
            "conditions": with_conditions({}, self._engine.clock.now(), starting),
        }
        manifest = {
            "metadata": {"name": host.name, "labels": {**registration.labels, HOSTNAME: host.name}},
            "spec": {"providerID": host.provider_id, "taints": taints},
            "status": status,
        }
        try:
            self._server.create(NODE, manifest)
        except AlreadyExists:
            set_status(self._server, NODE, self._server.get(NODE, host.name), status)

    def _initialize(self, host: Host, labels: Mapping[str, str]) -> None:
        """The cloud's controller tells where the node is and what it is."""
        node = self._server.find(NODE, host.name)
        if node is not None:
            left = [each for each in node["spec"].get("taints") or () if each["key"] != UNINITIALIZED.key]
            patch = {"metadata": {"labels": dict(labels)}, "spec": {"taints": left}}
            self._server.patch(NODE, host.name, patch)

    def _get_ready(self, host: Host) -> None:
        node = self._server.find(NODE, host.name)
        if node is not None and self.is_up(host.name):
            self._say_ready(node, "True", "KubeletReady", "kubelet is posting ready status")

    def _say_ready(self, node: Manifest, status: str, reason: str, message: str) -> None:
        ready = {"type": "Ready", "status": status, "reason": reason, "message": message}
        conditions = with_conditions(node, self._engine.clock.now(), ready)
        set_status(self._server, NODE, node, {"conditions": conditions})

    # --- pods ---

    def _pod_changed(self, occurrence: Occurrence) -> None:
        if occurrence.after is not None and occurrence.after["spec"].get("nodeName"):
            self._mark(occurrence.key)

    def _look_at_pod(self, key: str) -> None:
        pod = find(self._server, POD, key)
        if pod is None or not self.is_up(pod["spec"].get("nodeName", "")):
            return
        before = condition(pod, "PodReadyToStartContainers")
        if is_deleting(pod):
            self._stop(pod)
        elif pod["status"].get("phase") == "Pending" and before is None:
            admitted = {"type": "PodReadyToStartContainers", "status": "True"}
            conditions = with_conditions(pod, self._engine.clock.now(), admitted)
            started = {"startTime": format_time(self._engine.clock.now()), "conditions": conditions}
            set_status(self._server, POD, pod, started)
            self._engine.after(self._drawn(self._pace.start), lambda: self._run_pod(key, meta(pod)["uid"]))

    def _run_pod(self, key: str, uid: str) -> None:
        pod = find(self._server, POD, key)
        if pod is None or meta(pod)["uid"] != uid or is_deleting(pod) or not self.is_up(pod["spec"]["nodeName"]):
            return
        ready = [{"type": type_, "status": "True"} for type_ in ("Initialized", "ContainersReady", "Ready")]
        conditions = with_conditions(pod, self._engine.clock.now(), *ready)
        set_status(self._server, POD, pod, {"phase": "Running", "conditions": conditions})

    def _stop(self, pod: Manifest) -> None:
        """Containers stop within the grace; then the kubelet lets the object go."""
        given = meta(pod)
        grace = timedelta(seconds=given.get("deletionGracePeriodSeconds", 0))
        self._engine.after(min(self._drawn(self._pace.stop), grace), lambda: self._stopped(pod))

    def _stopped(self, pod: Manifest) -> None:
        if self.is_up(pod["spec"]["nodeName"]):
            remove(self._server, POD, pod, grace_s=0)

    def _drawn(self, between: tuple[timedelta, timedelta]) -> timedelta:
        least, most = between
        span_ms = (most - least) // timedelta(milliseconds=1)
        return least + timedelta(milliseconds=self._engine.rng.randint(0, span_ms))


def _taint_json(taint: Taint) -> dict[str, Any]:
    stated = {"key": taint.key, "value": taint.value, "effect": taint.effect}
    return {name: value for name, value in stated.items() if value}
