"""kube-scheduler's part: bind what fits, say of the rest that it is unschedulable.

Among nodes that fit, the emptiest by CPU and memory wins, preferences first; ties go by name. A node that a pod is
nominated to is tried before, and its room is kept for it; an attempt that fails takes the name away. No preemption.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any, Final

from nodesmith.adapters.memory.history import Occurrence
from nodesmith.adapters.memory.objects import meta
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import NAMESPACE, NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STORAGE_CLASS
from nodesmith.model.node import Node
from nodesmith.model.pod import Pod
from nodesmith.model.taints import PREFER_NO_SCHEDULE, untolerated
from nodesmith.model.workload import Namespace
from nodesmith.sim.world import fit
from nodesmith.sim.world.engine import Engine
from nodesmith.sim.world.fit import Room, Seat
from nodesmith.sim.world.raw import find, is_active, set_status, split, with_conditions
from nodesmith.sim.world.volumes import Volumes

LOOK_AGAIN: Final = timedelta(minutes=5)
"""How long a pod waits at most before it is tried again although nothing about any node is new."""

_SCALE: Final = 1000


class Scheduler:
    """Places pods one after the other."""

    def __init__(self, engine: Engine, volumes: Volumes) -> None:
        self._server = engine.server
        self._clock = engine.clock
        self._volumes = volumes
        self._nodes: dict[str, Node] = {}
        self._pods: dict[str, dict[str, Pod]] = {}
        self._seats: dict[str, Seat] = {}
        self._order: list[str] = []
        self._namespaces: dict[str, Namespace] = {}
        self._waiting: dict[str, Pod] = {}
        self._nominated: dict[str, Pod] = {}
        self._mark_node = engine.queue(self._wake)
        self._mark = engine.queue(self._schedule)
        engine.on(POD, self._pod_changed)
        engine.on(NODE, self._node_changed)
        engine.on(NAMESPACE, lambda _: self._namespaces.clear())
        for kind in (PERSISTENT_VOLUME_CLAIM, PERSISTENT_VOLUME, STORAGE_CLASS):
            engine.on(kind, lambda _: self._wake_all())
        engine.every(LOOK_AGAIN, self._wake_all)

    def _pod_changed(self, occurrence: Occurrence) -> None:
        before = (occurrence.before or {}).get("spec", {}).get("nodeName", "")
        pod = occurrence.stored.value(POD) if occurrence.after is not None else None
        self._nominated.pop(occurrence.key, None)
        if pod is not None and pod.nominated_node_name and not pod.node_name and pod.is_active:
            self._nominated[occurrence.key] = pod
        now = pod.node_name if pod is not None and not pod.is_terminal else ""
        if before and before != now:
            self._pods.get(before, {}).pop(occurrence.key, None)
            self._seats.pop(before, None)
        if now and pod is not None:
            self._pods.setdefault(now, {})[occurrence.key] = pod
            self._seats.pop(now, None)
        if pod is None or pod.node_name or not pod.is_active:
            self._waiting.pop(occurrence.key, None)
            if before or now:
                self._mark_node(now or before)
        elif occurrence.before is None or not pod.is_unschedulable or occurrence.key not in self._waiting:
            self._mark(occurrence.key)

    def _node_changed(self, occurrence: Occurrence) -> None:
        self._seats.pop(occurrence.key, None)
        if occurrence.after is None:
            self._nodes.pop(occurrence.key, None)
        else:
            self._nodes[occurrence.key] = occurrence.stored.value(NODE)
        if len(self._order) != len(self._nodes):
            self._order = sorted(self._nodes)
        if occurrence.before is None or _offer(occurrence.before) != _offer(occurrence.after):
            self._mark_node(occurrence.key)

    def _wake(self, name: str) -> None:
        """Something about the node is new: pods that may run there now are tried again, and those that mind others."""
        room = self._room()
        seat = room.seats.get(name)
        for key, pod in self._waiting.items():
            is_social = bool(pod.spec.topology_spread or pod.spec.required_affinity or pod.spec.required_anti_affinity)
            if is_social or (seat is not None and fit.why_not(pod, seat, room) is None):
                self._mark(key)

    def _wake_all(self) -> None:
        for key in self._waiting:
            self._mark(key)

    def _room(self) -> Room:
        for name in self._order:
            if name not in self._seats:
                self._seats[name] = Seat.of(self._nodes[name], self._pods.get(name, {}))
        if not self._namespaces:
            table = self._server.history.table(NAMESPACE)
            self._namespaces = {key: table[key].value(NAMESPACE) for key in sorted(table)}
        return Room({name: self._seats[name] for name in self._order}, self._namespaces)

    def _schedule(self, key: str) -> None:
        manifest = find(self._server, POD, key)
        if manifest is None or not is_active(manifest) or manifest["spec"].get("nodeName"):
            return
        namespace, name = split(key)
        pod = self._server.stored(POD, name, namespace=namespace).value(POD)
        if pod.has_scheduling_gates:
            self._say(manifest, "False", "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
            return
        room = self._room()
        fitting, reasons = self._fitting(manifest, pod, room)
        if fitting:
            self._bind(manifest, pod, min(fitting, key=lambda seat: _rank(pod, seat)))
            return
        self._waiting[key] = pod
        if pod.nominated_node_name:
            set_status(self._server, POD, manifest, {"nominatedNodeName": None})
            manifest = self._server.get(POD, name, namespace=namespace)
        self._say(manifest, "False", "Unschedulable", _message(len(room.seats), reasons))

    def _fitting(self, manifest: Manifest, pod: Pod, room: Room) -> tuple[list[Seat], Counter[str]]:
        """The node the pod is nominated to if it fits there; else all that fit, and why the others do not."""
        fitting: list[Seat] = []
        reasons = Counter[str]()
        pinned = fit.pinned_node(manifest)
        nominee = room.seats.get(pod.nominated_node_name)
        if nominee is not None and self._why_not(pod, nominee, room) is None:
            return [nominee], reasons
        for seat in room.seats.values():
            if pinned not in {None, seat.node.name}:
                reasons["node(s) didn't satisfy plugin(s) [NodeAffinity]"] += 1
                continue
            reason = self._why_not(pod, seat, room)
            if reason is None:
                fitting.append(seat)
            else:
                reasons[reason] += 1
        return fitting, reasons

    def _why_not(self, pod: Pod, seat: Seat, room: Room) -> str | None:
        """Why the pod may not run there: with those that are nominated to the node, and without them."""
        reason = fit.why_not(pod, seat, room) or self._volumes.why_not(pod, seat)
        if reason is not None or not self._nominated:
            return reason
        more = {
            each.key: each
            for each in self._nominated.values()
            if each.nominated_node_name == seat.node.name and each.key != pod.key and _priority(each) >= _priority(pod)
        }
        if not more:
            return None
        fuller = Seat.of(seat.node, {**seat.pods, **more})
        seats = {**room.seats, seat.node.name: fuller}
        return fit.why_not(pod, fuller, Room(seats, room.namespaces))

    def _bind(self, manifest: Manifest, pod: Pod, seat: Seat) -> None:
        self._waiting.pop(pod.key, None)
        self._volumes.settle(pod, seat)
        self._say(manifest, "True", "", "")
        self._server.bind(pod.meta.name, seat.node.name, namespace=pod.meta.namespace)

    def _say(self, manifest: Manifest, status: str, reason: str, message: str) -> None:
        told = {"type": "PodScheduled", "status": status, "reason": reason, "message": message}
        change = {key: value for key, value in told.items() if value}
        set_status(self._server, POD, manifest, {"conditions": with_conditions(manifest, self._clock.now(), change)})


def _priority(pod: Pod) -> int:
    return pod.spec.priority or 0


def _rank(pod: Pod, seat: Seat) -> tuple[int, int, int, str]:
    """Preferences kept, then emptiness; the least rank wins."""
    shunned = [taint for taint in seat.node.taints if taint.effect == PREFER_NO_SCHEDULE]
    liked = sum(each.weight for each in pod.spec.preferred_node_terms if fit.satisfies(each.term, seat.labels))
    left, requests = seat.free, pod.requests
    empty = 0
    for name in ("cpu", "memory"):
        whole = seat.node.allocatable.get(name, 0)
        if whole:
            empty += (left.get(name, 0) - requests.get(name, 0)) * _SCALE // whole
    return untolerated(shunned, pod.spec.tolerations) is not None, -liked, -empty, seat.node.name


def _offer(node: Manifest | None) -> tuple[Any, ...]:
    """What of a node decides who may run there."""
    spec, status = (node or {}).get("spec") or {}, (node or {}).get("status") or {}
    return meta(node or {}).get("labels"), spec.get("taints"), spec.get("unschedulable"), status.get("allocatable")


def _message(count: int, reasons: Counter[str]) -> str:
    told = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
    return f"0/{count} nodes are available: {told}." if told else "no nodes available to schedule pods"
