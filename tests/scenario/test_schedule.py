"""Our answers against another planner's: valid, nobody left out whom it places, and no dearer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from nodesmith.decide.schedule.problem import PricingPolicy
from nodesmith.decide.schedule.solve import schedule
from nodesmith.decide.schedule.validate import validate
from tools.scenarios import Scenario, judge, scenarios

DATA: Final = Path(__file__).parent / "data"
# Only a plan whose pods do not wait for company that they would merely like places all; the plain greedy's do.
RESCUED: Final = {"odd-04"}
PLACING: Final = [each for each in scenarios([DATA]) if each.verb == "schedule"]


@pytest.mark.parametrize("scenario", PLACING, ids=lambda scenario: scenario.name)
def test_our_answer_agrees(scenario: Scenario) -> None:
    problem = scenario.problem()
    assert judge(scenario, problem, schedule).shortcomings == []


@pytest.mark.parametrize("scenario", PLACING[::6], ids=lambda scenario: scenario.name)
def test_the_plain_greedy_is_valid_and_leaves_nobody_out(scenario: Scenario) -> None:
    problem = scenario.problem()
    plain = replace(problem, options=replace(problem.options, pricing=PricingPolicy.KARPENTER))
    verdict = judge(scenario, plain, schedule)
    assert not verdict.violations
    assert bool(verdict.left_out) == (scenario.name in RESCUED)


@pytest.mark.parametrize("scenario", PLACING[::6], ids=lambda scenario: scenario.name)
def test_the_same_cluster_in_another_order_gets_the_same_answer(scenario: Scenario) -> None:
    problem = scenario.problem()
    shuffled = replace(
        problem,
        pods=tuple(reversed(problem.pods)),
        snapshot=replace(problem.snapshot, pods=problem.snapshot.pods[::-1], nodes=problem.snapshot.nodes[::-1]),
        catalog={name: tuple(reversed(types)) for name, types in problem.catalog.items()},
    )
    first, second = schedule(problem), schedule(shuffled)
    assert first.placements == second.placements
    assert first.claims == second.claims
    assert not validate(shuffled, second)
