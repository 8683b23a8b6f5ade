"""What is known of the cluster may be old: then nothing is taken away, and what is missing is still bought."""

from datetime import timedelta

import pytest

from nodesmith.adapters.memory.faults import Fault
from nodesmith.controllers.freshness import OLDEST, Freshness
from nodesmith.controllers.shell import Gates, Options
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("kind", ["Pod", "StorageClass", "NodeClaim"])
def test_while_one_kind_is_not_heard_of_nothing_is_disrupted(kind: str) -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool(expire_after="20m"))
        async with world.running(), world.controlled(Options(gates=Gates(node_repair=True))) as controllers:
            world.app("web", 3)
            await world.until(world.all_running)
            (machine,) = world.machines()
            world.faults.rules.append(Fault(verbs={"watch", "list"}, kinds={kind}))
            await world.pass_time(OLDEST + MINUTE)
            assert controllers.freshness.stale() is not None
            world.app("web", 0)
            await world.pass_time(30 * MINUTE)
            assert world.machines() == [machine], "it is empty and expired, and nobody can be sure of that"
            world.faults.rules.clear()
            await world.until(lambda: not world.machines())
            assert controllers.freshness.stale() is None

    run(story)


def test_what_is_missing_is_bought_all_the_same() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled() as controllers:
            world.app("web", 1)
            await world.until(world.all_running)
            world.faults.rules.append(Fault(verbs={"watch", "list"}, kinds={"VolumeAttachment"}))
            await world.pass_time(OLDEST + MINUTE)
            world.app("web", 40)
            await world.until(world.all_running)
            assert controllers.freshness.stale() is not None

    run(story)


def test_a_machine_whose_node_nobody_heard_of_is_not_given_up() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled() as controllers:
            await world.pass_time(MINUTE)
            world.faults.rules.append(Fault(verbs={"watch", "list"}, kinds={"Node"}))
            await world.pass_time(OLDEST + MINUTE)
            world.app("web", 1)
            await world.until(lambda: len(world.machines()) == 1)
            await world.pass_time(30 * MINUTE)
            assert controllers.freshness.stale() is not None
            assert len(world.nodes()) == len(world.cloud.rented) == 1, "it has joined, and is none to be replaced"
            world.faults.rules.clear()
            await world.until(world.all_running)
            assert len(world.cloud.rented) == 1

    run(story)


class Silent:
    def __init__(self, silence: timedelta) -> None:
        self._silence = silence

    def silence(self) -> timedelta:
        return self._silence


def test_the_oldest_watch_counts() -> None:
    freshness = Freshness()
    assert freshness.stale() is None
    freshness.watch("nodes", Silent(OLDEST))
    assert freshness.stale() is None
    freshness.watch("pods", Silent(OLDEST + timedelta(seconds=61)))
    assert freshness.stale() == "nothing was heard of pods for 361s"
