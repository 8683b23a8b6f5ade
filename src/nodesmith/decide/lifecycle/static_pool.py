"""How many nodes a static pool lacks, and which ones are too many (spec 5.8)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from nodesmith.decide.disrupt.costs import lifetime_remaining, reschedule_cost
from nodesmith.decide.disrupt.protection import is_protected
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.resources import NODES
from nodesmith.state.snapshot import StateNode


def shortfall(pool: NodePool, nodes: Sequence[StateNode]) -> int:
    """How many nodes are to be made now: up to `replicas`, those that leave not counted, within `limits.nodes`."""
    own = [node for node in nodes if node.claim is not None and node.pool_name == pool.name]
    running = sum(not node.is_deleting for node in own)
    wanted = max((pool.replicas or 0) - running, 0)
    limit = pool.limits.get(NODES)
    return wanted if limit is None else min(wanted, max(limit - len(own), 0))


def surplus(pool: NodePool, nodes: Sequence[StateNode], now: datetime) -> tuple[NodeClaim, ...]:
    """The claims that are too many: those that have not launched first, then empty nodes, then the least costly."""
    own = [node for node in nodes if node.claim is not None and node.pool_name == pool.name and not node.is_deleting]
    count = max(len(own) - (pool.replicas or 0), 0)
    ordered = sorted(own, key=lambda node: _order(node, now))
    return tuple(node.claim for node in ordered[:count] if node.claim is not None)


def _order(node: StateNode, now: datetime) -> tuple[int, float, str]:
    claim = node.claim
    if claim is None or not node.provider_id:
        return 0, 0.0, node.name
    if any(is_protected(pod, now) for pod in node.pods):
        return 3, 0.0, node.name
    if all(pod.is_owned_by_daemonset for pod in node.pods):
        return 1, 0.0, node.name
    movable = [pod for pod in node.pods if pod.is_reschedulable]
    lifetime = lifetime_remaining(claim.meta.created_at, claim.expire_after, now)
    return 2, reschedule_cost(movable) * lifetime, node.name
