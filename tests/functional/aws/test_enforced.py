"""Least privilege: a controller with the installer's policies does everything, and nothing of them is left over.

All tests of this folder act with these policies, enforced. Here one controller does whatever a controller does, so that
a statement that nobody needs shows.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import boto3
import pytest

from nodesmith.adapters.aws.client import SessionClients
from nodesmith.adapters.aws.cloud import AwsCloud
from nodesmith.adapters.clock import RealClock
from nodesmith.install.names import Names
from nodesmith.install.policies import controller_policies
from nodesmith.model.labels import RESERVED, SPOT
from nodesmith.ports.errors import PortError
from nodesmith.sim.aws.audit import audit
from tests.functional.aws.conftest import (
    CLUSTER,
    NAMES,
    REGION,
    ROLE,
    SPEC,
    ZONE_A,
    Bench,
    assume,
    claim_of,
)


async def test_the_controller_needs_its_policies_and_nothing_else(bench: Bench) -> None:
    assert NAMES.node_role == ROLE
    ec2 = bench.owner("ec2")
    bench.owner("sqs").create_queue(QueueName=NAMES.queue)
    cluster = bench.owner("eks").describe_cluster(name=CLUSTER)["cluster"]["arn"]
    await asyncio.to_thread(bench.control.zonal_shift, cluster)
    reservation = ec2.create_capacity_reservation(
        InstanceType="m5.large",
        InstancePlatform="Linux/UNIX",
        AvailabilityZone=ZONE_A,
        InstanceCount=1,
        InstanceMatchCriteria="targeted",
    )["CapacityReservation"]["CapacityReservationId"]
    ec2.create_placement_group(GroupName="near", Strategy="cluster")
    cloud = bench.cloud = bench.another(replace(bench.settings, is_zonal_shift_enabled=True))
    await cloud.start()
    await cloud.maintain()
    await cloud.prices.refresh()
    cloud.types._cache.clear()
    spec = {
        **SPEC,
        "tags": {"team": "web"},
        "capacityReservationSelectorTerms": [{"id": reservation}],
        "placementGroupSelector": {"name": "near"},
    }
    status = await bench.adopt(bench.node_class(spec))
    assert {each.type: each.message for each in status.conditions.values() if not each.is_true} == {}
    claims = [claim_of("default-0", types=("m5.large",), terms=(RESERVED,)), claim_of("default-1", terms=(SPOT,))]
    # t4g does not run in a cluster placement group, m7g does.
    machines = [await cloud.create(claim) for claim in claims]
    assert [each.capacity_type for each in machines] == [RESERVED, SPOT]
    await cloud.tag(machines[0].provider_id, {"Name": "node", "karpenter.sh/nodeclaim": claims[0].name})
    await cloud.sick_instances()
    ec2.terminate_instances(InstanceIds=[machines[1].provider_id.rpartition("/")[2]])
    queue = cloud.queue()
    assert queue is not None
    bench.owner("sqs").send_message(QueueUrl=NAMES.queue, MessageBody="{}")
    await queue.delete([each.receipt for each in await queue.receive()])
    await cloud.delete(machines[0].provider_id)
    await cloud.release(bench.objects.classes["default"])
    found = audit(bench.controllers(), controller_policies(NAMES))
    assert found.refused == ()
    assert found.unused == ()


async def test_more_than_that_is_not_allowed(bench: Bench) -> None:
    bench.is_refused = True
    machine = await bench.cloud.create(claim_of("default-a"))
    with pytest.raises(PortError, match="UnauthorizedOperation"):
        await bench.cloud.tag(machine.provider_id, {"other": "tag"})
    (refused,) = audit(bench.controllers(), controller_policies(NAMES)).refused
    assert refused.startswith("ec2:CreateTags needs ec2:CreateTags on arn:aws:ec2:")
    without = {name: each for name, each in controller_policies(NAMES).items() if "Lifecycle" not in name}
    assert any("needs ec2:RunInstances on" in each for each in audit(bench.controllers(), without).refused)


async def test_an_instance_of_another_cluster_is_out_of_reach(bench: Bench) -> None:
    machine = await bench.cloud.create(claim_of("default-a"))
    keys = assume(Names("another", NAMES.account, REGION, NAMES.issuer), bench.owner)
    session = boto3.session.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=REGION
    )
    foreign = AwsCloud(
        replace(bench.settings, cluster_name="another"),
        clients=SessionClients(session, endpoint_url=bench.control.url),
        objects=bench.objects,
        clock=RealClock(),
        run_blocking=bench.threads,
        metrics=bench.metrics,
    )
    with pytest.raises(PortError, match="UnauthorizedOperation"):
        await foreign.delete(machine.provider_id)
