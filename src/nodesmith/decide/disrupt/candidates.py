"""Which nodes may leave at all, and which a method may take (spec 5.2, 5.4, 5.5, 5.6).

The one thing to know: every rule is a function from a question to a `Stay` or None, and the tables at the end are the
order in which they are asked. Nothing is published here; the sentences are upstream's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from nodesmith.decide.disrupt.costs import EMPTY_COST, hourly_price, lifetime_remaining
from nodesmith.decide.disrupt.costs import reschedule_cost as cost_of
from nodesmith.decide.disrupt.moves import weary
from nodesmith.decide.disrupt.policy import REPLACES_FOR
from nodesmith.decide.disrupt.protection import is_evictable, is_protected, prevents
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.decide.disrupt.spot import is_spot_back, may_only_return, rest_of, wanted_spot
from nodesmith.model.labels import CAPACITY_TYPE, DO_NOT_DISRUPT, INSTANCE_TYPE, NODEPOOL, ZONE
from nodesmith.model.meta import EPOCH
from nodesmith.model.money import UsdPerHour
from nodesmith.model.nodeclaim import DRIFTED, NodeClaim
from nodesmith.model.nodepool import DisruptionReason, NodePool
from nodesmith.model.pod import Pod
from nodesmith.plan.command import Leaving
from nodesmith.plan.stay import Stay, StayCode, Told
from nodesmith.state.snapshot import StateNode

_BY_NAME: Final = attrgetter("meta.namespace", "meta.name")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that may leave. `pods` are those that have to find another node then, by name."""

    node: StateNode
    claim: NodeClaim
    pool: NodePool
    name: str
    instance_type: str
    zone: str
    capacity_type: str
    price: UsdPerHour | None
    pods: tuple[Pod, ...]
    reschedule_cost: float
    lifetime: float

    @property
    def is_empty(self) -> bool:
        """Whether nothing on it minds (spec 5.2, IsEmpty)."""
        return self.reschedule_cost <= EMPTY_COST

    @property
    def worth(self) -> float:
        """Dollars an hour for each unit of disruption: the more, the sooner it should go."""
        return (self.price.dollars if self.price is not None else 0.0) / self.reschedule_cost

    def leaving(self) -> Leaving:
        """The candidate as a command names it."""
        return Leaving(
            self.name,
            self.claim.name,
            self.node.provider_id,
            self.pool.name,
            self.instance_type,
            self.zone,
            self.capacity_type,
            self.price,
            tuple(sorted(pod.key for pod in self.pods)),
        )


@dataclass(frozen=True, slots=True)
class Question:
    """May this node leave? `is_eventual`: it must some day, so a claim's grace period overrules its pods."""

    node: StateNode
    scene: Scene
    is_eventual: bool = False


Rule = Callable[[Question], Stay | None]


def queued(ask: Question) -> Stay | None:
    """A command that is under way already takes it."""
    if ask.node.provider_id in ask.scene.policy.queued:
        return Stay(ask.node.name, StayCode.QUEUED, "node is being disrupted already")
    return None


def unmanaged(ask: Question) -> Stay | None:
    """No NodeClaim stands behind it."""
    if ask.node.claim is None:
        return Stay(ask.node.name, StayCode.UNMANAGED, "node isn't managed by karpenter")
    return None


def without_node(ask: Question) -> Stay | None:
    """The machine has not joined."""
    if ask.node.node is None:
        return _blocked(ask, StayCode.NO_NODE, "nodeclaim does not have an associated node")
    return None


def uninitialized(ask: Question) -> Stay | None:
    """The machine is still coming up."""
    if not ask.node.is_initialized:
        return _blocked(ask, StayCode.NOT_INITIALIZED, "node isn't initialized")
    return None


def deleting(ask: Question) -> Stay | None:
    """It leaves anyway."""
    if ask.node.is_deleting:
        return _blocked(ask, StayCode.DELETING, "node is deleting or marked for deletion")
    return None


def nominated(ask: Question) -> Stay | None:
    """A pod was promised this node a moment ago."""
    until = ask.node.nominated_until
    if until is not None and until > ask.scene.now:
        return _blocked(ask, StayCode.NOMINATED, "node is nominated for a pending pod")
    return None


def annotated(ask: Question) -> Stay | None:
    """Somebody wrote on it that it has to stay."""
    objects = (ask.node.node, ask.node.claim)
    if any(each is not None and each.meta.annotations.get(DO_NOT_DISRUPT) == "true" for each in objects):
        detail = f'disruption is blocked through the "{DO_NOT_DISRUPT}" annotation'
        return _blocked(ask, StayCode.DO_NOT_DISRUPT, detail)
    return None


def without_pool_label(ask: Question) -> Stay | None:
    """Nobody knows whose it is."""
    if not ask.node.pool_name:
        return _blocked(ask, StayCode.NO_POOL_LABEL, f"node doesn't have required label (label={NODEPOOL})")
    return None


def without_pool(ask: Question) -> Stay | None:
    """Its NodePool is gone."""
    name = ask.node.pool_name
    if name not in ask.scene.pools:
        return _blocked(ask, StayCode.NO_POOL, f"NodePool not found (NodePool={name})")
    return None


def with_unknown_types(ask: Question) -> Stay | None:
    """What its NodePool could buy is not known; upstream says that the pool is not found."""
    name = ask.node.pool_name
    if not ask.scene.types.get(name):
        detail = f"instance types of the NodePool are not known (NodePool={name})"
        return _blocked(ask, StayCode.NO_POOL_TYPES, detail)
    return None


def protected_pods(ask: Question) -> Stay | None:
    """A pod may not be disturbed."""
    if _overrules_pods(ask):
        return None
    for pod in ask.node.pods:
        if is_protected(pod, ask.scene.now):
            detail = f'pod has "{DO_NOT_DISRUPT}" annotation (Pod={pod.key})'
            return _blocked(ask, StayCode.POD_DO_NOT_DISRUPT, detail)
    return None


def guarded_pods(ask: Question) -> Stay | None:
    """A pod may not be evicted."""
    if _overrules_pods(ask) or not ask.scene.guards.by_namespace:
        return None
    for pod in ask.node.pods:
        guards = ask.scene.guards.over(pod)
        if not guards or not is_evictable(pod):
            continue
        names = " ".join(each.meta.key for each in guards)
        if len(guards) > 1:
            detail = f"eviction does not support multiple PDBs (PodDisruptionBudget=[{names}])"
            return _blocked(ask, StayCode.SEVERAL_BUDGETS, detail)
        if prevents(guards[0], pod):
            return _blocked(
                ask, StayCode.DISRUPTION_BUDGET, f"pdb prevents pod evictions (PodDisruptionBudget=[{names}])"
            )
    return None


RULES: Final[tuple[Rule, ...]] = (
    queued,
    unmanaged,
    without_node,
    uninitialized,
    deleting,
    nominated,
    annotated,
    without_pool_label,
    without_pool,
    with_unknown_types,
    protected_pods,
    guarded_pods,
)
"""What keeps a node from being a candidate at all, in upstream's order."""


def stays(ask: Question, rules: tuple[Rule, ...] = RULES) -> Stay | None:
    """The first rule that keeps the node, or None when it may go."""
    return next((stay for rule in rules if (stay := rule(ask)) is not None), None)


def candidate(ask: Question) -> Candidate | Stay:
    """The node as a candidate, or why it is none."""
    stay = stays(ask)
    if stay is not None:
        return stay
    node, claim = ask.node, ask.node.claim
    labels = node.labels
    pool = ask.scene.pools[node.pool_name]
    assert claim is not None  # noqa: S101 - the rule `unmanaged` has seen to it
    pods = tuple(sorted((pod for pod in node.pods if pod.is_reschedulable), key=_BY_NAME))
    return Candidate(
        node=node,
        claim=claim,
        pool=pool,
        name=node.name,
        instance_type=labels.get(INSTANCE_TYPE, ""),
        zone=labels.get(ZONE, ""),
        capacity_type=labels.get(CAPACITY_TYPE, ""),
        price=hourly_price(node, ask.scene.types),
        pods=pods,
        reschedule_cost=cost_of(pods),
        lifetime=lifetime_remaining(claim.meta.created_at, claim.expire_after, ask.scene.now),
    )


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


def is_calming(each: Candidate, reason: DisruptionReason, scene: Scene) -> bool:
    """Whether it was itself bought for the same reason too short a time ago to be replaced again."""
    if each.claim.meta.annotations.get(REPLACES_FOR) != reason.value:
        return False
    return scene.now - each.claim.meta.created_at < scene.policy.calm


def _quiet_since(node: StateNode) -> datetime:
    if node.claim is not None and node.claim.last_pod_event_at is not None:
        return node.claim.last_pod_event_at
    return node.initialized_at if node.claim is not None else EPOCH


def _overrules_pods(ask: Question) -> bool:
    return ask.is_eventual and ask.node.claim is not None and ask.node.claim.termination_grace_period is not None


def _blocked(ask: Question, code: StayCode, detail: str) -> Stay:
    return Stay(ask.node.name, code, detail, Told.BLOCKED)


def _unconsolidatable(each: Candidate, code: StayCode, detail: str) -> Stay:
    return Stay(each.name, code, detail, Told.UNCONSOLIDATABLE)
