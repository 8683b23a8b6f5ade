"""The main job on a cluster in memory: pods pend, machines appear, pods run, machines leave."""

from datetime import timedelta

from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool


def test_pods_get_machines_and_empty_machines_leave() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 12)
            await world.until(world.all_running, within=timedelta(minutes=3))
            assert world.machines()
            assert len(world.machines()) == len(world.claims()) == len(world.nodes())
            world.app("web", 0)
            await world.until(lambda: not world.machines() and not world.nodes() and not world.claims())

    run(story)
