"""Which candidates each method spares (spec 5.4, 5.5, 5.6).

The one thing to know: every rule is a function from a candidate to a `Stay` or None, and the tables are the order in
which they are asked.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.decide.disrupt.moves import weary
from nodesmith.decide.disrupt.policy import REPLACES_FOR
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.decide.disrupt.settling import is_consolidatable
from nodesmith.decide.disrupt.spot import is_spot_back, may_only_return, rest_of, wanted_spot
from nodesmith.model.labels import CAPACITY_TYPE, ZONE
from nodesmith.model.nodeclaim import DRIFTED
from nodesmith.model.nodepool import DisruptionReason
from nodesmith.plan.stay import Stay, StayCode, Told

MethodRule = Callable[[Candidate, Scene], Stay | None]


def in_static_pool(each: Candidate, _scene: Scene) -> Stay | None:
    """Its pool keeps a fixed number of nodes."""
    if each.pool.is_static:
        return Stay(each.name, StayCode.STATIC_POOL, f'NodePool "{each.pool.name}" is static')
    return None


def untyped(each: Candidate, scene: Scene) -> Stay | None:
    """Its type is not one that the pool can buy, so it cannot be compared."""
    if each.instance_type not in scene.types[each.pool.name]:
        return _unconsolidatable(each, StayCode.NO_INSTANCE_TYPE, f'Instance Type "{each.instance_type}" not found')
    return None


def unlabelled(each: Candidate, _scene: Scene) -> Stay | None:
    """Its capacity type or zone is not known."""
    if not each.capacity_type:
        detail = f'Node doesn\'t have required label "{CAPACITY_TYPE}"'
        return _unconsolidatable(each, StayCode.NO_CAPACITY_TYPE, detail)
    if not each.zone:
        return _unconsolidatable(each, StayCode.NO_ZONE, f'Node doesn\'t have required label "{ZONE}"')
    return None


def never_consolidated(each: Candidate, _scene: Scene) -> Stay | None:
    """Its pool says Never."""
    if each.pool.disruption.consolidate_after is None:
        detail = f'NodePool "{each.pool.name}" has consolidation disabled'
        return _unconsolidatable(each, StayCode.NEVER, detail)
    return None


def empty(each: Candidate, _scene: Scene) -> Stay | None:
    """Emptiness takes it, not consolidation."""
    if each.is_empty and not each.pods:
        return Stay(each.name, StayCode.POOL_BUDGET, "node is empty, its turn is under the budget for Empty")
    return None


def only_when_empty(each: Candidate, scene: Scene) -> Stay | None:
    """Its pool lets only empty nodes go, and it does not go back to spot."""
    if not may_only_return(each.pool):
        return None
    disabled = f'NodePool "{each.pool.name}" has non-empty consolidation disabled'
    if not (scene.policy.return_to_spot and wanted_spot(each.claim, each.capacity_type)):
        return _unconsolidatable(each, StayCode.ONLY_EMPTY, disabled)
    if rest_of(each.claim, scene) > timedelta(0):
        detail = f"it was bought for want of spot less than {scene.policy.calm} ago"
        return Stay(each.name, StayCode.RECENTLY_REPLACED, detail)
    if not is_spot_back(each.claim, each.price, each.pool, scene):
        return _unconsolidatable(each, StayCode.NO_SPOT, f"{disabled}, and no cheaper spot is to be had")
    return None


def young(each: Candidate, scene: Scene) -> Stay | None:
    """Pods came or went too short a time ago."""
    if not is_consolidatable(each.node, each.pool, scene.now):
        after = each.pool.disruption.consolidate_after
        return Stay(each.name, StayCode.YOUNG, f"pods came or went within consolidateAfter ({after})")
    return None


def tired(each: Candidate, scene: Scene) -> Stay | None:
    """A pod on it was moved often enough of late."""
    policy = scene.policy
    pod = weary(each.claim, each.pods, since=scene.now - policy.rest, most=policy.most_moves)
    if pod is None:
        return None
    detail = f"consolidation has moved pod {pod.key} as often as it may within {policy.rest} ({policy.most_moves})"
    return Stay(each.name, StayCode.RECENTLY_MOVED, detail)


def unpriced(each: Candidate, _scene: Scene) -> Stay | None:
    """What it costs is not known, so nobody knows whether another is cheaper."""
    if each.price is None:
        offering = f"{each.instance_type} {each.zone} {each.capacity_type}"
        return _unconsolidatable(each, StayCode.UNPRICED, f"Price of {offering} is unknown")
    return None


def with_buffer(each: Candidate, scene: Scene) -> Stay | None:
    """It is kept free on purpose."""
    if each.name in scene.policy.buffered:
        return _unconsolidatable(each, StayCode.BUFFER_PODS, f'Node "{each.name}" has buffer pods')
    return None


def occupied(each: Candidate, _scene: Scene) -> Stay | None:
    """Pods on it would mind."""
    if not each.is_empty:
        return Stay(each.name, StayCode.ONLY_EMPTY, "node is not empty")
    return None


def not_drifted(each: Candidate, _scene: Scene) -> Stay | None:
    """It is still what its NodePool and NodeClass describe."""
    if not each.claim.has(DRIFTED):
        return Stay(each.name, StayCode.NOT_DRIFTED, "node has not drifted")
    return None


def just_drifted(each: Candidate, scene: Scene) -> Stay | None:
    """It was itself bought for a drifted node a short time ago."""
    if is_calming(each, DisruptionReason.DRIFTED, scene):
        detail = f"it replaced a drifted node less than {scene.policy.calm} ago"
        return Stay(each.name, StayCode.RECENTLY_REPLACED, detail, Told.BLOCKED)
    return None


EMPTINESS_RULES: Final[tuple[MethodRule, ...]] = (in_static_pool, never_consolidated, with_buffer, occupied, young)
DRIFT_RULES: Final[tuple[MethodRule, ...]] = (in_static_pool, not_drifted, just_drifted)
CONSOLIDATION_RULES: Final[tuple[MethodRule, ...]] = (
    in_static_pool,
    untyped,
    unlabelled,
    never_consolidated,
    with_buffer,
    empty,
    only_when_empty,
    young,
    tired,
    unpriced,
)
"""What keeps a candidate from a method, in upstream's order. Ours are the price rule (unknown is not free), `tired`
(no pod is moved about) and `just_drifted` (no node is replaced twice within an hour for the same reason)."""


def spared(each: Candidate, scene: Scene, rules: tuple[MethodRule, ...]) -> Stay | None:
    """The first of a method's rules that spares the candidate, or None when the method may take it."""
    return next((stay for rule in rules if (stay := rule(each, scene)) is not None), None)


def is_calming(each: Candidate, reason: DisruptionReason, scene: Scene) -> bool:
    """Whether it was itself bought for the same reason too short a time ago to be replaced again."""
    if each.claim.meta.annotations.get(REPLACES_FOR) != reason.value:
        return False
    return scene.now - each.claim.meta.created_at < scene.policy.calm


def _unconsolidatable(each: Candidate, code: StayCode, detail: str) -> Stay:
    return Stay(each.name, code, detail, Told.UNCONSOLIDATABLE)
