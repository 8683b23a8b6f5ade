"""Which nodes should leave together: consolidation of one, of many into one, of many into some (spec 5.6 and beyond).

The one thing to know: candidates are ordered by how much more they cost than their room is worth, and the scheduler is
asked about sets along that order; then the best answer is improved node by node. Upstream bisects over prefixes of one
order and buys one machine at most; here every candidate is weighed at once and any number may be bought.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.decide.disrupt.evaluate import Evaluator, Proposal, effort_of
from nodesmith.decide.disrupt.pressure import Pressure
from nodesmith.decide.disrupt.pricing import Refused
from nodesmith.decide.disrupt.rationing import Ration
from nodesmith.model.labels import SPOT
from nodesmith.model.money import PICOS_PER_DOLLAR

Rank = tuple[int, int, int, tuple[str, ...]]
"""What is smaller is better."""

WASTE_WEIGHT: Final = 10.0
"""What a bought machine wastes stays, while savings come in one order or another: measured on clusters of 20 to 100
nodes under budgets of 5 nodes and 10 %, where it ends 1 to 2 % cheaper than a weight of 1 and with fewer nodes."""

LEAST_QUESTIONS: Final = 2
"""What a search may ask whatever it costs, until it has found something."""


@dataclass(slots=True)
class Search:
    """One search. `limit` bounds the effort spent when it ends, counted as `effort_of` counts.

    `goes_on`: it goes on where an earlier one ended that found nothing in the same cluster, and leaves out the sets
    that it began with.
    """

    evaluator: Evaluator
    ration: Ration
    pressure: Pressure
    limit: int
    looked_at: frozenset[str] = frozenset()
    goes_on: bool = False
    best: Proposal | None = None
    found: list[Proposal] = field(default_factory=list)
    asked: int = 0
    most_dear: int | None = None

    def run(self, candidates: Sequence[Candidate]) -> Proposal | None:
        """The best proposal found, or None where everything is refused.

        Those that were looked at alone in earlier passes have their turn after the others. However much the sets cost,
        a third of the effort is for them, and one is asked about at the least, unless something was found.
        """
        order = self.pressure.order(candidates, by_disruption=self.evaluator.weighs_disruption)
        self.most_dear = self._licence(order)
        whole, scene = self.limit, self.evaluator.scene
        third = (whole - scene.shared.effort) // 3
        self.limit -= third
        self.consider(() if self.goes_on else self._ideas(order))
        alone = sorted(order, key=lambda each: each.name in self.looked_at)
        least = 0 if self.best is not None else max(third, effort_of(alone[:1], scene))
        self.limit = max(whole, scene.shared.effort + least)
        self.consider((each,) for each in alone)
        self.limit = whole
        self._improve(order)
        return self.best

    def consider(self, ideas: Iterable[Sequence[Candidate]]) -> None:
        """Ask about these sets, as far as the effort goes."""
        for idea in ideas:
            self._try(idea)
            if self._is_spent():
                return

    def _ideas(self, order: Sequence[Candidate]) -> Iterator[Sequence[Candidate]]:
        """Sets worth asking about: all, those the relaxation removes, and prefixes of the order."""
        full = self._take(order)
        yield full
        yield self._take([each for each in order if each.name in self.pressure.removed])
        low, high = 1, len(full)
        while high - low > 1:
            middle = (low + high) // 2
            prefix = full[:middle]
            yield prefix
            if isinstance(self.evaluator.recall(prefix), Proposal):
                low = middle
            else:
                high = middle

    def _licence(self, order: Sequence[Candidate]) -> int | None:
        """How many nodes that are not spot may leave at once, so that enough are left for spot to be replaced with.

        Spot is replaced by spot only in the company of a node that is not spot. Where budgets make it many steps, each
        of them needs one. None: as many as there are.
        """
        if not self.pressure.is_bound or self.evaluator.scene.policy.spot_to_spot:
            return None
        going = [each for each in order if each.name in self.pressure.eventually]
        dear = sum(each.capacity_type != SPOT for each in going)
        at_once = len(self.ration.take(going))
        if dear == len(going) or not at_once:
            return None
        return max(1, dear - (-(-len(going) // at_once) - 1))

    def _take(self, order: Sequence[Candidate]) -> list[Candidate]:
        """As many as budgets and the licence allow, the first ones first."""
        if self.most_dear is None:
            return self.ration.take(order)
        dear = [each for each in order if each.capacity_type != SPOT][: self.most_dear]
        chosen = {each.name for each in dear}
        return self.ration.take(each for each in order if each.name in chosen or each.capacity_type == SPOT)

    def _is_licensed(self, idea: Sequence[Candidate]) -> bool:
        return self.most_dear is None or sum(each.capacity_type != SPOT for each in idea) <= self.most_dear

    def _improve(self, order: Sequence[Candidate]) -> None:
        """Let nodes join, stay after all, or change places, for as long as that saves more."""
        while self.best is not None and not self._is_spent(self.best.moves) and self._step(self.best, order):
            pass

    def _step(self, start: Proposal, order: Sequence[Candidate]) -> bool:
        inside = list(start.candidates)
        names = {each.name for each in inside}
        outside = [each for each in order if each.name not in names]
        for idea in _neighbours(inside, outside):
            if self._try(idea):
                return True
            if self._is_spent(start.moves):
                return False
        return False

    def _try(self, idea: Sequence[Candidate]) -> bool:
        """Whether the idea is the best one so far; it is not asked about when there is no effort left."""
        if not idea or not self.ration.allows(idea) or not self._is_licensed(idea):
            return False
        if self.evaluator.recall(idea) is None and not self._can_afford(idea):
            return False
        self.asked += 1
        found = self.evaluator.judge(idea)
        if isinstance(found, Refused):
            return False
        self.found.append(found)
        if self.best is not None and self._rank(self.best) <= self._rank(found):
            return False
        self.best = found
        return True

    def _rank(self, proposal: Proposal) -> Rank:
        """What saves most; where budgets make it many steps, less what the machines bought waste from then on."""
        waste = WASTE_WEIGHT * self.pressure.waste(proposal.claims) if self.pressure.is_bound else 0.0
        return rank(proposal, waste)

    def alternatives(self) -> list[Proposal]:
        """Good proposals that differ in kind: what saves most, buying anything, nothing or one machine; the least."""
        ranked = sorted(self.found, key=rank)
        kinds = [next((each for each in ranked if len(each.claims) <= most), None) for most in (len(ranked), 0, 1)]
        small = min(ranked, key=lambda each: (len(each.candidates), rank(each)), default=None)
        chosen = {_names(each): each for each in (*kinds, small) if each is not None}
        return list(chosen.values())

    def _can_afford(self, idea: Sequence[Candidate]) -> bool:
        """Whether asking is within the limit; until something was found, the first questions always are."""
        is_due = self.best is None and self.asked < LEAST_QUESTIONS
        return is_due or self.evaluator.scene.shared.effort + effort_of(idea, self.evaluator.scene) <= self.limit

    def _is_spent(self, moves: int = 0) -> bool:
        """Whether not even a question about so few moves is within the limit."""
        scene = self.evaluator.scene
        is_due = self.best is None and self.asked < LEAST_QUESTIONS
        return not is_due and scene.shared.effort + effort_of((), scene) + moves * 9 // 10 > self.limit


def _neighbours(inside: Sequence[Candidate], outside: Sequence[Candidate]) -> Iterator[Sequence[Candidate]]:
    """Sets that differ by one node more, one less, or one exchanged."""
    for each in outside:
        yield [*inside, each]
    for each in inside:
        yield [other for other in inside if other is not each]
    for each in inside:
        for new in outside:
            yield [*(other for other in inside if other is not each), new]


def rank(proposal: Proposal, waste: float = 0.0) -> Rank:
    """What saves most first; then what moves least, takes fewest nodes, and is first by name."""
    saved = proposal.savings.picos - round(waste * PICOS_PER_DOLLAR)
    return -saved, proposal.moves, len(proposal.candidates), _names(proposal)


def _names(proposal: Proposal) -> tuple[str, ...]:
    return tuple(each.name for each in proposal.candidates)
