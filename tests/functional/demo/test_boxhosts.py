"""A kubelet on AWS in a box joins only with user data that says how, and a role that is let in."""

import base64
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.api.kinds import CONFIG_MAP
from nodesmith.sim.aws import account
from nodesmith.sim.aws.box import Box
from nodesmith.sim.world.boxhosts import BoxHosts
from nodesmith.sim.world.hosts import Registration, TurnedAway
from tests.unit.sim.world.test_nodes import ARCHIVE

REGION = "ap-northeast-2"
ROLE = "arn:aws:iam::123456789012:role/nodes"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


class Bench:
    def __init__(self, box: Box, client: Callable[[str], Any]) -> None:
        self.box = box
        self.client = client
        self.base = account.prepare(box.url, region=REGION, cluster_name="demo", client=client)
        self.server = ApiServer(RealClock().now, random.Random(1))
        self.hosts = BoxHosts(box, self.server, "demo")
        iam = client("iam")
        iam.create_role(RoleName="nodes", AssumeRolePolicyDocument=json.dumps(TRUST))
        iam.create_instance_profile(InstanceProfileName="nodes")
        iam.add_role_to_instance_profile(InstanceProfileName="nodes", RoleName="nodes")

    def launch(self, user_data: str = ARCHIVE, profile: str | None = "nodes") -> Registration | TurnedAway:
        """What becomes of an instance with this user data and profile."""
        image = self.client("ssm").get_parameter(
            Name="/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/arm64/standard/recommended/image_id"
        )["Parameter"]["Value"]
        data: dict[str, Any] = {
            "ImageId": image,
            "InstanceType": "t4g.medium",
            "UserData": base64.b64encode(user_data.encode()).decode(),
        }
        if profile:
            data["IamInstanceProfile"] = {"Name": profile}
        ec2 = self.client("ec2")
        ec2.create_launch_template(LaunchTemplateName="nodes", LaunchTemplateData=data)
        answer = ec2.create_fleet(
            Type="instant",
            LaunchTemplateConfigs=[
                {
                    "LaunchTemplateSpecification": {"LaunchTemplateName": "nodes", "Version": "$Latest"},
                    "Overrides": [{"SubnetId": self.base.subnet_ids[f"{REGION}a"], "InstanceType": "t4g.medium"}],
                }
            ],
            TargetCapacitySpecification={"DefaultTargetCapacityType": "on-demand", "TotalTargetCapacity": 1},
        )
        (instance_id,) = answer["Instances"][0]["InstanceIds"]
        host = self.hosts.running()[instance_id]
        assert host.provider_id == f"aws:///{REGION}a/{instance_id}"
        assert self.hosts.exists(host.provider_id)
        return self.hosts.register(host)

    def map_in_aws_auth(self, *groups: str) -> None:
        rows = json.dumps([{"rolearn": ROLE, "username": "x", "groups": list(groups)}])
        metadata = {"name": "aws-auth", "namespace": "kube-system"}
        self.server.create(CONFIG_MAP, {"metadata": metadata, "data": {"mapRoles": rows}})


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(seed=9, region=REGION) as running:
        yield running


@pytest.fixture(scope="module")
def client(box: Box) -> Callable[[str], Any]:
    return account.clients(box.url, REGION)


@pytest.fixture
def bench(box: Box, client: Callable[[str], Any]) -> Bench:
    box.reset()
    return Bench(box, client)


def test_a_mapped_role_joins_as_its_user_data_says(bench: Bench) -> None:
    bench.map_in_aws_auth("system:bootstrappers", "system:nodes")
    joined = bench.launch()
    assert isinstance(joined, Registration)
    assert joined.labels["karpenter.sh/nodepool"] == "default"
    assert [str(taint) for taint in joined.taints] == ["karpenter.sh/unregistered:NoExecute"]
    assert joined.capacity["pods"] == 20
    assert joined.capacity["cpu"] == 2000
    assert joined.allocatable["cpu"] == 1930
    assert 3.2 < joined.allocatable["memory"] / 2**30 < 3.6
    assert joined.cloud_labels["topology.kubernetes.io/zone"] == f"{REGION}a"


def test_an_access_entry_lets_in_too(bench: Bench) -> None:
    bench.client("eks").create_access_entry(clusterName="demo", principalArn=ROLE, type="EC2_LINUX")
    assert isinstance(bench.launch(), Registration)


def test_an_access_entry_counts_for_nothing_where_only_the_config_map_does(bench: Bench) -> None:
    bench.client("eks").create_access_entry(clusterName="demo", principalArn=ROLE, type="EC2_LINUX")
    bench.box.control.cluster("demo", authentication_mode="CONFIG_MAP")
    assert isinstance(bench.launch(), TurnedAway)


def turned_away(answer: Registration | TurnedAway) -> str:
    assert isinstance(answer, TurnedAway)
    return answer.reason


def test_others_stay_outside_and_it_is_told_why(bench: Bench) -> None:
    assert "is mapped neither in aws-auth nor by an access entry" in turned_away(bench.launch())


def test_a_role_mapped_to_half_the_groups_is_not_let_in(bench: Bench) -> None:
    bench.map_in_aws_auth("system:nodes")
    assert "is mapped neither" in turned_away(bench.launch())


def test_an_instance_without_a_role_is_not_let_in(bench: Bench) -> None:
    assert "no role" in turned_away(bench.launch(profile=None))


@pytest.mark.parametrize(
    ("user_data", "why"),
    [
        ("#!/bin/bash\necho hello\n", "no NodeConfig"),
        (ARCHIVE.replace("name: demo", "name: other"), "names cluster 'other'"),
    ],
)
def test_user_data_that_does_not_lead_to_the_cluster(bench: Bench, user_data: str, why: str) -> None:
    bench.map_in_aws_auth("system:bootstrappers", "system:nodes")
    assert why in turned_away(bench.launch(user_data))
