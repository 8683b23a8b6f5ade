"""Budgets over a set of candidates: how many nodes of each pool may leave together, and how many pods may move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nodesmith.decide.disrupt.budgets import Allowance
from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.plan.stay import Stay, StayCode


@dataclass(frozen=True, slots=True)
class Ration:
    """What each pool has left for one reason; `most_moves` are the pools' own limits to the pods moved at once."""

    allowances: Mapping[str, Allowance]
    most_moves: Mapping[str, int] = field(default_factory=dict)

    def left(self, pool: str) -> int:
        """How many nodes of the pool may leave."""
        allowance = self.allowances.get(pool)
        return allowance.left if allowance is not None else 0

    def allows(self, candidates: Sequence[Candidate]) -> bool:
        """Whether these may leave together."""
        return len(self.take(candidates)) == len(candidates)

    def take(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """As many of them as may leave together, the first ones first."""
        return list(self.also((), candidates))

    def also(self, taken: Iterable[Candidate], candidates: Iterable[Candidate]) -> list[Candidate]:
        """Those that may leave besides the ones taken already, the first ones first."""
        used, moves = Counter[str](), Counter[str]()
        for each in taken:
            used[each.pool.name] += 1
            moves[each.pool.name] += len(each.pods)
        found: list[Candidate] = []
        for each in candidates:
            name, after = each.pool.name, moves[each.pool.name] + len(each.pods)
            if used[name] < self.left(name) and after <= self.most_moves.get(name, after):
                used[name] += 1
                moves[name] = after
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
