"""What was bought on demand for want of spot goes back to spot when there is some again, without churn before."""

from datetime import timedelta

import pytest

from nodesmith.controllers.shell import Options
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.model.labels import CAPACITY_TYPE, DO_NOT_DISRUPT, ON_DEMAND, SPOT
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
WHEN_EMPTY = {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "30s", "budgets": [{"nodes": "100%"}]}
RETURNS = Options(cluster_name="small", policy=Policy(return_to_spot=True))


def terms(world: SmallWorld) -> set[str]:
    """The capacity types of the nodes that are there."""
    return {node.labels[CAPACITY_TYPE] for node in world.nodes()}


def lose_spot(world: SmallWorld) -> None:
    """No pool has spot left; `world.cloud.left.clear()` brings it back."""
    offerings = [(kind.name, each) for kind in world.cloud._types.values() for each in kind.offerings]
    spot = [(name, each.zone, SPOT) for name, each in offerings if each.capacity_type == SPOT]
    world.cloud.left.update(dict.fromkeys(spot, 0))


def test_a_node_that_was_bought_for_want_of_spot_is_replaced_when_spot_is_back() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        lose_spot(world)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 3)
            await world.until(world.all_running)
            assert terms(world) == {ON_DEMAND}
            before = len(world.cloud.rented)
            await world.pass_time(30 * MINUTE)
            assert (terms(world), len(world.cloud.rented)) == ({ON_DEMAND}, before)
            world.cloud.left.clear()
            await world.until(lambda: terms(world) == {SPOT} and world.all_running(), within=30 * MINUTE)
            assert len(world.cloud.rented) == before + 1

    run(story)


@pytest.mark.parametrize("options", [RETURNS, Options(cluster_name="small")], ids=["on", "off"])
def test_where_only_empty_nodes_go_it_needs_the_gate_and_an_hour(options: Options) -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        lose_spot(world)
        world.apply(NODE_CLASS, node_pool(disruption=WHEN_EMPTY))
        async with world.running(), world.controlled(options):
            world.app("web", 3)
            await world.until(world.all_running)
            pods = {pod.meta.uid for pod in world.pods()}
            world.cloud.left.clear()
            await world.pass_time(55 * MINUTE)
            assert (terms(world), {pod.meta.uid for pod in world.pods()}) == ({ON_DEMAND}, pods)
            await world.pass_time(15 * MINUTE)
            assert world.all_running()
            assert terms(world) == ({SPOT} if options is RETURNS else {ON_DEMAND})
            assert len(world.cloud.rented) == (2 if options is RETURNS else 1)

    run(story)


def test_spot_that_comes_and_goes_does_not_move_pods_to_and_fro() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        lose_spot(world)
        world.apply(NODE_CLASS, node_pool(disruption=WHEN_EMPTY))
        async with world.running(), world.controlled(RETURNS):
            world.app("web", 1)
            await world.until(world.all_running)
            returns = 0
            for _ in range(15):
                world.cloud.left.clear()
                await world.pass_time(6 * MINUTE)
                if terms(world) == {SPOT}:
                    returns += 1
                    lose_spot(world)
                    for each in world.machines():
                        world.cloud.terminate(each.machine.provider_id)
                    await world.until(lambda: terms(world) == {ON_DEMAND} and world.all_running(), within=HOUR)
                lose_spot(world)
                await world.pass_time(6 * MINUTE)
            assert 1 <= returns <= 3

    run(story)


def test_a_pod_that_must_not_be_disturbed_keeps_it() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        lose_spot(world)
        world.apply(NODE_CLASS, node_pool(disruption=WHEN_EMPTY))
        async with world.running(), world.controlled(RETURNS):
            world.app("web", 1, annotations={DO_NOT_DISRUPT: "true"})
            await world.until(world.all_running)
            world.cloud.left.clear()
            await world.pass_time(3 * HOUR)
            assert (terms(world), len(world.cloud.rented)) == ({ON_DEMAND}, 1)

    run(story)


def test_no_more_of_them_go_at_once_than_the_budget_allows() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        lose_spot(world)
        one = {**WHEN_EMPTY, "budgets": [{"nodes": "1"}]}
        spread = {"topologySpreadConstraints": [_ONE_A_HOST]}
        world.apply(NODE_CLASS, node_pool(disruption=one))
        async with world.running(), world.controlled(RETURNS):
            world.app("web", 3, spec=spread)
            await world.until(world.all_running)
            assert len(world.nodes()) == 3
            world.cloud.left.clear()
            await world.pass_time(HOUR - 5 * MINUTE)
            assert terms(world) == {ON_DEMAND}
            most = 0
            for _ in range(120):
                await world.pass_time(15 * timedelta(seconds=1))
                most = max(most, sum(node.meta.is_deleting for node in world.nodes()))
            assert terms(world) == {SPOT}
            assert most == 1

    run(story)


_ONE_A_HOST = {
    "maxSkew": 1,
    "topologyKey": "kubernetes.io/hostname",
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app": "web"}},
}
