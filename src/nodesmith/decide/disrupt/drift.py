"""Nodes that are no longer what their pool or class describes are replaced, the longest drifted first (spec 5.5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from nodesmith.decide.disrupt.candidates import DRIFT_RULES, Candidate, spared
from nodesmith.decide.disrupt.pricing import savings_of
from nodesmith.decide.disrupt.rationing import Ration
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.decide.disrupt.simulate import Simulator
from nodesmith.model.labels import NODECLASS, NODEPOOL
from nodesmith.model.meta import EPOCH
from nodesmith.model.nodeclaim import DRIFTED
from nodesmith.model.nodepool import NodePool
from nodesmith.model.requirements import Requirements
from nodesmith.model.resources import NODES, NOTHING
from nodesmith.plan.command import Command, Method
from nodesmith.plan.schedule import PlannedClaim, Purchase
from nodesmith.plan.stay import Stay, StayCode, Told


def drifted_nodes(candidates: Sequence[Candidate], scene: Scene) -> list[Candidate]:
    """The candidates that drift may take: those without pods to move first, then by how long they have drifted."""
    found = [each for each in candidates if spared(each, scene, DRIFT_RULES) is None]
    return sorted(found, key=lambda each: (bool(each.pods), _drifted_at(each), each.name))


def replace_drifted(
    candidates: Sequence[Candidate], simulator: Simulator, ration: Ration
) -> tuple[Command | None, list[Stay]]:
    """A command for the first drifted node within budget whose pods all have a place, and why others stay."""
    stays: list[Stay] = []
    for each in drifted_nodes(candidates, simulator.scene):
        over = ration.stay(each)
        if over is not None:
            stays.append(over)
            continue
        simulation = simulator.without((each,))
        if simulation.stranded:
            stays.append(Stay(each.name, StayCode.PODS_STRANDED, simulation.complaint, Told.BLOCKED))
            continue
        command = Command(
            Method.DRIFT,
            (each.leaving(),),
            simulation.claims,
            simulation.placements,
            savings_of((each,), simulation.claims),
        )
        return command, stays
    return None, stays


def replace_drifted_static(candidates: Sequence[Candidate], scene: Scene, ration: Ration) -> Command | None:
    """A command for the first drifted node of a static pool, with a node from the template in its place.

    A pool is left alone while it has more nodes than replicas, and where `limits.nodes` has no room for one more.
    """
    drifted = [each for each in candidates if each.pool.is_static and each.claim.has(DRIFTED)]
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
