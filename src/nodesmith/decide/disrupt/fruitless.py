"""A search for savings that found none, remembered so that it is not made again over the very same cluster.

While a budget is used up or a node is too young, passes are made every few seconds, because time alone may free a node;
as long as it frees none, the answer of the last search stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import is_
from typing import Final

from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.disrupt.rationing import Ration
from nodesmith.decide.disrupt.scene import Scene, Shared
from nodesmith.plan.stay import Stay

STANDS_FOR: Final = timedelta(minutes=5)
"""Rules that look at the clock (a node is young, or has just replaced others) may say something else after a while."""


@dataclass(frozen=True, slots=True)
class Ground:
    """All that a search rests on: values of the snapshot are compared by identity, since a change makes new ones."""

    values: tuple[object, ...]
    allowed: tuple[tuple[str, int, int | None], ...]
    policy: Policy
    shared: Shared
    at: datetime

    @classmethod
    def of(cls, scene: Scene, candidates: Sequence[Candidate], ration: Ration) -> Ground:
        """The ground of a search over these candidates."""
        view = scene.snapshot
        kinds: Iterable[Iterable[object]] = (view.nodes, view.pods, view.pools, view.daemonsets, view.budgets)
        values = (view.namespaces, view.storage, *(value for kind in kinds for value in kind))
        allowed = tuple(
            (each.name, ration.left(each.pool.name), ration.most_moves.get(each.pool.name)) for each in candidates
        )
        return cls(values, allowed, scene.policy, scene.shared, scene.now)

    def is_as(self, other: Ground) -> bool:
        """Whether a search on the other ground, later, would see the same."""
        return (
            other.at - self.at < STANDS_FOR
            and self.shared is other.shared
            and self.allowed == other.allowed
            and self.policy == other.policy
            and len(self.values) == len(other.values)
            and all(map(is_, self.values, other.values))
        )


@dataclass(frozen=True, slots=True)
class Fruitless:
    """A search that asked about every candidate and found nothing, and why each of them stays."""

    ground: Ground
    stays: tuple[Stay, ...]
