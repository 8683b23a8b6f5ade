"""Budgets over a set of candidates: how many of each pool may leave together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nodesmith.decide.disrupt.budgets import Allowance
from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.plan.stay import Stay, StayCode


@dataclass(frozen=True, slots=True)
class Ration:
    """What each pool has left for one reason."""

    allowances: Mapping[str, Allowance]

    def left(self, pool: str) -> int:
        """How many nodes of the pool may leave."""
        allowance = self.allowances.get(pool)
        return allowance.left if allowance is not None else 0

    def allows(self, candidates: Iterable[Candidate]) -> bool:
        """Whether these may leave together."""
        return all(self.left(name) >= count for name, count in Counter(each.pool.name for each in candidates).items())

    def take(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """As many of them as may leave together, the first ones first."""
        return list(self.also((), candidates))

    def also(self, taken: Iterable[Candidate], candidates: Iterable[Candidate]) -> list[Candidate]:
        """Those that may leave besides the ones taken already, the first ones first."""
        used = Counter(each.pool.name for each in taken)
        found: list[Candidate] = []
        for each in candidates:
            if used[each.pool.name] < self.left(each.pool.name):
                used[each.pool.name] += 1
                found.append(each)
        return found

    def stay(self, each: Candidate) -> Stay | None:
        """Why the candidate stays where its pool has nothing left."""
        if self.left(each.pool.name):
            return None
        allowance = self.allowances[each.pool.name]
        detail = (
            f"the budget of nodepool {each.pool.name} for {allowance.reason.value} allows {allowance.budget} of "
            f"{allowance.total} nodes, {allowance.disrupting} are being disrupted or not ready"
        )
        return Stay(each.name, StayCode.POOL_BUDGET, detail)
