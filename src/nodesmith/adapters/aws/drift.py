"""Whether a claim's instance is still what its NodeClass describes, in upstream's order (spec 7.11). Pure."""

from __future__ import annotations

from nodesmith.adapters.aws.images import ImageChoice
from nodesmith.adapters.aws.instances import Instance
from nodesmith.adapters.aws.typelabels import Place
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.nodeclasshash import VERSIONS, node_class_hash
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.labels import (
    CAPACITY_TYPE,
    NODECLASS_HASH,
    NODECLASS_HASH_VERSION,
    PLACEMENT_GROUP_ID,
    RESERVATION_ID,
    RESERVED,
)
from nodesmith.model.nodeclaim import NodeClaim


class SpecHashes:
    """The hashes of NodeClasses, each worked out once for the NodeClass as it is: every claim asks for them."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[EC2NodeClass, dict[tuple[str, str], str]]] = {}

    def of(self, node_class: EC2NodeClass, ca_bundle: str, version: str) -> str:
        """The hash in this version."""
        known = self._known.get(node_class.name)
        if known is None or known[0] is not node_class:
            known = self._known[node_class.name] = (node_class, {})
        hashes = known[1]
        if (ca_bundle, version) not in hashes:
            hashes[ca_bundle, version] = node_class_hash(node_class, ca_bundle=ca_bundle, version=version)
        return hashes[ca_bundle, version]


def static_drift(
    claim: NodeClaim, node_class: EC2NodeClass, ca_bundle: str, hashes: SpecHashes | None = None
) -> str | None:
    """`NodeClassDrift` when the NodeClass' spec is not the one the claim was launched with, by whichever Karpenter."""
    annotations = claim.meta.annotations
    launched_with, version = annotations.get(NODECLASS_HASH), annotations.get(NODECLASS_HASH_VERSION)
    if launched_with is None or version not in VERSIONS:
        return None
    now = (hashes or SpecHashes()).of(node_class, ca_bundle, version)
    return "NodeClassDrift" if launched_with != now else None


def image_drift(claim: NodeClaim, node_class: EC2NodeClass, type_: InstanceType) -> str | None:
    """`AMIDrift` when the NodeClass now means another image for the claim's type."""
    image = ImageChoice(node_class.status.amis).of(type_.requirements)
    return "AMIDrift" if image is None or image.id != claim.image_id else None


def instance_drift(claim: NodeClaim, node_class: EC2NodeClass, instance: Instance, place: Place) -> str | None:
    """What of the instance's surroundings is not the NodeClass' any more, or None."""
    status = node_class.status
    if instance.security_groups != {each.id for each in status.security_groups}:
        return "SecurityGroupDrift"
    if instance.subnet not in {each.id for each in status.subnets}:
        return "SubnetDrift"
    is_reserved = claim.labels.get(CAPACITY_TYPE) == RESERVED
    reservation = instance.reservation or claim.labels.get(RESERVATION_ID, "")
    if is_reserved and reservation not in {each.id for each in status.capacity_reservations}:
        return "CapacityReservationDrift"
    group = place.placement_group.id if place.placement_group else ""
    return "PlacementGroupDrift" if claim.labels.get(PLACEMENT_GROUP_ID, "") != group else None
