"""Instances as DescribeInstances tells of them (spec 7.8, Get and List)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nodesmith.adapters.aws.names import TAG_LAUNCHED_FOR, TAG_NODECLAIM, TAG_NODECLASS, TAG_NODEPOOL
from nodesmith.adapters.aws.tags import tags_of
from nodesmith.model.labels import (
    CAPACITY_TYPE,
    INSTANCE_TYPE,
    NODEPOOL,
    ON_DEMAND,
    RESERVATION_ID,
    RESERVED,
    SPOT,
    ZONE,
)
from nodesmith.ports.cloud import Machine

ALIVE: Final = ("pending", "running", "stopping", "stopped", "shutting-down")
"""All states but terminated: a terminated instance counts as not there."""

_PREFIX: Final = "aws:///"


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance."""

    id: str
    instance_type: str
    zone: str
    state: str
    image: str
    subnet: str
    security_groups: frozenset[str]
    capacity_type: str
    reservation: str
    partition: int
    launched_at_s: float
    has_efa: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def claim_name(self) -> str:
        """The claim it is for, where its tags name exactly one."""
        named = self.tags.get(TAG_NODECLAIM, "")
        launched_for = self.tags.get(TAG_LAUNCHED_FOR, "").split()
        return named or (launched_for[0] if len(launched_for) == 1 else "")

    def machine(self) -> Machine:
        """The port's view of it."""
        labels = {
            INSTANCE_TYPE: self.instance_type,
            ZONE: self.zone,
            CAPACITY_TYPE: self.capacity_type,
            NODEPOOL: self.tags.get(TAG_NODEPOOL, ""),
            RESERVATION_ID: self.reservation if self.capacity_type == RESERVED else "",
        }
        return Machine(
            provider_id=provider_id(self.zone, self.id),
            instance_type=self.instance_type,
            zone=self.zone,
            capacity_type=self.capacity_type,
            image_id=self.image,
            state=self.state,
            pool_name=self.tags.get(TAG_NODEPOOL, ""),
            claim_name=self.claim_name,
            node_class_name=self.tags.get(TAG_NODECLASS, ""),
            labels={key: value for key, value in labels.items() if value},
            launched_at_s=self.launched_at_s,
        )


def parse_instance(raw: Mapping[str, Any]) -> Instance:
    """The instance in one entry of DescribeInstances."""
    placement = raw.get("Placement") or {}
    launched_at = raw.get("LaunchTime")
    return Instance(
        id=raw["InstanceId"],
        instance_type=raw.get("InstanceType") or "",
        zone=placement.get("AvailabilityZone") or "",
        state=(raw.get("State") or {}).get("Name") or "",
        image=raw.get("ImageId") or "",
        subnet=raw.get("SubnetId") or "",
        security_groups=frozenset(each["GroupId"] for each in raw.get("SecurityGroups") or ()),
        capacity_type=_capacity_type(raw),
        reservation=raw.get("CapacityReservationId") or "",
        partition=placement.get("PartitionNumber") or 0,
        launched_at_s=launched_at.timestamp() if launched_at is not None else 0.0,
        has_efa=any("efa" in (each.get("InterfaceType") or "") for each in raw.get("NetworkInterfaces") or ()),
        tags=tags_of(raw),
    )


def _capacity_type(raw: Mapping[str, Any]) -> str:
    """Reserved only where the instance was bound to its reservation: one in an open reservation stays on demand."""
    specification = raw.get("CapacityReservationSpecification") or {}
    is_bound = specification.get("CapacityReservationPreference") == "capacity-reservations-only"
    if raw.get("CapacityReservationId") and is_bound:
        return RESERVED
    is_spot = raw.get("SpotInstanceRequestId") or raw.get("InstanceLifecycle") == SPOT
    return SPOT if is_spot else ON_DEMAND


def provider_id(zone: str, instance: str) -> str:
    """The id that the Node will have."""
    return f"{_PREFIX}{zone}/{instance}"


def zone_of(provider: str) -> str:
    """The zone in a provider id; empty where there is none."""
    return provider.removeprefix(_PREFIX).rpartition("/")[0]


def instance_id(provider: str) -> str:
    """The instance id in a provider id; empty where there is none."""
    found = provider.rpartition("/")[2]
    return found if found.startswith("i-") else ""
