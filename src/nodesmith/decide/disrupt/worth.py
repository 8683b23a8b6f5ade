"""Whether what a command saves is worth what it disturbs: the pools' own bars, and Balanced (spec 5.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from nodesmith.api.bar import Bar, bar_from
from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.decide.disrupt.costs import hourly_price, reschedule_cost
from nodesmith.decide.disrupt.policy import BALANCED_K
from nodesmith.decide.disrupt.pricing import Refused
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.model.money import UsdPerHour
from nodesmith.model.nodepool import ConsolidationPolicy
from nodesmith.plan.stay import StayCode


@dataclass(frozen=True, slots=True)
class PoolTotals:
    """What a whole pool costs, in dollars an hour, and what disturbing all of it would be."""

    cost: float
    disruption: float


@dataclass(frozen=True, slots=True)
class Score:
    """How much of the pool's cost a command saves for how much of its disruption (spec 5.6, Balanced)."""

    savings_share: float
    disruption_share: float
    is_valid: bool = True

    @property
    def value(self) -> float:
        """Savings by disruption; one that disturbs nothing is beyond measure, one of an empty pool is nothing."""
        if not self.is_valid or self.savings_share <= 0:
            return 0.0
        return self.savings_share / self.disruption_share if self.disruption_share > 0 else inf

    @property
    def is_approved(self) -> bool:
        """Whether it is at least 1/k."""
        return self.value >= 1 / BALANCED_K

    def __str__(self) -> str:
        comparison = ">=" if self.is_approved else "<"
        return (
            f"score {self.value:.2f} {comparison} threshold {1 / BALANCED_K:.2f} (k: {BALANCED_K}, "
            f"savings {self.savings_share:.1%}, disruption {self.disruption_share:.1%})"
        )


@dataclass(frozen=True, slots=True)
class Weighed:
    """A command's score by one Balanced pool."""

    pool_name: str
    score: Score


@dataclass(frozen=True, slots=True)
class Bench:
    """The bars of all pools, and the totals of those that are Balanced."""

    bars: Mapping[str, Bar]
    totals: Mapping[str, PoolTotals]

    @classmethod
    def of(cls, scene: Scene) -> Bench:
        """The bench of one pass."""
        balanced = [
            pool.name for pool in scene.pools.values() if pool.disruption.policy is ConsolidationPolicy.BALANCED
        ]
        return cls(
            {pool.name: bar_from(pool.meta.annotations) for pool in scene.pools.values()},
            {name: _totals(name, scene) for name in balanced},
        )

    @property
    def weighs_disruption(self) -> bool:
        """Whether some pool asks that savings are worth the disruption."""
        return bool(self.totals) or any(bar.per_move.picos for bar in self.bars.values())

    def judge(self, candidates: Sequence[Candidate], savings: UsdPerHour) -> tuple[Weighed, ...] | Refused:
        """What the Balanced pools have to say in favour, or why it is not worth it."""
        for name, members in _by_pool(candidates).items():
            refusal = self._below_bar(name, members, candidates, savings)
            if refusal is not None:
                return refusal
        weighed = self.weigh(candidates, savings)
        against = next((each.score for each in weighed if not each.score.is_approved), None)
        return weighed if against is None else Refused(StayCode.BELOW_BAR, str(against))

    def weigh(self, candidates: Sequence[Candidate], savings: UsdPerHour) -> tuple[Weighed, ...]:
        """The scores by the Balanced pools that lose nodes, by pool name."""
        return tuple(
            Weighed(name, score_of(members, candidates, savings.dollars, self.totals[name]))
            for name, members in _by_pool(candidates).items()
            if name in self.totals
        )

    def _below_bar(
        self, name: str, members: Sequence[Candidate], candidates: Sequence[Candidate], savings: UsdPerHour
    ) -> Refused | None:
        bar = self.bars[name]
        moves = sum(len(each.pods) for each in members)
        share = savings.dollars * _part(members, candidates)
        if not bar.is_readable and moves:
            detail = f"an annotation of nodepool {name} cannot be read: nothing that moves pods passes"
            return Refused(StayCode.BELOW_BAR, detail)
        if bar.max_moves is not None and moves > bar.max_moves:
            return Refused(StayCode.BELOW_BAR, f"{moves} pods would move, nodepool {name} allows {bar.max_moves}")
        if share < bar.per_move.dollars * moves:
            detail = f"${share:.4f}/h for {moves} pods moved, nodepool {name} asks for {bar.per_move} each"
            return Refused(StayCode.BELOW_BAR, detail)
        if share < bar.share * _price(members):
            detail = f"${share:.4f}/h of ${_price(members):.4f}/h, nodepool {name} asks for {bar.share:.0%}"
            return Refused(StayCode.BELOW_BAR, detail)
        return None


def score_of(
    members: Sequence[Candidate], candidates: Sequence[Candidate], savings: float, totals: PoolTotals
) -> Score:
    """The score of one pool's part of a command; savings are split by what the nodes cost."""
    if totals.cost <= 0 or totals.disruption <= 0:
        return Score(0.0, 0.0, is_valid=False)
    disruption = sum(each.reschedule_cost for each in members)
    return Score(savings * _part(members, candidates) / totals.cost, disruption / totals.disruption)


def _by_pool(candidates: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    found: dict[str, list[Candidate]] = {}
    for each in candidates:
        found.setdefault(each.pool.name, []).append(each)
    return dict(sorted(found.items()))


def _part(members: Sequence[Candidate], candidates: Sequence[Candidate]) -> float:
    whole = _price(candidates)
    return _price(members) / whole if whole > 0 else len(members) / len(candidates)


def _price(candidates: Sequence[Candidate]) -> float:
    return sum(each.price.dollars for each in candidates if each.price is not None)


def _totals(name: str, scene: Scene) -> PoolTotals:
    nodes = [node for node in scene.snapshot.nodes if node.claim is not None and node.pool_name == name]
    prices = [hourly_price(node, scene.types) for node in nodes]
    return PoolTotals(
        sum(price.dollars for price in prices if price is not None),
        sum(reschedule_cost(pod for pod in node.pods if pod.is_reschedulable) for node in nodes),
    )
