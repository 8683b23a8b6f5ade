"""Which plan may be acted on when some of them break rules."""

from __future__ import annotations

from dataclasses import replace

from nodesmith.decide.schedule.checked import checked, nothing, plain_greedy
from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.solve import schedule
from nodesmith.plan.reason import Unplaced
from nodesmith.plan.schedule import OnClaim, OnNode, SchedulePlan
from tests.unit.decide.schedule.build import pods, problem


def fails(problem: Problem) -> SchedulePlan:
    raise KeyError(len(problem.pods))


def loses_odd_ones(problem: Problem) -> SchedulePlan:
    """Valid but for the pods called odd, which it sends to a node that does not exist."""
    plan = schedule(problem)
    astray = {key: OnNode("nowhere") for key in plan.placements if "odd" in key}
    claims = tuple(replace(claim, pods=tuple(key for key in claim.pods if "odd" not in key)) for claim in plan.claims)
    return replace(plan, placements={**plan.placements, **astray}, claims=claims)


def test_a_valid_plan_is_taken_as_it_is() -> None:
    asked = problem(pods("web", 2))
    result = checked(asked, schedule, fails)
    assert result.is_faultless
    assert result.plan == schedule(asked)


def test_the_plain_greedys_is_taken_where_the_solvers_breaks_a_rule() -> None:
    asked = problem([*pods("web", 2), *pods("odd", 1)])
    result = checked(asked, loses_odd_ones)
    assert result.is_fallback
    assert result.plan == plain_greedy(asked)
    assert result.refused_pools == {"default"}
    assert any(fault.startswith("node-unknown") for fault in result.faults)


def test_pods_for_which_no_valid_plan_is_found_do_not_keep_the_others() -> None:
    asked = problem([*pods("web", 2), *pods("odd", 1)])
    result = checked(asked, fails, loses_odd_ones)
    assert result.plan is not None
    assert set(result.plan.unplaced) == {"default/odd-0"}
    assert sum(isinstance(place, OnClaim) for place in result.plan.placements.values()) == 2


def test_there_may_be_no_plan_at_all() -> None:
    asked = problem(pods("web", 2))
    result = checked(asked, fails, fails)
    assert result.plan is None
    assert result.faults == ("no plan: KeyError: 2", "plain greedy: no plan: KeyError: 2")
    assert all(isinstance(place, Unplaced) for place in nothing(asked).placements.values())
