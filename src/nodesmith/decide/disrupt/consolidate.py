"""Consolidation: the ways of choosing, and looking ahead where one step is not the end (spec 5.6 and beyond).

The one thing to know: a way is followed to the end in simulation before its first step is taken. So what is cheapest
now does not spoil what would be cheaper in the end, and the end is never dearer than upstream's way would come to. The
steps that follow are remembered; as long as the cluster is as foreseen, they are left only for what ends cheaper still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.decide.disrupt.evaluate import Evaluator, Proposal
from nodesmith.decide.disrupt.foreseen import holds, take
from nodesmith.decide.disrupt.policy import Way
from nodesmith.decide.disrupt.pressure import pressure
from nodesmith.decide.disrupt.rationing import Ration
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.decide.disrupt.search import Search, rank
from nodesmith.decide.disrupt.simulate import VERY_MANY_PODS, Care
from nodesmith.decide.disrupt.upstream import upstream_proposal
from nodesmith.decide.disrupt.verdict import End, Memory
from nodesmith.plan.command import Command

Follow = Callable[[Command, Way], End]
"""Where the cluster ends when, after the command, everything is done by the given way."""


@dataclass(slots=True)
class Consolidation:
    """One pass of consolidation over candidates that rules and budgets let through.

    `goes_on`: an earlier pass over the same cluster found nothing and had no effort left for some of them. `left` are
    those that the effort of this one did not last to ask about alone.
    """

    scene: Scene
    ration: Ration
    memory: Memory
    follow: Follow
    goes_on: bool = False
    evaluator: Evaluator = field(init=False)
    left: frozenset[str] = field(default=frozenset(), init=False)

    def __post_init__(self) -> None:
        """Judge by the operator's policy."""
        self.evaluator = Evaluator(self.scene)

    def choose(self, candidates: Sequence[Candidate]) -> Proposal | None:
        """The proposal to carry out; `memory` is then what the next pass is to know."""
        match self.scene.policy.way:
            case Way.UPSTREAM:
                return self._as_upstream(candidates)
            case Way.GREEDY:
                return self._search(candidates, self.scene.policy.effort).best
            case Way.FARSIGHTED:
                return self._farsighted(candidates)

    def _intended(self, candidates: Sequence[Candidate]) -> tuple[End, Proposal] | None:
        """The step that an earlier pass looked ahead to, if the cluster is as it was foreseen; and where it leads."""
        intent = self.memory.intent
        if intent is None:
            return None
        step, *later = intent.steps
        nodes = take(step, candidates) if holds(step, self.scene) else None
        if nodes is None or not self.ration.allows(nodes):
            return None
        found = Evaluator(self.scene, step.care).judge(nodes)
        return (End(intent.price, tuple(later)), found) if isinstance(found, Proposal) else None

    def _search(self, candidates: Sequence[Candidate], effort: int) -> Search:
        relaxed = pressure(candidates, self.scene, self.ration)
        limit = self.scene.shared.effort + effort
        search = Search(self.evaluator, self.ration, relaxed, limit, self.memory.looked_at, self.goes_on)
        search.run(candidates)
        return search

    def _as_upstream(self, candidates: Sequence[Candidate]) -> Proposal | None:
        return upstream_proposal(Evaluator(self.scene, Care.UPSTREAM), self.ration, candidates)

    def _farsighted(self, candidates: Sequence[Candidate]) -> Proposal | None:
        intended = self._intended(candidates)
        self.memory = replace(self.memory, intent=None)
        if len(candidates) > self.scene.policy.foresight:
            return self._intend(*intended) if intended is not None else self._at_once(candidates)
        search = self._search(candidates, self.scene.policy.effort // 2)
        self._note_looked_at(candidates)
        ends = [*((intended,) if intended is not None else ()), *self._ends(search, self._as_upstream(candidates))]
        best = min(ends, key=lambda each: (each[0].price, each is not intended, rank(each[1])), default=None)
        return self._intend(*best) if best is not None else None

    def _intend(self, end: End, proposal: Proposal) -> Proposal:
        """The proposal, while it is remembered where it leads."""
        self.memory = replace(self.memory, intent=end if end.steps else None)
        return proposal

    def _at_once(self, candidates: Sequence[Candidate]) -> Proposal | None:
        """What saves most now."""
        search = self._search(candidates, self.scene.policy.effort)
        self._note_looked_at(candidates)
        return self._with_care(search.best) if search.best is not None else None

    def _ends(self, search: Search, upstream: Proposal | None) -> Iterator[tuple[End, Proposal]]:
        """First steps worth taking with where they lead: what saves most, upstream's, then others if effort is left."""
        good = search.alternatives()
        good[:1] = [self._with_care(each) for each in good[:1]]
        pairs = [(each, Way.GREEDY) for each in good[:1]]
        if upstream is not None:
            pairs += [(upstream, Way.UPSTREAM), (upstream, Way.GREEDY)]
        pairs += [(each, way) for way in (Way.GREEDY, Way.UPSTREAM) for each in good[way is Way.GREEDY :]]
        limit = self.scene.shared.effort + self.scene.policy.effort // 2
        for index, (proposal, way) in enumerate(pairs):
            if index < 2 or self.scene.shared.effort < limit:  # noqa: PLR2004 - our way and upstream's
                yield self.follow(proposal.command(), way), proposal

    def _with_care(self, proposal: Proposal) -> Proposal:
        """The same nodes with all strategies tried, where that saves more."""
        if proposal.moves > VERY_MANY_PODS or not proposal.claims:
            return proposal
        careful = Evaluator(self.scene, Care.THOROUGH).judge(proposal.candidates)
        return careful if isinstance(careful, Proposal) and careful.savings > proposal.savings else proposal

    def _note_looked_at(self, candidates: Sequence[Candidate]) -> None:
        """What is left for the next pass; a round of passes ends when all candidates were asked about."""
        asked = frozenset(each.name for each in candidates if self.evaluator.recall((each,)) is not None)
        seen = self.memory.looked_at | asked
        is_round = all(each.name in seen for each in candidates)
        self.left = frozenset(each.name for each in candidates) - asked
        self.memory = replace(self.memory, looked_at=frozenset() if is_round else seen)
