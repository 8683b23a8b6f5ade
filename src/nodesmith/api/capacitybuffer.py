"""CapacityBuffer (autoscaling.x-k8s.io/v1beta1) and what it keeps room for: JSON to model values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nodesmith.api.core import DEFAULT_NAMESPACE, POD_SPECS
from nodesmith.api.kind import Manifest
from nodesmith.api.meta import conditions_of, meta_of, parse_meta
from nodesmith.api.scalars import amounts_of
from nodesmith.api.wire.capacitybuffer import ACTIVE_CAPACITY
from nodesmith.model.buffer import BufferShape, CapacityBuffer, ScalableReference

SCALABLE_KINDS: Final = frozenset({"Deployment", "StatefulSet", "ReplicaSet"})


def decode_capacity_buffer(manifest: Manifest) -> CapacityBuffer:
    """The CapacityBuffer of a manifest."""
    spec: Manifest = manifest.get("spec") or {}
    status: Manifest = manifest.get("status") or {}
    return CapacityBuffer(
        meta=meta_of(manifest),
        template_name=(spec.get("podTemplateRef") or {}).get("name") or "",
        scalable=_reference(spec.get("scalableRef")),
        replicas=spec.get("replicas"),
        percentage=spec.get("percentage"),
        limits=amounts_of(spec.get("limits")),
        strategy=spec.get("provisioningStrategy") or ACTIVE_CAPACITY,
        kept=status.get("replicas"),
        conditions=conditions_of(status.get("conditions")),
    )


def _reference(raw: Any) -> ScalableReference | None:
    if not raw:
        return None
    return ScalableReference(raw.get("apiGroup") or "", raw.get("kind") or "", raw.get("name") or "")


def shape_of_template(manifest: Manifest) -> BufferShape:
    """The pods of a PodTemplate."""
    meta = meta_of(manifest)
    shape = _shape(manifest.get("template") or {}, meta.namespace)
    return BufferShape(shape.labels, shape.spec, meta.name, meta.generation)


def shape_of_workload(manifest: Manifest) -> BufferShape:
    """The pods of a Deployment, StatefulSet or ReplicaSet, and how many it wants now."""
    meta, spec = meta_of(manifest), manifest.get("spec") or {}
    shape = _shape(spec.get("template") or {}, meta.namespace)
    replicas = spec.get("replicas")
    return BufferShape(shape.labels, shape.spec, "", meta.generation, 1 if replicas is None else replicas)


def _shape(template: Mapping[str, Any], namespace: str) -> BufferShape:
    labels = parse_meta(template.get("metadata") or {}).labels
    shape = POD_SPECS.shape_of(template.get("spec") or {}, namespace=namespace or DEFAULT_NAMESPACE, labels=labels)
    return BufferShape(labels, shape.spec)
