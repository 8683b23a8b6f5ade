"""Nodes on which nothing minds leave first, all at once (spec 5.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.decide.disrupt.evaluate import effort_of
from nodesmith.decide.disrupt.pricing import savings_of
from nodesmith.decide.disrupt.rationing import Ration
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.decide.disrupt.simulate import Simulator
from nodesmith.decide.disrupt.sparing import EMPTINESS_RULES, spared
from nodesmith.plan.command import Command, Method
from nodesmith.plan.schedule import OnClaim, OnNode
from nodesmith.plan.stay import Stay


def empty_nodes(candidates: Sequence[Candidate], scene: Scene) -> tuple[list[Candidate], list[Stay]]:
    """The candidates that emptiness may take, those of most worth first, and why the others stay."""
    taken: list[Candidate] = []
    stays: list[Stay] = []
    for each in candidates:
        stay = spared(each, scene, EMPTINESS_RULES)
        if stay is None:
            taken.append(each)
        else:
            stays.append(stay)
    return sorted(taken, key=lambda each: (-each.worth, each.name)), stays


def delete_empty(candidates: Sequence[Candidate], simulator: Simulator, ration: Ration) -> Command | None:
    """One command for every empty node within budget, or None where there is none.

    A node that is empty only because its pods count for nothing goes when they have a place elsewhere, as far as the
    effort goes.
    """
    scene = simulator.scene
    limit = scene.shared.effort + scene.policy.effort
    found, _ = empty_nodes(candidates, scene)
    bare = ration.take(each for each in found if not each.pods)
    hosts = [each for each in found if each.pods]
    leaving, placements = bare, dict[str, OnNode | OnClaim]()
    for each in ration.also(bare, hosts):
        if scene.shared.effort > limit:
            break
        scene.shared.effort += effort_of([*leaving, each], scene)
        simulation = simulator.without([*leaving, each])
        if not simulation.stranded and not simulation.claims:
            leaving, placements = [*leaving, each], dict(simulation.placements)
    if not leaving:
        return None
    return _command(leaving, placements)


def _command(leaving: Sequence[Candidate], placements: Mapping[str, OnNode | OnClaim]) -> Command:
    return Command(
        Method.EMPTINESS,
        tuple(each.leaving() for each in leaving),
        placements=placements,
        savings=savings_of(leaving, ()),
    )
