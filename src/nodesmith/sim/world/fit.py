"""Whether a pod may run on a node: kube-scheduler's filters, one function each, over what is in the cluster now.

Written from Kubernetes' rules and not from nodesmith's solver, so that a plan which only the solver believes in
leaves its pods pending here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from nodesmith.api.kind import Manifest
from nodesmith.model.labels import canonical
from nodesmith.model.node import Node
from nodesmith.model.pod import NodeSelectorTerm, Pod, PodAffinityTerm, TopologySpreadConstraint
from nodesmith.model.resources import Resources, fits, minus, shortfall, total
from nodesmith.model.taints import NO_EXECUTE, NO_SCHEDULE, PREFER_NO_SCHEDULE, Taint, untolerated
from nodesmith.model.workload import Namespace

UNSCHEDULABLE: Final = Taint("node.kubernetes.io/unschedulable", NO_SCHEDULE)


@dataclass(frozen=True, slots=True)
class Seat:
    """A node and the pods on it that have not ended."""

    node: Node
    pods: Mapping[str, Pod]
    labels: Mapping[str, str]
    free: Resources
    """What is left for more pods."""
    shy: tuple[Pod, ...]
    """Those of the pods that shun others."""

    @classmethod
    def of(cls, node: Node, pods: Mapping[str, Pod]) -> Seat:
        """The node with its labels under their present names as well."""
        labels = {canonical(key): value for key, value in node.labels.items()} | dict(node.labels)
        free = minus(node.allocatable, total(pod.requests for pod in pods.values()))
        return cls(node, pods, labels, free, tuple(pod for pod in pods.values() if pod.spec.required_anti_affinity))


@dataclass(frozen=True, slots=True)
class Room:
    """All nodes by name, and what the filters need to know beside them."""

    seats: Mapping[str, Seat]
    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    counted: dict[TopologySpreadConstraint, Mapping[str, int]] = field(default_factory=dict)
    """Pods by domain, for the constraints of the one pod that is being placed."""

    def pods(self) -> Iterable[tuple[Seat, Pod]]:
        """Every pod that has a node, with it."""
        return ((seat, pod) for seat in self.seats.values() for pod in seat.pods.values())


Filter = Callable[[Pod, Seat, Room], str | None]
"""A short reason why not, or None."""


def why_not(pod: Pod, seat: Seat, room: Room) -> str | None:
    """The first reason why the pod may not run on the node, or None."""
    return next((reason for rule in FILTERS if (reason := rule(pod, seat, room)) is not None), None)


def pinned_node(manifest: Manifest) -> str | None:
    """The node that a DaemonSet's pod is made for, by its matchFields."""
    affinity = ((manifest["spec"].get("affinity") or {}).get("nodeAffinity")) or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for match in term.get("matchFields") or ():
            if match["key"] == "metadata.name":
                return str(match["values"][0])
    return None


def wants_daemon(pod: Pod, node: Node) -> bool:
    """Whether the DaemonSet controller keeps such a pod on the node."""
    seat = Seat.of(node, {})
    kept = [taint for taint in node.taints if taint.effect in {NO_SCHEDULE, NO_EXECUTE}]
    return _selects(pod, seat) and untolerated(kept, pod.spec.tolerations) is None


def satisfies(term: NodeSelectorTerm, labels: Mapping[str, str]) -> bool:
    """Whether labels satisfy all expressions of a node selector term."""
    return all(
        requirement.allows(labels[requirement.key]) if requirement.key in labels else requirement.is_negative
        for requirement in term
    )


# --- the filters ---


def _cordon(pod: Pod, seat: Seat, _room: Room) -> str | None:
    if seat.node.is_cordoned and untolerated((UNSCHEDULABLE,), pod.spec.tolerations):
        return "node(s) were unschedulable"
    return None


def _taints(pod: Pod, seat: Seat, _room: Room) -> str | None:
    kept = [taint for taint in seat.node.taints if taint.effect != PREFER_NO_SCHEDULE]
    taint = untolerated(kept, pod.spec.tolerations)
    return f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}" if taint else None


def _affinity(pod: Pod, seat: Seat, _room: Room) -> str | None:
    return None if _selects(pod, seat) else "node(s) didn't match Pod's node affinity/selector"


def _ports(pod: Pod, seat: Seat, _room: Room) -> str | None:
    taken = [port for each in seat.pods.values() for port in each.spec.host_ports]
    if any(mine.conflicts_with(other) for mine in pod.spec.host_ports for other in taken):
        return "node(s) didn't have free ports for the requested pod ports"
    return None


def _resources(pod: Pod, seat: Seat, _room: Room) -> str | None:
    if fits(pod.requests, seat.free):
        return None
    short = min(shortfall(pod.requests, seat.free))
    return "Too many pods" if short == "pods" else f"Insufficient {short}"


def _spread(pod: Pod, seat: Seat, room: Room) -> str | None:
    for constraint in pod.spec.topology_spread:
        if not constraint.is_hard:
            continue
        domain = seat.labels.get(constraint.topology_key)
        if domain is None:
            return "node(s) didn't match pod topology spread constraints (missing required label)"
        if constraint not in room.counted:
            room.counted[constraint] = _counts(pod, constraint, room)
        counts = room.counted[constraint]
        least = min(counts.values(), default=0)
        if constraint.min_domains is not None and len(counts) < constraint.min_domains:
            least = 0
        own = constraint.selector is not None and constraint.selector.matches(pod.meta.labels)
        if counts.get(domain, 0) + own - least > constraint.max_skew:
            return "node(s) didn't match pod topology spread constraints"
    return None


def _company(pod: Pod, seat: Seat, room: Room) -> str | None:
    for term in pod.spec.required_affinity:
        if term.topology_key not in seat.labels:
            return "node(s) didn't match pod affinity rules"
        if _has_company(term, pod, seat, room):
            continue
        alone = not any(matches(term, other, room) for _, other in room.pods())
        if not (alone and all(matches(each, pod, room) for each in pod.spec.required_affinity)):
            return "node(s) didn't match pod affinity rules"
    return None


def _distance(pod: Pod, seat: Seat, room: Room) -> str | None:
    if any(_has_company(term, pod, seat, room) for term in pod.spec.required_anti_affinity):
        return "node(s) didn't match pod anti-affinity rules"
    shy = (
        (other, term)
        for other in room.seats.values()
        for each in other.shy
        for term in each.spec.required_anti_affinity
    )
    for other, term in shy:
        domain = seat.labels.get(term.topology_key)
        together = domain is not None and other.labels.get(term.topology_key) == domain
        if together and matches(term, pod, room):
            return "node(s) didn't satisfy existing pods anti-affinity rules"
    return None


FILTERS: Final[tuple[Filter, ...]] = (
    _cordon,
    _taints,
    _affinity,
    _ports,
    _resources,
    _spread,
    _company,
    _distance,
)


# --- what they are made of ---


def matches(term: PodAffinityTerm, pod: Pod, room: Room) -> bool:
    """Whether the term means this pod."""
    if term.selector is None or not term.selector.matches(pod.meta.labels):
        return False
    if pod.meta.namespace in term.namespaces:
        return True
    namespace = room.namespaces.get(pod.meta.namespace)
    selector = term.namespace_selector
    return selector is not None and namespace is not None and selector.matches(namespace.meta.labels)


def _selects(pod: Pod, seat: Seat) -> bool:
    spec = pod.spec
    if any(seat.labels.get(key) != value for key, value in spec.node_selector):
        return False
    return not spec.required_node_terms or any(satisfies(term, seat.labels) for term in spec.required_node_terms)


def _has_company(term: PodAffinityTerm, pod: Pod, seat: Seat, room: Room) -> bool:
    domain = seat.labels.get(term.topology_key)
    if domain is None:
        return False
    return any(
        other.key != pod.key and other_seat.labels.get(term.topology_key) == domain and matches(term, other, room)
        for other_seat, other in room.pods()
    )


def _counts(pod: Pod, constraint: TopologySpreadConstraint, room: Room) -> dict[str, int]:
    """Pods that count, by domain, over the nodes that count."""
    keys = [each.topology_key for each in pod.spec.topology_spread if each.is_hard]
    counts: dict[str, int] = {}
    for seat in room.seats.values():
        if any(key not in seat.labels for key in keys):
            continue
        if constraint.honor_node_affinity and not _selects(pod, seat):
            continue
        if constraint.honor_node_taints and _taints(pod, seat, room):
            continue
        domain = seat.labels[constraint.topology_key]
        counts[domain] = counts.get(domain, 0) + sum(
            1
            for other in seat.pods.values()
            if constraint.selector is not None
            and other.meta.namespace == pod.meta.namespace
            and not other.meta.is_deleting
            and constraint.selector.matches(other.meta.labels)
        )
    return counts
