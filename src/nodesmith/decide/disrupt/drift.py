"""Nodes that are no longer what their pool or class describes are replaced, the longest drifted first (spec 5.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.decide.disrupt.evaluate import effort_of
from nodesmith.decide.disrupt.pricing import savings_of
from nodesmith.decide.disrupt.rationing import Ration
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.decide.disrupt.simulate import Simulation, Simulator
from nodesmith.decide.disrupt.sparing import DRIFT_RULES, just_drifted, spared
from nodesmith.model.labels import NODECLASS, NODEPOOL
from nodesmith.model.meta import EPOCH
from nodesmith.model.nodeclaim import DRIFTED
from nodesmith.model.nodepool import NodePool
from nodesmith.model.requirements import Requirements
from nodesmith.model.resources import NODES, NOTHING
from nodesmith.plan.command import Command, Method
from nodesmith.plan.schedule import PlannedClaim, Purchase
from nodesmith.plan.stay import Stay, StayCode, Told


@dataclass(frozen=True, slots=True)
class DriftOutcome:
    """What came of looking at drifted nodes: a command, why others stay, and whose pods had no place."""

    command: Command | None
    stays: tuple[Stay, ...]
    stranded: frozenset[str]


def drifted_nodes(
    candidates: Sequence[Candidate], scene: Scene, tried: frozenset[str] = frozenset()
) -> list[Candidate]:
    """The candidates that drift may take: those without pods to move first, then by how long they have drifted.

    Those that were tried in vain in earlier passes have their turn after the others.
    """
    found = [each for each in candidates if spared(each, scene, DRIFT_RULES) is None]
    return sorted(found, key=lambda each: (each.name in tried, bool(each.pods), _drifted_at(each), each.name))


def replace_drifted(
    candidates: Sequence[Candidate], simulator: Simulator, ration: Ration, tried: frozenset[str] = frozenset()
) -> DriftOutcome:
    """A command for the first drifted node within budget whose pods all have a place, as far as the effort goes."""
    scene = simulator.scene
    limit = scene.shared.effort + scene.policy.effort
    stays = [stay for each in candidates if (stay := just_drifted(each, scene)) is not None]
    command: Command | None = None
    stranded: set[str] = set()
    for each in drifted_nodes(candidates, scene, tried):
        over = ration.stay(each)
        if over is not None:
            stays.append(over)
        elif command is not None or scene.shared.effort > limit:
            stays.append(Stay(each.name, StayCode.OTHERS_FIRST, "other drifted nodes are looked at first"))
        else:
            scene.shared.effort += effort_of((each,), scene)
            simulation = simulator.without((each,))
            if simulation.stranded:
                stays.append(Stay(each.name, StayCode.PODS_STRANDED, simulation.complaint, Told.BLOCKED))
                stranded.add(each.name)
            else:
                command = _replacement(each, simulation)
    return DriftOutcome(command, tuple(stays), frozenset(stranded))


def _replacement(each: Candidate, simulation: Simulation) -> Command:
    savings = savings_of((each,), simulation.claims)
    return Command(Method.DRIFT, (each.leaving(),), simulation.claims, simulation.placements, savings)


def replace_drifted_static(candidates: Sequence[Candidate], scene: Scene, ration: Ration) -> Command | None:
    """A command for the first drifted node of a static pool, with a node from the template in its place.

    A pool is left alone while it has more nodes than replicas, and where `limits.nodes` has no room for one more.
    """
    drifted = [
        each
        for each in candidates
        if each.pool.is_static and each.claim.has(DRIFTED) and just_drifted(each, scene) is None
    ]
    for each in sorted(drifted, key=lambda each: (_drifted_at(each), each.name)):
        if not ration.left(each.pool.name) or not _has_room(each.pool, scene):
            continue
        claim = template_claim(each.pool, scene)
        return Command(Method.STATIC_DRIFT, (each.leaving(),), (claim,), {}, savings_of((each,), (claim,)))
    return None


def template_claim(pool: NodePool, scene: Scene) -> PlannedClaim:
    """A node of the pool as its template says; no list of types, the launch chooses (spec 5.8)."""
    own = Requirements.from_labels({**pool.labels, NODEPOOL: pool.name, NODECLASS: pool.node_class.name})
    requirements = pool.requirements & own
    fitting = [
        each
        for each in scene.types.get(pool.name, {}).values()
        if each.requirements.intersection_conflict(requirements) is None
    ]
    cheapest = scene.shared.prices.cheapest(fitting, requirements) or Purchase("", "", "", None)
    return PlannedClaim(pool.name, requirements, (), NOTHING, (), cheapest)


def _has_room(pool: NodePool, scene: Scene) -> bool:
    """Whether the pool is not above its replicas already, and may have one more node while one is replaced."""
    own = [node for node in scene.snapshot.nodes if node.claim is not None and node.pool_name == pool.name]
    going = sum(node.is_deleting for node in own)
    limit = pool.limits.get(NODES)
    return len(own) - going <= (pool.replicas or 0) and (limit is None or len(own) < limit)


def _drifted_at(each: Candidate) -> datetime:
    condition = each.claim.condition(DRIFTED)
    return condition.changed_at if condition is not None else EPOCH
