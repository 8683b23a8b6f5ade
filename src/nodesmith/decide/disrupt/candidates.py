"""Which nodes may leave at all (spec 5.2). What a method then spares of them is in `sparing.py`.

The one thing to know: every rule is a function from a question to a `Stay` or None, and `RULES` is the order in which
they are asked. Nothing is published here; the sentences are upstream's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from nodesmith.decide.disrupt.costs import EMPTY_COST, hourly_price, lifetime_remaining
from nodesmith.decide.disrupt.costs import reschedule_cost as cost_of
from nodesmith.decide.disrupt.protection import is_evictable, is_protected, prevents
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.model.labels import CAPACITY_TYPE, DO_NOT_DISRUPT, INSTANCE_TYPE, NODEPOOL, ZONE
from nodesmith.model.money import UsdPerHour
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
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


def _overrules_pods(ask: Question) -> bool:
    return ask.is_eventual and ask.node.claim is not None and ask.node.claim.termination_grace_period is not None


def _blocked(ask: Question, code: StayCode, detail: str) -> Stay:
    return Stay(ask.node.name, code, detail, Told.BLOCKED)
