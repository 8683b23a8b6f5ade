"""Pods are not moved about: one that was moved twice within half an hour rests, across restarts too, and nothing else waits."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from nodesmith.api.kind import Manifest
from nodesmith.controllers.shell import Options
from nodesmith.decide.disrupt.moves import MOVED_HERE
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.model.labels import NODEPOOL
from nodesmith.model.nodeclaim import DRIFTED
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool
from tests.functional.disruption.scenes import MINUTE, label_template, types

AT_ONCE = {"consolidateAfter": "0s", "budgets": [{"nodes": "100%"}]}


@dataclass
class Walk:
    """A pod that walks: each time company comes up elsewhere and its own goes, its node is no longer worth its price."""

    world: SmallWorld
    options: Options | None = None
    restarts: bool = False
    arrivals: dict[str, datetime] = field(default_factory=dict)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def moves(self) -> int:
        return len(self.arrivals) - 1

    async def begin(self) -> None:
        """The pod runs, on a machine of its own."""
        self.world.on_step.append(self._look)
        self.world.apply(NODE_CLASS, self._pool(0))
        self.world.app("walker", 1)
        await self._start()
        await self.world.until(self.world.all_running)

    async def step(self, number: int) -> None:
        """Company is there, on a machine of its own, and the company before has gone."""
        self.world.apply(self._pool(number))
        self.world.app(f"company-{number}", 1, cpu="1", spec={"nodeSelector": {NODEPOOL: f"p{number}"}})
        await self.world.until(self.world.all_running)
        if self.restarts:
            await self.end()
            await self._start()
        if number > 1:
            self.world.app(f"company-{number - 1}", 0)

    async def end(self) -> None:
        """No controller runs."""
        await self._stack.aclose()

    async def _start(self) -> None:
        await self._stack.enter_async_context(self.world.controlled(self.options))

    def _look(self) -> None:
        for pod in self.world.pods("walker"):
            if pod.node_name:
                self.arrivals.setdefault(pod.meta.uid, self.world.clock.now())

    @staticmethod
    def _pool(number: int) -> Manifest:
        return node_pool(f"p{number}", requirements=types("m7g.xlarge"), disruption=AT_ONCE)


async def tire(walk: Walk) -> datetime:
    """The pod has been moved twice, and would be moved again; when it was moved first."""
    await walk.begin()
    for number in (1, 2):
        await walk.step(number)
        await walk.world.until(lambda: walk.moves == number and walk.world.all_running())  # noqa: B023 - used at once
    await walk.step(3)
    return sorted(walk.arrivals.values())[1]


@pytest.mark.parametrize("restarts", [False, True], ids=["one-process", "restarted"])
def test_a_pod_that_was_moved_twice_rests_until_half_an_hour_after_the_first_time(*, restarts: bool) -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        walk = Walk(world, restarts=restarts)
        async with world.running():
            first = await tire(walk)
            (pod,) = world.pods("walker")
            (claim,) = (each for each in world.claims() if each.node_name == pod.node_name)
            assert pod.key in claim.meta.annotations[MOVED_HERE]
            await world.pass_time(first + 30 * MINUTE - 2 * MINUTE - clock.now())
            assert walk.moves == 2
            await world.until(lambda: walk.moves == 3)
            await walk.end()

    run(story)


def test_where_pods_may_be_moved_as_often_as_it_pays_it_is_moved_a_third_time_at_once() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        walk = Walk(world, Options(cluster_name="small", policy=Policy(most_moves=9)))
        async with world.running():
            await tire(walk)
            assert await world.until(lambda: walk.moves == 3) < 5 * MINUTE
            await walk.end()

    run(story)


@pytest.mark.parametrize("cause", ["drift", "emptiness"])
def test_its_rest_keeps_no_node_from_drift_and_none_that_it_has_left(cause: str) -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        walk = Walk(world)
        async with world.running():
            await tire(walk)
            (pod,) = world.pods("walker")
            if cause == "drift":
                label_template(world, "new", "p2")
                await world.until(lambda: any(each.has(DRIFTED) for each in world.claims()))
            else:
                world.app("walker", 0)
            await world.until(lambda: pod.node_name not in {each.name for each in world.nodes()}, within=10 * MINUTE)
            await walk.end()

    run(story)
