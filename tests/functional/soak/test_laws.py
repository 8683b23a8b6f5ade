"""Every law can be broken: nodesmith is made to break it on purpose, and that is noticed; left alone, it breaks none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from nodesmith.adapters.memory import eviction
from nodesmith.adapters.memory.cloud import MemoryCloud
from nodesmith.adapters.memory.faults import Fault
from nodesmith.api.kinds import NODE, NODE_CLAIM, NODE_POOL
from nodesmith.api.meta import format_time
from nodesmith.controllers import garbage
from nodesmith.controllers.controller import DONE
from nodesmith.controllers.disruption.queue import CommandQueue
from nodesmith.controllers.garbage import MachineGarbage
from nodesmith.controllers.node import termination
from nodesmith.controllers.node.termination import NodeTermination
from nodesmith.controllers.nodeclaim.finalizer import Finalizer
from nodesmith.controllers.nodeclaim.upkeep import Expiration
from nodesmith.controllers.provisioning.provisioner import Provisioner
from nodesmith.decide.disrupt import budgets, evaluate
from nodesmith.decide.disrupt.moves import MOVED_HERE, moves_text
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.lifecycle.drain import DrainStep, ForcedDeletion, next_drain
from nodesmith.model.money import UsdPerHour
from nodesmith.model.nodepool import DisruptionReason
from nodesmith.ports.errors import Unavailable
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.cutting import Scissors
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool
from tests.functional.soak import soak as soak_module
from tests.functional.soak.lawful import LawfulCloud, LawfulCluster, LawfulLog
from tests.functional.soak.laws import Broken, Laws
from tests.functional.soak.size import Size
from tests.functional.soak.soak import Soaked, soak

LOOK_EVERY = timedelta(seconds=5)
OF_EIGHT_CPUS = [
    {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
    {"key": "karpenter.k8s.aws/instance-cpu", "operator": "In", "values": ["8"]},
]
OF_ANY_SIZE = OF_EIGHT_CPUS[:1]
MonkeyPatch = pytest.MonkeyPatch


Happens = Callable[[SmallWorld, Laws], None]


def shrink(world: SmallWorld, _: Laws) -> None:
    """Machines are left with nothing to do."""
    world.app("one", 0)
    world.app("two", 2)


def thin_out(world: SmallWorld, _: Laws) -> None:
    """A large machine is left with one pod."""
    world.app("one", 1)


def leave(world: SmallWorld, laws: Laws) -> None:
    """Somebody wants every node replaced."""
    for node in world.nodes():
        laws.excused.add(node.name)
        world.server.delete(NODE, node.name)


def nothing(_: SmallWorld, __: Laws) -> None:
    """Nobody does anything."""


def live(happens: Happens, *, within: timedelta = timedelta(minutes=4), **pool: Any) -> Laws:
    """Two apps of four pods that fill four machines; then something happens. The laws, as they were seen."""

    async def main(clock: VirtualClock) -> Laws:
        world = SmallWorld(clock)
        laws = Laws(world)
        world.log = LawfulLog(laws)
        world.apply(NODE_CLASS, node_pool(**{"requirements": OF_EIGHT_CPUS, **pool}))
        world.app("one", 4, cpu="3500m", memory="1Gi")
        world.app("two", 4, cpu="3500m", memory="1Gi")
        world.budget("two", min_available=1)
        cluster = LawfulCluster(world.cluster, Scissors(), laws)
        cloud = LawfulCloud(world.cloud, Scissors(), laws)
        async with world.running(), world.controlled(cluster=cluster, cloud=cloud):
            for _ in range(int(timedelta(minutes=2) / LOOK_EVERY)):
                await clock.sleep(LOOK_EVERY)
                laws.look()
            happens(world, laws)
            for _ in range(int(within / LOOK_EVERY)):
                await clock.sleep(LOOK_EVERY)
                laws.look()
        return laws

    return run(main)


def broken(happens: Happens, law: str, **more: Any) -> None:
    """It is noticed that the law is broken."""
    with pytest.RaisesGroup(pytest.RaisesExc(Broken, match=law), flatten_subgroups=True):
        live(happens, **more)


def test_nodesmith_as_it_is_breaks_none() -> None:
    assert live(shrink).seen.keys() >= {"budget", "retirement", "termination"}
    assert live(leave).seen.keys() >= {"eviction", "protection", "termination"}
    assert live(thin_out, requirements=OF_ANY_SIZE).seen.keys() >= {"price", "replacement"}


def test_a_second_machine_for_a_claim(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryCloud, "_of_claim", lambda *_: None)

    def lose_the_answer(world: SmallWorld, _: Laws) -> None:
        world.faults.rules.append(Fault(verbs={"create"}, kinds={"Machine"}, after=True, times=1))
        world.app("one", 8)

    broken(lose_the_answer, "a claim has two machines")


def test_a_machine_without_a_claim(monkeypatch: MonkeyPatch) -> None:
    async def it_is_gone(*_: Any) -> bool:
        return True

    async def it_does_not_remain(*_: Any) -> bool:
        return False

    async def nothing_to_do(*_: Any) -> Any:
        return DONE

    monkeypatch.setattr(NodeTermination, "_terminate", it_is_gone)
    monkeypatch.setattr(Finalizer, "_machine_remains", it_does_not_remain)
    monkeypatch.setattr(MachineGarbage, "reconcile", nothing_to_do)
    broken(shrink, "has had no claim since", within=timedelta(minutes=9))


def test_a_pool_past_its_limits() -> None:
    def lower(world: SmallWorld, _: Laws) -> None:
        world.server.patch(NODE_POOL, "default", {"spec": {"limits": {"cpu": "2"}}})

    broken(lower, "milli-CPU")


def announce(world: SmallWorld, laws: Laws) -> None:
    """AWS takes a machine back, and the API server does not let its claim be deleted for a minute."""
    lost = world.machines()[0]
    laws.excused.add(lost.machine.claim_name)
    world.faults.rules.append(Fault(verbs={"delete"}, kinds={"NodeClaim"}, times=2))
    world.reclaim(lost)


def test_a_machine_that_aws_takes_back_is_past_no_limit_and_any_other_one_is() -> None:
    """A pool is full; in place of the machine that is lost another one is bought while its claim is still there."""

    def taken(world: SmallWorld, laws: Laws) -> None:
        announce(world, laws)
        laws.taken.add(world.machines()[0].machine.claim_name)

    def excused(world: SmallWorld, laws: Laws) -> None:
        """Somebody else was to go: that makes no room."""
        announce(world, laws)
        laws.taken.add("somebody-else")
        laws.excused.update(each.name for each in world.claims())

    assert live(taken, limits={"cpu": "32"}).seen["limit"]
    broken(excused, "pool default has 40000 of 32000 milli-CPU", limits={"cpu": "32"})


def test_an_error_that_nobody_expected(monkeypatch: MonkeyPatch) -> None:
    async def stumble(*_: Any) -> Any:
        raise KeyError("what")

    monkeypatch.setattr(Expiration, "reconcile", stumble)
    broken(nothing, "an error of ours: reconcile failed")


def test_a_pod_deleted_instead_of_evicted(monkeypatch: MonkeyPatch) -> None:
    def by_force(*arguments: Any, **named: Any) -> DrainStep:
        step = next_drain(*arguments, **named)
        return DrainStep(force=tuple(ForcedDeletion(pod, 1) for pod in step.evict), waiting=step.waiting)

    monkeypatch.setattr(termination, "next_drain", by_force)
    broken(leave, "was deleted before its time")


def test_a_pod_evicted_from_a_node_that_stays() -> None:
    async def main(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        laws = Laws(world)
        world.apply(NODE_CLASS, node_pool())
        world.app("one", 1)
        cluster = LawfulCluster(world.cluster, Scissors(), laws)
        async with world.running(), world.controlled():
            await world.until(world.all_running)
        (pod,) = world.pods("one")
        await cluster.evict(pod.meta.name, namespace="default", uid=pod.meta.uid)

    with pytest.raises(Broken, match="which stays"):
        run(main)


def test_an_eviction_past_the_budget(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(eviction, "_spend", lambda *_: None)

    def leave_no_room(world: SmallWorld, laws: Laws) -> None:
        world.budget("one", min_available=4)
        leave(world, laws)

    broken(leave_no_room, "one wants 4 healthy pods, an eviction left 3")


def test_a_machine_taken_from_under_its_pods(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(termination, "next_drain", lambda *_, **__: DrainStep())
    broken(leave, "was taken from under")


def test_a_claim_deleted_without_a_cause(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "claims_without_machine", lambda claims, *_: list(claims))
    broken(nothing, "was deleted without a cause")


def test_a_node_that_goes_before_its_replacement_is_there(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(CommandQueue, "_are_ready", lambda *_: True)

    broken(thin_out, "drains before replacement", requirements=OF_ANY_SIZE)


def test_a_replacement_that_is_not_cheaper(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "cheaper", lambda _, claims, __: claims)
    monkeypatch.setattr(evaluate, "savings_of", lambda *_: UsdPerHour(1))
    broken(nothing, "in place of machines for")


def test_a_budget_that_is_passed(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "effective_budget", lambda *_: 100)
    disruption = {"consolidateAfter": "30s", "budgets": [{"nodes": "1"}]}
    broken(shrink, "1 may", disruption=disruption)


def beside_a_sick_node(*, recovers: bool) -> None:
    """Machines are left with nothing to do where one node may leave, and another is not ready, or was until just now."""

    async def main(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        laws = Laws(world)
        disruption = {"consolidateAfter": "30s", "budgets": [{"nodes": "1"}]}
        world.apply(NODE_CLASS, node_pool(requirements=OF_EIGHT_CPUS, disruption=disruption))
        world.app("one", 6, cpu="3500m", memory="1Gi")
        async with world.running(), world.controlled():
            await world.until(world.all_running)
            sick = world.nodes()[-1].name
            _say_ready(world, sick, "False")
            for _ in range(2):
                await clock.sleep(timedelta(minutes=2))
                laws.look()
            if recovers:
                _say_ready(world, sick, "True")
            world.app("one", 0)
            await world.until(lambda: laws.seen["budget"] > 0)
            laws.look()

    run(main)


def _say_ready(world: SmallWorld, node: str, status: str) -> None:
    ready = {"type": "Ready", "status": status, "lastTransitionTime": format_time(world.clock.now())}
    world.server.patch(NODE, node, {"status": {"conditions": [ready]}}, subresource="status")


def test_a_node_that_is_not_ready_uses_up_a_budget_and_none_that_is_ready_again(monkeypatch: MonkeyPatch) -> None:
    beside_a_sick_node(recovers=True)
    monkeypatch.setattr(budgets, "_is_ready", lambda _: True)
    with pytest.RaisesGroup(pytest.RaisesExc(Broken, match="1 may"), flatten_subgroups=True):
        beside_a_sick_node(recovers=False)


def test_a_world_that_does_not_come_to_rest(monkeypatch: MonkeyPatch) -> None:
    async def drifted(*_: Any) -> str:
        return "Always"

    monkeypatch.setattr(MemoryCloud, "drift_of", drifted)
    monkeypatch.setattr(
        Size, "policy", lambda size: Policy(effort=size.effort, foresight=0, calm=timedelta(0), rest=timedelta(0))
    )
    monkeypatch.setattr(soak_module, "PEACE", timedelta(minutes=5))
    monkeypatch.setattr(soak_module, "WATCHED", timedelta(minutes=5))
    with pytest.RaisesGroup(
        pytest.RaisesExc(Broken, match="still move an hour after|stay tainted|differ|still wait"),
        flatten_subgroups=True,
    ):
        soak(6, hours=0.1, is_plain=True)


def shrunk_twice(monkeypatch: MonkeyPatch) -> None:
    """A machine shrinks with its pods, and would again: it may twenty minutes later, of which the first are peace."""

    async def main(clock: VirtualClock) -> None:
        soaked = Soaked(clock, 1)
        world, laws = soaked.world, soaked.laws
        world.apply(NODE_CLASS, node_pool(requirements=OF_ANY_SIZE))
        world.app("one", 4, cpu="3500m", memory="1Gi")
        async with world.running():
            async with world.controlled():
                await world.until(world.all_running)
                for left in (2, 1):
                    world.app("one", left)
                    await world.until(lambda: bool(laws.begun) and world.all_running())
                    await world.until(lambda: len(world.machines()) == len(world.nodes()) == 1)
            before = len(laws.begun)
            await soaked.peace()
            assert len(laws.begun) == before + 1

    monkeypatch.setattr(Size, "policy", lambda size: Policy(effort=size.effort, calm=timedelta(minutes=20)))
    monkeypatch.setattr(soak_module, "PEACE", timedelta(minutes=10))
    run(main)


def test_a_machine_that_had_to_rest_may_move_when_all_others_may_not(monkeypatch: MonkeyPatch) -> None:
    shrunk_twice(monkeypatch)
    monkeypatch.setattr(Soaked, "resting", lambda *_: set())
    with pytest.RaisesGroup(pytest.RaisesExc(Broken, match="still move an hour after"), flatten_subgroups=True):
        shrunk_twice(monkeypatch)


def test_a_pod_that_was_moved_too_often_makes_its_machine_rest_from_consolidation_alone() -> None:
    async def main(clock: VirtualClock) -> None:
        soaked = Soaked(clock, 1)
        world = soaked.world
        world.apply(NODE_CLASS, node_pool())
        world.app("one", 1)
        async with world.running(), world.controlled():
            await world.until(world.all_running)
        (claim,), (pod,) = world.claims(), world.pods("one")
        resting: list[tuple[set[str], set[str]]] = []
        for times in (1, 2):
            moves = moves_text({pod.key: (clock.now(),) * times}, clock.now() - timedelta(minutes=30))
            world.server.patch(NODE_CLAIM, claim.name, {"metadata": {"annotations": {MOVED_HERE: moves}}})
            resting.append((soaked.resting(DisruptionReason.UNDERUTILIZED), soaked.resting(DisruptionReason.DRIFTED)))
        assert resting == [(set(), set()), ({claim.name}, set())]

    run(main)


def test_pods_that_nobody_buys_for(monkeypatch: MonkeyPatch) -> None:
    async def nothing_to_do(*_: Any) -> Any:
        return DONE

    monkeypatch.setattr(Provisioner, "reconcile", nothing_to_do)
    monkeypatch.setattr(soak_module, "PEACE", timedelta(minutes=5))
    with pytest.RaisesGroup(pytest.RaisesExc(Broken, match="pods still wait"), flatten_subgroups=True):
        soak(6, hours=0.1, is_plain=True)


def test_what_is_wrong_at_the_end_is_told() -> None:
    async def main(clock: VirtualClock) -> None:
        soaked = Soaked(clock, 1)
        world = soaked.world
        world.apply(NODE_CLASS, node_pool())
        world.app("one", 1)
        async with world.running(), world.controlled():
            await world.until(world.all_running)
        assert soaked.wrong() == ""
        (node,) = world.nodes()
        taint = {"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}
        world.server.patch(NODE, node.name, {"spec": {"taints": [taint]}})
        assert "stay tainted" in soaked.wrong()
        world.server.patch(NODE, node.name, {"spec": {"taints": []}})
        (machine,) = world.machines()
        world.cloud.terminate(machine.machine.provider_id)
        assert "claims and machines differ" in soaked.wrong()

    run(main)


def test_a_process_that_is_killed_hears_no_more() -> None:
    """After the cut no effect begins, whoever asks for it."""

    async def main(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        world.app("one", 2)
        scissors = Scissors(at=5, covers_reads=True)
        laws = Laws(world)
        cluster = LawfulCluster(world.cluster, scissors, laws)
        cloud = LawfulCloud(world.cloud, scissors, laws)
        async with world.running(), world.controlled(cluster=cluster, cloud=cloud):
            await world.pass_time(timedelta(minutes=2))
        assert scissors.cut.is_set()
        assert scissors.count == 5
        assert not world.machines()

    run(main)


def test_a_lost_answer_is_no_error_of_ours() -> None:
    def lose_answers(world: SmallWorld, laws: Laws) -> None:
        world.faults.rules.append(Fault(0.3, error=lambda: Unavailable("no answer"), after=True))
        shrink(world, laws)

    live(lose_answers)
