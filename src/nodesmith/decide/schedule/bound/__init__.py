"""What no plan can cost less than.

The bound is a linear relaxation: nodes and pods may be divided, but no kind of node holds more of one kind of pod than
a whole node would. Room on nodes that are there is free, reservations are finite, and of pods that share a host port or
keep each other off by host a node takes one. Spread, affinity between workloads and limits are left out, so that it
stays a bound; it is a measure of plans, not a target.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from nodesmith.decide.schedule.bound.kinds import FreeRoom, Groups, free_room, machine_kinds, pod_groups
from nodesmith.decide.schedule.bound.relaxation import Relaxation
from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.validate.case import Case
from nodesmith.decide.schedule.validate.market import Mask
from nodesmith.model.money import FREE, PICOS_PER_DOLLAR, UsdPerHour
from nodesmith.plan.schedule import SchedulePlan

_ROUNDING_DOLLARS = 1e-7
"""Taken off, so that the solver's rounding does not lift the bound above the truth."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A lower bound of the cost, and how many of the pods asked about it covers: others cannot be placed."""

    price: UsdPerHour
    covered: int


def lower_bound(problem: Problem, placed: Collection[str] | None = None) -> Bound:
    """What no plan for the problem can cost less than, of those that place these pods (all where None)."""
    case = Case(problem, SchedulePlan())
    pods = [pod for pod in problem.pods if placed is None or pod.key in placed]
    names = sorted({name for pod in pods for name, amount in pod.spec.requests if amount})
    groups = pod_groups(case, names, pods) if names else None
    if groups is None or not len(groups):
        return Bound(FREE, 0)
    kinds, free = machine_kinds(case, names, groups), free_room(case, names, groups)
    bought: Mask = np.asarray((kinds.most > 0).any(axis=0))
    covered = int(groups.counts[bought | (free.most > 0).any(axis=0)].sum())
    if not bought.any():
        return Bound(FREE, covered)
    kept = _priced(groups, bought)
    kinds.most = kinds.most[:, bought]
    dollars = (
        Relaxation(kept, kinds, FreeRoom(free.room, free.most[:, bought], free.number)).bound() - _ROUNDING_DOLLARS
    )
    if dollars <= 0:
        return Bound(FREE, covered)
    return Bound(UsdPerHour(int(max(dollars, float(kinds.price.min())) * PICOS_PER_DOLLAR)), covered)


def _priced(groups: Groups, bought: Mask) -> Groups:
    """The groups that machines can be bought for; what only nodes that are there can take costs nothing either way."""
    number = np.cumsum(bought) - 1
    return Groups(
        groups.counts[bought],
        groups.requests[bought],
        groups.reach[bought],
        groups.reaches,
        groups.alone[bought],
        [number[clique[bought[clique]]] for clique in groups.cliques],
    )


__all__ = ["Bound", "lower_bound"]
