from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nodesmith.sim.aws import account
from nodesmith.sim.aws.account import Baseline
from nodesmith.sim.aws.box import Box
from nodesmith.sim.aws.control import Control

REGION = "ap-northeast-2"
START = datetime(2026, 7, 10, 12, tzinfo=UTC)
NODE_TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}'
)


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, delta: timedelta) -> None:
        self.now += delta


@pytest.fixture(scope="module")
def hands() -> Hands:
    return Hands()


@pytest.fixture(scope="module")
def running(hands: Hands) -> Iterator[Box]:
    with Box(seed=7, clock=hands, region=REGION) as box:
        yield box


@dataclass
class Bench:
    """A box with an account, and short ways to do what a controller does."""

    box: Box
    hands: Hands
    base: Baseline
    client: Callable[[str], Any]

    @property
    def control(self) -> Control:
        return self.box.control

    @property
    def ec2(self) -> Any:
        return self.client("ec2")

    def image(self, architecture: str = "arm64") -> str:
        path = f"/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/{architecture}/standard/recommended/image_id"
        return str(self.client("ssm").get_parameter(Name=path)["Parameter"]["Value"])

    def profile(self, name: str = "node-profile", role: str = "node-role") -> None:
        iam = self.client("iam")
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=NODE_TRUST)
        iam.create_instance_profile(InstanceProfileName=name, Path="/karpenter/")
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)

    def template(self, name: str = "node", *, architecture: str = "arm64", **data: Any) -> str:
        made = self.ec2.create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData={
                "ImageId": self.image(architecture),
                "SecurityGroupIds": [self.base.security_group_id],
                "UserData": base64.b64encode(b"hello").decode(),
                **data,
            },
            TagSpecifications=[tags("launch-template", owner="test")],
        )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def fleet(
        self,
        *types: str,
        market: str = "on-demand",
        strategy: str | None = None,
        count: int = 1,
        template: str = "node",
        zones: str = "abc",
        override: dict[str, Any] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        overrides = [
            {"InstanceType": t, "SubnetId": self.base.subnet_ids[f"{REGION}{z}"], **(override or {})}
            for t in types
            for z in zones
        ]
        spot = market == "spot"
        options = {"AllocationStrategy": strategy or ("price-capacity-optimized" if spot else "lowest-price")}
        answer: dict[str, Any] = self.ec2.create_fleet(
            Type="instant",
            LaunchTemplateConfigs=[
                {
                    "LaunchTemplateSpecification": {"LaunchTemplateName": template, "Version": "$Latest"},
                    "Overrides": overrides,
                }
            ],
            TargetCapacitySpecification={"DefaultTargetCapacityType": market, "TotalTargetCapacity": count},
            **{"SpotOptions" if spot else "OnDemandOptions": options},
            **more,
        )
        return answer

    def launch(self, *types: str, **how: Any) -> str:
        answer = self.fleet(*types, **how)
        assert answer["Instances"], answer["Errors"]
        return str(answer["Instances"][0]["InstanceIds"][0])

    def instance(self, instance_id: str) -> dict[str, Any]:
        answer = self.ec2.describe_instances(InstanceIds=[instance_id])
        found: dict[str, Any] = answer["Reservations"][0]["Instances"][0]
        return found

    def state(self, instance_id: str) -> str:
        return str(self.instance(instance_id)["State"]["Name"])


def tags(resource_type: str, **pairs: str) -> dict[str, Any]:
    return {"ResourceType": resource_type, "Tags": [{"Key": k, "Value": v} for k, v in pairs.items()]}


@pytest.fixture(scope="module")
def client(running: Box) -> Callable[[str], Any]:
    return account.clients(running.url, REGION)


@pytest.fixture
def bench(running: Box, hands: Hands, client: Callable[[str], Any]) -> Bench:
    hands.now = START
    running.reset()
    base = account.prepare(running.url, region=REGION, client=client)
    return Bench(running, hands, base, client)
