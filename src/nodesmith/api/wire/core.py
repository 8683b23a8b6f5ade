"""The parts of Kubernetes' own objects that nodesmith reads, for one purpose: to tell a value of the wrong type.

An object whose JSON converts to its struct here decodes without an error; others are refused with path and reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodesmith.api.wire.base import Wire

Text = str | None
Texts = tuple[str, ...] | None
TextMap = Mapping[str, str] | None
Amounts = Mapping[str, str | int | float] | None


class OwnerReferenceWire(Wire, frozen=True, kw_only=True):
    """Who an object belongs to."""

    api_version: Text = None
    kind: Text = None
    name: Text = None
    uid: Text = None
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class MetadataWire(Wire, frozen=True, kw_only=True):
    """Object metadata."""

    name: Text = None
    namespace: Text = None
    uid: Text = None
    labels: TextMap = None
    annotations: TextMap = None
    finalizers: Texts = None
    owner_references: tuple[OwnerReferenceWire, ...] | None = None
    resource_version: Text = None
    generation: int | None = None
    creation_timestamp: Text = None
    deletion_timestamp: Text = None


class ExpressionWire(Wire, frozen=True, kw_only=True):
    """One expression of a label or node selector."""

    key: str
    operator: str
    values: Texts = None


class LabelSelectorWire(Wire, frozen=True, kw_only=True):
    """A label selector."""

    match_labels: TextMap = None
    match_expressions: tuple[ExpressionWire, ...] | None = None


class NodeTermWire(Wire, frozen=True, kw_only=True):
    """One term of a node selector."""

    match_expressions: tuple[ExpressionWire, ...] | None = None
    match_fields: tuple[ExpressionWire, ...] | None = None


class NodeSelectorWire(Wire, frozen=True, kw_only=True):
    """A node selector."""

    node_selector_terms: tuple[NodeTermWire, ...] | None = None


class PreferredNodeTermWire(Wire, frozen=True, kw_only=True):
    """A weighted node term."""

    weight: int | None = None
    preference: NodeTermWire | None = None


class NodeAffinityWire(Wire, frozen=True, kw_only=True):
    """Node affinity."""

    required_during_scheduling_ignored_during_execution: NodeSelectorWire | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredNodeTermWire, ...] | None = None


class PodTermWire(Wire, frozen=True, kw_only=True):
    """One pod affinity term."""

    topology_key: Text = None
    label_selector: LabelSelectorWire | None = None
    namespaces: Texts = None
    namespace_selector: LabelSelectorWire | None = None
    match_label_keys: Texts = None
    mismatch_label_keys: Texts = None


class PreferredPodTermWire(Wire, frozen=True, kw_only=True):
    """A weighted pod affinity term."""

    weight: int | None = None
    pod_affinity_term: PodTermWire | None = None


class PodAffinityWire(Wire, frozen=True, kw_only=True):
    """Pod affinity or anti-affinity."""

    required_during_scheduling_ignored_during_execution: tuple[PodTermWire, ...] | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredPodTermWire, ...] | None = None


class AffinityWire(Wire, frozen=True, kw_only=True):
    """All affinity."""

    node_affinity: NodeAffinityWire | None = None
    pod_affinity: PodAffinityWire | None = None
    pod_anti_affinity: PodAffinityWire | None = None


class SpreadWire(Wire, frozen=True, kw_only=True):
    """A topology spread constraint."""

    topology_key: Text = None
    max_skew: int | None = None
    when_unsatisfiable: Text = None
    label_selector: LabelSelectorWire | None = None
    min_domains: int | None = None
    node_affinity_policy: Text = None
    node_taints_policy: Text = None
    match_label_keys: Texts = None


class TolerationWire(Wire, frozen=True, kw_only=True):
    """A toleration."""

    key: Text = None
    operator: Text = None
    value: Text = None
    effect: Text = None


class ResourcesWire(Wire, frozen=True, kw_only=True):
    """Requests and limits."""

    requests: Amounts = None
    limits: Amounts = None


class PortWire(Wire, frozen=True, kw_only=True):
    """A container's port."""

    container_port: int | None = None
    host_port: int | None = None
    protocol: Text = None
    host_ip: Text = None


class ContainerWire(Wire, frozen=True, kw_only=True):
    """A container."""

    name: Text = None
    resources: ResourcesWire | None = None
    ports: tuple[PortWire, ...] | None = None
    restart_policy: Text = None


class ClaimSourceWire(Wire, frozen=True, kw_only=True):
    """A volume through a claim."""

    claim_name: Text = None


class ClaimSpecWire(Wire, frozen=True, kw_only=True):
    """A PersistentVolumeClaim's spec."""

    volume_name: Text = None
    storage_class_name: Text = None
    access_modes: Texts = None


class ClaimTemplateWire(Wire, frozen=True, kw_only=True):
    """A template of a claim."""

    metadata: MetadataWire | None = None
    spec: ClaimSpecWire | None = None


class EphemeralWire(Wire, frozen=True, kw_only=True):
    """A generic ephemeral volume."""

    volume_claim_template: ClaimTemplateWire | None = None


class VolumeWire(Wire, frozen=True, kw_only=True):
    """A pod's volume."""

    name: Text = None
    persistent_volume_claim: ClaimSourceWire | None = None
    ephemeral: EphemeralWire | None = None


class PodSpecWire(Wire, frozen=True, kw_only=True):
    """A pod's spec."""

    containers: tuple[ContainerWire, ...] | None = None
    init_containers: tuple[ContainerWire, ...] | None = None
    node_name: Text = None
    node_selector: TextMap = None
    affinity: AffinityWire | None = None
    topology_spread_constraints: tuple[SpreadWire, ...] | None = None
    tolerations: tuple[TolerationWire, ...] | None = None
    overhead: Amounts = None
    resources: ResourcesWire | None = None
    host_network: bool | None = None
    priority: int | None = None
    priority_class_name: Text = None
    termination_grace_period_seconds: int | None = None
    volumes: tuple[VolumeWire, ...] | None = None
    scheduling_gates: tuple[Any, ...] | None = None
    resource_claims: tuple[Any, ...] | None = None


class ConditionWire(Wire, frozen=True, kw_only=True):
    """A status condition."""

    type: Text = None
    status: Text = None
    reason: Text = None
    message: Text = None
    last_transition_time: Text = None
    observed_generation: int | None = None


class ContainerStatusWire(Wire, frozen=True, kw_only=True):
    """A container's status."""

    name: Text = None
    allocated_resources: Amounts = None


class PodStatusWire(Wire, frozen=True, kw_only=True):
    """A pod's status."""

    phase: Text = None
    nominated_node_name: Text = None
    start_time: Text = None
    conditions: tuple[ConditionWire, ...] | None = None
    container_statuses: tuple[ContainerStatusWire, ...] | None = None


class PodWire(Wire, frozen=True, kw_only=True):
    """Pod."""

    metadata: MetadataWire
    spec: PodSpecWire | None = None
    status: PodStatusWire | None = None


class PodTemplateWire(Wire, frozen=True, kw_only=True):
    """A workload's template of its pods."""

    metadata: MetadataWire | None = None
    spec: PodSpecWire | None = None


class WorkloadSpecWire(Wire, frozen=True, kw_only=True):
    """A workload's spec."""

    replicas: int | None = None
    template: PodTemplateWire | None = None
    volume_claim_templates: tuple[ClaimTemplateWire, ...] | None = None


class WorkloadWire(Wire, frozen=True, kw_only=True):
    """Deployment, ReplicaSet, StatefulSet, DaemonSet."""

    metadata: MetadataWire
    spec: WorkloadSpecWire | None = None
