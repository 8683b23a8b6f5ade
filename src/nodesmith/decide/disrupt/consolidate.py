"""Consolidation: the ways of choosing, and looking ahead where one step is not the end (spec 5.6 and beyond).

The one thing to know: a way is followed to the end in simulation before its first step is taken. So what is cheapest
now does not spoil what would be cheaper in the end, and the end is never dearer than upstream's way would come to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from nodesmith.decide.disrupt.candidates import Candidate, Scene
from nodesmith.decide.disrupt.evaluate import Evaluator, Proposal
from nodesmith.decide.disrupt.policy import Way
from nodesmith.decide.disrupt.pressure import pressure
from nodesmith.decide.disrupt.rationing import Ration
from nodesmith.decide.disrupt.search import Search, rank
from nodesmith.decide.disrupt.simulate import Simulator
from nodesmith.decide.disrupt.upstream import upstream_proposal
from nodesmith.model.money import UsdPerHour
from nodesmith.plan.command import Command

EndPrice = Callable[[Command, Way], UsdPerHour]
"""What the cluster costs when, after the command, nothing is left to do by the given way."""


@dataclass(slots=True)
class Consolidation:
    """One pass of consolidation over candidates that rules and budgets let through."""

    scene: Scene
    simulator: Simulator
    ration: Ration
    end_price: EndPrice
    evaluator: Evaluator

    def choose(self, candidates: Sequence[Candidate]) -> Proposal | None:
        """The proposal to carry out."""
        match self.scene.policy.way:
            case Way.UPSTREAM:
                return self._as_upstream(candidates)
            case Way.GREEDY:
                return self._search(candidates).best
            case Way.FARSIGHTED:
                return self._farsighted(candidates)

    def _search(self, candidates: Sequence[Candidate]) -> Search:
        relaxed = pressure(candidates, self.scene, self.ration)
        search = Search(self.evaluator, self.ration, relaxed, self.scene.policy.effort)
        search.run(candidates)
        return search

    def _as_upstream(self, candidates: Sequence[Candidate]) -> Proposal | None:
        policy = replace(self.scene.policy, n_to_m=False)
        evaluator = Evaluator(Simulator(replace(self.scene, policy=policy)))
        return upstream_proposal(evaluator, self.ration, candidates)

    def _farsighted(self, candidates: Sequence[Candidate]) -> Proposal | None:
        search = self._search(candidates)
        if len(candidates) > self.scene.policy.foresight_nodes:
            return search.best
        upstream = self._as_upstream(candidates)
        if search.best is None or upstream is None:
            return search.best or upstream
        best = min(self._ends(search, upstream), key=lambda end: end[0])
        return best[1]

    def _ends(self, search: Search, upstream: Proposal) -> Iterator[tuple[tuple[object, ...], Proposal]]:
        """Every first step worth following and what it ends at, by each way."""
        for proposal in (*search.alternatives(self.scene.policy.foresight), upstream):
            for way in (Way.GREEDY, Way.UPSTREAM):
                yield (self.end_price(proposal.command(), way), rank(proposal)), proposal
