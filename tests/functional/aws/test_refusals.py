"""What EC2 refuses, and what is remembered of it: offerings, subnets, groups, a whole capacity type; for three minutes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from nodesmith.adapters.aws.errors import NO_ADDRESSES, SPOT_ROLE, SPREAD_LIMIT, UNFULFILLABLE
from nodesmith.model.labels import INSTANCE_TYPE, ON_DEMAND, PLACEMENT_GROUP_ID, SPOT, ZONE
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.nodepool import NodePool
from nodesmith.ports.errors import CapacityUnavailable
from nodesmith.sim.aws.control import FaultRule, PoolRule
from tests.functional.aws.conftest import REGION, SPEC, ZONE_A, Bench, claim_of

POOL = NodePool(meta=ObjectMeta("default"))
ZONE_B = f"{REGION}b"
CHEAPEST = "t4g.large"


async def offered(bench: Bench, name: str) -> set[tuple[str, str]]:
    """Where and on which terms the type is to be had."""
    found = next(each for each in await bench.cloud.instance_types(POOL) if each.name == name)
    return {(each.zone, each.capacity_type) for each in found.offerings if each.is_available}


async def short(bench: Bench, *rules: PoolRule) -> None:
    await asyncio.to_thread(bench.control.ice, *rules)


@pytest.mark.parametrize("code", sorted(UNFULFILLABLE - {NO_ADDRESSES}))
async def test_an_offering_that_is_refused_is_gone_around_and_avoided(bench: Bench, code: str) -> None:
    await short(bench, PoolRule(ON_DEMAND, CHEAPEST, ZONE_A, code=code))
    machine = await bench.cloud.create(claim_of("default-a"))
    assert machine.labels[INSTANCE_TYPE] == "m7g.large"
    left = await offered(bench, CHEAPEST)
    assert (ZONE_A, ON_DEMAND) not in left
    assert {(ZONE_B, ON_DEMAND), (ZONE_A, SPOT)} <= left
    assert (ZONE_A, ON_DEMAND) in await offered(bench, "m7g.large")
    assert bench.metrics.total("cloudprovider_instance_launch_failures_total", reason=code) == 1
    # The next launch does not ask for it.
    await bench.cloud.create(claim_of("default-b"))
    (config,) = bench.calls("ec2:CreateFleet")[-1].params["LaunchTemplateConfigs"]
    assert {each["InstanceType"] for each in config["Overrides"]} == {"m7g.large"}


async def test_a_full_subnet_closes_its_zone(bench: Bench) -> None:
    zones = (ZONE_A, ZONE_B)
    await short(bench, PoolRule(ON_DEMAND, "*", ZONE_A, code=NO_ADDRESSES))
    machine = await bench.cloud.create(claim_of("default-a", zones=zones))
    assert machine.labels[ZONE] == ZONE_B
    for name in (CHEAPEST, "m7g.large"):
        assert {zone for zone, _ in await offered(bench, name)} == {ZONE_B, f"{REGION}c"}


async def test_a_call_that_came_too_often_marks_nothing(bench: Bench) -> None:
    before = await offered(bench, CHEAPEST)
    await asyncio.to_thread(bench.control.faults, FaultRule("ec2:CreateFleet", "throttle", 1.0, times=1))
    assert (await bench.cloud.create(claim_of("default-a"))).labels[INSTANCE_TYPE] == CHEAPEST
    assert await offered(bench, CHEAPEST) == before


async def test_without_the_right_to_make_spots_role_nothing_is_bought_on_spot(bench: Bench) -> None:
    await short(bench, PoolRule(SPOT, code=SPOT_ROLE))
    machine = await bench.cloud.create(claim_of("default-a", terms=(SPOT, ON_DEMAND)))
    assert machine.capacity_type == ON_DEMAND
    for name in (CHEAPEST, "m7i.large"):
        assert {terms for _, terms in await offered(bench, name)} == {ON_DEMAND}
    with pytest.raises(CapacityUnavailable):
        await bench.cloud.create(claim_of("default-b", terms=(SPOT,)))


async def test_a_full_spread_group_closes_the_zone_for_all_types_in_it_alone(bench: Bench) -> None:
    made = bench.owner("ec2").create_placement_group(GroupName="spread", Strategy="spread")
    await bench.adopt(bench.node_class({**SPEC, "placementGroupSelector": {"name": "spread"}}))
    told = f"You have reached the {SPREAD_LIMIT} per Availability Zone"
    types, zones = ("m7g.large", "m7i.large"), (ZONE_A, ZONE_B)
    await short(bench, PoolRule(ON_DEMAND, "m7g.large", ZONE_A, code="InsufficientInstanceCapacity", message=told))
    machine = await bench.cloud.create(claim_of("default-a", types=types, zones=zones))
    assert machine.labels[PLACEMENT_GROUP_ID] == made["PlacementGroup"]["GroupId"]
    for name in types:
        assert ZONE_A not in {zone for zone, terms in await offered(bench, name) if terms == ON_DEMAND}
    assert (ZONE_A, ON_DEMAND) in await offered(bench, "r7g.large"), "nobody asked for it"
    await bench.adopt(bench.node_class(SPEC))
    assert (ZONE_A, ON_DEMAND) in await offered(bench, "m7i.large"), "beside the group it is to be had"


async def test_an_image_that_was_made_a_moment_ago_may_not_be_seen_yet(bench: Bench) -> None:
    ec2 = bench.owner("ec2")
    image = ec2.register_image(Name="own", Architecture="arm64", RootDeviceName="/dev/xvda")["ImageId"]
    own = {**SPEC, "amiFamily": "AL2023", "amiSelectorTerms": [{"id": image}]}
    await bench.adopt(bench.node_class(own))
    fresh = ec2.register_image(Name="newer", Architecture="arm64", RootDeviceName="/dev/xvda")["ImageId"]
    status = await bench.adopt(bench.node_class({**own, "amiSelectorTerms": [{"id": fresh}]}))
    assert [each.id for each in status.amis] == [fresh]
    unseen = FaultRule("ec2:CreateFleet", "error", 1.0, code="InvalidAMIID.NotFound", status=400, times=1)
    await asyncio.to_thread(bench.control.faults, unseen)
    machine = await bench.cloud.create(claim_of("default-a"))
    assert machine.image_id == fresh
    asked = [call for call in bench.calls("ec2:CreateFleet") if not call.params.get("DryRun")]
    assert [call.error for call in asked] == ["InvalidAMIID.NotFound", None]
    assert len({call.params["ClientToken"] for call in asked}) == 1, "the same launch, asked for again"


async def test_user_data_that_is_nearly_too_large_is_warned_of_once(bench: Bench) -> None:
    await bench.cloud.create(claim_of("default-a"))
    assert not bench.log.told
    long = "#!/bin/bash\n" + "# comment\n" * 1400
    status = await bench.adopt(bench.node_class({**SPEC, "userData": long}))
    assert status.conditions["ValidationSucceeded"].is_true
    for name in ("default-b", "default-c"):
        await bench.cloud.create(replace(claim_of(name)))
    ((_, fields),) = bench.log.told
    assert fields["EC2NodeClass"] == "default"
    assert fields["bytes"] == bench.metrics.gauges["ec2nodeclasses_userdata_bytes", (("nodeclass", "default"),)]


async def test_settings_that_bottlerocket_does_not_know_are_told(bench: Bench) -> None:
    written = "[settings.kubernetes]\nmax-pods = 30\nmax-cats = 4\n"
    own = {**SPEC, "amiSelectorTerms": [{"alias": "bottlerocket@latest"}], "userData": written}
    await bench.adopt(bench.node_class(own))
    for name in ("default-a", "default-b"):
        await bench.cloud.create(claim_of(name))
    ((message, fields),) = bench.log.told
    assert "settings.kubernetes" in message
    assert fields == {"EC2NodeClass": "default", "keys": ["max-cats"]}
