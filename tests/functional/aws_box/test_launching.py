from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from nodesmith.sim.aws import account
from nodesmith.sim.aws.control import PoolRule
from tests.functional.aws_box.conftest import REGION, START, Bench, tags


def codes(answer: dict[str, Any]) -> set[str]:
    return {error["ErrorCode"] for error in answer["Errors"]}


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_lowest_price_buys_the_cheapest_of_all_overrides(bench: Bench) -> None:
    bench.template(architecture="x86_64")
    answer = bench.fleet("m5.24xlarge", "c5.large", "t3.small")
    assert [entry["InstanceType"] for entry in answer["Instances"]] == ["t3.small"]
    assert answer["Errors"] == []


def test_prioritized_goes_by_priority_and_not_by_price(bench: Bench) -> None:
    bench.template()
    subnet = bench.base.subnet_ids[f"{REGION}a"]
    answer = bench.ec2.create_fleet(
        Type="instant",
        LaunchTemplateConfigs=[
            {
                "LaunchTemplateSpecification": {"LaunchTemplateName": "node"},
                "Overrides": [
                    {"InstanceType": "t4g.small", "SubnetId": subnet, "Priority": 2},
                    {"InstanceType": "m6g.large", "SubnetId": subnet, "Priority": 1},
                ],
            }
        ],
        TargetCapacitySpecification={"DefaultTargetCapacityType": "on-demand", "TotalTargetCapacity": 1},
        OnDemandOptions={"AllocationStrategy": "prioritized"},
    )
    assert answer["Instances"][0]["InstanceType"] == "m6g.large"


def test_spot_takes_the_pool_with_the_lowest_price(bench: Bench) -> None:
    bench.template()
    history = bench.ec2.describe_spot_price_history(InstanceTypes=["m6g.large", "m7g.large", "c7g.large"])
    prices = {(r["InstanceType"], r["AvailabilityZone"]): float(r["SpotPrice"]) for r in history["SpotPriceHistory"]}
    prices = {pool: price for pool, price in prices.items() if pool[1] != f"{REGION}d"}
    taken = bench.fleet("m6g.large", "m7g.large", "c7g.large", market="spot")["Instances"][0]
    zone = taken["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"]
    assert (taken["InstanceType"], zone) == min(prices, key=lambda pool: prices[pool])
    assert taken["Lifecycle"] == "spot"


def test_an_instance_is_what_template_and_request_say(bench: Bench) -> None:
    bench.profile()
    bench.template(
        IamInstanceProfile={"Name": "node-profile"},
        Monitoring={"Enabled": True},
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "HttpEndpoint": "enabled"},
        BlockDeviceMappings=[
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {"VolumeSize": 50, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True},
            }
        ],
    )
    specs = [tags(kind, purpose="test") for kind in ("instance", "volume", "fleet")]
    answer = bench.fleet("t4g.medium", zones="b", TagSpecifications=specs)
    found = bench.instance(answer["Instances"][0]["InstanceIds"][0])
    named = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
    assert found["SubnetId"] == bench.base.subnet_ids[f"{REGION}b"]
    assert found["Placement"]["AvailabilityZone"] == f"{REGION}b"
    assert [g["GroupId"] for g in found["SecurityGroups"]] == [bench.base.security_group_id]
    assert found["IamInstanceProfile"]["Arn"].endswith(":instance-profile/karpenter/node-profile")
    assert [d["DeviceName"] for d in found["BlockDeviceMappings"]] == ["/dev/xvda"]
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert found["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    assert found["Monitoring"]["State"] == "enabled"
    assert found["PrivateDnsName"] == f"ip-{found['PrivateIpAddress'].replace('.', '-')}.{REGION}.compute.internal"
    assert found["Architecture"] == "arm64"
    assert found["LaunchTime"] == START
    assert named["purpose"] == "test"
    assert named["aws:ec2:fleet-id"] == answer["FleetId"]
    assert named["aws:ec2launchtemplate:version"] == "1"
    volume = bench.ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [found["InstanceId"]]}])
    assert [(v["Size"], v["Encrypted"], v["Tags"]) for v in volume["Volumes"]] == [
        (50, True, [{"Key": "purpose", "Value": "test"}])
    ]


def test_several_network_cards_are_kept_apart(bench: Bench) -> None:
    group = bench.base.security_group_id
    nics = [
        {"DeviceIndex": 0, "NetworkCardIndex": 0, "InterfaceType": "efa", "Groups": [group]},
        {"DeviceIndex": 1, "NetworkCardIndex": 1, "InterfaceType": "efa", "Groups": [group]},
        {"DeviceIndex": 1, "NetworkCardIndex": 2, "InterfaceType": "efa-only", "Groups": [group]},
    ]
    bench.template(architecture="x86_64", NetworkInterfaces=nics, SecurityGroupIds=[])
    found = bench.instance(bench.launch("m5.large"))["NetworkInterfaces"]
    shown = [(n["Attachment"]["NetworkCardIndex"], n["Attachment"]["DeviceIndex"], n["InterfaceType"]) for n in found]
    assert shown == [(0, 0, "efa"), (1, 1, "efa"), (2, 1, "efa-only")]
    assert len({n["PrivateIpAddress"] for n in found}) == 3


def test_a_spot_instance_has_a_request_and_a_lifecycle(bench: Bench) -> None:
    bench.template()
    found = bench.instance(bench.launch("t4g.small", market="spot"))
    assert found["InstanceLifecycle"] == "spot"
    assert found["SpotInstanceRequestId"].startswith("sir-")


def test_states_follow_the_clock(bench: Bench) -> None:
    bench.template()
    bench.control.timing(pending=timedelta(seconds=20), shutting_down=timedelta(seconds=30))
    instance_id = bench.launch("t4g.small")
    assert bench.state(instance_id) == "pending"
    bench.hands.move(timedelta(seconds=19))
    assert bench.state(instance_id) == "pending"
    bench.hands.move(timedelta(seconds=1))
    assert bench.state(instance_id) == "running"
    changed = bench.ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
    assert (changed["PreviousState"]["Name"], changed["CurrentState"]["Name"]) == ("running", "shutting-down")
    assert bench.state(instance_id) == "shutting-down"
    bench.hands.move(timedelta(seconds=30))
    assert bench.state(instance_id) == "terminated"
    bench.hands.move(timedelta(hours=1, seconds=1))
    with pytest.raises(ClientError) as gone:
        bench.instance(instance_id)
    assert code_of(gone) == "InvalidInstanceID.NotFound"


def test_an_ended_instance_gives_everything_back(bench: Bench) -> None:
    bench.template()
    before = bench.control.inventory()
    free = bench.ec2.describe_subnets(SubnetIds=list(bench.base.subnet_ids.values()))["Subnets"]
    instance_id = bench.launch("t4g.small")
    assert bench.control.inventory().beyond(before).keys() == {"instances", "network_interfaces", "volumes"}
    bench.ec2.terminate_instances(InstanceIds=[instance_id])
    bench.ec2.terminate_instances(InstanceIds=[instance_id])
    assert bench.control.inventory().beyond(before) == {}
    after = bench.ec2.describe_subnets(SubnetIds=list(bench.base.subnet_ids.values()))["Subnets"]
    assert [s["AvailableIpAddressCount"] for s in after] == [s["AvailableIpAddressCount"] for s in free]


def test_a_pool_without_capacity_is_passed_over_and_reported(bench: Bench) -> None:
    bench.template()
    bench.control.ice(PoolRule("spot", "t4g.small", "*"))
    answer = bench.fleet("t4g.small", "m6g.large", market="spot")
    assert answer["Instances"][0]["InstanceType"] == "m6g.large"
    assert codes(answer) == {"UnfulfillableCapacity"}
    assert len(answer["Errors"]) == 3


def test_no_capacity_anywhere_is_an_answer_and_not_an_error(bench: Bench) -> None:
    bench.template()
    bench.control.ice(PoolRule("on-demand"))
    answer = bench.fleet("t4g.small")
    assert answer["Instances"] == []
    assert codes(answer) == {"InsufficientInstanceCapacity"}
    bench.control.ice()
    assert bench.fleet("t4g.small")["Instances"]


def test_a_pool_may_have_a_few_left_and_a_code_of_its_own(bench: Bench) -> None:
    bench.template()
    bench.control.ice(PoolRule("on-demand", "t4g.small", "*", left=2, code="VcpuLimitExceeded"))
    first = bench.fleet("t4g.small", "m6g.large", zones="a", count=3)
    assert [(i["InstanceType"], len(i["InstanceIds"])) for i in first["Instances"]] == [
        ("t4g.small", 2),
        ("m6g.large", 1),
    ]
    second = bench.fleet("t4g.small", zones="a")
    assert (second["Instances"], codes(second)) == ([], {"VcpuLimitExceeded"})


@pytest.mark.parametrize(
    ("types", "how", "code"),
    [
        (("p5.48xlarge",), {"zones": "c"}, "Unsupported"),
        (("zz.large",), {}, "Unsupported"),
        (("m5.large",), {}, "InvalidParameterValue"),
        (("t4g.small",), {"override": {"ImageId": "ami-0123"}}, "InvalidAMIID.NotFound"),
        (("t4g.small",), {"override": {"SubnetId": "subnet-0123"}}, "InvalidSubnetID.NotFound"),
        (("t4g.small",), {"market": "spot", "override": {"MaxPrice": "0.0001"}}, "SpotMaxPriceTooLow"),
    ],
    ids=["not-in-zone", "no-such-type", "architecture", "image", "subnet", "max-price"],
)
def test_what_cannot_be_launched_is_reported_for_its_override(
    bench: Bench, types: tuple[str, ...], how: dict[str, Any], code: str
) -> None:
    bench.template()
    answer = bench.fleet(*types, **how)
    assert (answer["Instances"], codes(answer)) == ([], {code})


def test_a_wrong_profile_and_foreign_groups_are_reported(bench: Bench) -> None:
    bench.template("no-profile", IamInstanceProfile={"Name": "absent"})
    answer = bench.fleet("t4g.small", template="no-profile")
    assert "iamInstanceProfile.name is invalid" in answer["Errors"][0]["ErrorMessage"]
    vpc = bench.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    foreign = bench.ec2.create_security_group(GroupName="f", Description="d", VpcId=vpc)["GroupId"]
    bench.template("foreign", SecurityGroupIds=[foreign])
    answer = bench.fleet("t4g.small", template="foreign")
    assert "belong to different networks" in answer["Errors"][0]["ErrorMessage"]


def test_a_full_subnet_is_reported(bench: Bench) -> None:
    bench.template()
    vpc = bench.base.vpc_id
    small = bench.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.255.0/28", AvailabilityZone=f"{REGION}a")["Subnet"]
    how: dict[str, Any] = {"zones": "a", "override": {"SubnetId": small["SubnetId"]}}
    full = bench.fleet("t4g.small", count=11, **how)
    assert len(full["Instances"][0]["InstanceIds"]) == 11
    assert codes(bench.fleet("t4g.small", **how)) == {"InsufficientFreeAddressesInSubnet"}


def test_the_same_token_is_the_same_fleet(bench: Bench) -> None:
    bench.template()
    first, second = (bench.fleet("t4g.small", ClientToken="claim-1") for _ in range(2))
    assert first["FleetId"] == second["FleetId"]
    assert first["Instances"][0]["InstanceIds"] == second["Instances"][0]["InstanceIds"]
    assert len(bench.control.inventory().of("instances")) == 1


def test_dry_runs_launch_nothing_and_check(bench: Bench) -> None:
    bench.template()
    for call in (
        lambda: bench.fleet("t4g.small", DryRun=True),
        lambda: bench.ec2.run_instances(
            ImageId=bench.image(), InstanceType="t4g.small", MinCount=1, MaxCount=1, DryRun=True
        ),
        lambda: bench.ec2.create_launch_template(
            LaunchTemplateName="dry", LaunchTemplateData={"ImageId": bench.image()}, DryRun=True
        ),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        assert code_of(refused) == "DryRunOperation"
    assert bench.control.inventory().of("instances") == []
    assert bench.control.inventory().of("launch_templates") == ["node"]


def test_run_instances_takes_the_template_and_what_is_said_beside_it(bench: Bench) -> None:
    bench.profile()
    bench.template(
        IamInstanceProfile={"Name": "node-profile"},
        MetadataOptions={"HttpTokens": "required"},
        TagSpecifications=[tags("instance", origin="template")],
    )
    made = bench.ec2.run_instances(
        LaunchTemplate={"LaunchTemplateName": "node"},
        InstanceType="t4g.small",
        SubnetId=bench.base.subnet_ids[f"{REGION}c"],
        MinCount=2,
        MaxCount=2,
        TagSpecifications=[tags("instance", more="request")],
    )["Instances"]
    assert [i["State"]["Name"] for i in made] == ["pending", "pending"]
    found = bench.instance(made[1]["InstanceId"])
    assert found["Placement"]["AvailabilityZone"] == f"{REGION}c"
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert "IamInstanceProfile" in found
    assert {"origin", "more"} <= {tag["Key"] for tag in found["Tags"]}


def test_the_same_seed_and_calls_give_the_same_ids(bench: Bench) -> None:
    def story() -> list[str]:
        bench.template()
        return [bench.launch("t4g.small", ClientToken=f"claim-{n}") for n in range(3)]

    first = story()
    bench.box.reset()
    assert account.prepare(bench.box.url, region=REGION, client=bench.client) == bench.base
    assert story() == first
