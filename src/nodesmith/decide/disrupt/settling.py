"""How long the pods of a node have been quiet, and what that lets consolidation do (spec 3.5, 5.9)."""

from __future__ import annotations

from datetime import datetime, timedelta

from nodesmith.model.meta import EPOCH
from nodesmith.model.nodepool import NodePool
from nodesmith.state.snapshot import StateNode


def is_consolidatable(node: StateNode, pool: NodePool, now: datetime) -> bool:
    """Whether its pods have been quiet for the pool's `consolidateAfter` (spec 5.9)."""
    at = consolidatable_at(node, pool)
    return at is not None and now >= at


def consolidatable_at(node: StateNode, pool: NodePool) -> datetime | None:
    """When that is if no more pods come or go; None where the pool is not consolidated."""
    after = pool.disruption.consolidate_after
    return None if after is None else _quiet_since(node) + after


def is_settling(node: StateNode, pool: NodePool, now: datetime) -> bool:
    """Whether consolidation must not move pods onto the node yet (spec 3.5)."""
    after = pool.disruption.consolidate_after
    return bool(after) and node.is_initialized and now - _quiet_since(node) < (after or timedelta(0))


def _quiet_since(node: StateNode) -> datetime:
    if node.claim is not None and node.claim.last_pod_event_at is not None:
        return node.claim.last_pod_event_at
    return node.initialized_at if node.claim is not None else EPOCH
