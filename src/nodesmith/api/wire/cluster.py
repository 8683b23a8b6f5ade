"""As `core`, for nodes, NodeClaims, storage and the rest; and which struct an object of a kind must convert to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nodesmith.api.wire.base import Wire
from nodesmith.api.wire.core import (
    Amounts,
    ClaimSpecWire,
    ConditionWire,
    LabelSelectorWire,
    MetadataWire,
    NodeSelectorWire,
    PodWire,
    ResourcesWire,
    Text,
    Texts,
    WorkloadWire,
)


class TaintWire(Wire, frozen=True, kw_only=True):
    """A node's taint."""

    key: Text = None
    value: Text = None
    effect: Text = None


class NodeSpecWire(Wire, frozen=True, kw_only=True):
    """A node's spec."""

    provider_id: Text = None
    taints: tuple[TaintWire, ...] | None = None
    unschedulable: bool | None = None


class NodeStatusWire(Wire, frozen=True, kw_only=True):
    """A node's status."""

    capacity: Amounts = None
    allocatable: Amounts = None
    conditions: tuple[ConditionWire, ...] | None = None


class NodeWire(Wire, frozen=True, kw_only=True):
    """Node."""

    metadata: MetadataWire
    spec: NodeSpecWire | None = None
    status: NodeStatusWire | None = None


class BudgetSpecWire(Wire, frozen=True, kw_only=True):
    """A PodDisruptionBudget's spec."""

    selector: LabelSelectorWire | None = None
    min_available: str | int | None = None
    max_unavailable: str | int | None = None
    unhealthy_pod_eviction_policy: Text = None


class BudgetStatusWire(Wire, frozen=True, kw_only=True):
    """A PodDisruptionBudget's status."""

    disruptions_allowed: int | None = None


class BudgetWire(Wire, frozen=True, kw_only=True):
    """PodDisruptionBudget."""

    metadata: MetadataWire
    spec: BudgetSpecWire | None = None
    status: BudgetStatusWire | None = None


class DriverWire(Wire, frozen=True, kw_only=True):
    """A CSI volume source, by its driver."""

    driver: Text = None


class VolumeAffinityWire(Wire, frozen=True, kw_only=True):
    """Where a volume can be used."""

    required: NodeSelectorWire | None = None


class PersistentVolumeSpecWire(Wire, frozen=True, kw_only=True):
    """A PersistentVolume's spec."""

    csi: DriverWire | None = None
    node_affinity: VolumeAffinityWire | None = None


class PersistentVolumeWire(Wire, frozen=True, kw_only=True):
    """PersistentVolume."""

    metadata: MetadataWire
    spec: PersistentVolumeSpecWire | None = None


class PhaseWire(Wire, frozen=True, kw_only=True):
    """A status that is a phase."""

    phase: Text = None


class PersistentVolumeClaimWire(Wire, frozen=True, kw_only=True):
    """PersistentVolumeClaim."""

    metadata: MetadataWire
    spec: ClaimSpecWire | None = None
    status: PhaseWire | None = None


class TopologyExpressionWire(Wire, frozen=True, kw_only=True):
    """One expression of an allowed topology."""

    key: Text = None
    values: Texts = None


class TopologyWire(Wire, frozen=True, kw_only=True):
    """One allowed topology."""

    match_label_expressions: tuple[TopologyExpressionWire, ...] | None = None


class StorageClassWire(Wire, frozen=True, kw_only=True):
    """StorageClass."""

    metadata: MetadataWire
    provisioner: Text = None
    volume_binding_mode: Text = None
    allowed_topologies: tuple[TopologyWire, ...] | None = None


class CountWire(Wire, frozen=True, kw_only=True):
    """How many volumes."""

    count: int | None = None


class CSIDriverWire(Wire, frozen=True, kw_only=True):
    """A driver on a node."""

    name: Text = None
    allocatable: CountWire | None = None


class CSINodeSpecWire(Wire, frozen=True, kw_only=True):
    """A CSINode's spec."""

    drivers: tuple[CSIDriverWire, ...] | None = None


class CSINodeWire(Wire, frozen=True, kw_only=True):
    """CSINode."""

    metadata: MetadataWire
    spec: CSINodeSpecWire | None = None


class AttachmentSourceWire(Wire, frozen=True, kw_only=True):
    """What is attached."""

    persistent_volume_name: Text = None


class AttachmentSpecWire(Wire, frozen=True, kw_only=True):
    """A VolumeAttachment's spec."""

    node_name: Text = None
    source: AttachmentSourceWire | None = None


class VolumeAttachmentWire(Wire, frozen=True, kw_only=True):
    """VolumeAttachment."""

    metadata: MetadataWire
    spec: AttachmentSpecWire | None = None


class PriorityClassWire(Wire, frozen=True, kw_only=True):
    """PriorityClass."""

    metadata: MetadataWire
    value: int | None = None
    global_default: bool | None = None


class NamespaceWire(Wire, frozen=True, kw_only=True):
    """Namespace."""

    metadata: MetadataWire


class RequirementPartsWire(Wire, frozen=True, kw_only=True):
    """A requirement."""

    key: str
    operator: str
    values: Texts = None
    min_values: int | None = None


class ClaimSpecPartsWire(Wire, frozen=True, kw_only=True):
    """The parts of a NodeClaim's spec."""

    requirements: tuple[RequirementPartsWire, ...] | None = None
    resources: ResourcesWire | None = None
    taints: tuple[TaintWire, ...] | None = None
    startup_taints: tuple[TaintWire, ...] | None = None
    node_class_ref: Mapping[str, str] | None = None
    expire_after: Text = None
    termination_grace_period: Text = None


class ClaimStatusPartsWire(Wire, frozen=True, kw_only=True):
    """The parts of a NodeClaim's status."""

    provider_id: Text = None
    node_name: Text = None
    image_id: Text = None
    capacity: Amounts = None
    allocatable: Amounts = None
    conditions: tuple[ConditionWire, ...] | None = None
    last_pod_event_time: Text = None


class ClaimPartsWire(Wire, frozen=True, kw_only=True):
    """NodeClaim."""

    metadata: MetadataWire
    spec: ClaimSpecPartsWire | None = None
    status: ClaimStatusPartsWire | None = None


BY_KIND: Final[Mapping[str, type[Wire]]] = {
    "Pod": PodWire,
    "Node": NodeWire,
    "NodeClaim": ClaimPartsWire,
    "Namespace": NamespaceWire,
    "Deployment": WorkloadWire,
    "ReplicaSet": WorkloadWire,
    "StatefulSet": WorkloadWire,
    "DaemonSet": WorkloadWire,
    "PodDisruptionBudget": BudgetWire,
    "PriorityClass": PriorityClassWire,
    "PersistentVolume": PersistentVolumeWire,
    "PersistentVolumeClaim": PersistentVolumeClaimWire,
    "StorageClass": StorageClassWire,
    "CSINode": CSINodeWire,
    "VolumeAttachment": VolumeAttachmentWire,
}
"""What an object of a kind must convert to."""
