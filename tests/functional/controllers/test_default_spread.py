"""kube-scheduler's default spread, with the controllers running."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from nodesmith.controllers.shell import Options
from nodesmith.decide.schedule.problem import Options as ScheduleOptions
from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.solve import schedule
from nodesmith.model.labels import ZONE
from nodesmith.model.pod import DO_NOT_SCHEDULE, TopologySpreadConstraint
from nodesmith.plan.schedule import SchedulePlan
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool

ACROSS_ZONES = TopologySpreadConstraint(ZONE, 1, DO_NOT_SCHEDULE, None)
SPREAD = Options(cluster_name="small", schedule=ScheduleOptions(default_spread=(ACROSS_ZONES,)))


def zones(world: SmallWorld) -> Counter[str]:
    return Counter(each.machine.zone for each in world.machines())


def test_pods_that_say_nothing_are_planned_as_the_scheduler_will_spread_them() -> None:
    async def story(clock: VirtualClock, options: Options) -> Counter[str]:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled(options):
            world.app("web", 6, cpu="1500m")
            await world.until(lambda: bool(world.machines()), within=timedelta(minutes=3))
        return zones(world)

    async def stories(clock: VirtualClock) -> None:
        assert len(await story(clock, Options(cluster_name="small"))) == 1
        assert len(await story(clock, SPREAD)) == 3

    run(stories)


def test_a_refused_plans_scenario_says_how_its_pods_were_to_be_spread() -> None:
    def forgets(problem: Problem) -> SchedulePlan:
        plan = schedule(problem)
        return SchedulePlan(dict(list(plan.placements.items())[1:]), plan.claims)

    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled(SPREAD, solve=forgets):
            world.app("web", 3)
            await world.until(lambda: bool(world.scenarios.kept), within=timedelta(minutes=3))
        (kept,) = world.scenarios.kept.values()
        written: list[dict[str, Any]] = [each for each in kept["objects.json"]["items"] if each["kind"] == "Pod"]
        assert [each["spec"]["topologySpreadConstraints"][0]["topologyKey"] for each in written] == [ZONE] * 3

    run(story)
