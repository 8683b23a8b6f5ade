"""The account as a user has it before an autoscaler comes: a network, a cluster, nothing that an installer makes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

from nodesmith.sim.aws.control import Control

if TYPE_CHECKING:
    from collections.abc import Callable

VPC_CIDR: Final = "10.0.0.0/16"
DISCOVERY: Final = "karpenter.sh/discovery"
CLUSTER_TRUST: Final = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}'
)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was made, by id."""

    region: str
    cluster_name: str
    vpc_id: str
    subnet_ids: dict[str, str]
    """By zone."""
    security_group_id: str
    cluster_security_group_id: str
    cluster_role_arn: str
    oidc_issuer: str


def clients(url: str, region: str) -> Callable[[str], Any]:
    """A maker of boto3 clients for the box, with the owner's key and no retries; one client a service."""
    session = boto3.session.Session("testing", "testing", region_name=region)
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=32)

    @cache
    def client(service: str) -> Any:
        make: Any = session.client
        return make(service, endpoint_url=url, config=config)

    return client


def prepare(
    url: str,
    *,
    region: str = "ap-northeast-2",
    cluster_name: str = "demo",
    version: str = "1.35",
    zones: tuple[str, ...] = ("a", "b", "c"),
    endpoint: str | None = None,
    client: Callable[[str], Any] | None = None,
) -> Baseline:
    """Make the baseline account in the box at a URL; with the caller's clients, if he has any."""
    client = client or clients(url, region)
    ec2 = client("ec2")
    vpc_id = ec2.create_vpc(CidrBlock=VPC_CIDR, TagSpecifications=[_tags("vpc", Name=f"{cluster_name}-vpc")])["Vpc"][
        "VpcId"
    ]
    subnets = {
        f"{region}{letter}": _subnet(ec2, vpc_id, f"{region}{letter}", index, cluster_name)
        for index, letter in enumerate(zones)
    }
    group = ec2.create_security_group(
        GroupName=f"{cluster_name}-nodes",
        Description="Nodes of the cluster",
        VpcId=vpc_id,
        TagSpecifications=[_tags("security-group", **{DISCOVERY: cluster_name, "Name": f"{cluster_name}-nodes"})],
    )["GroupId"]
    role = client("iam").create_role(RoleName=f"{cluster_name}-cluster", AssumeRolePolicyDocument=CLUSTER_TRUST)["Role"]
    cluster = client("eks").create_cluster(
        name=cluster_name,
        version=version,
        roleArn=role["Arn"],
        resourcesVpcConfig={"subnetIds": list(subnets.values()), "securityGroupIds": [group]},
        accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"},
    )["cluster"]
    if endpoint is not None:
        Control(url, region).cluster(cluster_name, endpoint=endpoint)
    return Baseline(
        region=region,
        cluster_name=cluster_name,
        vpc_id=vpc_id,
        subnet_ids=subnets,
        security_group_id=group,
        cluster_security_group_id=cluster["resourcesVpcConfig"]["clusterSecurityGroupId"],
        cluster_role_arn=role["Arn"],
        oidc_issuer=cluster["identity"]["oidc"]["issuer"],
    )


def _subnet(ec2: Any, vpc_id: str, zone: str, index: int, cluster_name: str) -> str:
    """A private subnet of a /19 in a zone."""
    tags = {DISCOVERY: cluster_name, "kubernetes.io/role/internal-elb": "1", "Name": f"{cluster_name}-private-{zone}"}
    made = ec2.create_subnet(
        VpcId=vpc_id,
        AvailabilityZone=zone,
        CidrBlock=f"10.0.{index * 32}.0/19",
        TagSpecifications=[_tags("subnet", **tags)],
    )
    return str(made["Subnet"]["SubnetId"])


def _tags(resource_type: str, **tags: str) -> dict[str, Any]:
    return {"ResourceType": resource_type, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
