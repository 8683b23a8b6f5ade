"""EC2NodeClass (karpenter.k8s.aws/v1): how machines are made on AWS (spec 1.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nodesmith.api.kind import Manifest
from nodesmith.api.lenient import convert
from nodesmith.api.meta import conditions_of, meta_of
from nodesmith.api.schema import schema_of
from nodesmith.api.wire.ec2nodeclass import (
    AMI,
    CapacityReservation,
    EC2NodeClassSpec,
    EC2NodeClassStatusWire,
    SecurityGroup,
    Subnet,
)
from nodesmith.api.wire.instances import (
    BlockDevice,
    BlockDeviceMapping,
    ConnectionTracking,
    CPUOptions,
    MetadataOptions,
    NetworkInterface,
)
from nodesmith.api.wire.kubelet import KubeletConfiguration
from nodesmith.api.wire.selectors import (
    FAMILY_OF_ALIAS,
    AMISelectorTerm,
    CapacityReservationSelectorTerm,
    PlacementGroupSelector,
    SecurityGroupSelectorTerm,
    SubnetSelectorTerm,
)
from nodesmith.model.meta import Condition, Conditions, ObjectMeta

AMI_FAMILY_OF_ALIAS: Final = FAMILY_OF_ALIAS
CUSTOM: Final = "Custom"

AMIS_READY: Final = "AMIsReady"
SUBNETS_READY: Final = "SubnetsReady"
SECURITY_GROUPS_READY: Final = "SecurityGroupsReady"
INSTANCE_PROFILE_READY: Final = "InstanceProfileReady"
VALIDATION_SUCCEEDED: Final = "ValidationSucceeded"
PLACEMENT_GROUP_READY: Final = "PlacementGroupReady"
CAPACITY_RESERVATIONS_READY: Final = "CapacityReservationsReady"
READY: Final = "Ready"


@dataclass(frozen=True, slots=True)
class EC2NodeClassStatus:
    """What the selectors of an EC2NodeClass stand for now."""

    subnets: tuple[Subnet, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()
    capacity_reservations: tuple[CapacityReservation, ...] = ()
    amis: tuple[AMI, ...] = ()
    instance_profile: str = ""
    conditions: Conditions = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EC2NodeClass:
    """How machines are made."""

    meta: ObjectMeta
    spec: EC2NodeClassSpec = field(default_factory=EC2NodeClassSpec)
    status: EC2NodeClassStatus = field(default_factory=EC2NodeClassStatus)

    @property
    def name(self) -> str:
        """The name."""
        return self.meta.name

    @property
    def alias(self) -> str:
        """The AMI alias (`al2023@latest`), or nothing when images are selected in another way."""
        return next((term.alias for term in self.spec.ami_selector_terms if term.alias), "")

    @property
    def ami_family(self) -> str:
        """The AMI family that counts: the one named, else the alias's, else Custom."""
        if self.spec.ami_family:
            return self.spec.ami_family
        return AMI_FAMILY_OF_ALIAS.get(self.alias.split("@", 1)[0].lower(), CUSTOM)

    @property
    def is_ready(self) -> bool:
        """Whether machines can be launched from it."""
        ready = self.status.conditions.get(READY)
        return ready is not None and ready.is_true

    def condition(self, kind: str) -> Condition | None:
        """The condition of this type, when there is one."""
        return self.status.conditions.get(kind)


def kubelet_of(spec: EC2NodeClassSpec) -> KubeletConfiguration:
    """Those of the kubelet's settings that nodesmith reads; one of the wrong type counts as not set."""
    return convert(spec.kubelet or {}, KubeletConfiguration)


def kubelet_passed_on(spec: EC2NodeClassSpec) -> dict[str, Any]:
    """Those of the kubelet's settings that nodesmith does not read."""
    read = schema_of(KubeletConfiguration).fields
    return {name: value for name, value in (spec.kubelet or {}).items() if name not in read}


def decode_ec2nodeclass(manifest: Manifest) -> EC2NodeClass:
    """The EC2NodeClass of a manifest."""
    return EC2NodeClass(
        meta=meta_of(manifest),
        spec=convert(manifest.get("spec") or {}, EC2NodeClassSpec),
        status=_status(manifest.get("status") or {}),
    )


def _status(raw: Mapping[str, object]) -> EC2NodeClassStatus:
    wire = convert(raw, EC2NodeClassStatusWire)
    return EC2NodeClassStatus(
        subnets=wire.subnets,
        security_groups=wire.security_groups,
        capacity_reservations=wire.capacity_reservations,
        amis=wire.amis,
        instance_profile=wire.instance_profile,
        conditions=conditions_of(raw.get("conditions")),
    )


__all__ = [
    "AMI",
    "AMIS_READY",
    "AMI_FAMILY_OF_ALIAS",
    "CAPACITY_RESERVATIONS_READY",
    "CUSTOM",
    "INSTANCE_PROFILE_READY",
    "PLACEMENT_GROUP_READY",
    "READY",
    "SECURITY_GROUPS_READY",
    "SUBNETS_READY",
    "VALIDATION_SUCCEEDED",
    "AMISelectorTerm",
    "BlockDevice",
    "BlockDeviceMapping",
    "CPUOptions",
    "CapacityReservation",
    "CapacityReservationSelectorTerm",
    "ConnectionTracking",
    "EC2NodeClass",
    "EC2NodeClassSpec",
    "EC2NodeClassStatus",
    "KubeletConfiguration",
    "MetadataOptions",
    "NetworkInterface",
    "PlacementGroupSelector",
    "SecurityGroup",
    "SecurityGroupSelectorTerm",
    "Subnet",
    "SubnetSelectorTerm",
    "decode_ec2nodeclass",
    "kubelet_of",
    "kubelet_passed_on",
]
