"""Improvement by counted steps: cheaper or the same, valid, and the same every time."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, repeat
from typing import Any

import pytest

from nodesmith.decide.schedule.problem import Options, Problem
from nodesmith.decide.schedule.solve import (
    BY_MEMORY,
    FILLED,
    FILLED_TOGETHER,
    PORTFOLIO,
    TRIED,
    Attempt,
    Strategy,
    plan_by,
    schedule,
)
from nodesmith.decide.schedule.validate import validate
from nodesmith.decide.schedule.world import World
from nodesmith.model import labels
from nodesmith.model.pod import TopologySpreadConstraint
from tests.unit.decide.schedule.build import kind, pods, problem, spread


def mixed() -> Problem:
    """Three zones, pods of several shapes, some of them spread, some bound to on-demand."""
    some = [
        *pods("small", 14, cpu=300, memory=900),
        *pods("wide", 6, cpu=1500, memory=1024, topology_spread=(spread(labels.ZONE, "wide"),)),
        *pods("deep", 5, cpu=200, memory=6144),
        *pods("kept", 2, cpu=700, memory=1024, node_selector=((labels.CAPACITY_TYPE, labels.ON_DEMAND),)),
    ]
    return problem(some)


@pytest.mark.parametrize("strategy", [*PORTFOLIO, TRIED], ids=lambda each: each.name)
def test_steps_make_it_cheaper_or_leave_it(strategy: Strategy) -> None:
    asked = mixed()
    attempt = Attempt(World(asked), strategy)
    before = attempt.rank
    attempt.improve(40, None)
    assert attempt.rank <= before
    assert not validate(asked, attempt.plan())


def test_a_step_in_vain_leaves_no_trace() -> None:
    asked = mixed()
    attempt = Attempt(World(asked), FILLED)
    attempt.improve(200, None)
    settled = attempt.plan()
    attempt.improve(30, None)
    assert attempt.plan() == settled


def test_the_time_ends_it() -> None:
    asked = mixed()
    asks = iter((False, False, True))
    attempt = Attempt(World(asked), PORTFOLIO[1])
    attempt.improve(1000, lambda: next(asks))
    assert next(asks, None) is None
    assert not validate(asked, attempt.plan())


def test_without_time_the_first_attempt_stands() -> None:
    asked = mixed()
    plan = schedule(asked, is_time_up=lambda: True)
    assert plan == plan_by(World(asked), FILLED)
    assert not validate(asked, plan)


@pytest.mark.parametrize("strategy", [FILLED, BY_MEMORY], ids=lambda each: each.name)
def test_an_attempt_is_given_up_when_its_time_is_up(strategy: Strategy) -> None:
    asks = chain((0, 0), repeat(1))
    attempt = Attempt(World(mixed()), strategy, lambda: bool(next(asks)))
    assert attempt.is_cut_short
    assert not Attempt(World(mixed()), strategy, lambda: False).is_cut_short


def many_classes(*constraints: TopologySpreadConstraint) -> Problem:
    """More pods than all attempts are made for, each of a class of its own."""
    spec: dict[str, Any] = {"memory": 1024, "topology_spread": constraints}
    return problem([each for number in range(401) for each in pods(f"some-{number}", 1, cpu=100 + number, **spec)])


def test_of_many_classes_with_rules_placing_comes_first() -> None:
    asked = many_classes(spread("some"))
    assert schedule(asked, is_time_up=lambda: True) == plan_by(World(asked), BY_MEMORY)


def test_of_many_classes_without_rules_filling_comes_first() -> None:
    asked = many_classes()
    assert schedule(asked, is_time_up=lambda: True) == plan_by(World(asked), FILLED_TOGETHER)


def test_a_second_attempt_that_is_given_up_changes_nothing() -> None:
    asked = many_classes(spread("some"))
    first, second, asks = plan_by(World(asked), BY_MEMORY), plan_by(World(asked), FILLED), chain((0, 0), repeat(1))
    assert second.price.dollars < first.price.dollars, "it would be taken"
    assert schedule(asked, is_time_up=lambda: bool(next(asks))) == first


def test_no_step_is_the_best_attempt_as_it_comes() -> None:
    asked = mixed()
    plan = schedule(replace(asked, options=Options(steps=0)))
    assert plan.price.dollars == pytest.approx(min(plan_by(World(asked), each).price.dollars for each in PORTFOLIO))


def test_flexible_pods_do_not_ride_on_dear_machines() -> None:
    dear = pods("kept", 1, cpu=1500, memory=1024, node_selector=((labels.CAPACITY_TYPE, labels.ON_DEMAND),))
    free = pods("free", 3, cpu=1500, memory=1024)
    plan = schedule(problem([*dear, *free]))
    held = {claim.cheapest.capacity_type: claim.pods for claim in plan.claims}
    assert held[labels.ON_DEMAND] == ("default/kept-0",)


def test_of_equal_prices_the_one_that_more_pools_can_fill_is_bought() -> None:
    """Two machines for 0.05 each, of three types in three zones, or one for 0.10 that one pool offers."""
    narrow = kind("narrow", 4, 0.10, zones=("a",))
    wide = [kind(f"wide-{at}", 2, 0.05) for at in range(3)]
    asked = problem(pods("web", 2, cpu=1500, memory=2048), types=(narrow, *wide))
    assert len(schedule(asked).claims) == 2
    fearless = replace(asked, options=Options(spot_risk=0.0))
    assert len(schedule(fearless).claims) == 1
