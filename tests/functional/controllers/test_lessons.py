"""What real nodes teach about their types, in the running controllers."""

from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool


def test_the_memory_of_every_registered_node_is_told_also_after_a_restart() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        told: set[tuple[str, str, int]] = set()

        def learn(*, instance_type: str, image_id: str, memory: int) -> None:
            told.add((instance_type, image_id, memory))

        world.learn_memory = learn
        world.apply(NODE_CLASS, node_pool())
        async with world.running():
            async with world.controlled():
                world.app("web", 2)
                await world.until(world.all_running)
                (claim,), (node,) = world.claims(), world.nodes()
                type_ = node.labels["node.kubernetes.io/instance-type"]
                assert told == {(type_, claim.image_id, node.capacity["memory"])}
            first = set(told)
            told.clear()
            async with world.controlled():
                await world.until(lambda: told == first)

    run(story)
