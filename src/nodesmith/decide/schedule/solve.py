"""Where pods go: several plans, the cheapest of those that place most pods wins.

Every plan comes from the same exact placement; they differ in the order of pods and in which machines they buy. Where
a plan leaves a pod over, Karpenter's own way is tried too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from nodesmith.decide.schedule.claims import Claims
from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.grouping import age
from nodesmith.decide.schedule.market import Market
from nodesmith.decide.schedule.merge import Merger
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.placer import Placer
from nodesmith.decide.schedule.problem import PricingPolicy, Problem
from nodesmith.decide.schedule.reasons import why_unplaced
from nodesmith.decide.schedule.shop import LargestShop, PricedShop, Shop, ThriftyShop
from nodesmith.decide.schedule.stock import Stock
from nodesmith.decide.schedule.world import World
from nodesmith.model.resources import NODES
from nodesmith.plan.schedule import OnClaim, OnNode, Placement, PlannedClaim, SchedulePlan

MANY_PODS: Final = 400
"""Above this the first two strategies have to do, for the time that the others take."""

ShopMaker = Callable[[World, Market], Shop]
Order = Callable[[World, Market], list[PodClass]]


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to make a plan."""

    name: str
    shop: ShopMaker
    order: Order
    merges: bool = True
    counts_nodes: bool = True


def schedule(problem: Problem, stock: Stock | None = None) -> SchedulePlan:
    """The cheapest plan found that places as many pods as any; the same for the same problem, whatever its order.

    Problems of one decision may share a `stock`, which only saves time.
    """
    world = World(problem, stock)
    if problem.options.pricing is PricingPolicy.KARPENTER:
        return plan_by(world, KARPENTER)
    tried = PORTFOLIO if len(problem.pods) <= MANY_PODS else PORTFOLIO[:2]
    plans = [plan_by(world, strategy) for strategy in tried]
    if any(plan.unplaced for plan in plans):
        plans.append(plan_by(world, KARPENTER))
        if world.limits_left:
            plans.append(plan_by(world, THRIFTY))
            if all(plan.unplaced for plan in plans) and any(NODES in left for left in world.limits_left.values()):
                plans.append(plan_by(world, OVER_NODES))
    return min(plans, key=lambda plan: (len(plan.unplaced), plan.price, len(plan.claims)))


def plan_by(world: World, strategy: Strategy) -> SchedulePlan:
    """The plan of one strategy."""
    market = Market(world)
    packing = Packing(world, counts_nodes=strategy.counts_nodes)
    placer = Placer(world, market, packing, strategy.shop(world, market))
    left = placer.place_all(strategy.order(world, market))
    if strategy.merges:
        Merger(packing).run()
    return _assemble(packing, left, strategy.name)


def _assemble(packing: Packing, left: dict[int, int], name: str) -> SchedulePlan:
    """The plan that a packing stands for, pods in order of key."""
    world = packing.world
    placements: dict[str, Placement] = dict(world.grouping.refused)
    waiting = {each.index: iter(each.pods) for each in world.classes}
    claims: list[PlannedClaim] = []
    maker = Claims(packing)
    for bin_ in range(packing.size):
        taken = [
            next(waiting[index]).key
            for (index, _), count in sorted(packing.contents[bin_].items())
            for _ in range(count)
        ]
        if bin_ < len(world.nodes):
            placements.update((key, OnNode(world.nodes.all[bin_].name)) for key in taken)
        elif taken:
            placements.update((key, OnClaim(len(claims))) for key in taken)
            claims.append(maker.claim(bin_, taken))
    for index in left:
        reason = why_unplaced(packing, world.classes[index])
        placements.update((pod.key, reason) for pod in waiting[index])
    return SchedulePlan(placements, tuple(claims), name)


def _by_size(classes: Iterable[PodClass]) -> list[PodClass]:
    """Most CPU first, then most memory, then the oldest pod: Karpenter's order (spec 3.4)."""
    return sorted(classes, key=lambda each: (-_asked(each, "cpu"), -_asked(each, "memory"), age(each.pods[0])))


def _karpenter_order(world: World, market: Market) -> list[PodClass]:
    del market
    return _by_size(world.classes)


def _memory_first(world: World, market: Market) -> list[PodClass]:
    """Most memory first, then most CPU."""
    del market
    return sorted(world.classes, key=lambda each: (-_asked(each, "memory"), -_asked(each, "cpu"), age(each.pods[0])))


def _dearest_first(world: World, market: Market) -> list[PodClass]:
    """Pods with the dearest company first, so that the others only get the room those leave; then by size."""
    level = [_unit_price(market, group) for group in range(len(market.worth))]
    forced = [any(rule.own for rule in world.rulebook.rules[each.index][0].hosts) for each in world.classes]
    sized = _by_size(world.classes)
    return sorted(sized, key=lambda each: (-round(level[market.group_of[each.index]], 9), not forced[each.index]))


def _unit_price(market: Market, group: int) -> float:
    demand = market.start[group]
    worth = market.worth[group]
    least = min((float(each.units @ demand) for each in market.worth), default=0.0)
    return float(worth.units @ demand) / least if least > 0 else 0.0


def _asked(each: PodClass, name: str) -> int:
    return dict(each.spec.requests).get(name, 0)


KARPENTER: Final = Strategy("karpenter", LargestShop, _karpenter_order, merges=False)
PORTFOLIO: Final[Sequence[Strategy]] = (
    Strategy("priced", PricedShop, _dearest_first),
    Strategy("priced-by-size", PricedShop, _karpenter_order),
    Strategy("largest", LargestShop, _karpenter_order),
    Strategy("largest-dearest", LargestShop, _dearest_first),
    Strategy("priced-by-memory", PricedShop, _memory_first),
    Strategy("largest-by-memory", LargestShop, _memory_first),
)
OVER_NODES: Final = replace(KARPENTER, name="over-nodes", counts_nodes=False)
"""Beyond a limit on `nodes`, as Karpenter goes within one pass: only where pods would be left over otherwise."""
THRIFTY: Final = Strategy("thrifty", ThriftyShop, _karpenter_order)
