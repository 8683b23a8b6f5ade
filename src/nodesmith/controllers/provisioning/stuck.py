"""Pods that no plan found a place for are not planned for again until something has changed.

They are told of every ten seconds for as long as they wait, and planning for them looks at every node and every type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import is_
from typing import Final

from nodesmith.decide.schedule.problem import Catalog
from nodesmith.model.pod import Pod
from nodesmith.plan.schedule import SchedulePlan

STANDS_FOR: Final = timedelta(minutes=5)
"""A plan is made in any case after so long, as consolidation looks again."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a plan rests on: the store in this generation, these very pods and these very types."""

    generation: int
    pods: tuple[Pod, ...]
    catalog: Catalog
    at: datetime

    def is_as(self, other: Ground) -> bool:
        """Whether a plan on the other ground, later, would be the same."""
        return (
            self.generation == other.generation
            and other.at - self.at < STANDS_FOR
            and _are_same(self.pods, other.pods)
            and self.catalog.keys() == other.catalog.keys()
            and all(self.catalog[name] is types for name, types in other.catalog.items())
        )


class Stuck:
    """The last plan, if it placed nobody."""

    def __init__(self) -> None:
        self._last: tuple[Ground, SchedulePlan] | None = None

    def plan(self, ground: Ground) -> SchedulePlan | None:
        """The plan that was made on such ground and placed nobody; None where there is none."""
        last = self._last
        return last[1] if last is not None and last[0].is_as(ground) else None

    def note(self, ground: Ground, plan: SchedulePlan | None) -> None:
        """This came of planning on the ground."""
        self._last = (ground, plan) if plan is not None and len(plan.unplaced) == len(plan.placements) else None


def _are_same(pods: Sequence[Pod], others: Sequence[Pod]) -> bool:
    return len(pods) == len(others) and all(map(is_, pods, others))
