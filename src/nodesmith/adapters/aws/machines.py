"""The port's machine from an instance: every label that follows from its type and its offering (spec 7.8, point 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nodesmith.adapters.aws.instances import provider_id
from nodesmith.adapters.aws.names import EFA
from nodesmith.adapters.aws.typelabels import Place
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.labels import (
    CAPACITY_TYPE,
    INSTANCE_PROFILE_NAME,
    NODECLASS_HASH,
    NODECLASS_HASH_VERSION,
    NODECLASS_HASH_VERSION_VALUE,
    NODEPOOL,
    PLACEMENT_GROUP_ID,
    PLACEMENT_GROUP_PARTITION,
    RESERVATION_ID,
    RESERVATION_INTERRUPTIBLE,
    RESERVATION_TYPE,
    RESERVED,
    TENANCY,
    ZONE,
    ZONE_ID,
)
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.resources import Resources
from nodesmith.ports.cloud import Machine

_BY_RESERVATION = frozenset({RESERVATION_ID, RESERVATION_TYPE, RESERVATION_INTERRUPTIBLE})


@dataclass(frozen=True, slots=True)
class Bought:
    """What was bought for a claim: the instance and the terms."""

    instance: str
    zone: str
    image: str
    capacity_type: str
    tenancy: str = "default"
    reservation: str = ""
    partition: str = ""
    has_efa: bool = False
    launched_at_s: float = 0.0
    state: str = "pending"


def machine_of(
    claim: NodeClaim,
    node_class: EC2NodeClass,
    type_: InstanceType,
    bought: Bought,
    place: Place,
    *,
    static_hash: str,
) -> Machine:
    """The machine, as the claim's status and the node's labels will tell of it; `static_hash` is the NodeClass'."""
    return Machine(
        provider_id=provider_id(bought.zone, bought.instance),
        instance_type=type_.name,
        zone=bought.zone,
        capacity_type=bought.capacity_type,
        image_id=bought.image,
        state=bought.state,
        pool_name=claim.pool_name,
        claim_name=claim.name,
        node_class_name=node_class.name,
        labels=_labels(claim, type_, bought, place),
        annotations={
            NODECLASS_HASH: static_hash,
            NODECLASS_HASH_VERSION: NODECLASS_HASH_VERSION_VALUE,
            INSTANCE_PROFILE_NAME: node_class.status.instance_profile,
        },
        capacity=_stated(type_.capacity, has_efa=bought.has_efa),
        allocatable=_stated(type_.allocatable, has_efa=bought.has_efa),
        launched_at_s=bought.launched_at_s,
    )


def _labels(claim: NodeClaim, type_: InstanceType, bought: Bought, place: Place) -> Mapping[str, str]:
    labels = {
        each.key: next(iter(each.values))
        for each in type_.requirements
        if not each.complement and len(each.values) == 1 and each.key not in _BY_RESERVATION
    }
    labels |= {ZONE: bought.zone, CAPACITY_TYPE: bought.capacity_type, TENANCY: bought.tenancy}
    extra = {ZONE_ID: place.zones.get(bought.zone, ""), NODEPOOL: claim.pool_name}
    if place.placement_group is not None:
        extra |= {PLACEMENT_GROUP_ID: place.placement_group.id, PLACEMENT_GROUP_PARTITION: bought.partition}
    if bought.capacity_type == RESERVED:
        extra |= _reservation_labels(bought, place)
    return labels | {key: value for key, value in extra.items() if value}


def _reservation_labels(bought: Bought, place: Place) -> dict[str, str]:
    found = next((each for each in place.reservations if each.id == bought.reservation), None)
    if found is None:
        return {RESERVATION_ID: bought.reservation}
    return {
        RESERVATION_ID: found.id,
        RESERVATION_TYPE: found.type,
        RESERVATION_INTERRUPTIBLE: str(found.interruptible).lower(),
    }


def _stated(amounts: Resources, *, has_efa: bool) -> Resources:
    """Without zeros, and with EFA only where the instance was launched with it."""
    return {name: amount for name, amount in amounts.items() if amount and (has_efa or name != EFA)}
