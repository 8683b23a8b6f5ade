"""Capacity reservations and placement groups: what moto does not have at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from moto.ec2.exceptions import EC2ClientError
from moto.moto_api._internal import mock_random

from nodesmith.sim.aws import world
from nodesmith.sim.aws.ec2.render import tag_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nodesmith.sim.aws.ec2.instance import BoxInstance


@dataclass(slots=True)
class Reservation:
    """A capacity reservation and who uses it."""

    id: str
    owner: str
    instance_type: str
    zone: str
    platform: str
    total: int
    match_criteria: str
    reservation_type: str
    created: datetime
    tenancy: str = "default"
    state: str = "active"
    end: datetime | None = None
    is_interruptible: bool = False
    used_by: set[str] = field(default_factory=set)

    @property
    def available(self) -> int:
        """How many instances it still holds room for."""
        return self.total - len(self.used_by)

    def as_dict(self, tags: Mapping[str, str], region: str) -> dict[str, Any]:
        """The reservation under botocore's names."""
        return {
            "CapacityReservationId": self.id,
            "CapacityReservationArn": f"arn:aws:ec2:{region}:{self.owner}:capacity-reservation/{self.id}",
            "OwnerId": self.owner,
            "InstanceType": self.instance_type,
            "InstancePlatform": self.platform,
            "AvailabilityZone": self.zone,
            "Tenancy": self.tenancy,
            "TotalInstanceCount": self.total,
            "AvailableInstanceCount": self.available,
            "State": self.state,
            "StartDate": self.created,
            "CreateDate": self.created,
            "EndDate": self.end,
            "EndDateType": "limited" if self.end else "unlimited",
            "InstanceMatchCriteria": self.match_criteria,
            "ReservationType": self.reservation_type,
            "Interruptible": self.is_interruptible,
            "Tags": tag_list(tags),
        }

    def filter_values(self, name: str) -> Sequence[str] | None:
        """The values that a filter looks at, or None where EC2 has no such filter."""
        found = {
            "availability-zone": self.zone,
            "instance-match-criteria": self.match_criteria,
            "instance-platform": self.platform,
            "instance-type": self.instance_type,
            "owner-id": self.owner,
            "state": self.state,
            "tenancy": self.tenancy,
        }.get(name)
        return None if found is None else (found,)


@dataclass(slots=True)
class PlacementGroup:
    """A placement group."""

    id: str
    name: str
    strategy: str
    partitions: int | None
    spread_level: str | None
    state: str = "available"

    def as_dict(self, tags: Mapping[str, str], region: str, account: str) -> dict[str, Any]:
        """The group under botocore's names."""
        return {
            "GroupId": self.id,
            "GroupName": self.name,
            "GroupArn": f"arn:aws:ec2:{region}:{account}:placement-group/{self.name}",
            "State": self.state,
            "Strategy": self.strategy,
            "PartitionCount": self.partitions,
            "SpreadLevel": self.spread_level,
            "Tags": tag_list(tags),
        }

    def filter_values(self, name: str) -> Sequence[str] | None:
        """The values that a filter looks at, or None where EC2 has no such filter."""
        found = {
            "group-name": self.name,
            "group-id": self.id,
            "state": self.state,
            "strategy": self.strategy,
        }.get(name)
        return None if found is None else (found,)


class Reservations:
    """The reservations of one region."""

    def __init__(self, account: str) -> None:
        self._account = account
        self.by_id: dict[str, Reservation] = {}

    def create(self, params: Mapping[str, Any]) -> Reservation:
        """Reserve capacity; a block is made by the box's control, since buying one takes an offering."""
        reservation = Reservation(
            id="cr-" + mock_random.get_random_hex(17),
            owner=params.get("OwnerId") or self._account,
            instance_type=params["InstanceType"],
            zone=params["AvailabilityZone"],
            platform=params.get("InstancePlatform") or "Linux/UNIX",
            total=int(params["InstanceCount"]),
            match_criteria=params.get("InstanceMatchCriteria") or "open",
            reservation_type=params.get("ReservationType") or "default",
            created=world.current().now(),
            end=_moment(params.get("EndDate")),
            is_interruptible=bool(params.get("Interruptible")),
            tenancy=params.get("Tenancy") or "default",
        )
        self.by_id[reservation.id] = reservation
        return reservation

    def get(self, reservation_id: str) -> Reservation:
        """The reservation.

        Raises:
            EC2ClientError: there is none.
        """
        found = self.by_id.get(reservation_id)
        if found is None:
            code = "InvalidCapacityReservationId.NotFound"
            raise EC2ClientError(code, f"The capacity reservation '{reservation_id}' does not exist")
        return found

    def open_for(self, instance_type: str, zone: str) -> Reservation | None:
        """A reservation that an untargeted on-demand instance falls into by itself."""
        return next(
            (
                r
                for r in self.by_id.values()
                if r.match_criteria == "open"
                and r.state == "active"
                and r.reservation_type == "default"
                and (r.instance_type, r.zone) == (instance_type, zone)
                and r.available > 0
            ),
            None,
        )

    def release(self, instance: BoxInstance) -> None:
        """Give back what an instance used."""
        if instance.capacity_reservation_id:
            found = self.by_id.get(instance.capacity_reservation_id)
            if found is not None:
                found.used_by.discard(instance.id)


def _moment(value: object) -> datetime | None:
    """A time from a request, which may be text still."""
    if value is None or isinstance(value, datetime):
        return value
    return datetime.fromisoformat(str(value))


def tags_of(specifications: Iterable[Mapping[str, Any]] | None, resource_type: str) -> dict[str, str]:
    """The tags that a request gives to one resource type."""
    return {
        tag["Key"]: tag.get("Value", "")
        for spec in specifications or ()
        if spec.get("ResourceType") == resource_type
        for tag in spec.get("Tags") or ()
    }
