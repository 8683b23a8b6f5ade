"""Sick nodes, and nodes that pods came to lately, as bounds of what may be disrupted."""

from __future__ import annotations

from typing import Any

from nodesmith.api.kinds import NODE
from nodesmith.api.meta import format_time
from nodesmith.controllers.shell import Gates, Options
from nodesmith.model.labels import NODEPOOL
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool
from tests.functional.disruption.scenes import MINUTE, NEVER, SMALL, types


def say_ready(world: SmallWorld, node: str, status: str) -> None:
    """The node's condition Ready is this from now on."""
    ready = {"type": "Ready", "status": status, "lastTransitionTime": format_time(world.clock.now())}
    world.server.patch(NODE, node, {"status": {"conditions": [ready]}}, subresource="status")


async def apps(world: SmallWorld, count: int, **pool: Any) -> dict[str, str]:
    """So many apps, each with a small machine of its own; the nodes by app."""
    world.apply(NODE_CLASS, node_pool(requirements=types(SMALL), **pool))
    for number in range(count):
        world.app(f"app-{number}", 1, cpu="1500m")
    await world.until(world.all_running)
    return {pod.meta.labels["app"]: pod.node_name for pod in world.pods() if "app" in pod.meta.labels}


def test_nodes_are_not_repaired_while_more_than_a_fifth_of_their_pool_is_sick() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        options = Options(cluster_name="small", gates=Gates(node_repair=True))
        async with world.running(), world.controlled(options):
            nodes = await apps(world, 6, disruption=NEVER)
            sick = [nodes[f"app-{number}"] for number in range(3)]
            for each in sick:
                say_ready(world, each, "Unknown")
            await world.pass_time(40 * MINUTE)
            assert set(sick) <= {each.name for each in world.nodes()}
            for each in sick[1:]:
                say_ready(world, each, "True")
            await world.until(lambda: sick[0] not in {each.name for each in world.nodes()}, within=20 * MINUTE)
            assert set(sick[1:]) <= {each.name for each in world.nodes()}

    run(story)


def test_pods_do_not_move_to_a_node_within_its_own_consolidate_after() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        kind = types("m7g.xlarge")
        at_once = {"consolidateAfter": "0s", "budgets": [{"nodes": "100%"}]}
        world.apply(NODE_CLASS, node_pool("from", requirements=kind, disruption=at_once))
        async with world.running(), world.controlled():
            world.app("moving", 1)
            await world.until(world.all_running)
            (source,) = world.nodes()
            world.apply(node_pool("to", requirements=kind, disruption={**at_once, "consolidateAfter": "10m"}))
            world.app("staying", 1, spec={"nodeSelector": {NODEPOOL: "to"}})
            await world.until(world.all_running)
            await world.pass_time(9 * MINUTE)
            assert source.name in {each.name for each in world.nodes()}
            await world.until(lambda: source.name not in {each.name for each in world.nodes()})

    run(story)
