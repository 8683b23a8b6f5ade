"""Back to spot: nodes that were bought on demand for want of spot, where the gate ReturnToSpot is on.

The one thing to know: in a pool that consolidates only empty nodes, such a node may go all the same, if whatever is
bought for its sake is spot. It is kept for an hour first, so that spot which comes and goes moves no pods to and fro.
"""

from __future__ import annotations

from datetime import timedelta

from nodesmith.decide.disrupt.scene import Scene
from nodesmith.model.labels import CAPACITY_TYPE, INSTANCE_TYPE, ON_DEMAND, SPOT
from nodesmith.model.money import UsdPerHour
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import ConsolidationPolicy, NodePool
from nodesmith.model.requirements import Requirement, Requirements

ONLY_SPOT = Requirements.of((Requirement(CAPACITY_TYPE, frozenset((SPOT,))),))


def wanted_spot(claim: NodeClaim, capacity_type: str) -> bool:
    """Whether the claim would have taken spot, and got on demand."""
    return capacity_type == ON_DEMAND and claim.requirements.get(CAPACITY_TYPE).allows(SPOT)


def is_spot_back(claim: NodeClaim, price: UsdPerHour | None, pool: NodePool, scene: Scene) -> bool:
    """Whether a type that the claim allows is known to be had on spot for less than the node costs."""
    types = scene.types.get(pool.name, {})
    allowed = claim.requirements.get(INSTANCE_TYPE)
    listed = (each for name, each in types.items() if allowed.allows(name))
    found = scene.shared.prices.cheapest(listed, claim.requirements & pool.requirements & ONLY_SPOT)
    return price is not None and found is not None and found.price is not None and found.price < price


def rest_of(claim: NodeClaim, scene: Scene) -> timedelta:
    """How long the node is kept yet before it may go back to spot; not above zero when that is over."""
    return scene.policy.calm - (scene.now - claim.meta.created_at)


def may_only_return(pool: NodePool) -> bool:
    """Whether the pool's nodes with pods leave for nothing but spot."""
    return pool.disruption.policy is ConsolidationPolicy.WHEN_EMPTY
