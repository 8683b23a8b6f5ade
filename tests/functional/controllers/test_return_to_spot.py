"""What was bought on demand for want of spot goes back to spot when there is some again, without churn before."""

from datetime import timedelta

from nodesmith.model.labels import CAPACITY_TYPE, ON_DEMAND, SPOT
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool

MINUTE = timedelta(minutes=1)


def test_a_node_that_was_bought_for_want_of_spot_is_replaced_when_spot_is_back() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        offerings = [(kind.name, each) for kind in world.cloud._types.values() for each in kind.offerings]
        spot = [(name, each.zone, SPOT) for name, each in offerings if each.capacity_type == SPOT]
        world.cloud.left.update(dict.fromkeys(spot, 0))
        world.apply(NODE_CLASS, node_pool())

        def terms() -> set[str]:
            return {node.labels[CAPACITY_TYPE] for node in world.nodes()}

        async with world.running(), world.controlled():
            world.app("web", 3)
            await world.until(world.all_running)
            assert terms() == {ON_DEMAND}
            before = len(world.cloud.rented)
            await world.pass_time(30 * MINUTE)
            assert (terms(), len(world.cloud.rented)) == ({ON_DEMAND}, before)
            world.cloud.left.clear()
            await world.until(lambda: terms() == {SPOT} and world.all_running(), within=30 * MINUTE)
            assert len(world.cloud.rented) == before + 1

    run(story)
