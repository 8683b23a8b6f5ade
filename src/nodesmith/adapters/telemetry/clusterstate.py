"""Numbers about the cluster itself: pods, nodes, conditions. They are read off a snapshot when Prometheus asks.

Nothing is kept between two scrapes, so a pod that is gone leaves no series behind, and nothing is counted that nobody
wants to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nodesmith.adapters.telemetry.catalog import BY_NAME, NODE_LABEL_KEYS
from nodesmith.adapters.telemetry.exposition import Family
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.kind import Kind
from nodesmith.api.kinds import CAPACITY_BUFFER, EC2_NODE_CLASS, NODE, NODE_CLAIM, NODE_POOL
from nodesmith.model.buffer import CapacityBuffer
from nodesmith.model.labels import ARCH
from nodesmith.model.meta import Conditions, ObjectMeta
from nodesmith.model.pod import Pod
from nodesmith.model.quantity import CPU, MILLI_CPU_PER_CORE
from nodesmith.model.resources import Resources, minus, total
from nodesmith.state.snapshot import Snapshot, StateNode

Values = Iterable[tuple[tuple[str, ...], float]]


class ClusterStateCollector:
    """What `look` gives, as metrics."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        node_classes: Callable[[], Sequence[EC2NodeClass]] = tuple,
        buffers: Callable[[], Sequence[CapacityBuffer]] = tuple,
    ) -> None:
        self._snapshot = snapshot
        self._node_classes = node_classes
        self._buffers = buffers
        self._beside: tuple[_Told, ...] = ()
        self._seen: Snapshot | None = None
        self._synced_at: datetime | None = None

    def look(self) -> None:
        """The numbers are of now."""
        self._seen = self._snapshot()
        self._beside = (
            _Told(EC2_NODE_CLASS, [(each.meta, each.status.conditions) for each in self._node_classes()]),
            _Told(CAPACITY_BUFFER, [(each.meta, each.conditions) for each in self._buffers()]),
        )
        if self._seen.is_synced or self._synced_at is None:
            self._synced_at = self._seen.taken_at

    def collect(self) -> Iterator[Family]:
        """The numbers of the last look."""
        seen, synced_at = self._seen, self._synced_at
        if seen is None or synced_at is None:
            return
        yield _family("cluster_state_node_count", [((), float(len(seen.nodes)))])
        yield _family("cluster_state_synced", [((), float(seen.is_synced))])
        unsynced_s = 0.0 if seen.is_synced else (seen.taken_at - synced_at).total_seconds()
        yield _family("cluster_state_unsynced_time_seconds", [((), unsynced_s)])
        yield _family("cluster_utilization_percent", _utilization(seen))
        yield _family("pods_state", _pods(seen))
        yield _family("pods_unbound_time_seconds", _waiting(seen, lambda pod: not pod.node_name))
        yield _family("pods_unstarted_time_seconds", _waiting(seen, lambda pod: pod.phase == "Pending"))
        yield from _nodes(seen)
        yield from _conditions(seen, self._beside)


def _family(name: str, values: Values) -> Family:
    return Family(BY_NAME[name], values)


def _amount(name: str, amount: int) -> float:
    """As dashboards expect it: cores for CPU, whole units for the rest."""
    return amount / MILLI_CPU_PER_CORE if name == CPU else float(amount)


def _utilization(seen: Snapshot) -> Values:
    offered = total(state.allocatable for state in seen.nodes)
    asked = total(pod.requests for state in seen.nodes for pod in state.pods)
    for name, amount in sorted(offered.items()):
        if amount:
            yield (name,), 100.0 * asked.get(name, 0) / amount


def _pods(seen: Snapshot) -> Values:
    nodes = {state.node.name: (_place(state), _yes(state.is_managed)) for state in seen.nodes if state.node is not None}
    nowhere = _place(None), _yes(answer=False)
    for pod in seen.pods:
        place, managed = nodes.get(pod.node_name, nowhere)
        phase = "Terminating" if pod.meta.is_deleting else pod.phase
        yield (*_pod_labels(pod), *place, phase, _yes(pod.is_ready), managed), 1.0


def _waiting(seen: Snapshot, waits: Callable[[Pod], bool]) -> Values:
    """How long pods have been there that still wait."""
    for pod in seen.pods:
        if pod.is_active and waits(pod):
            yield (pod.meta.name, pod.meta.namespace), (seen.taken_at - pod.meta.created_at).total_seconds()


def _pod_labels(pod: Pod) -> tuple[str, ...]:
    owner = pod.meta.owners[0] if pod.meta.owners else None
    owned_by = (
        f"/apis/{owner.api_version}/namespaces/{pod.meta.namespace}/{owner.kind.lower()}s/{owner.name}" if owner else ""
    )
    return pod.meta.name, pod.meta.namespace, owned_by, pod.node_name, _yes(pod.node_name)


def _place(state: StateNode | None) -> tuple[str, ...]:
    """Pool, zone, arch, capacity type and instance type of the pod's node."""
    if state is None:
        return ("", "", "", "", "")
    return state.pool_name, state.zone, state.labels.get(ARCH, ""), state.capacity_type, state.instance_type


def _nodes(seen: Snapshot) -> Iterator[Family]:
    described = [(_node_labels(state), state) for state in seen.nodes if state.node is not None]
    for name, amounts_of in (
        ("nodes_allocatable", lambda state: state.allocatable),
        ("nodes_total_pod_requests", lambda state: _sum(state, daemons=False, of=lambda pod: pod.requests)),
        ("nodes_total_pod_limits", lambda state: _sum(state, daemons=False, of=lambda pod: pod.limits)),
        ("nodes_total_daemon_requests", lambda state: _sum(state, daemons=True, of=lambda pod: pod.requests)),
        ("nodes_total_daemon_limits", lambda state: _sum(state, daemons=True, of=lambda pod: pod.limits)),
        ("nodes_system_overhead", lambda state: minus(state.capacity, state.allocatable)),
    ):
        yield _family(
            name,
            [
                ((*labels, resource), _amount(resource, amount))
                for labels, state in described
                for resource, amount in sorted(amounts_of(state).items())
            ],
        )
    yield _family(
        "nodes_current_lifetime_seconds",
        [
            (labels, (seen.taken_at - state.node.meta.created_at).total_seconds())
            for labels, state in described
            if state.node is not None
        ],
    )


def _node_labels(state: StateNode) -> tuple[str, ...]:
    phase = "Deleting" if state.is_deleting else ("Active" if state.is_initialized else "Pending")
    labels: Mapping[str, str] = state.labels
    return (
        state.name,
        state.pool_name,
        phase,
        _yes(state.is_managed),
        *(labels.get(key, "") for key in NODE_LABEL_KEYS),
    )


def _sum(state: StateNode, *, daemons: bool, of: Callable[[Pod], Resources]) -> Resources:
    return total(of(pod) for pod in state.pods if pod.is_owned_by_daemonset is daemons)


@dataclass(frozen=True, slots=True)
class _Told:
    """One kind's objects that have conditions."""

    kind: Kind[Any]
    objects: Sequence[tuple[ObjectMeta, Conditions]]


def _conditions(seen: Snapshot, beside: tuple[_Told, ...]) -> Iterator[Family]:
    """Of each kind by itself, and of all kinds under the names that upstream had before."""
    kinds = (
        _Told(NODE_CLAIM, [(each.claim.meta, each.claim.conditions) for each in seen.nodes if each.claim is not None]),
        _Told(NODE, [(each.node.meta, each.node.conditions) for each in seen.nodes if each.node is not None]),
        _Told(NODE_POOL, [(pool.meta, pool.conditions) for pool in seen.pools]),
        *beside,
    )
    for told in kinds:
        yield from _of_kinds(f"{told.kind.name.lower()}_", [((), told)], seen.taken_at)
    yield from _of_kinds("", [((told.kind.group, told.kind.name), told) for told in kinds], seen.taken_at)


def _of_kinds(prefix: str, kinds: Sequence[tuple[tuple[str, ...], _Told]], now: datetime) -> Iterator[Family]:
    conditions = [
        ((*owner, each.type, each.status, each.reason, meta.namespace, meta.name), each.changed_at)
        for owner, told in kinds
        for meta, conditions in told.objects
        for each in conditions.values()
    ]
    going = [
        ((*owner, meta.namespace, meta.name), (now - meta.deleted_at).total_seconds())
        for owner, told in kinds
        for meta, _ in told.objects
        if meta.deleted_at is not None
    ]
    yield _family(f"operator_{prefix}status_condition_count", [(labels, 1.0) for labels, _ in conditions])
    yield _family(
        f"operator_{prefix}status_condition_current_status_seconds",
        [(labels, (now - since).total_seconds()) for labels, since in conditions],
    )
    yield _family(f"operator_{prefix}termination_current_time_seconds", going)


def _yes(answer: object) -> str:
    return "true" if answer else "false"
