"""Machines that are tried before one of them is bought: without a trace, the cheapest, and where pods keep apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from nodesmith.decide.schedule import filler
from nodesmith.decide.schedule.buyer import Buyer
from nodesmith.decide.schedule.crowd import Crowd
from nodesmith.decide.schedule.filler import Filler, Judge
from nodesmith.decide.schedule.foresight import ForesightShop
from nodesmith.decide.schedule.market import Market
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.placer import Placer
from nodesmith.decide.schedule.problem import Options, Problem
from nodesmith.decide.schedule.solve import FILLED_TOGETHER, TRIED, plan_by, schedule
from nodesmith.decide.schedule.validate import validate
from nodesmith.decide.schedule.world import World
from nodesmith.model import labels
from nodesmith.model.pod import Pod
from tests.unit.decide.schedule.build import near, pods, problem, spread


def crowded(apart: int = 90, **fields: Any) -> Problem:
    """Hundreds of pods, some of which shun one another."""
    random = Random(2)
    some: list[Pod] = [
        *pods("apart", apart, cpu=random.choice((300, 700, 900)), required_anti_affinity=(near("apart"),))
    ]
    for number in range(12):
        cpu, memory = random.choice((200, 500, 900, 1300)), random.choice((256, 1024, 3000))
        some += pods(f"some-{number}", 30, cpu=cpu, memory=memory, **fields)
    return problem(some)


def built(judge: Callable[[Packing], Judge] | None) -> Packing:
    """Machines that were filled one after the other."""
    world = World(crowded(topology_spread=(spread("some", labels.ZONE),)))
    crowd, packing = Crowd(world, Market(world, together=True)), Packing(world)
    buyer = Buyer(packing, ForesightShop(crowd, packing))
    filling = Filler(packing, crowd, buyer, Placer(packing, crowd, buyer))
    filling.build(world.classes, judge=judge(packing) if judge else None)
    assert not crowd.left.any()
    return packing


def test_what_is_tried_leaves_no_trace() -> None:
    """Of equals the first is taken, which is what is bought where nothing is tried."""
    tried: list[int] = []

    def equal(packing: Packing) -> Judge:
        def judge(bin_: int) -> float:
            tried.append(int(packing.offer[bin_]))
            return 0.0

        return judge

    with_trials, without = built(equal), built(None)
    assert len(set(tried)) > 1
    assert with_trials.contents == without.contents
    assert with_trials.offer[: with_trials.size].tolist() == without.offer[: without.size].tolist()
    assert (with_trials.free[: with_trials.size] == without.free[: without.size]).all()
    assert with_trials.tally.tables == without.tally.tables


def test_the_one_that_is_judged_cheapest_is_bought() -> None:
    def smallest(packing: Packing) -> Judge:
        return lambda bin_: float(packing.room(int(packing.offer[bin_]))[0])

    def largest(packing: Packing) -> Judge:
        return lambda bin_: -float(packing.room(int(packing.offer[bin_]))[0])

    assert built(smallest).size > built(largest).size


def test_a_choice_is_not_made_anew_for_each_machine() -> None:
    seen: list[int] = []

    def counting(packing: Packing) -> Judge:
        def judge(bin_: int) -> float:
            seen.append(int(packing.offer[bin_]))
            return 0.0

        return judge

    packing = built(counting)
    assert len(seen) < filler.TRIED * packing.size


def test_it_is_taken_where_it_is_cheaper() -> None:
    asked = replace(crowded(), options=Options(steps=0))
    plan = schedule(asked)
    assert plan.strategy == TRIED.name
    assert plan.price < plan_by(World(asked), FILLED_TOGETHER).price
    assert not validate(asked, plan)


def test_where_few_keep_apart_improvement_is_given_the_time() -> None:
    bound = crowded(apart=40, topology_spread=(spread("some", labels.ZONE),))
    asked = replace(bound, options=Options(steps=0))
    assert schedule(asked).strategy != TRIED.name
