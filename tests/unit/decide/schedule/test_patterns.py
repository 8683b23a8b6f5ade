"""Machines bought by patterns: cheaper where pods are large for their machines, valid, and only where that is all."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, repeat
from typing import Any

import pytest

from nodesmith.decide.schedule import patterns
from nodesmith.decide.schedule.patterns import plain_classes, suits
from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.solve import FILLED, FILLED_TOGETHER, PATTERNS, Attempt, plan_by, schedule
from nodesmith.decide.schedule.validate import validate
from nodesmith.decide.schedule.world import World
from nodesmith.model import labels
from nodesmith.model.pod import HostPort, Pod
from nodesmith.model.requirements import Requirement, Requirements
from tests.unit.decide.schedule.build import kind, near, node, pods, pool, problem, spec, spread

TYPES = (kind("six", 6, 0.30, spot=False), kind("ten", 10, 0.52, spot=False))
"""5.9 and 9.9 cores are left for pods."""


def batch(*more: Pod, large: int = 60, small: int = 60, **fields: Any) -> Problem:
    """Pods of 3.9 and of 1.9 cores: one of each fills a machine of six to the last."""
    some = [*pods("large", large, cpu=3900, memory=64), *pods("small", small, cpu=1900, memory=64)]
    return problem([*some, *more], types=TYPES, **fields)


def test_what_is_on_machines_fits_together() -> None:
    asked = batch()
    plan = plan_by(World(asked), PATTERNS)
    assert not validate(asked, plan)
    assert len(plan.claims) == 60
    assert {tuple(sorted(key.split("-")[0] for key in claim.pods)) for claim in plan.claims} == {
        ("default/large", "default/small")
    }


def test_it_is_tried_and_taken_where_it_is_cheaper() -> None:
    some = chain.from_iterable(pods(f"of-{cpu}", 60, cpu=cpu, memory=64) for cpu in (1300, 1700, 2300, 3100))
    asked = problem(some, types=TYPES)
    plan = schedule(asked)
    assert plan.strategy == PATTERNS.name
    assert not validate(asked, plan)
    assert plan.price < plan_by(World(asked), FILLED).price


def test_few_pods_take_part_where_there_are_more_than_all_attempts_are_made_for() -> None:
    asked = batch(large=220, small=220)
    assert schedule(asked, is_time_up=lambda: True).price == plan_by(World(asked), FILLED_TOGETHER).price
    assert schedule(asked).price == plan_by(World(asked), PATTERNS).price


def test_room_that_is_there_is_filled_first() -> None:
    asked = batch(nodes=(node("there", "large"),))
    plan = plan_by(World(asked), PATTERNS)
    assert not validate(asked, plan)
    assert len(plan.claims) == 59


def test_pods_that_may_go_to_few_machines_and_others_have_patterns_together() -> None:
    types = (kind("amd", 6, 0.30, spot=False), kind("arm", 6, 0.20, spot=False, arch="arm64"))
    bound = ((labels.ARCH, "amd64"),)
    asked = problem(
        [*pods("large", 60, cpu=3900, memory=64, node_selector=bound), *pods("small", 60, cpu=1900, memory=64)],
        types=types,
    )
    plan = plan_by(World(asked), PATTERNS)
    assert not validate(asked, plan)
    assert len(plan.claims) == 60, "pods of both kinds share machines that one of them has to have"


def test_others_get_what_is_left_and_their_rules_hold() -> None:
    asked = batch(*pods("web", 9, cpu=500, memory=64, topology_spread=(spread("web", labels.ZONE),)))
    assert suits(World(asked))
    plan = plan_by(World(asked), PATTERNS)
    assert not validate(asked, plan)
    assert not plan.unplaced


def test_pods_that_no_machine_holds_stay_behind_alone() -> None:
    asked = batch(*pods("huge", 3, cpu=64_000))
    plan = plan_by(World(asked), PATTERNS)
    assert sorted(plan.unplaced) == [f"default/huge-{number}" for number in range(3)]


def test_limits_that_come_to_bind_are_kept() -> None:
    limited = pool(limits={"cpu": 100_000})
    asked = batch(pools=(limited,))
    plan = plan_by(World(asked), PATTERNS)
    assert not validate(asked, plan)
    assert plan.unplaced


def test_the_time_ends_it() -> None:
    asks = chain((0,), repeat(1))
    assert Attempt(World(batch()), PATTERNS, lambda: bool(next(asks))).is_cut_short
    assert not Attempt(World(batch()), PATTERNS, lambda: False).is_cut_short


def test_the_same_pods_in_another_order_get_the_same_plan() -> None:
    asked = batch()
    turned = replace(asked, pods=asked.pods[::-1])
    assert plan_by(World(turned), PATTERNS).claims == plan_by(World(asked), PATTERNS).claims


def test_only_prices_decide() -> None:
    assert suits(World(batch()))
    assert not suits(World(batch(pools=(pool("light", weight=1), pool("heavy", weight=9)))))
    varied = Requirement(labels.INSTANCE_TYPE, frozenset(), complement=True, min_values=2)
    assert not suits(World(batch(pools=(replace(pool(), requirements=Requirements.of([varied])),))))
    assert not suits(World(batch(pools=(pool(limits={"cpu": 3000}),))))


def test_most_pods_are_plain_and_of_few_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = pods("web", 130, topology_spread=(spread("web", labels.ZONE),))
    assert not suits(World(batch(*bound)))
    assert not suits(World(batch(large=49, small=50)))
    monkeypatch.setattr(patterns, "MOST_KINDS", 1)
    assert not suits(World(batch()))


@pytest.mark.parametrize(
    "others",
    [
        pods("web", 2, topology_spread=(spread("web", labels.ZONE),)),
        pods("alone", 2, required_anti_affinity=(near("alone"),)),
        pods("port", 2, spec(host_ports=(HostPort(80),))),
        (*pods("shy", 1, required_anti_affinity=(near("loud", labels.ZONE),)), *pods("loud", 2)),
    ],
    ids=["spread", "apart", "ports", "shunned by others"],
)
def test_who_is_plain(others: tuple[Pod, ...]) -> None:
    world = World(problem([*pods("free", 2), *others]))
    assert [each.labels["app"] for each in plain_classes(world)] == ["free"]
