"""Whether a NodeClaim may be consolidated, and whether it has drifted (spec 5.9, 5.10)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from nodesmith.decide.lifecycle.conditions import Change, gone, holds
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.labels import (
    CAPACITY_TYPE,
    INSTANCE_TYPE,
    NODEPOOL_HASH,
    NODEPOOL_HASH_VERSION,
    NODEPOOL_HASH_VERSION_VALUE,
    ON_DEMAND,
    RESERVED,
    ZONE,
)
from nodesmith.model.nodeclaim import CONSOLIDATABLE, DRIFTED, INITIALIZED, NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.requirements import Requirements

POOL_DRIFTED: Final = "NodePoolDrifted"
REQUIREMENTS_DRIFTED: Final = "RequirementsDrifted"
INSTANCE_TYPE_NOT_FOUND: Final = "InstanceTypeNotFound"
SETTLED_AFTER: Final = timedelta(hours=1)
"""A younger claim's type is not looked for: catalogs need time to agree."""


def consolidatable(claim: NodeClaim, pool: NodePool, now: datetime) -> tuple[Change, datetime | None]:
    """The Consolidatable condition, and when it will change by itself."""
    initialized = claim.condition(INITIALIZED)
    wait = pool.disruption.consolidate_after
    if pool.is_static or wait is None or initialized is None or not initialized.is_true:
        return gone(CONSOLIDATABLE), None
    at = (claim.last_pod_event_at or initialized.changed_at) + wait
    return (holds(CONSOLIDATABLE), None) if now >= at else (gone(CONSOLIDATABLE), at)


def drifted(reason: str | None) -> Change:
    """The Drifted condition for the reason found."""
    return gone(DRIFTED) if reason is None else holds(DRIFTED, reason=reason, message=reason)


def pool_drift(claim: NodeClaim, pool: NodePool) -> str | None:
    """Why the claim is no longer what its pool describes, as far as hashes and requirements tell."""
    annotations = claim.meta.annotations
    is_comparable = annotations.get(NODEPOOL_HASH_VERSION) == NODEPOOL_HASH_VERSION_VALUE
    if is_comparable and annotations.get(NODEPOOL_HASH, pool.static_hash) != pool.static_hash:
        return POOL_DRIFTED
    if Requirements.from_labels(claim.labels).conflict(pool.requirements) is not None:
        return REQUIREMENTS_DRIFTED
    return None


def instance_type_drift(claim: NodeClaim, types: Sequence[InstanceType], now: datetime) -> str | None:
    """Whether the claim's machine is one that could not be bought for the pool today."""
    if now - claim.meta.created_at < SETTLED_AFTER:
        return None
    name = claim.labels.get(INSTANCE_TYPE)
    found = next((each for each in types if each.name == name), None)
    if found is None:
        return INSTANCE_TYPE_NOT_FOUND
    terms = {claim.labels.get(CAPACITY_TYPE, "")}
    if RESERVED in terms:
        terms.add(ON_DEMAND)
    zone = claim.labels.get(ZONE)
    is_offered = any(each.capacity_type in terms and zone in {None, each.zone} for each in found.offerings)
    return None if is_offered else INSTANCE_TYPE_NOT_FOUND
