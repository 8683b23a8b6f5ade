"""How nodes go: drained in order, within budgets, by the deadline; and what happens when something is in the way."""

from datetime import timedelta

from nodesmith.api.kinds import NODE, NODE_CLAIM, POD, VOLUME_ATTACHMENT
from nodesmith.model.labels import DISRUPTED_TAINT, EXCLUDE_FROM_LOAD_BALANCERS
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool

TOLERATE_ALL = {"tolerations": [{"operator": "Exists"}]}


def test_a_pod_behind_a_budget_holds_its_node_until_it_may_go() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 2)
            world.budget("web", min_available=2)
            await world.until(world.all_running)
            first = {node.name for node in world.nodes()}
            world.server.delete(NODE_CLAIM, world.claims()[0].name)
            await world.pass_time(timedelta(minutes=5))
            assert {node.name for node in world.nodes()} == first
            assert all(pod.is_active for pod in world.pods()), "a budget was violated"
            (node,) = world.nodes()
            assert DISRUPTED_TAINT in {taint.key for taint in node.taints}
            assert EXCLUDE_FROM_LOAD_BALANCERS in node.labels
            assert "FailedDraining" in world.events.reasons()
            world.app("web", 3)
            await world.until(lambda: first.isdisjoint(node.name for node in world.nodes()) and world.all_running())
            assert len(world.machines()) == 1

    run(story)


def test_by_the_deadline_pods_are_deleted_past_budget_and_annotation() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool(template={"terminationGracePeriod": "3m"}))
        async with world.running(), world.controlled():
            world.app("guarded", 1)
            world.budget("guarded", min_available=1)
            spec = {"terminationGracePeriodSeconds": 60}
            world.app("pinned", 1, annotations={"karpenter.sh/do-not-disrupt": "true"}, spec=spec)
            await world.until(world.all_running)
            world.server.delete(NODE_CLAIM, world.claims()[0].name)
            await world.pass_time(timedelta(seconds=110))
            first = _uids(world)
            await world.pass_time(timedelta(seconds=20))
            assert _uids(world)["pinned"] != first["pinned"], "a pod with a minute of grace is deleted a minute before"
            assert _uids(world)["guarded"] == first["guarded"]
            await world.pass_time(timedelta(seconds=55))
            assert _uids(world)["guarded"] != first["guarded"]
            await world.until(lambda: len(world.claims()) == 1 and world.all_running())
            assert world.events.reasons().count("Disrupted") == 2
            assert "TerminationGracePeriodExpiring" in world.events.reasons()

    run(story)


def _uids(world: SmallWorld) -> dict[str, str]:
    """The pod of each app."""
    return {pod.meta.labels["app"]: pod.meta.uid for pod in world.pods() if pod.is_active}


def test_ordinary_pods_go_before_daemons_and_those_before_critical_ones() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("plain", 1)
            world.app("critical", 1, spec={"priorityClassName": "system-cluster-critical", "priority": 2_000_000_000})
            await world.until(world.all_running)
            world.hosts.are_silent = True
            world.server.delete(NODE_CLAIM, world.claims()[0].name)
            await world.until(lambda: "Evicted" in world.events.reasons())
            await world.until(lambda: world.events.reasons().count("Evicted") == 2)
            gone = [event.about.name for _, event in world.events.told if event.reason == "Evicted"]
            assert [name.split("-")[0] for name in gone] == ["plain", "critical"]

    run(story)


def test_a_volume_still_attached_holds_the_machine() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 1)
            await world.until(world.all_running)
            (node,) = world.nodes()
            attachment = {
                "metadata": {"name": "csi-1"},
                "spec": {
                    "attacher": "ebs.csi.aws.com",
                    "nodeName": node.name,
                    "source": {"persistentVolumeName": "pv-1"},
                },
            }
            world.server.create(VOLUME_ATTACHMENT, attachment)
            world.app("web", 0)
            await world.until(lambda: "AwaitingVolumeDetachment" in world.events.reasons())
            await world.pass_time(timedelta(minutes=2))
            assert world.machines()
            world.server.delete(VOLUME_ATTACHMENT, "csi-1")
            await world.until(lambda: not world.machines() and not world.nodes())

    run(story)


def test_a_node_whose_machine_is_gone_is_released_without_a_drain() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 1)
            await world.until(world.all_running)
            (lost,) = world.machines()
            world.cloud.terminate(lost.machine.provider_id)
            await world.until(lambda: len(world.cloud.rented) == 2 and world.all_running())
            assert len(world.claims()) == len(world.nodes()) == 1
            assert "Evicted" not in world.events.reasons()

    run(story)


def test_pods_that_tolerate_everything_are_not_evicted() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("agent", 1, spec=TOLERATE_ALL)
            await world.until(world.all_running)
            world.server.delete(NODE_CLAIM, world.claims()[0].name)
            await world.until(lambda: len(world.cloud.rented) == 2 and world.all_running())
            assert "Evicted" not in world.events.reasons()

    run(story)


def test_deleting_the_node_deletes_its_claim_and_machine() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 2)
            await world.until(world.all_running)
            (before,) = world.nodes()
            world.server.delete(NODE, before.name)
            await world.until(lambda: before.name not in {node.name for node in world.nodes()} and world.all_running())
            assert len(world.machines()) == len(world.claims()) == 1
            assert all(pod.node_name != before.name for pod in world.pods())

    run(story)


def test_a_pod_that_does_not_stop_is_not_waited_for_for_ever() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("stuck", 1)
            await world.until(world.all_running)
            (pod,) = world.pods()
            patch = {"metadata": {"finalizers": ["example.com/stays"]}}
            world.server.patch(POD, pod.meta.name, patch, namespace="default")
            world.server.delete(NODE_CLAIM, world.claims()[0].name)
            await world.until(lambda: len(world.cloud.rented) == 2 and len(world.nodes()) == 1)

    run(story)
