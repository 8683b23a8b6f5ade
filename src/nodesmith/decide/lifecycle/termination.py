"""How a node goes: its taint, its deadline, its volumes (spec 4.6, 4.7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from nodesmith.api.meta import format_time, parse_time
from nodesmith.api.scalars import taints_to_json
from nodesmith.decide.lifecycle.drain import is_drainable
from nodesmith.model.labels import DISRUPTED_TAINT, EXCLUDE_FROM_LOAD_BALANCERS, TERMINATION_TIMESTAMP
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.pod import Pod
from nodesmith.model.storage import VolumeAttachment
from nodesmith.model.taints import DISRUPTED, Taint
from nodesmith.state.snapshot import Storage

SHORTEST_DRAIN: Final = timedelta(seconds=5)
"""Even an empty node is drained so long: a pod may be on its way to it."""

LOAD_BALANCER_LABEL_VALUE: Final = "karpenter"


def deadline_of(claim: NodeClaim | None) -> datetime | None:
    """When all pods must be gone, or None when there is all the time in the world."""
    return parse_time(claim.meta.annotations.get(TERMINATION_TIMESTAMP)) if claim is not None else None


def deadline_to_write(claim: NodeClaim) -> str | None:
    """The deadline to annotate a claim that is being deleted with; None when it has one, or needs none."""
    if claim.meta.deleted_at is None or claim.termination_grace_period is None:
        return None
    if TERMINATION_TIMESTAMP in claim.meta.annotations:
        return None
    return format_time(claim.meta.deleted_at + claim.termination_grace_period)


def disruption_patch(node: Node, *, is_leaving: bool) -> Mapping[str, Any] | None:
    """The merge patch that taints a node that may leave, or None; one that is leaving also takes no traffic."""
    patch: dict[str, Any] = {}
    taints = disrupted_taints(node.taints)
    if taints != node.taints:
        patch["spec"] = {"taints": taints_to_json(taints)}
    if is_leaving and EXCLUDE_FROM_LOAD_BALANCERS not in node.meta.labels:
        patch["metadata"] = {"labels": {EXCLUDE_FROM_LOAD_BALANCERS: LOAD_BALANCER_LABEL_VALUE}}
    return patch or None


def disrupted_taints(taints: tuple[Taint, ...]) -> tuple[Taint, ...]:
    """The taints with the disrupted one, in place of others of its key."""
    if DISRUPTED in taints:
        return taints
    return (*undisrupted_taints(taints), DISRUPTED)


def undisrupted_taints(taints: tuple[Taint, ...]) -> tuple[Taint, ...]:
    """The taints without the disrupted one."""
    return tuple(taint for taint in taints if taint.key != DISRUPTED_TAINT)


def restoring_patch(node: Node) -> Mapping[str, Any] | None:
    """The merge patch that takes the disrupted taint away, or None when it is not there."""
    taints = undisrupted_taints(node.taints)
    return {"spec": {"taints": taints_to_json(taints)}} if taints != node.taints else None


def blocking_attachments(
    node: Node, pods: Iterable[Pod], storage: Storage, now: datetime
) -> tuple[VolumeAttachment, ...]:
    """The attachments that must go before the machine may: not those of pods that stay to the end."""
    kept = {
        claim.volume_name
        for pod in pods
        if not is_drainable(pod, now)
        for volume in pod.spec.volumes
        if (claim := storage.claims.get(_claim_key(pod, volume.claim_name, is_ephemeral=volume.is_ephemeral)))
    }
    return tuple(
        attachment
        for attachment in storage.attachments
        if attachment.node_name == node.name and attachment.volume_name and attachment.volume_name not in kept
    )


def _claim_key(pod: Pod, name: str, *, is_ephemeral: bool) -> str:
    own = f"{pod.meta.name}-{name}" if is_ephemeral else name
    return f"{pod.meta.namespace}/{own}"
