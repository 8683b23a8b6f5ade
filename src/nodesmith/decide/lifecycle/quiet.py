"""Whether a disruption pass would see the same as the last one, so that it need not be made (spec 5.6).

What is compared is what the rules look at, not versions: a kubelet's heartbeat changes a Node and means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from nodesmith.model.nodeclaim import CONSOLIDATABLE, DRIFTED, INSTANCE_TERMINATING
from nodesmith.state.snapshot import Snapshot, StateNode


@dataclass(frozen=True, slots=True)
class Sight:
    """What a pass saw, condensed; `nodes` are the values that it saw, each with what it came to."""

    fingerprint: int
    nodes: Mapping[str, tuple[StateNode, int]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, snapshot: Snapshot, before: Sight | None = None) -> Sight:
        """What a pass on this snapshot sees; of nodes that are the very values of `before` it need not look again."""
        known = before.nodes if before is not None else {}
        nodes = {node.name: _known(node, known.get(node.name)) for node in snapshot.nodes}
        seen = (tuple(condensed for _, condensed in nodes.values()), tuple(_others(snapshot)))
        return cls(hash(seen), nodes)

    def is_as_before(self, before: Sight | None) -> bool:
        """Whether nothing that counts has changed since."""
        return before is not None and self.fingerprint == before.fingerprint


def _known(node: StateNode, before: tuple[StateNode, int] | None) -> tuple[StateNode, int]:
    if before is not None and before[0] is node:
        return before
    return node, hash(tuple(_of_node(node)))


def _others(snapshot: Snapshot) -> Iterator[object]:
    for pod in snapshot.pods:
        if pod.is_provisionable:
            yield pod.meta.uid
    for pool in snapshot.pools:
        yield (pool.name, pool.meta.generation, tuple(sorted(pool.meta.annotations.items())))
        yield tuple((each.type, each.status) for each in pool.conditions.values())
    for daemonset in snapshot.daemonsets:
        yield (daemonset.meta.key, daemonset.meta.generation)
    for budget in snapshot.budgets:
        yield (budget.meta.key, budget.meta.generation, budget.disruptions_allowed)


def _of_node(node: StateNode) -> Iterator[object]:
    claim = node.claim
    yield (node.name, node.is_deleting, node.is_initialized, node.nominated_until is not None, node.taints)
    yield tuple(sorted(node.labels.items()))
    yield tuple(sorted(node.allocatable.items()))
    if node.node is not None:
        yield (node.node.is_ready, node.node.is_cordoned, tuple(sorted(node.node.meta.annotations.items())))
    if claim is not None:
        yield (claim.has(CONSOLIDATABLE), claim.has(DRIFTED), claim.has(INSTANCE_TERMINATING), claim.last_pod_event_at)
        yield tuple(sorted(claim.meta.annotations.items()))
    for pod in node.pods:
        yield (pod.meta.uid, pod.meta.is_deleting, pod.is_ready, pod.do_not_disrupt)
