"""A plan that may be acted on: the solver's if it breaks no rule, else the plain greedy's if that breaks none.

A solver that gives up with an error counts as one whose plan breaks a rule: pods do not wait for it to be mended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from nodesmith.decide.schedule.problem import PricingPolicy, Problem
from nodesmith.decide.schedule.solve import schedule
from nodesmith.decide.schedule.validate import Violation, validate
from nodesmith.decide.schedule.validate.violation import claim_name
from nodesmith.plan.reason import BlockCode, Blocked, Unplaced
from nodesmith.plan.schedule import OnClaim, OnNode, Placement, SchedulePlan

Solve = Callable[[Problem], SchedulePlan]

MOST_ATTEMPTS: Final = 3
"""How often the fallback is asked, each time about fewer pods."""

_BEHIND: Final = Unplaced(Blocked(BlockCode.INVALID, "every plan that was made for it breaks a rule"))


@dataclass(frozen=True, slots=True)
class Checked:
    """What may be acted on: `plan`, or nothing where both plans fail. `faults` say what was wrong, a line each.

    `is_fallback`: the plan is the plain greedy's, since the solver's own failed. `refused_pools` are the NodePools that
    the refused plan would have bought from.
    """

    plan: SchedulePlan | None
    faults: tuple[str, ...] = ()
    is_fallback: bool = False
    refused_pools: frozenset[str] = frozenset()

    @property
    def is_faultless(self) -> bool:
        """Whether the solver's own plan stands."""
        return not self.faults


def checked(problem: Problem, solve: Solve, fallback: Solve | None = None) -> Checked:
    """The solver's plan, or the fallback's (the plain greedy's where none is given), or none: whichever is valid.

    Where both fail for some pods' sake, these stay behind and the fallback plans for the others: one odd pod does not
    keep all others from their nodes.
    """
    plan, faults = _attempt(problem, solve)
    if plan is not None and not faults:
        return Checked(plan)
    pools = frozenset[str]() if plan is None else frozenset(claim.pool_name for claim in plan.claims)
    told, left = [str(fault) for fault in faults], frozenset[str]()
    for _ in range(MOST_ATTEMPTS):
        rest = replace(problem, pods=tuple(pod for pod in problem.pods if pod.key not in left))
        second, more = _attempt(rest, fallback or plain_greedy)
        if second is not None and not more:
            placements = {**second.placements, **dict.fromkeys(left, _BEHIND)}
            return Checked(replace(second, placements=placements), tuple(told), is_fallback=True, refused_pools=pools)
        told += [f"plain greedy: {fault}" for fault in more]
        odd = _concerned(second, more)
        if not odd or odd <= left:
            break
        left |= odd
    return Checked(None, tuple(told), refused_pools=pools)


def plain_greedy(problem: Problem) -> SchedulePlan:
    """The plan by Karpenter's rule."""
    return schedule(replace(problem, options=replace(problem.options, pricing=PricingPolicy.KARPENTER)))


def nothing(problem: Problem) -> SchedulePlan:
    """The plan that leaves every pod where it is."""
    return SchedulePlan({pod.key: _BEHIND for pod in problem.pods})


def _attempt(problem: Problem, solve: Solve) -> tuple[SchedulePlan | None, tuple[Violation | str, ...]]:
    try:
        plan = solve(problem)
    except Exception as error:  # noqa: BLE001 - a fault of the solver, whatever it is, must not leave pods without a node
        return None, (f"no plan: {type(error).__name__}: {error}",)
    return plan, validate(problem, plan)


def _concerned(plan: SchedulePlan | None, faults: Iterable[Violation | str]) -> frozenset[str]:
    """The pods that the faults are about: those named, or where none is, all of the claim or node that is."""
    if plan is None:
        return frozenset()
    found: set[str] = set()
    for fault in faults:
        objects = fault.objects if isinstance(fault, Violation) else ()
        named = [each for each in objects if each in plan.placements]
        hosts = {each for each in objects if each not in plan.placements}
        found.update(named or (key for key, place in plan.placements.items() if _host(place) in hosts))
    return frozenset(found)


def _host(place: Placement) -> str:
    match place:
        case OnNode(node):
            return node
        case OnClaim(index):
            return claim_name(index)
        case _:
            return ""
