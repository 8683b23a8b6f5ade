"""The account, and the cluster as EKS has it."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.errors import AwsRefused
from nodesmith.install.doctor.awsfacts import Caller, EksCluster, Quota
from nodesmith.install.doctor.gather.paging import marked
from nodesmith.install.roles import SpotRole
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import NotFound

_QUOTAS: Final = {"L-1216C47A": "", "L-34B43A08": "spot"}
"""Running vCPUs of standard instances by quota code, with the lifecycle that they count."""
_UNCHANGED: Final = "NoSuchResourceException"
_STANDARD: Final = frozenset("acdhimrtz")


async def caller(client: AwsClient, clock: Clock) -> Caller:
    """Whose credentials these are.

    Raises:
        PortError: when AWS does not believe them.
    """
    before = clock.now()
    answer = await client.call("sts", "GetCallerIdentity", attempts=2)
    middle = before + (clock.now() - before) / 2
    headers = (answer.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    stated = headers.get("date")
    ahead = parsedate_to_datetime(stated) - middle if stated else None
    return Caller(str(answer["Account"]), str(answer["Arn"]), ahead)


async def cluster(client: AwsClient, name: str) -> EksCluster | None:
    """The cluster; None where EKS has none of this name.

    Raises:
        PortError: when EKS does not answer.
    """
    try:
        told = (await client.call("eks", "DescribeCluster", name=name))["cluster"]
    except NotFound:
        return None
    config = told.get("resourcesVpcConfig") or {}
    access = told.get("accessConfig") or {}
    return EksCluster(
        status=str(told.get("status") or ""),
        version=str(told.get("version") or ""),
        endpoint=str(told.get("endpoint") or ""),
        issuer=str(((told.get("identity") or {}).get("oidc") or {}).get("issuer") or ""),
        authentication_mode=access.get("authenticationMode") or "CONFIG_MAP",
        vpc=config.get("vpcId") or "",
        subnets=tuple(config.get("subnetIds") or ()),
        cluster_group=config.get("clusterSecurityGroupId") or "",
        is_public=bool(config.get("endpointPublicAccess", True)),
        is_private=bool(config.get("endpointPrivateAccess", False)),
        public_cidrs=tuple(config.get("publicAccessCidrs") or ()),
    )


async def clusters(client: AwsClient) -> tuple[str, ...]:
    """The names of all clusters in the region."""
    return tuple(await marked(client, "eks", "ListClusters", "clusters", cursor="nextToken"))


async def has_spot_role(client: AwsClient) -> bool:
    """Whether the account has the service-linked role of EC2 Spot."""
    return (await SpotRole(client).look()).exists


async def quotas(client: AwsClient) -> tuple[Quota, ...]:
    """The quotas of running standard vCPUs, with what runs."""
    filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    reservations = await client.everything("ec2", "DescribeInstances", "Reservations", Filters=filters)
    instances = [each for reservation in reservations for each in reservation.get("Instances") or ()]
    found = []
    for code, lifecycle in _QUOTAS.items():
        quota = await _quota(client, code)
        own = [each for each in instances if (each.get("InstanceLifecycle") or "") == lifecycle]
        used = sum(_cpus(each) for each in own if str(each.get("InstanceType") or " ")[0] in _STANDARD)
        found.append(Quota(str(quota["QuotaName"]), int(quota["Value"]), used))
    return tuple(found)


async def _quota(client: AwsClient, code: str) -> Mapping[str, Any]:
    """The account's quota, or AWS's where nobody ever changed it."""
    asked: dict[str, Any] = {"attempts": 1, "ServiceCode": "ec2", "QuotaCode": code}
    try:
        told = await client.call("service-quotas", "GetServiceQuota", **asked)
    except AwsRefused as error:
        if error.answer.code != _UNCHANGED:
            raise
        told = await client.call("service-quotas", "GetAWSDefaultServiceQuota", **asked)
    quota: Mapping[str, Any] = told["Quota"]
    return quota


def _cpus(instance: dict[str, Any]) -> int:
    options = instance.get("CpuOptions") or {}
    return int(options.get("CoreCount") or 0) * int(options.get("ThreadsPerCore") or 1)
