"""The cluster's VPC: subnets with their routes, security groups, endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.tags import tags_of
from nodesmith.install.doctor.awsfacts import Permission, Route, SecurityGroup, Subnet

_ALL_PORTS = (0, 65535)
_TARGETS = (
    "NatGatewayId",
    "TransitGatewayId",
    "GatewayId",
    "NetworkInterfaceId",
    "InstanceId",
    "VpcPeeringConnectionId",
    "EgressOnlyInternetGatewayId",
    "LocalGatewayId",
    "CarrierGatewayId",
)


async def subnets(client: AwsClient, vpc: str) -> tuple[Subnet, ...]:
    """The VPC's subnets.

    Raises:
        PortError: when EC2 does not answer.
    """
    listed = await client.everything("ec2", "DescribeSubnets", "Subnets", Filters=_of_vpc(vpc))
    tables = await client.everything("ec2", "DescribeRouteTables", "RouteTables", Filters=_of_vpc(vpc))
    return tuple(
        Subnet(
            id=each["SubnetId"],
            vpc=vpc,
            zone=each["AvailabilityZone"],
            cidr=each.get("CidrBlock") or "",
            free_addresses=each.get("AvailableIpAddressCount") or 0,
            tags=tags_of(each),
            gives_public_addresses=bool(each.get("MapPublicIpOnLaunch")),
            routes=routes_of(each["SubnetId"], tables),
        )
        for each in sorted(listed, key=lambda raw: str(raw["SubnetId"]))
    )


def routes_of(subnet: str, tables: Sequence[Mapping[str, Any]]) -> tuple[Route, ...]:
    """The routes of a subnet: those of its own table, else of the VPC's main one."""
    own = next((each for each in tables if any(a.get("SubnetId") == subnet for a in _associations(each))), None)
    main = next((each for each in tables if any(a.get("Main") for a in _associations(each))), None)
    table = own or main or {}
    return tuple(_route(each) for each in table.get("Routes") or ())


def _associations(table: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return table.get("Associations") or ()


def _route(raw: Mapping[str, Any]) -> Route:
    destination = raw.get("DestinationCidrBlock") or raw.get("DestinationIpv6CidrBlock") or ""
    target = next((str(raw[name]) for name in _TARGETS if raw.get(name)), "")
    return Route(str(destination or raw.get("DestinationPrefixListId") or ""), target, raw.get("State") != "blackhole")


async def groups(client: AwsClient, vpc: str) -> tuple[SecurityGroup, ...]:
    """The VPC's security groups.

    Raises:
        PortError: when EC2 does not answer.
    """
    listed = await client.everything("ec2", "DescribeSecurityGroups", "SecurityGroups", Filters=_of_vpc(vpc))
    return tuple(
        SecurityGroup(
            id=each["GroupId"],
            name=each.get("GroupName") or "",
            vpc=vpc,
            tags=tags_of(each),
            inbound=tuple(map(_permission, each.get("IpPermissions") or ())),
            outbound=tuple(map(_permission, each.get("IpPermissionsEgress") or ())),
        )
        for each in sorted(listed, key=lambda raw: str(raw["GroupId"]))
    )


def _permission(raw: Mapping[str, Any]) -> Permission:
    sources = [each["GroupId"] for each in raw.get("UserIdGroupPairs") or ()]
    sources += [each["CidrIp"] for each in raw.get("IpRanges") or ()]
    sources += [each["CidrIpv6"] for each in raw.get("Ipv6Ranges") or ()]
    sources += [each["PrefixListId"] for each in raw.get("PrefixListIds") or ()]
    first, last = raw.get("FromPort"), raw.get("ToPort")
    return Permission(
        str(raw.get("IpProtocol") or ""),
        _ALL_PORTS[0] if first is None else int(first),
        _ALL_PORTS[1] if last is None else int(last),
        tuple(sources),
    )


async def endpoints(client: AwsClient, vpc: str, region: str) -> tuple[str, ...]:
    """The services that the VPC has an endpoint for."""
    listed = await client.everything("ec2", "DescribeVpcEndpoints", "VpcEndpoints", Filters=_of_vpc(vpc))
    return tuple(sorted(set(_services(listed, region))))


def _services(listed: Iterable[Mapping[str, Any]], region: str) -> Iterable[str]:
    for each in listed:
        name = str(each.get("ServiceName") or "")
        yield name.partition(f".{region}.")[2] or name


def _of_vpc(vpc: str) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": [vpc]}]
