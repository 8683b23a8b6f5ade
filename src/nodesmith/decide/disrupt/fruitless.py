"""A search for savings that found none, remembered so that it is not made again over the very same cluster.

While a budget is used up or a node is too young, passes are made every few seconds, because time alone may free a node;
as long as it frees none, the answer of the last search stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import is_
from typing import Final

from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.disrupt.rationing import Ration
from nodesmith.decide.disrupt.scene import Scene, Shared
from nodesmith.decide.disrupt.settling import is_settling
from nodesmith.decide.disrupt.sparing import is_calming
from nodesmith.model.nodepool import DisruptionReason
from nodesmith.plan.stay import Stay

STANDS_FOR: Final = timedelta(minutes=30)
"""What nodes are worth changes slowly as they grow older."""


@dataclass(frozen=True, slots=True)
class Ground:
    """All that a search rests on: values of the snapshot are compared by identity, since a change makes new ones.

    Of a node those are its parts, without the time until which it is promised to a pod: for as long as it is, it is no
    candidate.
    `young` are the nodes that take no pods yet and those that may not be replaced yet, which changes with the time.
    """

    values: tuple[object, ...]
    allowed: tuple[tuple[str, int, int | None], ...]
    young: tuple[str, ...]
    policy: Policy
    shared: Shared
    at: datetime

    @classmethod
    def of(cls, scene: Scene, candidates: Sequence[Candidate], ration: Ration) -> Ground:
        """The ground of a search over these candidates."""
        view = scene.snapshot
        parts = (part for each in view.nodes for part in (each.node, each.claim, each.is_marked, *each.pods))
        kinds: Iterable[Iterable[object]] = (parts, view.pods, view.pools, view.daemonsets, view.budgets)
        values = (view.namespaces, view.storage, *(value for kind in kinds for value in kind))
        allowed = tuple(
            (each.name, ration.left(each.pool.name), ration.most_moves.get(each.pool.name)) for each in candidates
        )
        return cls(values, allowed, tuple(_young(scene, candidates)), scene.policy, scene.shared, scene.now)

    def is_as(self, other: Ground) -> bool:
        """Whether a search on the other ground, later, would see the same."""
        return (
            other.at - self.at < STANDS_FOR
            and self.shared is other.shared
            and self.allowed == other.allowed
            and self.young == other.young
            and self.policy == other.policy
            and len(self.values) == len(other.values)
            and all(map(is_, self.values, other.values))
        )


@dataclass(frozen=True, slots=True)
class Fruitless:
    """A search that found nothing, and why each candidate stays.

    `left` are those that it did not ask about alone because its effort was spent: the next pass over the same ground
    goes on with them, and when none is left, all that was found by the passes together stands.
    """

    ground: Ground
    stays: tuple[Stay, ...]
    left: frozenset[str] = frozenset()

    def after(self, earlier: Fruitless | None) -> Fruitless:
        """This search and the earlier one, which was made over the same ground, as one."""
        if earlier is None:
            return self
        known = {each.node: each for each in earlier.stays if each.node not in earlier.left}
        stays = tuple(known.get(each.node, each) if each.node in self.left else each for each in self.stays)
        return Fruitless(earlier.ground, stays, self.left & earlier.left)


def _young(scene: Scene, candidates: Sequence[Candidate]) -> Iterator[str]:
    for state in scene.snapshot.nodes:
        pool = scene.pools.get(state.pool_name)
        if pool is not None and is_settling(state, pool, scene.now):
            yield state.name
    for each in candidates:
        if is_calming(each, DisruptionReason.UNDERUTILIZED, scene):
            yield f"{each.name} itself"
