"""What would happen if nodes left: the scheduler, asked about the cluster without them (spec 5.6, Simulation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.decide.schedule.defaultspread import spread_by_default
from nodesmith.decide.schedule.problem import MinValuesPolicy, PricingPolicy, Problem, pods_to_place
from nodesmith.decide.schedule.solve import FILLED, KARPENTER, plan_by, quick_plan, schedule
from nodesmith.decide.schedule.world import World
from nodesmith.model.pod import Pod
from nodesmith.plan.schedule import OnClaim, OnNode, PlannedClaim, SchedulePlan


@dataclass(frozen=True, slots=True)
class Simulation:
    """Where the candidates' pods would go. `stranded` are pods that would go nowhere good, with the reason."""

    placements: Mapping[str, OnNode | OnClaim] = field(default_factory=dict)
    claims: tuple[PlannedClaim, ...] = ()
    stranded: Mapping[str, str] = field(default_factory=dict)

    @property
    def complaint(self) -> str:
        """Which pods would be stranded and why, short."""
        (key, reason), *others = sorted(self.stranded.items())
        more = f" (and {len(others)} more)" if others else ""
        return f"not all pods would schedule, {key} => {reason}{more}"


class Care(StrEnum):
    """How much care is taken to find the cheapest plan: a few strategies, all of them, or upstream's only."""

    QUICK = "quick"
    THOROUGH = "thorough"
    UPSTREAM = "upstream"


VERY_MANY_PODS: Final = 8000
"""Above this the first strategy has to do."""

CARE: Final = 60_000
LEAST_STEPS: Final = 30
"""A plan made with care is improved for as many steps as make `CARE` times its pods, but for so many at least: a step
takes the longer the more pods there are, and the first thirty save most. Measured: of 2,000 pods the price is the same
after 30 steps as after 150, of 3,900 pods that keep apart it is 0.3 % above."""


class Simulator:
    """The scheduler with what all simulations of a pass have in common."""

    def __init__(self, scene: Scene, *, care: Care = Care.QUICK, protects_young_nodes: bool = True) -> None:
        self.scene = scene
        self.care = care if scene.policy.n_to_m else Care.UPSTREAM
        self._others = pods_to_place(scene.snapshot)
        self._from_leaving = frozenset(
            pod.key for node in scene.snapshot.nodes if node.is_deleting for pod in node.pods
        )
        self._coming = frozenset(node.name for node in scene.snapshot.nodes if not node.is_initialized)
        self._options = replace(
            scene.policy.options,
            protects_young_nodes=protects_young_nodes,
            min_values=MinValuesPolicy.STRICT,
        )
        self._hopeless = self._stranded_anyway() if self._from_leaving else frozenset()

    def without(self, candidates: Sequence[Candidate]) -> Simulation:
        """Where the candidates' pods would go, were the candidates gone."""
        moved = {pod.key: pod for each in candidates for pod in each.pods}
        pods: dict[str, Pod] = {pod.key: pod for pod in self._others} | moved
        problem = Problem(
            self.scene.snapshot,
            self.scene.catalog,
            tuple(pods.values()),
            without=frozenset(each.name for each in candidates),
            options=self._options,
        )
        return self._judge(self._plan(problem), frozenset(moved))

    def _stranded_anyway(self) -> frozenset[str]:
        """Pods of leaving nodes that have no place even if nothing else leaves: that is no candidate's fault."""
        problem = Problem(self.scene.snapshot, self.scene.catalog, self._others, options=self._options)
        return frozenset(self._plan(problem).unplaced)

    def _plan(self, problem: Problem) -> SchedulePlan:
        problem = spread_by_default(problem)
        is_greedy = problem.options.pricing is PricingPolicy.KARPENTER or self.care is Care.UPSTREAM
        if self.care is Care.THOROUGH and not is_greedy:
            return schedule(_improved_for_long(problem), self.scene.shared.stock)
        world = World(problem, self.scene.shared.stock)
        if is_greedy:
            return plan_by(world, KARPENTER)
        if len(problem.pods) > VERY_MANY_PODS:
            return plan_by(world, FILLED)
        return quick_plan(world, (FILLED, KARPENTER))

    def _judge(self, plan: SchedulePlan, moved: frozenset[str]) -> Simulation:
        """The part of the plan that concerns the candidates' pods; what the provisioner buys anyway is its own."""
        needed = [index for index, claim in enumerate(plan.claims) if not moved.isdisjoint(claim.pods)]
        renumbered = {old: new for new, old in enumerate(needed)}
        placements: dict[str, OnNode | OnClaim] = {}
        stranded: dict[str, str] = {}
        for key, place in plan.placements.items():
            if key not in moved and (key not in self._from_leaving or key in self._hopeless):
                continue
            match place:
                case OnNode() if place.node in self._coming and key in moved:
                    stranded[key] = f"would schedule against uninitialized node {place.node}"
                case OnNode() if key in moved:
                    placements[key] = place
                case OnClaim() if key in moved:
                    placements[key] = OnClaim(renumbered[place.index])
                case OnNode() | OnClaim():
                    pass
                case _:
                    stranded[key] = str(place)
        return Simulation(placements, tuple(plan.claims[index] for index in needed), stranded)


def _improved_for_long(problem: Problem) -> Problem:
    """The problem with as many steps of improvement as its pods are worth."""
    steps = max(LEAST_STEPS, CARE // max(1, len(problem.pods)))
    return replace(problem, options=replace(problem.options, steps=min(problem.options.steps, steps)))
