"""What the AWS side tells dashboards of launches and of ends."""

import asyncio

import pytest

from nodesmith.model.labels import ON_DEMAND
from nodesmith.ports.errors import CapacityUnavailable, PortError
from nodesmith.sim.aws.control import FaultRule, PoolRule
from tests.functional.aws.conftest import ZONE_A, Bench, claim_of


async def test_user_data_has_a_size(bench: Bench) -> None:
    await bench.cloud.create(claim_of("default-a"))
    assert bench.metrics.gauges["ec2nodeclasses_userdata_bytes", (("nodeclass", "default"),)] > 100


async def test_a_launch_that_fails_is_told_by_zone(bench: Bench) -> None:
    await asyncio.to_thread(bench.control.ice, PoolRule(ON_DEMAND, "t4g.large", ZONE_A))
    with pytest.raises(CapacityUnavailable):
        await bench.cloud.create(claim_of("default-a", types=("t4g.large",)))
    labels = {"zone": ZONE_A, "capacity_type": ON_DEMAND, "reason": "InsufficientInstanceCapacity"}
    assert bench.metrics.total("cloudprovider_instance_launch_failures_total", **labels) == 1


async def test_an_instance_that_cannot_be_ended_is_told_by_zone(bench: Bench) -> None:
    machine = await bench.cloud.create(claim_of("default-a"))
    await asyncio.to_thread(bench.control.faults, FaultRule("ec2:TerminateInstances", "error", 1.0))
    with pytest.raises(PortError):
        await bench.cloud.delete(machine.provider_id)
    assert bench.metrics.total("cloudprovider_instance_termination_failures_total", zone=ZONE_A) == 1
