"""Where pods go: several attempts, the best of them improved, the cheapest plan that places most pods.

Every attempt is exact on all rules; they differ in the order of pods, in which machines they buy, and in whether pods
look for machines or machines for pods. Where pods are left over, Karpenter's own way is tried too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from nodesmith.decide.schedule.buyer import Buyer
from nodesmith.decide.schedule.claims import Claims
from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.crowd import Crowd
from nodesmith.decide.schedule.filler import NEARLY_NOTHING, Filler
from nodesmith.decide.schedule.foresight import ForesightShop
from nodesmith.decide.schedule.grouping import age
from nodesmith.decide.schedule.improve import Improver
from nodesmith.decide.schedule.market import Market
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.patterns import Patterns, suits
from nodesmith.decide.schedule.placer import Placer
from nodesmith.decide.schedule.problem import PricingPolicy, Problem, TimeIsUp
from nodesmith.decide.schedule.reasons import why_unplaced
from nodesmith.decide.schedule.shop import LargestShop, PricedShop, Shop, ThriftyShop
from nodesmith.decide.schedule.stock import Stock
from nodesmith.decide.schedule.world import World
from nodesmith.model.pod import LOWEST_PRIORITY
from nodesmith.model.resources import NODES
from nodesmith.plan.schedule import OnClaim, OnNode, Placement, PlannedClaim, SchedulePlan

FEW_PODS: Final = 100
"""Up to so many every attempt is improved: none is much worse than another, and where each ends is a matter of luck."""
MANY_PODS: Final = 400
"""Above this two attempts have to do, which are unlike one another."""
VERY_MANY_PODS: Final = 20_000
"""Above this one attempt has to do."""
MANY_RULED: Final = 300
"""Classes with rules between pods; above this filling machines takes several times as long as placing classes, which is
then done first. Of pods without rules placing makes plans that are dearer by a third."""
APART_PART: Final = 0.1
"""Where more than this part of the pods have to be apart, what will be on a machine is not foreseen well, so that it is
tried. Improvement gains next to nothing there; elsewhere it is the better use of the time."""
NEAR: Final = 1.2
"""The second-best attempt is improved as well when it costs less than this much of the best."""

TRIAL_PART: Final = 5
"""One in so many steps is spent on each of the two best attempts, the rest on the better one of them; where all are
improved, each of the others has as many."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to make a plan; with `fills`, each machine is filled before the next is bought.

    Patient pods let others go first while the company that they look for is not there yet.
    `together`: resources are priced for all groups of pods at once, not for each by itself (`worth.py`).
    `has_patterns`: machines for plain pods are bought by patterns before all others (`patterns.py`).
    `tries`: the best-looking machines are filled one by one before one of them is bought (`filler.py`).
    """

    name: str
    shop: Callable[[Crowd, Packing], Shop]
    order: Callable[[Crowd], list[PodClass]]
    fills: bool = False
    counts_nodes: bool = True
    is_patient: bool = True
    together: bool = False
    has_patterns: bool = False
    tries: bool = False


class Attempt:
    """One strategy's packing of a world, given up (`is_cut_short`) when its time is up before all have been served."""

    def __init__(self, world: World, strategy: Strategy, is_time_up: TimeIsUp | None = None) -> None:
        self._strategy = strategy
        self._is_time_up = is_time_up
        self._crowd = Crowd(world, Market(world, together=strategy.together))
        self._packing = Packing(world, counts_nodes=strategy.counts_nodes)
        self._claims = Claims(self._packing)
        buyer = Buyer(self._packing, strategy.shop(self._crowd, self._packing))
        self._placer = Placer(self._packing, self._crowd, buyer)
        self._filler = Filler(self._packing, self._crowd, buyer, self._placer)
        self._order = strategy.order(self._crowd)
        if strategy.has_patterns:
            self._fit()
            Patterns(self._crowd, self._packing).buy(is_time_up)
        if strategy.fills:
            self._fill()
        self._placer.place_all(self._order, is_time_up, patient=strategy.is_patient)
        self._improver: Improver | None = None

    @property
    def is_cut_short(self) -> bool:
        """Whether pods may have been left over for want of time alone."""
        return self._is_time_up is not None and bool(self._crowd.left.any()) and self._is_time_up()

    @property
    def unplaced(self) -> int:
        """Pods left over that some node or machine would take if it were alone."""
        return sum(count for index, count in self._crowd.leftover().items() if self._has_hope(index))

    def _has_hope(self, index: int) -> bool:
        world, each = self._crowd.world, self._crowd.world.classes[index]
        last = each.stances[-1]
        return bool(world.offer_flags(each, last).any() or world.node_flags(last).any())

    @property
    def rank(self) -> tuple[tuple[int, ...], int, float, int, bool]:
        """Pods left over, how early their turn is in Karpenter's queue, dollars an hour, machines: less is better.

        Between equals the one whose machines were filled one by one.
        """
        improver = self._settled()
        return self._left_over(), self._passed_over(), improver.price, len(improver.prices), not self._strategy.fills

    def _passed_over(self) -> int:
        """How early the turn of the pods left over is, the later ones counting least."""
        left = self._crowd.leftover()
        if not left:
            return 0
        turns = {each.index: turn for turn, each in enumerate(reversed(_by_size(self._crowd)))}
        return sum(turns[index] * count for index, count in left.items())

    def _left_over(self) -> tuple[int, ...]:
        """How many pods are left over: first those that are more than room to be kept, then by priority."""
        world = self._crowd.world
        counts: Counter[int] = Counter()
        for index, count in self._crowd.leftover().items():
            counts[world.classes[index].spec.priority or 0] += count
        real = counts.total() - counts[LOWEST_PRIORITY]
        return (real, *(counts[priority] for priority in world.priorities))

    @property
    def stands(self) -> bool:
        """Whether no machine opens up a domain in which a spread constraint did not count on any."""
        packing, book = self._packing, self._packing.world.rulebook
        used = [int(packing.offer[bin_]) for bin_ in packing.planned() if packing.contents[bin_]]
        for index, watched in book.watched.items():
            counter, table = book.counters[index], packing.tally.tables[index]
            there = {book.offer_code(counter.key, offer) for offer in used if book.counts_offer(counter, offer)}
            for rule in watched.hard:
                surprises = [table[code] for code in there - {*rule.eligible, -1}]
                most = max((table[code] for code in rule.eligible), default=0)
                if surprises and most - min(surprises) > rule.max_skew:
                    return False
        return True

    def is_near(self, best: Attempt) -> bool:
        """Whether it places the same pods as the best and costs little more."""
        return self.rank[:2] == best.rank[:2] and self.rank[2] < NEAR * best.rank[2]

    def improve(self, steps: int, is_time_up: TimeIsUp | None) -> None:
        """The plan is as cheap as so many steps make it, or as many as there was time for."""
        if self._packing.world.is_narrow:
            return
        self._settled().run((self._order, _by_memory(self._crowd), _by_size(self._crowd)), steps, is_time_up)

    def plan(self) -> SchedulePlan:
        """The plan as it stands, and is to stay: hosts may be levelled, after which nothing else can be moved."""
        self._placer.level(self._order)
        return _assemble(self._packing, self._claims, self._crowd.leftover(), self._strategy.name)

    def _settled(self) -> Improver:
        """The improver, with every machine the cheapest that holds its pods."""
        if self._improver is None:
            self._improver = Improver(self._packing, self._crowd, self._filler, self._placer, self._claims)
        return self._improver

    def _fit(self) -> None:
        for each in self._order:
            self._placer.fit(each)

    def _fill(self) -> None:
        self._fit()
        self._placer.place_all([each for each in self._order if self._shares_a_host(each)])
        for bin_ in self._packing.planned():
            self._filler.fill(bin_)
        self._filler.build(self._order, self._is_time_up, self._dearness if self._strategy.tries else None)

    def _dearness(self, bin_: int) -> float:
        """What the machine costs for what its pods are worth."""
        return self._claims.cheapest(bin_)[1] / max(self._crowd.worth_of(self._packing.contents[bin_]), NEARLY_NOTHING)

    def _shares_a_host(self, each: PodClass) -> bool:
        """Whether pods of the class want to be on one host, whichever it is."""
        return any(rules.host_affinity for rules in self._packing.world.rulebook.rules[each.index])


def schedule(problem: Problem, stock: Stock | None = None, is_time_up: TimeIsUp | None = None) -> SchedulePlan:
    """The cheapest plan found that places as many pods as any; the same for the same problem, whatever its order.

    Args:
        problem: what is asked.
        stock: problems of one decision may share one, which only saves time.
        is_time_up: asked while further attempts are made, which are given up then, and between steps of improvement;
            a plan on which it ends all further work may be dearer. The first attempt is made in any case, and more
            where it leaves pods over.
    """
    world = World(problem, stock)
    if problem.options.pricing is PricingPolicy.KARPENTER:
        return plan_by(world, KARPENTER)
    first, *others = _tried(world)
    if len(problem.pods) <= MANY_PODS and _has_anchored(world):
        others.append(THRIFTY)
    attempts = [Attempt(world, first)]
    for strategy in others:
        if is_time_up is None or not is_time_up():
            attempt = Attempt(world, strategy, is_time_up)
            attempts += [] if attempt.is_cut_short else [attempt]
    if any(attempt.unplaced for attempt in attempts):
        attempts += _rescues(world, attempts)
        if all(each.unplaced for each in attempts) and world.rulebook.could_be_narrower:
            narrow = World(problem, stock, is_narrow=True)
            tried = [Attempt(narrow, strategy) for strategy in (*PORTFOLIO[:1], KARPENTER, BOUND_FIRST)]
            attempts += [each for each in tried if each.stands]
    best, *worse = sorted(attempts, key=_rank)
    rivals = [each for each in worse[:1] if each.is_near(best)]
    if len(problem.pods) <= FEW_PODS:
        rivals = [each for each in worse if each.rank[:2] == best.rank[:2]]
    steps = problem.options.steps
    for each in (best, *rivals):
        each.improve(steps // TRIAL_PART, is_time_up)
    best = min((best, *rivals), key=_rank)
    best.improve(steps - min(2, 1 + len(rivals)) * (steps // TRIAL_PART), is_time_up)
    return best.plan()


def _rescues(world: World, attempts: Sequence[Attempt]) -> list[Attempt]:
    """More attempts, made where pods are left over."""
    more = [Attempt(world, strategy) for strategy in (KARPENTER, BOUND_FIRST, IMPATIENT)]
    if world.limits_left:
        more.append(Attempt(world, THRIFTY))
        everywhere = all(each.unplaced for each in (*attempts, *more))
        if everywhere and any(NODES in left for left in world.limits_left.values()):
            more.extend(Attempt(world, strategy) for strategy in OVER_NODES)
    if len(world.priorities) > 1:
        more.extend(Attempt(world, strategy) for strategy in BY_PRIORITY)
    return more


def _rank(attempt: Attempt) -> tuple[object, ...]:
    return attempt.rank


def _tried(world: World) -> Sequence[Strategy]:
    """The strategies tried for so many pods, the one first whose plan stands where there is no time for more."""
    pods, ruled = len(world.problem.pods), sum(each.stances[0].has_rules for each in world.classes)
    if pods <= MANY_PODS:
        return (FILLED, PATTERNS, *PORTFOLIO[1:]) if suits(world) else PORTFOLIO
    if pods > VERY_MANY_PODS:
        return (FILLED_TOGETHER,)
    if suits(world):
        return FILLED_TOGETHER, PATTERNS
    tried = (BY_MEMORY, FILLED_TOGETHER) if ruled > MANY_RULED else (FILLED_TOGETHER, BY_MEMORY)
    return (*tried, TRIED) if _most_apart(world) > APART_PART * pods else tried


def _most_apart(world: World) -> int:
    """How many pods of those that shun one another need a host of their own."""
    apart: Counter[int] = Counter()
    for each in world.classes:
        hosts = world.rulebook.rules[each.index][-1].hosts
        apart.update({rule.counter.index: each.count for rule in hosts if rule.own and not rule.limit})
    return max(apart.values(), default=0)


def _has_anchored(world: World) -> bool:
    """Whether pods want to be where others are: the first of them decides what all the others cost."""
    return any(ladder[-1].affinity for ladder in world.rulebook.rules)


def plan_by(world: World, strategy: Strategy) -> SchedulePlan:
    """The plan of one strategy, as it comes."""
    return Attempt(world, strategy).plan()


def quick_plan(world: World, strategies: Sequence[Strategy]) -> SchedulePlan:
    """The best of some strategies as they come: for simulations by the hundred."""
    return min((Attempt(world, strategy) for strategy in strategies), key=_rank).plan()


def _assemble(packing: Packing, maker: Claims, left: dict[int, int], name: str) -> SchedulePlan:
    """The plan that a packing stands for, pods in order of key."""
    world = packing.world
    placements: dict[str, Placement] = dict(world.grouping.refused)
    waiting = {each.index: iter(each.pods) for each in world.classes}
    claims: list[PlannedClaim] = []
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


def _by_size(crowd: Crowd) -> list[PodClass]:
    """Most CPU first, then most memory, then the oldest pod: Karpenter's order (spec 3.4)."""
    return _sorted_by(crowd.world.classes, "cpu", "memory")


def _by_priority(crowd: Crowd) -> list[PodClass]:
    """Pods of high priority first; then by size."""
    return sorted(_by_size(crowd), key=lambda each: -(each.spec.priority or 0))


def _bound_first(crowd: Crowd) -> list[PodClass]:
    """Pods that others shut out of zones first, before those come who may be anywhere; then by size."""
    rules = crowd.world.rulebook.rules
    return sorted(_by_size(crowd), key=lambda each: not rules[each.index][-1].keys)


def _by_memory(crowd: Crowd) -> list[PodClass]:
    """Most memory first, then most CPU."""
    return _sorted_by(crowd.world.classes, "memory", "cpu")


def _dearest_first(crowd: Crowd) -> list[PodClass]:
    """Pods that are dearest to buy for first, so that the others only get the room those leave; then by size."""
    rules = crowd.world.rulebook.rules
    forced = [any(rule.own for rule in rules[each.index][0].hosts) for each in crowd.world.classes]
    return sorted(_by_size(crowd), key=lambda each: (-crowd.tier[each.index], not forced[each.index]))


def _sorted_by(classes: Iterable[PodClass], first: str, second: str) -> list[PodClass]:
    def key(each: PodClass) -> tuple[int, int, tuple[datetime, str, str]]:
        asked = dict(each.spec.requests)
        return -asked.get(first, 0), -asked.get(second, 0), age(each.pods[0])

    return sorted(classes, key=key)


KARPENTER: Final = Strategy("karpenter", LargestShop, _by_size)
FILLED: Final = Strategy("filled", ForesightShop, _dearest_first, fills=True)
FILLED_TOGETHER: Final = replace(FILLED, name="filled-together", together=True)
TRIED: Final = replace(FILLED_TOGETHER, name="tried", tries=True)
PATTERNS: Final = replace(FILLED_TOGETHER, name="patterns", has_patterns=True)
BY_MEMORY: Final = Strategy("priced-by-memory", PricedShop, _by_memory)
PORTFOLIO: Final[Sequence[Strategy]] = (
    FILLED,
    BY_MEMORY,
    Strategy("priced", PricedShop, _dearest_first),
    Strategy("priced-by-size", PricedShop, _by_size),
    Strategy("largest", LargestShop, _by_size),
    Strategy("largest-dearest", LargestShop, _dearest_first),
    Strategy("largest-by-memory", LargestShop, _by_memory),
)
BOUND_FIRST: Final = Strategy("bound-first", LargestShop, _bound_first)
IMPATIENT: Final = replace(BOUND_FIRST, name="impatient", is_patient=False)
OVER_NODES: Final = tuple(
    replace(strategy, name=f"{strategy.name}-over-nodes", counts_nodes=False) for strategy in (KARPENTER, BOUND_FIRST)
)
"""Beyond a limit on `nodes`, as Karpenter goes within one pass: only where pods would be left over otherwise."""
BY_PRIORITY: Final = (
    Strategy("by-priority", LargestShop, _by_priority),
    Strategy("by-priority-thrifty", ThriftyShop, _by_priority),
)
"""Where pods are left over whatever is done: that those of low priority are."""
THRIFTY: Final = Strategy("thrifty", ThriftyShop, _by_size)
