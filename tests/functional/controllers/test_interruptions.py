"""What AWS announces about machines, through the queue and by what EC2 says of their health: who goes, and when."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from nodesmith.adapters.memory.faults import Fault
from nodesmith.api.kinds import NODE_POOL
from nodesmith.decide.lifecycle.command_record import read
from nodesmith.model.labels import NODEPOOL, SPOT
from nodesmith.ports.errors import Refused
from nodesmith.ports.queue import InterruptionKind
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool
from tests.functional.controllers.test_moving import _types

MINUTE = timedelta(minutes=1)


def test_an_interrupted_machine_is_replaced_before_it_goes() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        claims_at_the_drain: list[int] = []

        def look() -> None:
            """How many claims had been made when the first one began to go."""
            claims = world.claims()
            if not claims_at_the_drain and any(each.meta.is_deleting for each in claims):
                claims_at_the_drain.append(len(claims))

        world.on_step.append(look)
        async with world.running(), world.controlled():
            world.app("web", 3)
            await world.until(world.all_running)
            (lost,) = world.machines()
            assert lost.machine.capacity_type == SPOT
            world.reclaim(lost)
            took = await world.until(lambda: lost.terminated_at is not None and world.all_running())
            assert took < timedelta(minutes=2), "the pods ran elsewhere before EC2 took the machine"
            assert claims_at_the_drain == [2], "another machine was asked for before the drain began"
            (kept,) = world.machines()
            assert (kept.machine.instance_type, kept.machine.zone) != (lost.machine.instance_type, lost.machine.zone)
            assert {"SpotInterrupted", "TerminatingOnInterruption"} <= set(world.events.reasons())
            assert world.metrics.total("interruption_deleted_messages_total") == 1

    run(story)


def test_many_machines_that_are_taken_back_at_once_are_let_go_at_once() -> None:
    """Fifty messages are five receptions; none of them waits for the plan of the one before."""

    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool(requirements=_types("m7g.large")))
        async with world.running(), world.controlled():
            world.app("web", 50, cpu="1500m")
            await world.until(world.all_running)
            taken = [claim.name for claim in world.claims()]
            assert len(taken) == 50
            for claim in world.claims():
                world.queue.send(InterruptionKind.SCHEDULED_CHANGE, claim.provider_id.rsplit("/", 1)[-1])
            took = await world.until(
                lambda: (
                    all(each.meta.is_deleting for each in world.claims() if each.name in taken)
                    and len(world.claims()) == 100
                )
            )
            assert took <= timedelta(seconds=5), took
            await world.until(lambda: not set(taken) & {each.name for each in world.claims()} and world.all_running())
            assert world.metrics.total("interruption_deleted_messages_total") == 50
            assert len(world.cloud.rented) == 100, "each was replaced once"

    run(story)


def test_nothing_is_planned_onto_a_machine_that_is_lost_while_its_claim_cannot_be_deleted() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        held = {"consolidateAfter": "0s", "budgets": [{"nodes": "0"}]}
        kept = node_pool("kept", requirements=_types("m7g.4xlarge"), disruption=held)
        lost = node_pool("lost", requirements=_types("m7g.large", "m7g.4xlarge"), disruption=held)
        of_lost = {"nodeSelector": {NODEPOOL: "lost"}}
        world.apply(NODE_CLASS, kept)
        async with world.running(), world.controlled():
            world.app("web", 1, cpu="12")
            await world.until(world.all_running)
            (stays,) = world.claims()
            world.apply(lost)
            world.app("other", 1, spec=of_lost)
            world.app("once", 1, cpu="13", spec=of_lost)
            await world.until(world.all_running)
            world.app("once", 0)
            (doomed,) = (each for each in world.claims() if each.pool_name == "lost")
            assert doomed.provider_id
            moved_first: list[str] = []

            def look() -> None:
                """Whether the machine that stays is given up for room on the one that is lost."""
                leaving = {each.name for each in world.claims() if each.meta.is_deleting or read(each) is not None}
                if stays.name in leaving and doomed.name not in leaving:
                    moved_first.append(stays.name)

            world.on_step.append(look)
            failing = Fault(verbs={"delete"}, kinds={"NodeClaim"})
            world.faults.rules.append(failing)
            world.queue.send(InterruptionKind.SCHEDULED_CHANGE, doomed.provider_id.rsplit("/", 1)[-1])
            patch = {"spec": {"disruption": {"budgets": [{"nodes": "100%"}]}}}
            world.server.patch(NODE_POOL, "kept", patch)
            await world.pass_time(3 * MINUTE)
            assert not moved_first
            assert sum(each.pool_name == "lost" for each in world.claims()) == 2, "its pods have another machine"
            world.faults.rules.remove(failing)
            await world.until(lambda: doomed.name not in {each.name for each in world.claims()} and world.all_running())

    run(story)


def test_a_loss_that_is_announced_and_never_heard_of_again_is_forgotten() -> None:
    """The queue has lost the message, and the claim was never deleted: the machine may be used again."""

    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool(disruption={"consolidateAfter": "0s"}))
        async with world.running(), world.controlled():
            world.app("web", 1)
            await world.until(world.all_running)
            (machine,) = world.machines()
            world.faults.rules.append(Fault(verbs={"delete"}, kinds={"NodeClaim"}, times=1))
            world.queue.send(InterruptionKind.INSTANCE_STOPPED, machine.machine.provider_id.rsplit("/", 1)[-1])
            await world.pass_time(timedelta(seconds=10))
            world.queue.forget()
            world.app("web", 0)
            await world.pass_time(5 * MINUTE)
            assert machine in world.machines(), "it counts as leaving already, nobody takes it as empty"
            await world.until(lambda: not world.machines())

    run(story)


def test_a_rebalance_recommendation_is_only_told() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 3)
            await world.until(world.all_running)
            (machine,) = world.machines()
            world.queue.send(InterruptionKind.REBALANCE_RECOMMENDATION, machine.machine.provider_id.rsplit("/", 1)[-1])
            world.queue.send(InterruptionKind.SPOT_INTERRUPTED, "i-0000000000000dead")
            await world.pass_time(2 * MINUTE)
            assert "SpotRebalanceRecommendation" in world.events.reasons()
            assert machine in world.machines()
            assert world.metrics.total("interruption_deleted_messages_total") == 2

    run(story)


@dataclass(frozen=True)
class _Sick:
    instance_id: str
    category: str
    is_forceful: bool
    detail: str = "An unhealthy warning was triggered"


@pytest.mark.parametrize("is_forceful", [True, False], ids=["impaired", "scheduled-event"])
def test_a_machine_that_ec2_calls_sick_is_replaced(is_forceful: bool) -> None:  # noqa: FBT001 - a table
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        sick: list[_Sick] = []

        async def ask() -> list[_Sick]:
            return sick

        world.sick_instances = ask
        async with world.running(), world.controlled():
            world.app("web", 2)
            world.budget("web", min_available=2)
            await world.until(world.all_running)
            (machine,) = world.machines()
            category = "SystemStatus" if is_forceful else "EventStatus"
            sick.append(_Sick(machine.machine.provider_id.rsplit("/", 1)[-1], category, is_forceful))
            await world.until(lambda: "InstanceUnhealthy" in world.events.reasons(), within=2 * MINUTE)
            await world.pass_time(3 * MINUTE)
            # A budget holds an orderly drain, and not one whose time is over at once.
            assert (machine.terminated_at is not None) is is_forceful
            counted = world.metrics.total("interruption_instance_status_unhealthy_total", category=category)
            assert counted == 1, "counted once until it recovers"
            reason = "system_status" if is_forceful else "event_status"
            assert world.metrics.total("nodeclaims_disrupted_total", reason=reason) == 1
            sick.clear()
            await world.pass_time(2 * MINUTE)
            sick.append(_Sick("i-00000000000000000", category, is_forceful))
            await world.pass_time(2 * MINUTE)
            counted = world.metrics.total("interruption_instance_status_unhealthy_total", category=category)
            assert counted == 2, "and again afterwards"

    run(story)


def test_where_asking_is_not_allowed_it_is_not_asked_again() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        asked: list[int] = []

        async def ask() -> list[_Sick]:
            asked.append(1)
            raise Refused("UnauthorizedOperation: You are not authorized to perform this operation.")

        world.sick_instances = ask
        async with world.running(), world.controlled():
            world.app("web", 1)
            await world.until(world.all_running)
            await world.pass_time(5 * MINUTE)
            assert (len(asked), world.all_running()) == (1, True)

    run(story)
