from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from nodesmith.adapters.aws.policy import evaluate, parse
from nodesmith.sim.aws import account
from nodesmith.sim.aws.control import ControlError, FaultRule
from tests.functional.aws_box.conftest import NODE_TRUST, REGION, Bench, tags
from tests.functional.aws_box.test_launching import code_of


def test_throttling_and_errors_hit_the_calls_they_are_meant_for(bench: Bench) -> None:
    bench.control.faults(
        FaultRule("ec2:DescribeSubnets", "throttle"), FaultRule("iam:*", "throttle"), FaultRule("sqs:*", "error")
    )
    for call, code, status in (
        (bench.ec2.describe_subnets, "RequestLimitExceeded", 503),
        (bench.client("iam").list_roles, "Throttling", 400),
        (bench.client("sqs").list_queues, "InternalError", 500),
    ):
        with pytest.raises(ClientError) as failed:
            call()
        assert code_of(failed) == code
        assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert bench.ec2.describe_vpcs()["Vpcs"]
    bench.control.faults()
    assert bench.ec2.describe_subnets()["Subnets"]


def test_a_fault_with_a_count_ends_by_itself(bench: Bench) -> None:
    bench.template()
    bench.control.faults(FaultRule("ec2:CreateFleet", "error", code="InternalError", times=1))
    with pytest.raises(ClientError):
        bench.fleet("t4g.small")
    assert bench.fleet("t4g.small")["Instances"]
    assert len(bench.control.inventory().of("instances")) == 1


def test_a_lost_reply_leaves_what_the_call_did(bench: Bench) -> None:
    bench.template()
    bench.control.faults(FaultRule("ec2:CreateFleet", "lost-reply", times=1))
    with pytest.raises(ClientError):
        bench.fleet("t4g.small", ClientToken="claim-1")
    (made,) = bench.control.inventory().of("instances")
    assert bench.fleet("t4g.small", ClientToken="claim-1")["Instances"][0]["InstanceIds"] == [made]


def test_a_slow_call_is_late_and_holds_nobody_up(bench: Bench) -> None:
    bench.control.faults(FaultRule("ec2:DescribeVpcs", "slow", delay_s=1))
    start = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(bench.ec2.describe_vpcs)
        bench.client("iam").list_roles()
        assert not slow.done()
        slow.result()
    assert time.monotonic() - start >= 1


def test_what_is_new_may_not_be_seen_yet(bench: Bench) -> None:
    bench.template()
    bench.hands.move(timedelta(seconds=5))
    bench.control.faults(FaultRule("ec2:*", "eventual", window_s=5))
    instance_id = bench.launch("t4g.small")
    for call in (
        lambda: bench.instance(instance_id),
        lambda: bench.ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "a", "Value": "b"}]),
    ):
        with pytest.raises(ClientError) as unseen:
            call()
        assert code_of(unseen) == "InvalidInstanceID.NotFound"
    assert bench.ec2.describe_instances()["Reservations"] == []
    bench.hands.move(timedelta(seconds=5))
    assert bench.instance(instance_id)
    assert len(bench.ec2.describe_instances()["Reservations"]) == 1


def test_a_launch_template_and_a_profile_may_be_unseen_too(bench: Bench) -> None:
    bench.control.faults(FaultRule("ec2:CreateFleet", "eventual", window_s=5))
    bench.profile()
    bench.template(IamInstanceProfile={"Name": "node-profile"})
    with pytest.raises(ClientError) as unseen:
        bench.fleet("t4g.small")
    assert code_of(unseen) == "InvalidLaunchTemplateName.NotFoundException"
    bench.hands.move(timedelta(seconds=5))
    assert bench.fleet("t4g.small")["Instances"]


def test_which_of_many_calls_fail_is_repeatable(bench: Bench) -> None:
    bench.template()

    def story() -> list[str]:
        bench.box.reset()
        bench.control.faults(FaultRule("ec2:DescribeRegions", "error", probability=0.3))
        outcomes = []
        for _ in range(30):
            try:
                bench.ec2.describe_regions()
                outcomes.append("ok")
            except ClientError:
                outcomes.append("failed")
        return outcomes

    first = story()
    assert {"ok", "failed"} == set(first)
    assert story() == first


def test_the_journal_has_every_call_with_what_it_needed(bench: Bench) -> None:
    bench.profile()
    bench.template(IamInstanceProfile={"Name": "node-profile"}, TagSpecifications=[tags("network-interface", team="a")])
    seen = bench.control.calls()[-1].number
    specs = [tags(kind, team="a") for kind in ("instance", "volume", "fleet")]
    bench.fleet("t4g.small", "m6g.large", market="spot", TagSpecifications=specs)
    with pytest.raises(ClientError):
        bench.ec2.describe_instances(InstanceIds=["i-0"])
    fleet, describe = bench.control.calls(after=seen)
    assert (fleet.name, fleet.status, fleet.error, fleet.region) == ("ec2:CreateFleet", 200, None, REGION)
    assert fleet.params["TargetCapacitySpecification"]["DefaultTargetCapacityType"] == "spot"
    assert (describe.name, describe.error) == ("ec2:DescribeInstances", "InvalidInstanceID.NotFound")
    arn = f"arn:aws:ec2:{REGION}:123456789012:"
    needed = {(need.action, need.resource): need.context for need in fleet.needed}
    assert needed["ec2:RunInstances", arn + "instance/*"]["aws:RequestTag/team"] == "a"
    assert needed["ec2:RunInstances", arn + "network-interface/*"]["aws:RequestTag/team"] == "a"
    assert needed["ec2:CreateFleet", arn + "fleet/*"]["aws:TagKeys"] == ["team"]
    assert needed["ec2:CreateTags", arn + "volume/*"]["ec2:CreateAction"] == "RunInstances"
    assert (
        needed["iam:PassRole", "arn:aws:iam::123456789012:role/node-role"]["iam:PassedToService"] == "ec2.amazonaws.com"
    )
    of_template = [context for (_, resource), context in needed.items() if ":launch-template/" in resource]
    assert [context["aws:ResourceTag/owner"] for context in of_template] == ["test", "test"]
    assert {f"{arn}subnet/{s}" for s in bench.base.subnet_ids.values()} <= {resource for _, resource in needed}
    assert bench.control.calls(forget=True)
    assert bench.control.calls() == []


OWNED = {"aws:ResourceTag/team": "a"}
ASKED = {"aws:RequestTag/team": "a"}
LAUNCH = ["ec2:RunInstances", "ec2:CreateFleet"]
MADE = [f"arn:aws:ec2:*:*:{k}/*" for k in ("fleet", "instance", "volume", "network-interface", "launch-template")]
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": LAUNCH,
            "Resource": ["arn:aws:ec2:*::image/*", "arn:aws:ec2:*:*:subnet/*", "arn:aws:ec2:*:*:security-group/*"],
        },
        {
            "Effect": "Allow",
            "Action": LAUNCH,
            "Resource": "arn:aws:ec2:*:*:launch-template/*",
            "Condition": {"StringEquals": OWNED},
        },
        {
            "Effect": "Allow",
            "Action": [*LAUNCH, "ec2:CreateLaunchTemplate"],
            "Resource": [*MADE, "arn:aws:ec2:*:*:spot-instances-request/*"],
            "Condition": {"StringEquals": ASKED},
        },
        {
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": [*MADE, "arn:aws:ec2:*:*:spot-instances-request/*"],
            "Condition": {
                "StringEquals": {**ASKED, "ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"]}
            },
        },
        {
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": "arn:aws:ec2:*:*:instance/*",
            "Condition": {"StringEquals": OWNED, "ForAllValues:StringEquals": {"aws:TagKeys": ["Name"]}},
        },
        {
            "Effect": "Allow",
            "Action": ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
            "Resource": ["arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:*:*:launch-template/*"],
            "Condition": {"StringEquals": OWNED},
        },
        {
            "Effect": "Allow",
            "Action": "ec2:Describe*",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": REGION}},
        },
        {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": f"arn:aws:ssm:{REGION}::parameter/aws/service/*"},
    ],
}


def assumed(bench: Bench, policy: dict[str, Any]) -> Any:
    """A maker of clients with a role's credentials."""
    iam = bench.client("iam")
    iam.create_role(RoleName="controller", AssumeRolePolicyDocument=NODE_TRUST)
    iam.put_role_policy(RoleName="controller", PolicyName="p", PolicyDocument=json.dumps(policy))
    arn = "arn:aws:iam::123456789012:role/controller"
    got = bench.client("sts").assume_role(RoleArn=arn, RoleSessionName="controller")["Credentials"]
    session = boto3.session.Session(got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"], REGION)
    config = Config(retries={"total_max_attempts": 1})
    make: Any = session.client
    return lambda service: make(service, endpoint_url=bench.box.url, config=config)


def denied(call: Any, code: str = "UnauthorizedOperation") -> str:
    with pytest.raises(ClientError) as refused:
        call()
    assert code_of(refused) == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    return str(refused.value)


def test_enforced_permissions_look_at_resources_and_conditions(bench: Bench) -> None:
    bench.template("other")
    stranger = bench.launch("t4g.small", template="other")
    image, ec2 = bench.image(), assumed(bench, POLICY)("ec2")
    mine = Bench(bench.box, bench.hands, bench.base, lambda _: ec2)
    bench.control.enforce_iam(on=True)
    data = {"ImageId": image, "TagSpecifications": [tags("network-interface", team="a")]}
    denied(lambda: ec2.create_launch_template(LaunchTemplateName="node", LaunchTemplateData=data))
    ec2.create_launch_template(
        LaunchTemplateName="node", LaunchTemplateData=data, TagSpecifications=[tags("launch-template", team="a")]
    )
    some = [tags("instance", team="a"), tags("fleet", team="a")]
    assert "volume/*" in denied(lambda: mine.fleet("t4g.small", TagSpecifications=some))
    everything = [*some, tags("volume", team="a")]
    assert "launch-template/" in denied(lambda: mine.fleet("t4g.small", template="other", TagSpecifications=everything))
    instance_id = mine.launch("t4g.small", TagSpecifications=everything)
    ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "Name", "Value": "n"}])
    denied(lambda: ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "owner", "Value": "n"}]))
    denied(lambda: ec2.terminate_instances(InstanceIds=[stranger]))
    with pytest.raises(ClientError) as dry:
        mine.fleet("t4g.small", TagSpecifications=everything, DryRun=True)
    assert code_of(dry) == "DryRunOperation"
    ec2.terminate_instances(InstanceIds=[instance_id])
    ec2.delete_launch_template(LaunchTemplateName="node")
    assert ec2.describe_subnets()["Subnets"]
    ec2.close()


def test_other_services_are_checked_too_and_an_owner_may_do_everything(bench: Bench) -> None:
    make = assumed(bench, POLICY)
    bench.control.enforce_iam(on=True)
    ssm, iam, sqs = make("ssm"), make("iam"), make("sqs")
    assert ssm.get_parameter(Name="/aws/service/bottlerocket/aws-k8s-1.35/arm64/latest/image_id")
    denied(lambda: ssm.get_parameter(Name="/mine"), "AccessDeniedException")
    denied(iam.list_instance_profiles, "AccessDenied")
    denied(lambda: sqs.create_queue(QueueName="q"), "AccessDeniedException")
    assert make("sts").get_caller_identity()["Arn"].endswith(":assumed-role/controller/controller")
    assert bench.client("iam").list_roles()["Roles"]
    for client in (ssm, iam, sqs):
        client.close()


def test_spot_needs_its_role_or_the_right_to_make_it(bench: Bench) -> None:
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]}
    bench.template()
    ec2 = assumed(bench, everything)("ec2")
    mine = Bench(bench.box, bench.hands, bench.base, lambda _: ec2)
    bench.control.enforce_iam(on=True)
    refused = mine.fleet("t4g.small", market="spot")
    assert {e["ErrorCode"] for e in refused["Errors"]} == {"AuthFailure.ServiceLinkedRoleCreationNotPermitted"}
    bench.client("iam").create_service_linked_role(AWSServiceName="spot.amazonaws.com")
    assert mine.fleet("t4g.small", market="spot")["Instances"]
    ec2.close()


def test_the_journal_s_needs_can_be_judged_by_any_policy(bench: Bench) -> None:
    bench.template()
    bench.launch("t4g.small", TagSpecifications=[tags("instance", team="a")])
    call = bench.control.calls()[-1]
    statements = parse(POLICY)
    verdicts = {need.resource: evaluate(statements, need.action, need.resource, need.context) for need in call.needed}
    assert verdicts[f"arn:aws:ec2:{REGION}:123456789012:instance/*"].is_allowed
    assert not verdicts[f"arn:aws:ec2:{REGION}:123456789012:volume/*"].is_allowed


def test_a_wrong_control_request_says_what_is_wrong(bench: Bench) -> None:
    with pytest.raises(ControlError, match="no such control"):
        bench.control._post("nonsense", {})
    with pytest.raises(ControlError, match="KeyError"):
        bench.control._post("event", {})


def test_many_at_once_lose_and_double_nothing(bench: Bench) -> None:
    bench.template()

    def launch(number: int) -> str:
        return bench.launch("t4g.small", "m6g.large", market="spot", ClientToken=f"claim-{number}")

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(launch, range(40)))
    assert len(set(made)) == 40
    found = bench.ec2.describe_instances(InstanceIds=made)["Reservations"]
    assert len({r["Instances"][0]["PrivateIpAddress"] for r in found}) == 40
    bench.ec2.terminate_instances(InstanceIds=made)
    assert not bench.control.inventory().of("network_interfaces")


def test_ids_do_not_depend_on_who_comes_first(bench: Bench) -> None:
    def story(order: list[int]) -> dict[int, str]:
        return {n: bench.launch("t4g.small", ClientToken=f"claim-{n}") for n in order}

    bench.template()
    first = story([0, 1, 2, 3])
    bench.box.reset()
    account.prepare(bench.box.url, region=REGION, client=bench.client)
    bench.template()
    assert story([3, 1, 0, 2]) == first
