"""One idea (these nodes leave), judged by everything that may be said against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.decide.disrupt.pricing import Refused, cheaper, savings_of
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.decide.disrupt.simulate import Care, Simulator
from nodesmith.decide.disrupt.sparing import is_calming
from nodesmith.decide.disrupt.worth import Bench, Weighed
from nodesmith.model.money import FREE, UsdPerHour
from nodesmith.model.nodepool import DisruptionReason
from nodesmith.plan.command import Approval, Command, Method
from nodesmith.plan.schedule import OnClaim, OnNode, PlannedClaim
from nodesmith.plan.stay import StayCode


@dataclass(frozen=True, slots=True)
class Proposal:
    """An idea that nothing speaks against. `weighed` is what Balanced pools say in its favour."""

    candidates: tuple[Candidate, ...]
    claims: tuple[PlannedClaim, ...]
    placements: Mapping[str, OnNode | OnClaim]
    savings: UsdPerHour
    weighed: tuple[Weighed, ...] = ()

    @property
    def moves(self) -> int:
        """How many pods have to start anew."""
        return sum(len(each.pods) for each in self.candidates)

    def command(self) -> Command:
        """The proposal as a command."""
        return Command(
            Method.MULTI if len(self.candidates) > 1 else Method.SINGLE,
            tuple(each.leaving() for each in self.candidates),
            self.claims,
            self.placements,
            self.savings,
            tuple(Approval(each.pool_name, str(each.score)) for each in self.weighed),
        )


class Evaluator:
    """Judges ideas, each distinct one once."""

    def __init__(self, scene: Scene, care: Care = Care.QUICK) -> None:
        self.scene = scene
        self._simulator = Simulator(scene, care=care)
        self._bench = Bench.of(self.scene)
        self.weighed: list[Weighed] = []
        self._known: dict[frozenset[str], Proposal | Refused] = {}

    @property
    def weighs_disruption(self) -> bool:
        """Whether some pool asks that savings are worth the disruption."""
        return self._bench.weighs_disruption

    def judge(self, candidates: Sequence[Candidate]) -> Proposal | Refused:
        """What comes of these nodes leaving together; their prices are known."""
        key = frozenset(each.name for each in candidates)
        verdict = self._known.get(key)
        if verdict is None:
            self.scene.shared.effort += effort_of(candidates, self.scene)
            ordered = tuple(sorted(candidates, key=lambda each: each.name))
            verdict = self._known[key] = self._judge(ordered)
        return verdict

    def recall(self, candidates: Sequence[Candidate]) -> Proposal | Refused | None:
        """What came of the idea, or None where nobody asked."""
        return self._known.get(frozenset(each.name for each in candidates))

    def _judge(self, candidates: tuple[Candidate, ...]) -> Proposal | Refused:
        simulation = self._simulator.without(candidates)
        if simulation.stranded:
            return Refused(StayCode.PODS_STRANDED, simulation.complaint)
        claims = simulation.claims
        rough = savings_of(candidates, claims)
        if len(claims) > 1 and self._simulator.care is Care.UPSTREAM:
            detail = f"Can't remove without creating {len(claims)} candidates"
            return Refused(StayCode.NOT_CHEAPER, detail, rough)
        if claims:
            calm = [each.name for each in candidates if is_calming(each, DisruptionReason.UNDERUTILIZED, self.scene)]
            if calm:
                detail = f"{calm[0]} replaced other nodes less than {self.scene.policy.calm} ago"
                return Refused(StayCode.RECENTLY_REPLACED, detail, rough)
            narrowed = cheaper(candidates, claims, self.scene)
            if isinstance(narrowed, Refused):
                return replace(narrowed, saving=rough)
            claims = narrowed
        savings = savings_of(candidates, claims)
        if savings is None or savings < FREE:
            return Refused(StayCode.NOT_CHEAPER, "Can't replace with a cheaper node", savings)
        self.weighed += self._bench.weigh(candidates, savings)
        weighed = self._bench.judge(candidates, savings)
        if isinstance(weighed, Refused):
            return replace(weighed, saving=savings)
        return Proposal(candidates, claims, simulation.placements, savings, weighed)


def effort_of(candidates: Sequence[Candidate], scene: Scene) -> int:
    """What judging an idea costs, counted so that the same snapshot gets the same answer on every machine.

    One is about a tenth of a millisecond.
    """
    return 30 + len(scene.snapshot.nodes) // 25 + sum(len(each.pods) for each in candidates)
