"""A plan that may be acted on: the solver's if it breaks no rule, else the plain greedy's if that breaks none.

A solver that gives up with an error counts as one whose plan breaks a rule: pods do not wait for it to be mended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nodesmith.decide.schedule.problem import PricingPolicy, Problem
from nodesmith.decide.schedule.solve import schedule
from nodesmith.decide.schedule.validate import validate
from nodesmith.plan.schedule import SchedulePlan

Solve = Callable[[Problem], SchedulePlan]


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
    """The solver's plan, or the fallback's (the plain greedy's where none is given), or none: whichever is valid."""
    plan, faults = _attempt(problem, solve)
    if plan is not None and not faults:
        return Checked(plan)
    pools = frozenset[str]() if plan is None else frozenset(claim.pool_name for claim in plan.claims)
    second, more = _attempt(problem, fallback or plain_greedy)
    told = (*faults, *(f"plain greedy: {fault}" for fault in more))
    return Checked(None if more else second, told, is_fallback=not more, refused_pools=pools)


def plain_greedy(problem: Problem) -> SchedulePlan:
    """The plan by Karpenter's rule."""
    return schedule(replace(problem, options=replace(problem.options, pricing=PricingPolicy.KARPENTER)))


def _attempt(problem: Problem, solve: Solve) -> tuple[SchedulePlan | None, tuple[str, ...]]:
    try:
        plan = solve(problem)
    except Exception as error:  # noqa: BLE001 - a fault of the solver, whatever it is, must not leave pods without a node
        return None, (f"no plan: {type(error).__name__}: {error}",)
    return plan, tuple(str(violation) for violation in validate(problem, plan))
