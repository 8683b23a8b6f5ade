"""EC2NodeClasses on the box: what they resolve to, what their conditions say, what is left when they go."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml

from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.aws.userdata.mime import read_archive
from nodesmith.adapters.clock import RealClock
from nodesmith.api.ec2nodeclass import EC2NodeClassStatus
from nodesmith.install.policies import document
from nodesmith.model.labels import INSTANCE_TYPE, NODECLASS_HASH, NODEPOOL
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.nodepool import NodePool
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.ports.errors import NodeClassNotReady
from nodesmith.sim.aws.control import FaultRule
from tests.functional.aws.conftest import CLUSTER, NAMES, REGION, ROLE, SPEC, Bench, claim_of


def said(status: EC2NodeClassStatus) -> dict[str, tuple[str, str]]:
    """The conditions that are not True, with their reasons."""
    return {kind: (each.status, each.reason) for kind, each in status.conditions.items() if not each.is_true}


def may_pass(bench: Bench, role: str) -> None:
    """The controller may use another node role: the installer's policies know of one."""
    policy = json.dumps(document({"Effect": "Allow", "Action": "iam:PassRole", "Resource": NAMES.role_arn(role)}))
    bench.owner("iam").put_role_policy(RoleName=NAMES.controller_role, PolicyName=role, PolicyDocument=policy)
    bench.is_refused = True


async def test_a_role_that_may_not_be_passed_is_said(bench: Bench) -> None:
    bench.is_refused = True
    status = await bench.adopt(bench.node_class({**SPEC, "role": "nobody"}))
    condition = status.conditions["InstanceProfileReady"]
    assert (condition.status, condition.reason) == ("False", "InstanceProfileResolutionFailed")
    assert "iam:PassRole" in condition.message


async def test_a_node_class_stands_for_images_of_every_kind(bench: Bench) -> None:
    status = bench.objects.classes["default"].status
    assert said(status) == {}
    assert {
        tuple(each.key.rpartition("/")[2] + " " + each.operator for each in ami.requirements) for ami in status.amis
    } == {
        ("arch In", "instance-gpu-count DoesNotExist", "instance-accelerator-count DoesNotExist"),
        ("arch In", "instance-gpu-count Exists"),
        ("arch In", "instance-accelerator-count Exists"),
    }
    assert len(status.amis) == 5
    assert [subnet.zone_id for subnet in status.subnets] != []
    assert status.conditions["Ready"].observed_generation == 1


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"subnetSelectorTerms": [{"id": "subnet-0123"}]}, {"SubnetsReady": ("False", "SubnetsNotFound")}),
        (
            {"securityGroupSelectorTerms": [{"name": "none"}]},
            {"SecurityGroupsReady": ("False", "SecurityGroupsNotFound")},
        ),
        ({"amiSelectorTerms": [{"name": "none*"}], "amiFamily": "AL2023"}, {"AMIsReady": ("False", "AMINotFound")}),
        ({"amiSelectorTerms": [{"alias": "al2@latest"}]}, {"AMIsReady": ("False", "UnsupportedAlias")}),
        ({"role": "nobody"}, {"InstanceProfileReady": ("False", "RoleNotFound")}),
    ],
    ids=["subnets", "groups", "images", "alias", "role"],
)
async def test_what_is_missing_is_said(bench: Bench, change: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if "role" in change:
        may_pass(bench, "nobody")
    status = await bench.adopt(bench.node_class({**SPEC, **change}))
    waiting = {"ValidationSucceeded": ("False", "DependenciesNotReady"), "Ready": ("False", "UnhealthyDependents")}
    assert said(status) == {**wanted, **waiting}
    with pytest.raises(NodeClassNotReady):
        await bench.cloud.create(claim_of("default-a"))


async def test_a_placement_group_that_is_not_there_is_said(bench: Bench) -> None:
    status = await bench.adopt(bench.node_class({**SPEC, "placementGroupSelector": {"name": "none"}}))
    assert status.conditions["PlacementGroupReady"].reason == "PlacementGroupNotFound"
    assert status.conditions["Ready"].is_false


async def test_a_tag_of_ours_is_refused_by_name(bench: Bench) -> None:
    status = await bench.adopt(bench.node_class({**SPEC, "tags": {"karpenter.sh/nodepool": "mine"}}))
    condition = status.conditions["ValidationSucceeded"]
    assert (condition.reason, "karpenter.sh/nodepool" in condition.message) == ("TagValidationFailed", True)


@pytest.mark.parametrize("operation", ["CreateLaunchTemplate", "CreateFleet", "RunInstances"])
async def test_a_denied_permission_is_a_condition_to_read(bench: Bench, operation: str) -> None:
    bench.cloud = bench.another()
    denied = FaultRule(f"ec2:{operation}", "error", 1.0, code="UnauthorizedOperation", status=403)
    await asyncio.to_thread(bench.control.faults, denied)
    status = await bench.adopt(bench.node_class({**SPEC, "tags": {"denied": operation}}))
    condition = status.conditions["ValidationSucceeded"]
    assert (condition.status, condition.reason) == ("False", f"{operation}AuthCheckFailed")
    assert f"ec2:{operation}" in condition.message


async def test_a_given_profile_that_is_not_there_is_said_and_seen_when_it_is(bench: Bench) -> None:
    spec = {key: value for key, value in SPEC.items() if key != "role"}
    node_class = bench.node_class({**spec, "instanceProfile": "given"})
    condition = (await bench.cloud.resolve(node_class)).conditions["ValidationSucceeded"]
    assert (condition.status, condition.reason) == ("False", "InstanceProfileNotFound")
    assert "given" in condition.message
    iam = bench.owner("iam")
    iam.create_instance_profile(InstanceProfileName="given")
    iam.add_role_to_instance_profile(InstanceProfileName="given", RoleName=ROLE)
    known = bench.cloud._resolver._validation._known
    (key,) = [key for key, (_, verdict) in known._values.items() if verdict.status == "False"]
    left_s = known._values[key][0] - bench.cloud._clock.monotonic()
    assert left_s <= 60.0
    known.drop(key)
    assert said(await bench.cloud.resolve(node_class)) == {}


async def test_while_aws_does_not_answer_what_was_known_stays(bench: Bench) -> None:
    bench.cloud = bench.another()
    before = bench.objects.classes["default"]
    await asyncio.to_thread(bench.control.faults, FaultRule("ec2:DescribeSubnets", "error", 1.0))
    bench.cloud.client._clock = Hasty()
    status = await bench.cloud.resolve(before)
    assert status.subnets == before.status.subnets
    assert status.conditions["SubnetsReady"] == before.status.conditions["SubnetsReady"]


class Hasty(RealClock):
    """A clock that does not wait between attempts."""

    async def sleep(self, duration: timedelta) -> None:
        return


async def test_nothing_is_left_of_a_node_class_that_goes(bench: Bench) -> None:
    before = bench.control.inventory()
    await bench.adopt(bench.node_class({**SPEC, "context": "x"}, "second"))
    machine = await bench.cloud.create(
        replace(claim_of("second-a"), node_class=replace(claim_of("x").node_class, name="second"))
    )
    await bench.cloud.delete(machine.provider_id)
    await bench.cloud.release(bench.objects.classes["second"])
    left = bench.control.inventory().beyond(before)
    assert not {kind: names for kind, names in left.items() if "template" in kind or "profile" in kind}


async def test_drift_has_a_reason(bench: Bench) -> None:
    machine = await bench.cloud.create(claim_of("default-a"))
    asked = claim_of("default-a")
    meta = replace(asked.meta, labels={**asked.labels, **machine.labels}, annotations=machine.annotations)
    claim = replace(asked, meta=meta, provider_id=machine.provider_id, image_id=machine.image_id)
    node_class = bench.objects.classes["default"]
    assert await bench.cloud.drift_of(claim) is None
    assert await bench.cloud.static_hash(node_class) == machine.annotations[NODECLASS_HASH]

    def now(**status: Any) -> None:
        bench.objects.classes["default"] = replace(node_class, status=replace(node_class.status, **status))

    bench.objects.classes["default"] = replace(node_class, spec=bench.node_class({**SPEC, "tags": {"a": "b"}}).spec)
    assert await bench.cloud.drift_of(claim) == "NodeClassDrift"
    now(amis=tuple(type(each)(id="ami-0", name="", requirements=each.requirements) for each in node_class.status.amis))
    assert await bench.cloud.drift_of(claim) == "AMIDrift"
    now(security_groups=(type(node_class.status.security_groups[0])(id="sg-0"),))
    assert await bench.cloud.drift_of(claim) == "SecurityGroupDrift"
    now(
        subnets=tuple(
            type(each)(id="subnet-0", zone=each.zone, zone_id=each.zone_id) for each in node_class.status.subnets
        )
    )
    assert await bench.cloud.drift_of(claim) == "SubnetDrift"
    now(subnets=())
    with pytest.raises(NodeClassNotReady):
        await bench.cloud.drift_of(claim)


async def test_validation_asks_with_a_type_of_the_node_pools(bench: Bench) -> None:
    wanted = Requirements.of([Requirement(INSTANCE_TYPE, frozenset({"r6g.xlarge"}))])
    bench.objects.pools = [NodePool(meta=ObjectMeta("memory"), requirements=wanted)]
    bench.cloud = bench.another()
    await bench.adopt(bench.node_class(SPEC))
    dry = [call for call in bench.calls("ec2:CreateFleet") if call.params.get("DryRun")][-1]
    (config,) = dry.params["LaunchTemplateConfigs"]
    assert {each["InstanceType"] for each in config["Overrides"]} == {"r6g.xlarge"}
    tags = {tag["Key"]: tag["Value"] for tag in dry.params["TagSpecifications"][0]["Tags"]}
    assert tags[NODEPOOL] == "memory"


async def test_without_dry_run_nothing_is_asked(bench: Bench) -> None:
    cloud = bench.another(AwsSettings(cluster_name=CLUSTER, region=REGION, is_dry_run_disabled=True))
    seen = len(bench.calls("ec2:CreateFleet", "ec2:RunInstances", "ec2:CreateLaunchTemplate"))
    assert said(await cloud.resolve(bench.node_class(SPEC))) == {}
    assert len(bench.calls("ec2:CreateFleet", "ec2:RunInstances", "ec2:CreateLaunchTemplate")) == seen


@pytest.mark.parametrize(
    ("kubelet", "reason"),
    [
        ({"maxPods": "vcpus * 8"}, "KubeletExpressionsDisabled"),
        ({"registryPullQps": 7}, "InvalidKubeletConfiguration"),
    ],
)
async def test_settings_of_the_kubelet_that_nodes_cannot_start_with_are_said(
    bench: Bench, kubelet: dict[str, Any], reason: str
) -> None:
    status = await bench.adopt(bench.node_class({**SPEC, "kubelet": kubelet}))
    condition = status.conditions["ValidationSucceeded"]
    assert (condition.status, condition.reason) == ("False", reason)
    with pytest.raises(NodeClassNotReady):
        await bench.cloud.create(claim_of("default-a"))


async def test_an_expression_without_a_result_for_a_type_is_said_with_the_type(bench: Bench) -> None:
    bench.cloud = bench.another(replace(bench.settings, is_cel_enabled=True))
    status = await bench.adopt(bench.node_class({**SPEC, "kubelet": {"maxPods": "vcpus - 2"}}))
    condition = status.conditions["ValidationSucceeded"]
    assert (condition.status, condition.reason) == ("False", "KubeletExpressionEvaluationFailed")
    assert "maxPods for " in condition.message
    assert "is negative" in condition.message


async def test_each_type_starts_with_what_its_expressions_come_to(bench: Bench) -> None:
    bench.cloud = bench.another(replace(bench.settings, is_cel_enabled=True))
    kubelet = {"maxPods": "110", "kubeReserved": {"cpu": "vcpus * 30"}, "registryPullQPS": 7}
    assert said(await bench.adopt(bench.node_class({**SPEC, "kubelet": kubelet}))) == {}
    seen = len(bench.calls("ec2:CreateLaunchTemplate"))
    machine = await bench.cloud.create(claim_of("default-a", types=("t4g.large", "m7g.xlarge")))
    assert machine.capacity["pods"] == 110
    made = bench.calls("ec2:CreateLaunchTemplate")[seen:]
    texts = [base64.b64decode(call.params["LaunchTemplateData"]["UserData"]).decode() for call in made]
    configs = [yaml.safe_load(read_archive(text)[-1].body)["spec"]["kubelet"]["config"] for text in texts]
    assert {(each["maxPods"], each["kubeReserved"]["cpu"], each["registryPullQPS"]) for each in configs} == {
        (110, "60m", 7),
        (110, "120m", 7),
    }
