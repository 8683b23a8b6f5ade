"""Prices, reservations, placement groups, zonal shift, queue and health on the box."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from nodesmith.adapters.aws.health import HealthCategory
from nodesmith.adapters.aws.queue import SqsQueue
from nodesmith.adapters.clock import RealClock
from nodesmith.model.instancetype import InstanceType, Offering
from nodesmith.model.labels import (
    ON_DEMAND,
    PLACEMENT_GROUP_ID,
    PLACEMENT_GROUP_PARTITION,
    RESERVATION_ID,
    RESERVATION_TYPE,
    RESERVED,
    SPOT,
    TENANCY,
    ZONE,
    ZONE_ID,
)
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.ports.errors import CapacityUnavailable, NotFound, PortError, Throttled
from nodesmith.ports.queue import InterruptionKind
from nodesmith.sim.aws.control import FaultRule
from tests.functional.aws.conftest import CLUSTER, NAMES, REGION, SPEC, ZONE_A, Bench, claim_of, forget_prices

POOL = NodePool(meta=ObjectMeta("default"))


async def type_of(bench: Bench, name: str) -> InstanceType:
    return next(each for each in await bench.cloud.instance_types(POOL) if each.name == name)


def one(found: InstanceType, capacity_type: str, zone: str = ZONE_A) -> Offering:
    return next(each for each in found.offerings if (each.zone, each.capacity_type) == (zone, capacity_type))


async def test_prices_are_those_that_aws_tells(bench: Bench) -> None:
    t4g = await type_of(bench, "t4g.large")
    spot, regular = one(t4g, SPOT), one(t4g, ON_DEMAND)
    assert spot.price is not None
    assert regular.price is not None
    assert spot.price < regular.price
    assert not spot.is_estimate
    assert not regular.is_estimate
    assert {each.zone for each in t4g.offerings if each.is_available} == {f"{REGION}a", f"{REGION}b", f"{REGION}c"}
    metal = await type_of(bench, "m5.metal")
    assert one(metal, ON_DEMAND, f"{REGION}a").price is not None


async def test_until_aws_has_told_prices_are_estimates_and_say_so(bench: Bench) -> None:
    bench.cloud = bench.another()
    forget_prices(bench.cloud)
    down = (
        FaultRule("pricing:*", "error", 1.0, code="AccessDeniedException", status=400),
        FaultRule("ec2:DescribeSpotPriceHistory", "error", 1.0, code="UnauthorizedOperation", status=403),
    )
    await asyncio.to_thread(bench.control.faults, *down)
    t4g = await type_of(bench, "t4g.large")
    assert one(t4g, ON_DEMAND).is_estimate
    assert one(t4g, SPOT).is_estimate
    assert one(t4g, SPOT).price == one(t4g, ON_DEMAND).price
    assert "on-demand prices" in bench.cloud.prices.problem
    assert "spot prices" in bench.cloud.prices.problem
    assert "on-demand prices are estimates, from the list of" in bench.cloud.prices.caveat
    assert "spot prices are not known" in bench.cloud.prices.caveat
    await asyncio.to_thread(bench.control.faults)
    await bench.cloud.prices.refresh()
    assert bench.cloud.prices.caveat == ""


async def reserve(bench: Bench, count: int = 1, kind: str = "m5.large") -> str:
    made = bench.owner("ec2").create_capacity_reservation(
        InstanceType=kind,
        InstancePlatform="Linux/UNIX",
        AvailabilityZone=ZONE_A,
        InstanceCount=count,
        InstanceMatchCriteria="targeted",
    )
    return str(made["CapacityReservation"]["CapacityReservationId"])


async def test_a_reservation_is_used_first_and_only_as_far_as_it_goes(bench: Bench) -> None:
    reservation = await reserve(bench)
    spec = {**SPEC, "capacityReservationSelectorTerms": [{"id": reservation}]}
    status = await bench.adopt(bench.node_class(spec))
    assert [each.id for each in status.capacity_reservations] == [reservation]
    offering = next(each for each in (await type_of(bench, "m5.large")).offerings if each.is_reserved)
    assert (offering.reservation_id, offering.reservation_capacity, offering.is_available) == (reservation, 1, True)
    terms = (RESERVED, ON_DEMAND)
    first = await bench.cloud.create(claim_of("default-a", types=("m5.large",), terms=terms))
    assert (first.capacity_type, first.labels[RESERVATION_ID], first.labels[RESERVATION_TYPE]) == (
        RESERVED,
        reservation,
        "default",
    )
    assert (await bench.cloud.get(first.provider_id)).capacity_type == RESERVED
    assert bench.cloud._reservations.left(reservation) == 0, "counted before AWS shows it"
    second = await bench.cloud.create(claim_of("default-b", types=("m5.large",), terms=terms))
    assert second.capacity_type == ON_DEMAND
    await bench.cloud.delete(first.provider_id)
    assert bench.cloud._reservations.left(reservation) == 1


async def test_a_reservation_that_others_have_used_up_is_not_asked_for_again(bench: Bench) -> None:
    reservation = await reserve(bench, count=3)
    await bench.adopt(bench.node_class({**SPEC, "capacityReservationSelectorTerms": [{"id": reservation}]}))
    await asyncio.to_thread(partial(bench.control.change_reservation, reservation, total=0))
    with pytest.raises(CapacityUnavailable):
        await bench.cloud.create(claim_of("default-a", types=("m5.large",), terms=(RESERVED,)))
    assert bench.cloud._reservations.left(reservation) == 0
    offering = next(each for each in (await type_of(bench, "m5.large")).offerings if each.is_reserved)
    assert not offering.is_available
    assert one(await type_of(bench, "m5.large"), ON_DEMAND).is_available, "what is bought without one is no reservation"


async def test_a_capacity_block_is_asked_for_alone(bench: Bench) -> None:
    end = RealClock().now() + timedelta(days=1)
    block = await asyncio.to_thread(bench.control.capacity_block, "p4d.24xlarge", f"{REGION}b", 1, end=end)
    await bench.adopt(bench.node_class({**SPEC, "capacityReservationSelectorTerms": [{"id": block}]}))
    claim = claim_of("default-a", types=("p4d.24xlarge",), terms=(RESERVED,), zones=(f"{REGION}b",))
    machine = await bench.cloud.create(claim)
    assert machine.labels[RESERVATION_TYPE] == "capacity-block"
    fleet = bench.calls("ec2:CreateFleet")[-1].params
    assert fleet["TargetCapacitySpecification"]["DefaultTargetCapacityType"] == "capacity-block"


async def test_a_placement_group_is_launched_into(bench: Bench) -> None:
    made = bench.owner("ec2").create_placement_group(GroupName="near", Strategy="cluster")
    group = made["PlacementGroup"]["GroupId"]
    status = await bench.adopt(bench.node_class({**SPEC, "placementGroupSelector": {"name": "near"}}))
    assert status.conditions["PlacementGroupReady"].is_true
    machine = await bench.cloud.create(claim_of("default-a", types=("m5.large",)))
    assert machine.labels[PLACEMENT_GROUP_ID] == group
    with pytest.raises(CapacityUnavailable):
        await bench.cloud.create(claim_of("default-b", types=("t3.large",)))


async def test_partitions_of_a_placement_group_are_offerings(bench: Bench) -> None:
    made = bench.owner("ec2").create_placement_group(GroupName="apart", Strategy="partition", PartitionCount=3)
    group = made["PlacementGroup"]["GroupId"]
    await bench.adopt(bench.node_class({**SPEC, "placementGroupSelector": {"id": group}}))
    offerings = [each for each in (await type_of(bench, "m5.large")).offerings if each.zone == ZONE_A]
    assert sorted((each.capacity_type, each.partition) for each in offerings) == [
        (terms, partition) for terms in (ON_DEMAND, SPOT) for partition in ("1", "2", "3")
    ]

    def claim(name: str, *partitions: str) -> NodeClaim:
        plain = claim_of(name, types=("m5.large",))
        wanted = Requirement(PLACEMENT_GROUP_PARTITION, frozenset(partitions))
        return replace(plain, requirements=Requirements.of([*plain.requirements, wanted]))

    machine = await bench.cloud.create(claim("default-a", "2", "3"))
    labels = machine.labels
    assert (labels[PLACEMENT_GROUP_ID], labels[PLACEMENT_GROUP_PARTITION]) == (group, "2")
    placement = bench.owner("ec2").describe_instances(InstanceIds=[machine.provider_id.rpartition("/")[2]])
    assert placement["Reservations"][0]["Instances"][0]["Placement"]["PartitionNumber"] == 2
    bench.cloud._unavailable.mark(
        instance_type="m5.large", zone=ZONE_A, capacity_type=ON_DEMAND, group=group, partition="2"
    )
    following = await bench.cloud.create(claim("default-b", "2", "3"))
    assert following.labels[PLACEMENT_GROUP_PARTITION] == "3"
    with pytest.raises(CapacityUnavailable):
        await bench.cloud.create(claim("default-c", "2"))


async def test_dedicated_tenancy_is_asked_for(bench: Bench) -> None:
    claim = claim_of("default-a", types=("m5.large",))
    dedicated = Requirements.of([*claim.requirements, Requirement(TENANCY, frozenset({"dedicated"}))])
    machine = await bench.cloud.create(replace(claim, requirements=dedicated))
    assert machine.labels[TENANCY] == "dedicated"
    raw = await bench.cloud.client.call(
        "ec2", "DescribeInstances", InstanceIds=[machine.provider_id.rpartition("/")[2]]
    )
    assert raw["Reservations"][0]["Instances"][0]["Placement"]["Tenancy"] == "dedicated"


async def test_a_shifted_zone_is_left_alone(bench: Bench) -> None:
    machine = await bench.cloud.create(claim_of("default-a"))
    bench.cloud = bench.another(replace(bench.settings, is_zonal_shift_enabled=True))
    await bench.adopt(bench.objects.classes["default"])
    described = await bench.cloud.client.call("eks", "DescribeCluster", name=CLUSTER)
    zone_id = machine.labels[ZONE_ID]
    await asyncio.to_thread(bench.control.zonal_shift, described["cluster"]["arn"], zone_id)
    bench.cloud.zonal_shift._cache.clear()
    assert not one(await type_of(bench, "t4g.large"), ON_DEMAND).is_available
    with pytest.raises(CapacityUnavailable):
        await bench.cloud.create(claim_of("default-b"))
    with pytest.raises(Throttled, match="zonal shift"):
        await bench.cloud.delete(machine.provider_id)
    with pytest.raises(Throttled, match="zonal shift"):
        await bench.cloud.tag(machine.provider_id, {"Name": "node"})
    elsewhere = await bench.cloud.create(claim_of("default-c", zones=(ZONE_A, f"{REGION}b")))
    assert elsewhere.labels[ZONE] == f"{REGION}b"
    # An hour later the shift is over, whether or not somebody ended it.
    await asyncio.to_thread(bench.control.zonal_shift, described["cluster"]["arn"], zone_id, duration=timedelta(0))
    bench.cloud.zonal_shift._cache.clear()
    assert one(await type_of(bench, "t4g.large"), ON_DEMAND).is_available
    await bench.cloud.delete(machine.provider_id)


async def test_a_cluster_that_arc_does_not_know_stops_the_start(bench: Bench) -> None:
    bench.owner("sqs").create_queue(QueueName=NAMES.queue)
    await bench.cloud.start()
    with pytest.raises(PortError, match="ResourceNotFound"):
        await bench.another(replace(bench.settings, is_zonal_shift_enabled=True)).start()


def queue_of(bench: Bench) -> SqsQueue:
    bench.owner("sqs").create_queue(QueueName=NAMES.queue)
    events = bench.owner("events")
    pattern = json.dumps({"source": ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning"]})
    events.put_rule(Name="spot", EventPattern=pattern)
    events.put_targets(Rule="spot", Targets=[{"Id": "queue", "Arn": NAMES.queue_arn}])
    queue = bench.cloud.queue()
    assert queue is not None
    return queue


async def test_a_spot_warning_comes_through_the_queue_once(bench: Bench) -> None:
    queue = queue_of(bench)
    machine = await bench.cloud.create(claim_of("default-a", terms=(SPOT,)))
    instance = machine.provider_id.rpartition("/")[2]
    await asyncio.to_thread(bench.control.interrupt_spot, instance)
    (message,) = await queue.receive()
    assert (message.kind, message.instance_ids) == (InterruptionKind.SPOT_INTERRUPTED, (instance,))
    await queue.delete([message.receipt])
    bench.cloud.mark_unavailable(instance_type="t4g.large", zone=ZONE_A, capacity_type=SPOT)
    assert not one(await type_of(bench, "t4g.large"), SPOT).is_available


async def test_messages_are_received_and_deleted_ten_at_a_time(bench: Bench) -> None:
    """Malformed ones and one that came twice among them."""
    queue = queue_of(bench)
    sqs, seen = bench.owner("sqs"), len(bench.calls())
    warning = {
        "version": "0",
        "source": "aws.ec2",
        "detail-type": "EC2 Spot Instance Interruption Warning",
        "detail": {"instance-id": "i-1"},
    }
    bodies = [*[json.dumps(warning)] * 12, *["no JSON"] * 6, *["{}"] * 5]
    for body in bodies:
        sqs.send_message(QueueUrl=NAMES.queue, MessageBody=body)
    received = [await queue.receive() for _ in range(3)]
    assert [len(each) for each in received] == [10, 10, 3]
    messages = [message for each in received for message in each]
    assert Counter(message.kind for message in messages) == {
        InterruptionKind.SPOT_INTERRUPTED: 12,
        InterruptionKind.NO_OP: 11,
    }
    await queue.delete([message.receipt for message in messages])
    asked = [call for call in bench.calls()[seen:] if f"/{NAMES.controller_role}/" in call.caller]
    assert Counter(call.action for call in asked) == {"GetQueueUrl": 1, "ReceiveMessage": 3, "DeleteMessageBatch": 3}
    receiving = next(call.params for call in asked if call.action == "ReceiveMessage")
    wanted = {"MaxNumberOfMessages": 10, "WaitTimeSeconds": 20, "VisibilityTimeout": 20}
    assert {name: int(receiving[name]) for name in wanted} == wanted
    left = sqs.get_queue_attributes(QueueUrl=NAMES.queue, AttributeNames=["All"])["Attributes"]
    assert (left["ApproximateNumberOfMessages"], left["ApproximateNumberOfMessagesNotVisible"]) == ("0", "0")


async def test_a_queue_that_is_not_there_is_named(bench: Bench) -> None:
    with pytest.raises(NotFound, match=f"queue {NAMES.queue} is not there"):
        await SqsQueue(bench.cloud.client, NAMES.queue).receive()
    with pytest.raises(NotFound, match="set INTERRUPTION_QUEUE to its name, or make it"):
        await bench.cloud.start()


async def test_sick_instances_are_found_once_each(bench: Bench) -> None:
    names = ("default-a", "default-b", "default-c", "default-d")
    ids = [(await bench.cloud.create(claim_of(name))).provider_id.rpartition("/")[2] for name in names]
    now = RealClock().now()
    status = bench.control.instance_status
    await asyncio.to_thread(status, ids[0], instance="impaired", impaired_since=now - timedelta(minutes=5))
    await asyncio.to_thread(status, ids[1], instance="impaired", impaired_since=now - timedelta(seconds=10))
    await asyncio.to_thread(status, ids[2], events=[("instance-retirement", now + timedelta(days=3))])
    sick = await bench.cloud.sick_instances()
    assert {(each.instance_id, each.category, each.is_forceful) for each in sick} == {
        (ids[0], HealthCategory.INSTANCE_STATUS, True),
        (ids[2], HealthCategory.EVENT_STATUS, False),
    }


async def test_memory_that_a_node_reports_changes_the_type(bench: Bench) -> None:
    before = await type_of(bench, "t4g.large")
    machine = await bench.cloud.create(claim_of("default-a"))
    bench.cloud.learn_memory(instance_type="t4g.large", image_id=machine.image_id, memory=7_000_000_000)
    after = await type_of(bench, "t4g.large")
    assert (before.capacity["memory"] == after.capacity["memory"], after.capacity["memory"]) == (False, 7_000_000_000)
    assert after.offerings == before.offerings


async def test_what_a_node_taught_of_one_type_leaves_all_others_as_they_are(bench: Bench) -> None:
    """Machines come up one after the other, and each teaches: to work everything out again each time takes long."""
    before = await type_of(bench, "m7g.large")
    machine = await bench.cloud.create(claim_of("default-a"))
    bench.cloud.learn_memory(instance_type="t4g.large", image_id=machine.image_id, memory=7_000_000_000)
    taught = await type_of(bench, "t4g.large")
    assert await type_of(bench, "m7g.large") is before
    bench.cloud.learn_memory(instance_type="m7g.large", image_id=machine.image_id, memory=6_000_000_000)
    assert (await type_of(bench, "m7g.large")).capacity["memory"] == 6_000_000_000
    assert (await type_of(bench, "t4g.large")).capacity == taught.capacity
