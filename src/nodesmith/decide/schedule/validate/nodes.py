"""Whether the pods put on nodes that are there, or on their way, may run there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from nodesmith.decide.schedule.validate.case import Case, Room
from nodesmith.decide.schedule.validate.claims import port_conflicts, summed
from nodesmith.decide.schedule.validate.shape import repelling
from nodesmith.decide.schedule.validate.violation import Code, Violation
from nodesmith.model.pod import Pod
from nodesmith.model.resources import format_resources, shortfall, total


def check_nodes(case: Case) -> Iterator[Violation]:
    """What is wrong with pods on existing nodes, node by node."""
    names = {node.name for node in case.problem.snapshot.nodes}
    for name, pods in case.on_node.items():
        room = case.rooms.get(name)
        if room is None:
            code = Code.NODE_DELETING if name in names else Code.NODE_UNKNOWN
            for pod in pods:
                yield Violation(code, (name, pod.key), "is leaving" if name in names else "does not exist")
            continue
        yield from _placement(case, room, pods)
        yield from _resources(case, room, pods)
        yield from port_conflicts(name, pods, room.staying)
        yield from _volume_limits(case, room, pods)


def _placement(case: Case, room: Room, pods: list[Pod]) -> Iterator[Violation]:
    for pod in {id(pod.spec): pod for pod in pods}.values():
        taint = repelling(room.taints, pod.spec.tolerations)
        if taint is not None:
            yield Violation(Code.NODE_TAINT, (room.name, pod.key), f"does not tolerate {taint}")
        if pod.spec.has_resource_claims:
            yield Violation(Code.RESOURCE_CLAIMS, (room.name, pod.key), "asks for devices that nobody can promise")
        if pod.spec.has_match_fields or not case.constraint(pod.spec).admits(room.labels):
            yield Violation(Code.NODE_SELECTOR, (room.name, pod.key), "its node selector does not match")
    for pod in pods:
        for volume in case.volumes(pod):
            if volume.problem:
                yield Violation(Code.VOLUME_UNBOUND, (room.name, pod.key, volume.key), volume.problem)
            elif volume.constraint is not None and not volume.constraint.admits(room.labels):
                yield Violation(Code.VOLUME_TOPOLOGY, (room.name, pod.key, volume.key), "cannot be reached from it")


def _resources(case: Case, room: Room, pods: list[Pod]) -> Iterator[Violation]:
    asked = summed(pod.spec for pod in pods)
    used = summed(pod.spec for pod in (*pods, *room.staying))
    used = {name: amount for name, amount in used.items() if asked.get(name)}
    lacking = shortfall(used, room.allocatable)
    if lacking:
        yield Violation(Code.NODE_OVERFILLED, (room.name,), f"lacks {format_resources(lacking)}")
        return
    due = _due(case, room)
    lacking = shortfall({name: amount + due.get(name, 0) for name, amount in used.items()}, room.allocatable)
    if lacking:
        detail = f"lacks {format_resources(lacking)} for daemons that have not started"
        yield Violation(Code.NODE_DAEMONS, (room.name,), detail)


def _due(case: Case, room: Room) -> Mapping[str, int]:
    """What daemons that have not started will surely ask.

    Of the two ways to count, by name and by sum, the one that asks less: a daemon that runs there although its template
    would not have it is in the one and not in the other.
    """
    ours = [
        daemon
        for daemon in case.daemons
        if repelling(room.taints, daemon.spec.tolerations) is None and daemon.constraint.admits(room.labels)
    ]
    if not ours:
        return {}
    running = [pod for pod in room.staying if pod.is_owned_by_daemonset]
    started = summed(pod.spec for pod in running)
    there = {f"{pod.meta.namespace}/{owner.name}" for pod in running if (owner := pod.meta.owner_of_kind("DaemonSet"))}
    missing = summed(daemon.spec for daemon in ours if daemon.key not in there)
    unstarted = {
        name: amount - started.get(name, 0) for name, amount in total(dict(d.spec.requests) for d in ours).items()
    }
    return {name: min(amount, max(0, unstarted.get(name, 0))) for name, amount in missing.items()}


def _volume_limits(case: Case, room: Room, pods: list[Pod]) -> Iterator[Violation]:
    csi_node = case.problem.snapshot.storage.csi_nodes.get(room.name)
    if csi_node is None or not any(pod.spec.volumes for pod in pods):
        return
    attached: dict[str, set[str]] = defaultdict(set)
    for pod in (*room.staying, *pods):
        for volume in case.volumes(pod):
            if volume.driver:
                attached[volume.driver].add(volume.key)
    mounted = {volume.driver for pod in pods for volume in case.volumes(pod)}
    for driver, limit in csi_node.limits.items():
        if limit is not None and driver in mounted and len(attached[driver]) > limit:
            yield Violation(Code.VOLUME_LIMIT, (room.name,), f"{driver}: {len(attached[driver])} volumes of {limit}")
