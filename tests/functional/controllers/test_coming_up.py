"""How nodes come up, and what happens when they do not: no capacity, no kubelet, limits, taints that stay."""

from datetime import timedelta
from typing import Any

from nodesmith.adapters.memory.catalog import ZONES, catalog
from nodesmith.adapters.memory.cloud import MemoryCloud
from nodesmith.adapters.memory.faults import Fault
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import EC2_NODE_CLASS, NODE, NODE_CLAIM, NODE_POOL
from nodesmith.controllers.shell import Gates, Options
from nodesmith.model.labels import ON_DEMAND, SPOT, TERMINATION_FINALIZER
from nodesmith.model.nodeclaim import INITIALIZED, LAUNCHED, READY, NodeClaim
from nodesmith.ports.cloud import Machine
from nodesmith.ports.errors import CreateFailed, Refused
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.cutting import CutCloud, CutCluster, Scissors
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool


def test_a_claim_and_its_node_say_what_upstream_says() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        pool = node_pool(
            labels={"team": "blue"},
            template={
                "taints": [{"key": "dedicated", "value": "blue", "effect": "NoSchedule"}],
                "startupTaints": [{"key": "example.com/agent", "effect": "NoSchedule"}],
            },
        )
        world.apply(NODE_CLASS, pool)
        async with world.running(), world.controlled():
            world.app("web", 1, spec={"tolerations": [{"key": "dedicated", "operator": "Exists"}]})
            await world.until(lambda: bool(world.nodes()) and world.nodes()[0].is_registered)
            (claim,), (node,) = world.claims(), world.nodes()
            assert claim.name.startswith("default-")
            assert claim.meta.finalizers == (TERMINATION_FINALIZER,) == node.meta.finalizers
            assert [owner.kind for owner in claim.meta.owners] == ["NodePool"]
            assert [owner.kind for owner in node.meta.owners] == ["NodeClaim"]
            assert node.labels["team"] == claim.labels["team"] == "blue"
            assert {taint.key for taint in node.taints} >= {"dedicated", "example.com/agent"}
            assert "karpenter.sh/unregistered" not in {taint.key for taint in node.taints}
            assert not any(key.startswith("nodesmith.dev/") for key in node.meta.annotations)
            await world.pass_time(timedelta(seconds=20))
            assert world.condition(INITIALIZED).reason == "StartupTaintsExist"
            kept = [{"key": "dedicated", "value": "blue", "effect": "NoSchedule"}]
            world.server.patch(NODE, node.name, {"spec": {"taints": kept}})
            await world.until(world.all_running)
            await world.until(lambda: world.claims()[0].has(READY))
            (claim,) = world.claims()
            assert claim.node_name == node.name
            assert list(claim.conditions)[-1] == READY
            stored = world.server.get(NODE_POOL, "default")["status"]
            assert stored["nodes"] == 1
            assert stored["resources"]["cpu"] != "0"
            health = {each["type"]: each["status"] for each in stored["conditions"]}
            assert health == {
                "Ready": "True",
                "NodeClassReady": "True",
                "ValidationSucceeded": "True",
                "NodeRegistrationHealthy": "True",
            }

    run(story)


def test_without_capacity_the_claim_goes_and_another_offering_is_tried() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        for kind in catalog():
            for zone in ZONES:
                world.cloud.left[kind.name, zone, SPOT] = 0
                if kind.name != "m7i.xlarge":
                    world.cloud.left[kind.name, zone, ON_DEMAND] = 0
        async with world.running(), world.controlled():
            world.app("web", 2)
            took = await world.until(world.all_running)
            assert took < timedelta(minutes=3)
            assert [each.machine.instance_type for each in world.machines()] == ["m7i.xlarge"]
            assert len(world.claims()) == 1

    run(story)


def test_a_launch_that_fails_for_a_reason_shows_it_and_is_tried_again() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        wrong = Fault(
            verbs={"create"}, kinds={"Machine"}, times=4, error=lambda: CreateFailed("Unauthorized", "no permission")
        )
        world.faults.rules.append(wrong)
        async with world.running(), world.controlled():
            world.app("web", 2)
            await world.until(lambda: bool(world.claims()))
            await world.pass_time(timedelta(seconds=2))
            condition = world.condition(LAUNCHED)
            assert (condition.status, condition.reason, condition.message) == (
                "Unknown",
                "Unauthorized",
                "no permission",
            )
            await world.until(world.all_running)
            assert len(world.cloud.rented) == 1

    run(story)


def test_a_launch_that_never_works_is_given_up_after_five_minutes() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        world.faults.rules.append(
            Fault(verbs={"create"}, kinds={"Machine"}, error=lambda: CreateFailed("Unauthorized", "no permission"))
        )
        async with world.running(), world.controlled():
            world.app("web", 2)
            await world.until(lambda: bool(world.claims()))
            first = world.claims()[0].name
            took = await world.until(lambda: first not in {claim.name for claim in world.claims()})
            assert timedelta(minutes=4, seconds=50) < took < timedelta(minutes=6, seconds=30)
            assert world.metrics.total("nodeclaims_disrupted_total", reason="launch_timeout") >= 1

    run(story)


class _BadPool(CutCloud):
    """Nothing can be launched for the pool `bad`."""

    def __init__(self, inner: MemoryCloud) -> None:
        super().__init__(inner, Scissors())

    async def create(self, claim: NodeClaim) -> Machine:
        if claim.pool_name == "bad":
            raise CreateFailed("Unauthorized", "no permission")
        return await super().create(claim)


def test_a_failing_pool_does_not_hold_up_another_one() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool("bad", labels={"pool": "bad"}), node_pool("good", labels={"pool": "good"}))

        async with world.running(), world.controlled(cloud=_BadPool(world.cloud)):
            world.app("stuck", 1, spec={"nodeSelector": {"pool": "bad"}})
            await world.until(lambda: bool(world.claims()))
            world.app("web", 4, spec={"nodeSelector": {"pool": "good"}})
            took = await world.until(lambda: all(pod.phase == "Running" for pod in world.pods("web")))
            assert took < timedelta(minutes=1)
            assert len([claim for claim in world.claims() if claim.pool_name == "bad"]) == 1
            world.app("web", 0)
            took = await world.until(lambda: not world.machines())
            assert took < timedelta(minutes=3)

    run(story)


def test_a_machine_that_never_joins_is_replaced_after_fifteen_minutes_and_the_pool_says_so() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        world.hosts.are_silent = True
        async with world.running(), world.controlled():
            world.app("web", 1)
            await world.until(lambda: len(world.cloud.rented) == 1)
            took = await world.until(lambda: len(world.cloud.rented) == 2, within=timedelta(minutes=20))
            assert timedelta(minutes=14, seconds=50) < took < timedelta(minutes=16)
            await world.until(lambda: len(world.cloud.rented) == 3, within=timedelta(minutes=20))
            await world.pass_time(timedelta(seconds=5))
            conditions = world.server.get(NODE_POOL, "default")["status"]["conditions"]
            health = next(each for each in conditions if each["type"] == "NodeRegistrationHealthy")
            assert (health["status"], health["reason"]) == ("False", "RegistrationFailed")
            assert len(world.machines()) == 1
            world.hosts.are_silent = False
            await world.until(world.all_running, within=timedelta(minutes=20))

    run(story)


def test_limits_are_never_passed_even_while_launches_are_under_way() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool(limits={"cpu": "8"}))
        slow = Fault(probability=0.7, verbs={"create"}, kinds={"Machine"}, error=lambda: CreateFailed("Slow", "later"))
        world.faults.rules.append(slow)
        async with world.running(), world.controlled():
            for step in range(8):
                world.app(f"web-{step}", 3, cpu="900m")
                await world.pass_time(timedelta(seconds=17))
            await world.pass_time(timedelta(minutes=5))
            cores = sum(each.machine.capacity["cpu"] for each in world.machines()) / 1000
            assert 0 < cores <= 8
            assert "FailedScheduling" in world.events.reasons()

    run(story)


def test_pods_that_arrive_while_machines_boot_use_their_room() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool(requirements=[_only("node.kubernetes.io/instance-type", "m7g.4xlarge")]))
        async with world.running(), world.controlled():
            for number in range(5):
                world.app(f"web-{number}", 2)
                await world.pass_time(timedelta(seconds=4))
            await world.until(world.all_running)
            assert len(world.cloud.rented) == 1

    run(story)


def test_a_pool_whose_class_is_missing_buys_nothing_until_it_is_there() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(node_pool())
        async with world.running(), world.controlled():
            world.app("web", 1)
            await world.pass_time(timedelta(minutes=1))
            conditions = {each["type"]: each for each in world.server.get(NODE_POOL, "default")["status"]["conditions"]}
            assert conditions["NodeClassReady"]["reason"] == "NodeClassNotFound"
            assert conditions["Ready"]["status"] == "False"
            assert not world.claims()
            world.apply(NODE_CLASS)
            await world.until(world.all_running)

    run(story)


def test_a_node_class_does_not_go_before_its_nodes() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 1)
            await world.until(world.all_running)
            world.server.delete(EC2_NODE_CLASS, "default")
            await world.pass_time(timedelta(minutes=1))
            assert world.server.find(EC2_NODE_CLASS, "default") is not None
            assert "WaitingOnNodeClaimTermination" in world.events.reasons()
            world.server.delete(NODE_POOL, "default")
            await world.until(lambda: world.server.find(EC2_NODE_CLASS, "default") is None)
            assert not world.machines()
            assert not world.nodes()
            assert not world.claims()

    run(story)


def test_a_static_pool_keeps_its_number_of_nodes() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool("fixed", replicas=3))
        options = Options(gates=Gates(static_capacity=True))
        async with world.running(), world.controlled(options):
            await world.until(lambda: len(world.nodes()) == 3 and all(node.is_initialized for node in world.nodes()))
            world.server.delete(NODE, world.nodes()[0].name)
            await world.pass_time(timedelta(minutes=3))
            assert len(world.nodes()) == len(world.machines()) == 3
            world.server.patch(NODE_POOL, "fixed", {"spec": {"replicas": 1}})
            await world.until(lambda: len(world.nodes()) == len(world.machines()) == 1)
            await world.pass_time(timedelta(minutes=5))
            assert len(world.nodes()) == len(world.machines()) == 1

    run(story)


def _only(key: str, value: str) -> dict[str, object]:
    return {"key": key, "operator": "In", "values": [value]}


class _Refusing(CutCluster):
    """Claims of the pool `bad` are refused by an admission policy."""

    async def create(self, kind: Kind[Any], manifest: Manifest) -> Any:
        if kind is NODE_CLAIM and manifest["metadata"]["labels"]["karpenter.sh/nodepool"] == "bad":
            raise Refused("denied by policy")
        return await super().create(kind, manifest)


def test_a_claim_that_is_refused_does_not_keep_the_others_from_being_made() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool("bad", labels={"pool": "bad"}), node_pool("good", labels={"pool": "good"}))
        async with world.running(), world.controlled(cluster=_Refusing(world.cluster, Scissors())):
            world.app("stuck", 1, spec={"nodeSelector": {"pool": "bad"}})
            world.app("web", 4, spec={"nodeSelector": {"pool": "good"}})
            took = await world.until(lambda: all(pod.phase == "Running" for pod in world.pods("web")))
            assert took < timedelta(minutes=1)

    run(story)
