"""What is not launched from, and why: classes that are not resolved or going, AWS that does not tell what is needed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from nodesmith.adapters.aws.cloud import AwsCloud
from nodesmith.adapters.clock import RealClock
from nodesmith.model.meta import Condition
from nodesmith.ports.errors import CapacityUnavailable, CreateFailed, NodeClassNotReady
from nodesmith.sim.aws.control import FaultRule
from tests.functional.aws.conftest import REGION, SPEC, Bench, claim_of

DRY_RUNS = ("ec2:CreateFleet", "ec2:RunInstances", "ec2:CreateLaunchTemplate")


def refused(action: str) -> FaultRule:
    return FaultRule(action, "error", 1.0, code="UnauthorizedOperation", status=403)


async def test_a_class_of_which_nobody_knows_whether_it_is_ready_is_waited_for(bench: Bench) -> None:
    node_class = bench.objects.classes["default"]
    for unknown in ({}, {"Ready": Condition("Ready", "Unknown", "ReconcilingDependents")}):
        bench.objects.classes["default"] = replace(node_class, status=replace(node_class.status, conditions=unknown))
        with pytest.raises(CreateFailed) as failed:
            await bench.cloud.create(claim_of("default-a"))
        assert (failed.value.reason, failed.value.message) == (
            "NodeClassReadinessUnknown",
            "NodeClass is in Ready=Unknown",
        )


async def test_a_class_that_has_changed_since_it_was_resolved_is_not_launched_from(bench: Bench) -> None:
    node_class = bench.objects.classes["default"]
    changed = replace(node_class, meta=replace(node_class.meta, generation=2))
    bench.objects.classes["default"] = changed
    with pytest.raises(NodeClassNotReady, match="changed and was not resolved since"):
        await bench.cloud.create(claim_of("default-a"))
    await bench.adopt(changed)
    assert (await bench.cloud.create(claim_of("default-a"))).claim_name == "default-a"


async def test_a_class_that_is_going_is_not_launched_from(bench: Bench) -> None:
    node_class = bench.objects.classes["default"]
    going = replace(node_class.meta, deleted_at=RealClock().now())
    bench.objects.classes["default"] = replace(node_class, meta=going)
    with pytest.raises(CapacityUnavailable, match="is being deleted"):
        await bench.cloud.create(claim_of("default-a"))


async def test_subnets_that_may_not_be_looked_at_are_a_reason(bench: Bench) -> None:
    bench.cloud._network._subnets.clear()
    await asyncio.to_thread(bench.control.faults, refused("ec2:DescribeSubnets"))
    with pytest.raises(CreateFailed) as failed:
        await bench.cloud.create(claim_of("default-a"))
    assert failed.value.reason == "SubnetResolutionFailed"


def that_knows_no_types(bench: Bench) -> AwsCloud:
    cloud = bench.another()
    cloud.types._cache.clear()
    cloud.types._last = type(cloud.types._last)()
    return cloud


async def test_instance_types_that_may_not_be_looked_at_are_a_reason(bench: Bench) -> None:
    cloud = that_knows_no_types(bench)
    await asyncio.to_thread(bench.control.faults, refused("ec2:DescribeInstanceTypes"))
    with pytest.raises(CreateFailed) as failed:
        await cloud.create(claim_of("default-a"))
    assert failed.value.reason == "InstanceTypeResolutionFailed"


async def test_without_the_service_range_al2023_is_not_ready_and_bottlerocket_is(bench: Bench) -> None:
    known = replace(bench.settings, kubernetes_version="1.35", cluster_endpoint="https://e", ca_bundle="Y2E=")
    cloud = bench.another(known)
    cloud.client._clock = bench.cloud._clock
    await asyncio.to_thread(bench.control.faults, refused("eks:DescribeCluster"))
    condition = (await cloud.resolve(bench.node_class(SPEC))).conditions["ValidationSucceeded"]
    assert (condition.status, condition.reason, condition.message) == (
        "False",
        "ClusterCIDRResolutionFailed",
        "Failed to detect the cluster CIDR",
    )
    cloud = bench.another(replace(known, service_cidr="10.100.0.0/16"))
    assert (await cloud.resolve(bench.node_class(SPEC))).conditions["ValidationSucceeded"].is_true


async def test_user_data_that_is_too_large_is_said(bench: Bench) -> None:
    status = await bench.adopt(bench.node_class({**SPEC, "userData": "#!/bin/bash\n" + "# comment\n" * 1700}))
    condition = status.conditions["ValidationSucceeded"]
    assert (condition.status, condition.reason) == ("False", "UserDataSizeLimitExceeded")
    assert "16384" in condition.message


async def test_a_verdict_is_believed_until_the_class_changes(bench: Bench) -> None:
    seen = len(bench.calls(*DRY_RUNS))
    node_class = bench.objects.classes["default"]
    await bench.cloud.resolve(node_class)
    assert len(bench.calls(*DRY_RUNS)) == seen
    await bench.cloud.resolve(bench.node_class({**SPEC, "detailedMonitoring": True}))
    asked = bench.calls(*DRY_RUNS)[seen:]
    assert [call.action for call in asked] == ["CreateLaunchTemplate", "CreateFleet", "RunInstances"]
    assert [bool(call.params.get("DryRun")) for call in asked] == [False, True, True]


async def test_one_subnet_that_may_be_launched_into_is_enough(bench: Bench) -> None:
    once = FaultRule("ec2:RunInstances", "error", 1.0, code="UnauthorizedOperation", status=403, times=1)
    await asyncio.to_thread(bench.control.faults, once)
    seen = len(bench.calls("ec2:RunInstances"))
    status = await bench.adopt(bench.node_class({**SPEC, "detailedMonitoring": True}))
    assert status.conditions["ValidationSucceeded"].is_true
    asked = bench.calls("ec2:RunInstances")[seen:]
    subnets = [call.params["NetworkInterfaces"][0]["SubnetId"] for call in asked]
    assert subnets == [each.id for each in status.subnets[:2]]
    assert {each.zone[:-1] for each in status.subnets} == {REGION}
