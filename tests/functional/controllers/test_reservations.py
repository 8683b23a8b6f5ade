"""Reservations that end and zones that are shifted away from, as the running controllers meet them."""

from dataclasses import replace
from datetime import timedelta

import msgspec

from nodesmith.api.ec2nodeclass import CapacityReservation, EC2NodeClass, EC2NodeClassStatus
from nodesmith.api.kinds import NODE, NODE_CLAIM
from nodesmith.model.labels import (
    CAPACITY_TYPE,
    ON_DEMAND,
    RESERVATION_ID,
    RESERVATION_INTERRUPTIBLE,
    RESERVATION_TYPE,
    RESERVED,
    ZONE,
)
from nodesmith.ports.cloud import Machine
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool

MINUTE = timedelta(minutes=1)
LABELS = {
    CAPACITY_TYPE: RESERVED,
    RESERVATION_ID: "cr-1",
    RESERVATION_TYPE: "default",
    RESERVATION_INTERRUPTIBLE: "false",
}

ANY_TERMS = [{"key": CAPACITY_TYPE, "operator": "In", "values": [RESERVED, ON_DEMAND]}]


async def reserved(world: SmallWorld) -> Machine:
    """One machine, which its claim and its Node call reserved."""
    world.app("web", 1)
    await world.until(world.all_running)
    (rented,) = world.machines()
    (claim,), (node,) = world.claims(), world.nodes()
    rented.machine = replace(rented.machine, capacity_type=RESERVED)
    world.server.patch(NODE_CLAIM, claim.name, {"metadata": {"labels": LABELS}})
    world.server.patch(NODE, node.name, {"metadata": {"labels": LABELS}})
    return rented.machine


def test_a_machine_that_outlives_its_reservation_is_on_demand() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool(requirements=ANY_TERMS, disruption={"consolidateAfter": "Never"}))
        async with world.running(), world.controlled():
            await reserved(world)
            await world.pass_time(3 * MINUTE)
            assert world.claims()[0].labels[RESERVATION_ID] == "cr-1", "it has its reservation yet"
            (rented,) = world.machines()
            rented.machine = replace(rented.machine, capacity_type=ON_DEMAND)
            await world.until(lambda: world.claims()[0].labels[CAPACITY_TYPE] == ON_DEMAND, within=2 * MINUTE)
            for labels in (world.claims()[0].labels, world.nodes()[0].meta.labels):
                assert labels[CAPACITY_TYPE] == ON_DEMAND
                assert not {RESERVATION_ID, RESERVATION_TYPE, RESERVATION_INTERRUPTIBLE} & labels.keys()
            assert len(world.machines()) == 1

    run(story)


def test_machines_of_a_capacity_block_leave_before_it_ends() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        ends: list[str] = []
        resolve = world.cloud.resolve

        async def with_block(node_class: EC2NodeClass) -> EC2NodeClassStatus:
            block = CapacityReservation(
                id="cr-1",
                availability_zone="a",
                instance_match_criteria="targeted",
                instance_type="m5.large",
                owner_id="1",
                reservation_type="capacity-block",
                state=ends[0] if ends else "active",
            )
            return replace(await resolve(node_class), capacity_reservations=(block,))

        setattr(world.cloud, "resolve", with_block)  # noqa: B010 - a method of one object, for this test
        world.apply(NODE_CLASS, node_pool(requirements=ANY_TERMS, disruption={"consolidateAfter": "Never"}))
        async with world.running(), world.controlled():
            first = await reserved(world)
            await world.pass_time(3 * MINUTE)
            assert [each.machine.provider_id for each in world.machines()] == [first.provider_id]
            ends.append("expiring")
            await world.until(
                lambda: first.provider_id not in {each.machine.provider_id for each in world.machines()},
                within=15 * MINUTE,
            )
            await world.until(world.all_running)
            reason = "capacity_reservation_expiring"
            assert world.metrics.total("nodeclaims_disrupted_total", reason=reason) == 1

    run(story)


def test_pools_hear_of_their_shifted_zones() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        shifted: set[str] = set()

        async def ask() -> frozenset[str]:
            return frozenset(shifted)

        world.zonal_shifts = ask
        resolve = world.cloud.resolve

        async def with_ids(node_class: EC2NodeClass) -> EC2NodeClassStatus:
            status = await resolve(node_class)
            subnets = tuple(msgspec.structs.replace(each, zone_id=f"id-{each.zone}") for each in status.subnets)
            return replace(status, subnets=subnets)

        setattr(world.cloud, "resolve", with_ids)  # noqa: B010 - a method of one object, for this test
        (zone, elsewhere) = sorted({each.zone for kind in world.cloud._types.values() for each in kind.offerings})[:2]
        only = [{"key": ZONE, "operator": "In", "values": [elsewhere]}]
        world.apply(NODE_CLASS, node_pool(), node_pool("elsewhere", requirements=only))
        async with world.running(), world.controlled():
            await world.pass_time(MINUTE)
            shifted.add(f"id-{zone}")
            await world.pass_time(MINUTE)
            shifted.clear()
            await world.pass_time(MINUTE)
        told = [(event.reason, event.about.name) for _, event in world.events.told if "ZonalShift" in event.reason]
        assert told == [("ZonalShiftActive", "default"), ("ZonalShiftCleared", "default")]

    run(story)
