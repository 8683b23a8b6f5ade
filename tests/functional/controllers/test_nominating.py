"""Pods come to the nodes that were bought for them, by name; where names may not be given they come somewhere."""

from datetime import timedelta

from nodesmith.adapters.memory.faults import Fault
from nodesmith.adapters.memory.history import Occurrence
from nodesmith.api.kinds import POD
from nodesmith.controllers.nodeclaim.nominations import AT_ONCE
from nodesmith.controllers.shell import Options
from nodesmith.decide.lifecycle.newclaim import planned_pods
from nodesmith.model.labels import UNREGISTERED_TAINT
from nodesmith.model.node import Node
from nodesmith.ports.errors import Refused
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool

SLOW = timedelta(milliseconds=20)
SIZES = (("small", 12, "250m", "512Mi"), ("middle", 10, "900m", "3500Mi"), ("large", 8, "2", "7Gi"))


async def _crowd(clock: VirtualClock, options: Options | None = None, *, fault: Fault | None = None) -> SmallWorld:
    """A world in which thirty pods of three sizes came at once, and all run."""
    world = SmallWorld(clock)
    world.apply(NODE_CLASS, node_pool(disruption={"consolidateAfter": "Never"}))
    if fault is not None:
        world.faults.rules.append(fault)
    async with world.running(), world.controlled(options):
        for name, count, cpu, memory in SIZES:
            world.app(name, count, cpu=cpu, memory=memory)
        await world.until(world.all_running)
        await world.pass_time(timedelta(seconds=40))
    return world


def strangers(world: SmallWorld) -> list[str]:
    """The pods that are not on the machine that was bought for them."""
    bought = {claim.node_name: planned_pods(claim) for claim in world.claims()}
    return [pod.key for pod in world.pods() if pod.key not in bought[pod.node_name]]


def test_every_pod_comes_to_the_machine_that_was_bought_for_it() -> None:
    async def story(clock: VirtualClock) -> None:
        world = await _crowd(clock)
        assert strangers(world) == []
        assert len(world.claims()) > 1

    run(story)


def test_without_names_they_come_as_kube_scheduler_likes() -> None:
    async def story(clock: VirtualClock) -> None:
        world = await _crowd(clock, Options(cluster_name="small", nominates=False))
        assert strangers(world)
        assert not any(pod.nominated_node_name for pod in world.pods())

    run(story)


def test_where_it_is_refused_nodes_come_up_as_ever() -> None:
    async def story(clock: VirtualClock) -> None:
        refused = Fault(verbs={"patch"}, kinds={"Pod"}, error=lambda: Refused("pods/status: forbidden"), times=99)
        world = await _crowd(clock, fault=refused)
        assert refused.times is not None
        assert 1 <= 99 - refused.times <= AT_ONCE * len(world.claims()), "it is tried once, by all who write at once"
        assert strangers(world)

    run(story)


def test_a_node_opens_soon_after_its_pods_are_named_however_many_come_up_at_once() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool(disruption={"consolidateAfter": "Never"}))
        world.faults.latency = (SLOW, SLOW)
        most = 0

        def look(_: Occurrence) -> None:
            nonlocal most
            named = {pod.nominated_node_name for pod in world.pods() if not pod.node_name}
            most = max(most, sum(node.name in named and UNREGISTERED_TAINT in _keys(node) for node in world.nodes()))

        world.server.listen(look)
        async with world.running(), world.controlled():
            for name, count, cpu, memory in SIZES:
                world.app(name, count, cpu=cpu, memory=memory)
            await world.until(world.all_running)
        assert most == 1
        assert len(world.claims()) > 1

    run(story)


def _keys(node: Node) -> set[str]:
    return {taint.key for taint in node.taints}


def test_a_pod_that_is_kept_for_a_node_that_is_gone_is_let_off() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 1)
            await world.until(lambda: any(pod.is_unschedulable for pod in world.pods()))
            kept = {"status": {"nominatedNodeName": "gone"}}
            world.server.patch(POD, world.pods()[0].meta.name, kept, namespace="default", subresource="status")
            assert not world.pods()[0].is_provisionable
            assert await world.until(world.all_running) < timedelta(minutes=1)

    run(story)
