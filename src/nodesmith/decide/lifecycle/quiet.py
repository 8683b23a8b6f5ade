"""Whether a disruption pass would see the same as the last one, so that it need not be made (spec 5.6).

What is compared is what the rules look at, not versions: a kubelet's heartbeat changes a Node and means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from nodesmith.model.nodeclaim import CONSOLIDATABLE, DRIFTED
from nodesmith.state.snapshot import Snapshot, StateNode

LONGEST: Final = timedelta(minutes=5)
"""Prices change and time passes: after so long a pass is made in any case."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a pass saw, condensed, and when."""

    fingerprint: int
    at: datetime

    @classmethod
    def of(cls, snapshot: Snapshot) -> Sight:
        """What a pass on this snapshot sees."""
        return cls(hash(tuple(_parts(snapshot))), snapshot.taken_at)

    def is_as_before(self, before: Sight | None) -> bool:
        """Whether nothing that counts has changed since, and it was not too long ago."""
        return before is not None and self.fingerprint == before.fingerprint and self.at - before.at < LONGEST


def _parts(snapshot: Snapshot) -> Iterator[object]:
    for node in snapshot.nodes:
        yield from _of_node(node)
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
    yield (node.name, node.is_deleting, node.is_initialized, node.nominated_until, node.taints)
    yield tuple(sorted(node.labels.items()))
    yield tuple(sorted(node.allocatable.items()))
    if node.node is not None:
        yield (node.node.is_ready, node.node.is_cordoned, tuple(sorted(node.node.meta.annotations.items())))
    if claim is not None:
        yield (claim.has(CONSOLIDATABLE), claim.has(DRIFTED), claim.last_pod_event_at)
        yield tuple(sorted(claim.meta.annotations.items()))
    for pod in node.pods:
        yield (pod.meta.uid, pod.meta.is_deleting, pod.is_ready, pod.do_not_disrupt)
