"""NodeClaim (karpenter.sh/v1): JSON to the model value, and the JSON to create and patch it with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from nodesmith.api.kind import Manifest
from nodesmith.api.meta import conditions_of, conditions_to_json, format_time, meta_of, meta_to_json, parse_time
from nodesmith.api.scalars import (
    NEVER,
    amounts_of,
    duration_or_never,
    format_duration,
    requirements_of,
    taints_of,
    taints_to_json,
)
from nodesmith.model.nodeclaim import DEFAULT_NODE_CLASS, NodeClaim, NodeClassReference
from nodesmith.model.resources import format_resources

API_VERSION: Final = "karpenter.sh/v1"
KIND: Final = "NodeClaim"
DEFAULT_EXPIRE_AFTER: Final = timedelta(hours=720)


def decode_node_claim(manifest: Manifest) -> NodeClaim:
    """The NodeClaim of a manifest."""
    spec: Manifest = manifest.get("spec") or {}
    status: Manifest = manifest.get("status") or {}
    return NodeClaim(
        meta=meta_of(manifest),
        requirements=requirements_of(spec.get("requirements")),
        requests=amounts_of((spec.get("resources") or {}).get("requests")),
        taints=taints_of(spec.get("taints")),
        startup_taints=taints_of(spec.get("startupTaints")),
        node_class=node_class_of(spec.get("nodeClassRef")),
        expire_after=duration_or_never(spec.get("expireAfter"), DEFAULT_EXPIRE_AFTER),
        termination_grace_period=duration_or_never(spec.get("terminationGracePeriod"), None),
        provider_id=status.get("providerID") or "",
        node_name=status.get("nodeName") or "",
        image_id=status.get("imageID") or "",
        capacity=amounts_of(status.get("capacity")),
        allocatable=amounts_of(status.get("allocatable")),
        conditions=conditions_of(status.get("conditions")),
        last_pod_event_at=parse_time(status.get("lastPodEventTime")),
    )


def to_manifest(claim: NodeClaim, *, generate_name: str = "") -> dict[str, Any]:
    """The object to create the claim with, without status; with `generate_name` the server makes up the name."""
    metadata = meta_to_json(claim.meta)
    if generate_name:
        metadata = {key: value for key, value in metadata.items() if key != "name"} | {"generateName": generate_name}
    spec: dict[str, Any] = {
        "requirements": claim.requirements.to_manifest(),
        "nodeClassRef": node_class_to_json(claim.node_class),
        "expireAfter": NEVER if claim.expire_after is None else format_duration(claim.expire_after),
    }
    if claim.requests:
        spec["resources"] = {"requests": format_resources(claim.requests)}
    if claim.taints:
        spec["taints"] = taints_to_json(claim.taints)
    if claim.startup_taints:
        spec["startupTaints"] = taints_to_json(claim.startup_taints)
    if claim.termination_grace_period is not None:
        spec["terminationGracePeriod"] = format_duration(claim.termination_grace_period)
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def status_to_json(claim: NodeClaim) -> dict[str, Any]:
    """The whole status as JSON, for a status patch; what is not set is left out."""
    texts = {"nodeName": claim.node_name, "providerID": claim.provider_id, "imageID": claim.image_id}
    amounts = {"capacity": claim.capacity, "allocatable": claim.allocatable}
    status: dict[str, Any] = {name: text for name, text in texts.items() if text}
    status |= {name: format_resources(stated) for name, stated in amounts.items() if stated}
    if claim.conditions:
        status["conditions"] = conditions_to_json(claim.conditions)
    if claim.last_pod_event_at is not None:
        status["lastPodEventTime"] = format_time(claim.last_pod_event_at)
    return status


def node_class_of(raw: Any) -> NodeClassReference:
    """The reference; the EC2NodeClass `default` where there is none."""
    if not raw:
        return DEFAULT_NODE_CLASS
    return NodeClassReference(raw.get("group") or "", raw.get("kind") or "", raw.get("name") or "")


def node_class_to_json(reference: NodeClassReference) -> dict[str, str]:
    """The `nodeClassRef`."""
    return {"group": reference.group, "kind": reference.kind, "name": reference.name}
