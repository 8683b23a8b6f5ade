"""DescribeInstanceTypes and its offerings, answered from XML that is written once.

moto serialises its 1,395 types anew for each call, in 2.2 s. Here each type becomes a fragment once a process.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES, InstanceType

from nodesmith.sim.aws import wire
from nodesmith.sim.aws.ec2 import filters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TYPE_PAGE: Final = 100
OFFERING_PAGE: Final = 1000


@cache
def _fragment(name: str) -> str:
    shape = wire.output_shape("ec2", "DescribeInstanceTypes").members["InstanceTypes"].member
    return wire.ec2_item(shape, INSTANCE_TYPES[name])


@cache
def offered_in_region(region: str) -> frozenset[str]:
    """The types that the region has anywhere."""
    return frozenset(offer["InstanceType"] for offer in INSTANCE_TYPE_OFFERINGS["region"].get(region, []))


@cache
def offered_in_zones(region: str) -> frozenset[tuple[str, str]]:
    """(type, zone) pairs that exist."""
    rows = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, [])
    return frozenset((row["InstanceType"], row["Location"]) for row in rows)


def architectures(instance_type: str) -> tuple[str, ...]:
    """The architectures a type can boot; none for an unknown type."""
    info = INSTANCE_TYPES.get(instance_type) or {}
    return tuple(info.get("ProcessorInfo", {}).get("SupportedArchitectures", ()))


def page(rows: Sequence[Any], token: str | None, size: int | None, default: int) -> tuple[Sequence[Any], str | None]:
    """One page of rows, and the token of the next.

    Raises:
        EC2ClientError: the token is not one of ours.
    """
    if token is not None and not token.isdigit():
        raise EC2ClientError("InvalidNextToken", f"The token '{token}' is not valid")
    start = int(token or 0)
    end = start + (size or default)
    return rows[start:end], str(end) if end < len(rows) else None


def describe_types(region: str, params: Mapping[str, Any]) -> str:
    """The members of a DescribeInstanceTypes answer."""
    names = list(params.get("InstanceTypes") or ())
    unknown = [name for name in names if name not in INSTANCE_TYPES]
    if unknown:
        message = f"The following supplied instance types do not exist: [{', '.join(unknown)}]"
        raise EC2ClientError("InvalidInstanceType", message)
    offered = offered_in_region(region)
    chosen = sorted(names or offered or INSTANCE_TYPES)
    wanted = filters.from_params(params.get("Filters"))
    if wanted:
        chosen = [name for name in chosen if _passes(name, wanted)]
    rows, following = page(chosen, params.get("NextToken"), params.get("MaxResults"), TYPE_PAGE)
    return _list("instanceTypeSet", "".join(_fragment(name) for name in rows), following)


def _passes(name: str, wanted: Mapping[str, Sequence[str]]) -> bool:
    info = InstanceType(name)
    for key, values in wanted.items():
        found = info.get_filter_value(key)
        if found is None:
            return False
        if not filters.matches_value(values, [str(v) for v in found] if isinstance(found, list) else [str(found)]):
            return False
    return True


def describe_offerings(region: str, params: Mapping[str, Any]) -> str:
    """The members of a DescribeInstanceTypeOfferings answer."""
    kind = params.get("LocationType") or "region"
    wanted = filters.from_params(params.get("Filters"))
    unknown = set(wanted) - {"location", "instance-type"}
    if unknown:
        raise EC2ClientError("InvalidParameterValue", f"The filter '{min(unknown)}' is invalid")
    rows = [
        row
        for row in INSTANCE_TYPE_OFFERINGS.get(kind, {}).get(region, [])
        if filters.matches_value(wanted.get("location", ("*",)), (row["Location"],))
        and filters.matches_value(wanted.get("instance-type", ("*",)), (row["InstanceType"],))
    ]
    shown, following = page(rows, params.get("NextToken"), params.get("MaxResults"), OFFERING_PAGE)
    shape = wire.output_shape("ec2", "DescribeInstanceTypeOfferings").members["InstanceTypeOfferings"].member
    return _list("instanceTypeOfferingSet", "".join(wire.ec2_item(shape, row) for row in shown), following)


def _list(tag: str, items: str, following: str | None) -> str:
    token = f"<nextToken>{following}</nextToken>" if following else ""
    return f"<{tag}>{items}</{tag}>{token}"
