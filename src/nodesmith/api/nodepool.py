"""NodePool (karpenter.sh/v1): JSON to the model value, with defaults and the drift hash."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from nodesmith.api.hashing import GoStruct, Pointer, hash_of, pointer
from nodesmith.api.kind import Manifest
from nodesmith.api.meta import conditions_of, meta_of
from nodesmith.api.nodeclaim import DEFAULT_EXPIRE_AFTER, node_class_of
from nodesmith.api.scalars import amounts_of, duration_or_never, requirements_of, taints_of
from nodesmith.model.nodepool import Budget, ConsolidationPolicy, Disruption, DisruptionReason, NodePool
from nodesmith.model.taints import Taint

DEFAULT_BUDGET_NODES: Final = "10%"

_NANOS_PER_MICRO: Final = 1000


def decode_node_pool(manifest: Manifest) -> NodePool:
    """The NodePool of a manifest."""
    spec: Manifest = manifest.get("spec") or {}
    status: Manifest = manifest.get("status") or {}
    template: Manifest = spec.get("template") or {}
    template_meta: Manifest = template.get("metadata") or {}
    node: Manifest = template.get("spec") or {}
    return NodePool(
        meta=meta_of(manifest),
        requirements=requirements_of(node.get("requirements")),
        labels=template_meta.get("labels") or {},
        annotations=template_meta.get("annotations") or {},
        taints=taints_of(node.get("taints")),
        startup_taints=taints_of(node.get("startupTaints")),
        node_class=node_class_of(node.get("nodeClassRef")),
        expire_after=duration_or_never(node.get("expireAfter"), DEFAULT_EXPIRE_AFTER),
        termination_grace_period=duration_or_never(node.get("terminationGracePeriod"), None),
        disruption=_disruption(spec.get("disruption")),
        limits=amounts_of(spec.get("limits")),
        weight=spec.get("weight") or 0,
        replicas=spec.get("replicas"),
        static_hash=node_pool_hash(template),
        conditions=conditions_of(status.get("conditions")),
        node_class_observed_generation=status.get("nodeClassObservedGeneration") or 0,
    )


def node_pool_hash(template: Manifest) -> str:
    """The drift hash (version v3) of a `spec.template`."""
    metadata: Manifest = template.get("metadata") or {}
    spec: Manifest = template.get("spec") or {}
    reference = node_class_of(spec.get("nodeClassRef"))
    grace = duration_or_never(spec.get("terminationGracePeriod"), None)
    expiry = duration_or_never(spec.get("expireAfter"), DEFAULT_EXPIRE_AFTER)
    go_reference = GoStruct(
        "NodeClassReference", (("Kind", reference.kind), ("Name", reference.name), ("Group", reference.group))
    )
    go_meta = GoStruct("ObjectMeta", (("Labels", metadata.get("labels")), ("Annotations", metadata.get("annotations"))))
    go_spec = GoStruct(
        "NodeClaimTemplateSpec",
        (
            ("Taints", _go_taints(spec.get("taints"))),
            ("StartupTaints", _go_taints(spec.get("startupTaints"))),
            ("NodeClassRef", Pointer(go_reference)),
            ("TerminationGracePeriod", None if grace is None else Pointer(_go_duration(grace))),
            ("ExpireAfter", GoStruct("NillableDuration", (("Duration", pointer(_nanos(expiry))),))),
        ),
    )
    return str(hash_of(GoStruct("NodeClaimTemplate", (("ObjectMeta", go_meta), ("Spec", go_spec)))))


def _disruption(raw: Any) -> Disruption:
    if not raw:
        return Disruption()
    stated = raw.get("budgets")
    budgets = Disruption().budgets if stated is None else tuple(_budget(each) for each in stated)
    policy = ConsolidationPolicy.WHEN_EMPTY_OR_UNDERUTILIZED
    if raw.get("consolidationPolicy") in set(ConsolidationPolicy):
        policy = ConsolidationPolicy(raw["consolidationPolicy"])
    return Disruption(
        consolidate_after=duration_or_never(raw.get("consolidateAfter"), timedelta(0)), policy=policy, budgets=budgets
    )


def _budget(raw: Manifest) -> Budget:
    reasons = raw.get("reasons")
    known = set(DisruptionReason)
    return Budget(
        nodes=str(raw.get("nodes", DEFAULT_BUDGET_NODES)),
        reasons=None if reasons is None else frozenset(DisruptionReason(each) for each in reasons if each in known),
        schedule=raw.get("schedule"),
        duration=duration_or_never(raw.get("duration"), None),
    )


def _go_taints(raw: Any) -> list[GoStruct] | None:
    return [_go_taint(taint) for taint in taints_of(raw)] if raw is not None else None


def _go_taint(taint: Taint) -> GoStruct:
    return GoStruct("Taint", (("Key", taint.key), ("Value", taint.value), ("Effect", taint.effect)))


def _go_duration(duration: timedelta) -> GoStruct:
    return GoStruct("Duration", (("Duration", _nanos(duration)),))


def _nanos(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // timedelta(microseconds=1) * _NANOS_PER_MICRO
