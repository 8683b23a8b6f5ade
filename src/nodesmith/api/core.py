"""Kubernetes' own objects, decoded to model values. An object that an API server stored never fails."""

from __future__ import annotations

from typing import Any, Final

from nodesmith.api.kind import Manifest
from nodesmith.api.meta import conditions_of, meta_of, parse_meta, parse_time
from nodesmith.api.podspec import PodSpecs
from nodesmith.api.scalars import amounts_of, selector_of, taints_of
from nodesmith.api.shapes import (
    NULL,
    ConditionShape,
    ContainerStatusShape,
    Metadata,
    PodShape,
    PodStatusShape,
    shaped,
)
from nodesmith.model.node import Node
from nodesmith.model.pod import Pod
from nodesmith.model.selector import LabelSelector
from nodesmith.model.workload import (
    DaemonSet,
    Deployment,
    Namespace,
    PodDisruptionBudget,
    PriorityClass,
    ReplicaSet,
    ReplicationController,
    Service,
    StatefulSet,
)

DEFAULT_NAMESPACE: Final = "default"

_NO_STATUS: Final = PodStatusShape()
POD_SPECS: Final = PodSpecs()
"""One for the process: pods read by a watch and by a listing share their specs."""


def decode_pod(manifest: Manifest | PodShape) -> Pod:
    """The pod of a manifest; its spec is shared with every pod of the same shape."""
    if not isinstance(manifest, PodShape):
        manifest = _shape_of(manifest)
    meta = parse_meta(manifest.metadata)
    status = manifest.status or _NO_STATUS
    whole = POD_SPECS.whole_of(manifest.spec)
    shape = POD_SPECS.shape_of(
        manifest.spec,
        whole=whole,
        namespace=meta.namespace or DEFAULT_NAMESPACE,
        labels=meta.labels,
        statuses=status.container_statuses,
    )
    is_unschedulable = is_ready = False
    for condition in status.conditions or ():
        kind = condition.type
        if kind == "PodScheduled":
            is_unschedulable = condition.status == "False" and condition.reason == "Unschedulable"
        elif kind == "Ready":
            is_ready = condition.status == "True"
    return Pod(
        meta=meta,
        spec=shape.spec,
        node_name=whole.node_name,
        phase=status.phase or "Pending",
        is_unschedulable=is_unschedulable,
        is_ready=is_ready,
        has_scheduling_gates=whole.has_scheduling_gates,
        nominated_node_name=status.nominated_node_name or "",
        started_at=parse_time(status.start_time),
        limits=shape.limits,
    )


def _shape_of(manifest: Manifest) -> PodShape:
    """The shape of a pod that was decoded whole."""
    status: Manifest = manifest.get("status") or {}
    conditions = [shaped(ConditionShape, each) for each in status.get("conditions") or ()]
    containers = [shaped(ContainerStatusShape, each) for each in status.get("containerStatuses") or ()]
    return PodShape(
        metadata=shaped(Metadata, manifest.get("metadata") or {}),
        spec=manifest.get("spec") or NULL,
        status=shaped(PodStatusShape, {**status, "conditions": conditions, "containerStatuses": containers}),
    )


def decode_node(manifest: Manifest) -> Node:
    """The node of a manifest."""
    spec: Manifest = manifest.get("spec") or {}
    status: Manifest = manifest.get("status") or {}
    return Node(
        meta=meta_of(manifest),
        provider_id=spec.get("providerID") or "",
        taints=taints_of(spec.get("taints")),
        is_cordoned=bool(spec.get("unschedulable")),
        capacity=amounts_of(status.get("capacity")),
        allocatable=amounts_of(status.get("allocatable")),
        conditions=conditions_of(status.get("conditions")),
    )


def decode_daemon_set(manifest: Manifest) -> DaemonSet:
    """The DaemonSet of a manifest, with the shape its pods have."""
    meta = meta_of(manifest)
    template: Manifest = (manifest.get("spec") or {}).get("template") or {}
    template_meta = parse_meta(template.get("metadata") or {})
    shape = POD_SPECS.shape_of(
        template.get("spec") or {}, namespace=meta.namespace or DEFAULT_NAMESPACE, labels=template_meta.labels
    )
    return DaemonSet(meta=meta, template=shape.spec, template_meta=template_meta)


def decode_pod_disruption_budget(manifest: Manifest) -> PodDisruptionBudget:
    """The PodDisruptionBudget of a manifest."""
    spec: Manifest = manifest.get("spec") or {}
    status: Manifest = manifest.get("status") or {}
    return PodDisruptionBudget(
        meta=meta_of(manifest),
        selector=selector_of(spec.get("selector")),
        disruptions_allowed=status.get("disruptionsAllowed"),
        min_available=_text(spec.get("minAvailable")),
        max_unavailable=_text(spec.get("maxUnavailable")),
        evicts_unready_always=spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow",
    )


def decode_namespace(manifest: Manifest) -> Namespace:
    """The namespace of a manifest."""
    return Namespace(meta_of(manifest))


def decode_priority_class(manifest: Manifest) -> PriorityClass:
    """The PriorityClass of a manifest."""
    return PriorityClass(
        meta=meta_of(manifest),
        value=manifest.get("value") or 0,
        is_global_default=bool(manifest.get("globalDefault")),
    )


def decode_service(manifest: Manifest) -> Service:
    """The Service of a manifest; one without a selector has no pods of its own."""
    return Service(meta_of(manifest), _labels_of(manifest))


def decode_replication_controller(manifest: Manifest) -> ReplicationController:
    """The ReplicationController of a manifest."""
    return ReplicationController(meta_of(manifest), _labels_of(manifest))


def decode_replica_set(manifest: Manifest) -> ReplicaSet:
    """The ReplicaSet of a manifest."""
    return ReplicaSet(meta_of(manifest), selector_of((manifest.get("spec") or {}).get("selector")))


def decode_stateful_set(manifest: Manifest) -> StatefulSet:
    """The StatefulSet of a manifest."""
    return StatefulSet(meta_of(manifest), selector_of((manifest.get("spec") or {}).get("selector")))


def decode_deployment(manifest: Manifest) -> Deployment:
    """The Deployment of a manifest."""
    return Deployment(meta_of(manifest), selector_of((manifest.get("spec") or {}).get("selector")))


def decode_raw(manifest: Manifest) -> Manifest:
    """The manifest itself."""
    return manifest


def _labels_of(manifest: Manifest) -> LabelSelector | None:
    """The selector of a kind that has plain labels there; None where it has none."""
    labels = (manifest.get("spec") or {}).get("selector")
    return selector_of({"matchLabels": labels}) if labels else None


def _text(raw: Any) -> str | None:
    return None if raw is None else str(raw)
