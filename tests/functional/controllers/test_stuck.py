"""Pods without a place are planned for once in five minutes, and at once when something has changed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from nodesmith.adapters.memory.faults import Fault
from nodesmith.api.kinds import NODE_POOL
from nodesmith.controllers.provisioning.stuck import Ground
from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.solve import schedule
from nodesmith.model.labels import ON_DEMAND, SPOT
from nodesmith.plan.schedule import SchedulePlan
from nodesmith.ports.errors import Unavailable
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool
from tests.unit.decide.disrupt.build import NOW, pod

MINUTE = timedelta(minutes=1)
RETRIGGERED = timedelta(seconds=25)
"""Pods are told of every ten seconds, and collected for up to ten."""


class Counted:
    """A solver that says how often it was asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, problem: Problem) -> SchedulePlan:
        self.times += 1
        return schedule(problem)


def raise_limits(world: SmallWorld) -> None:
    world.server.patch(NODE_POOL, "default", {"spec": {"limits": {"cpu": "64"}}})


def add_pod(world: SmallWorld) -> None:
    world.app("another", 1, cpu="3")


@pytest.mark.parametrize("change", [raise_limits, add_pod])
def test_pods_that_wait_are_planned_for_again_when_something_changes(change: Callable[[SmallWorld], None]) -> None:
    async def story(clock: VirtualClock) -> None:
        world, counted = SmallWorld(clock), Counted()
        world.apply(NODE_CLASS, node_pool(limits={"cpu": "1"}))
        world.app("web", 2, cpu="3")
        async with world.running(), world.controlled(solve=counted):
            await world.pass_time(5 * MINUTE)
            before = counted.times
            await world.pass_time(20 * MINUTE)
            assert counted.times - before == 4
            told = [at for at, event in world.events.told if event.reason == "FailedScheduling"]
            assert clock.now() - max(told) <= 5 * MINUTE, "they are told of all the same"
            await world.pass_time(MINUTE)
            before = counted.times
            change(world)
            await world.pass_time(RETRIGGERED)
            assert counted.times > before
            if change is raise_limits:
                await world.until(world.all_running)

    run(story)


def test_what_can_be_bought_again_is_bought_though_the_cluster_is_as_it_was() -> None:
    async def story(clock: VirtualClock) -> None:
        world, counted = SmallWorld(clock), Counted()
        zones = {each.zone for kind in world.types for each in kind.offerings}
        pools = [(kind.name, zone, terms) for kind in world.types for zone in zones for terms in (SPOT, ON_DEMAND)]
        world.cloud.left.update(dict.fromkeys(pools, 0))
        world.apply(NODE_CLASS, node_pool())
        world.app("web", 1, cpu="3")
        async with world.running(), world.controlled(solve=counted):
            await world.until(lambda: bool(counted.times) and not world.claims())
            await world.pass_time(MINUTE)
            assert counted.times > 1
            assert not world.claims()
            world.cloud.left.clear()
            before = counted.times
            took = await world.until(world.all_running)
            assert counted.times == before + 1
            assert took < 4 * MINUTE, "offerings are avoided for three minutes, which is over sooner than a plan is old"

    run(story)


def test_a_claim_that_could_not_be_made_is_tried_again_though_nothing_has_changed() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        lost = Fault(verbs={"create"}, kinds={"NodeClaim"}, error=lambda: Unavailable("no answer"), times=2)
        world.faults.rules.append(lost)
        world.apply(NODE_CLASS, node_pool())
        world.app("web", 1)
        async with world.running(), world.controlled():
            assert await world.until(world.all_running) < 2 * MINUTE
            assert lost.times == 0

    run(story)


def test_a_plan_is_not_for_other_pods() -> None:
    first, second = pod("first"), pod("second")
    ground = Ground(1, (first, second), {}, NOW)
    assert ground.is_as(replace(ground, at=NOW + MINUTE))
    assert not ground.is_as(replace(ground, pods=(first,)))
    assert not ground.is_as(replace(ground, pods=(first, pod("second"))))
