"""Why one node stays: every method's answer about it, and what its leaving alone would save."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nodesmith.decide.disrupt.budgets import allowances
from nodesmith.decide.disrupt.candidates import Candidate, Question, candidate
from nodesmith.decide.disrupt.decide import decide
from nodesmith.decide.disrupt.evaluate import Evaluator
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.disrupt.pricing import Refused
from nodesmith.decide.disrupt.rationing import Ration
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.decide.disrupt.sparing import CONSOLIDATION_RULES, DRIFT_RULES, EMPTINESS_RULES, spared
from nodesmith.decide.lifecycle.blockers import Blocker, pod_blockers
from nodesmith.decide.schedule.problem import Catalog
from nodesmith.model.nodepool import DisruptionReason
from nodesmith.plan.command import Command
from nodesmith.plan.stay import Stay, StayCode, Told
from nodesmith.state.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What is said about one node.

    `blocked` is the rule that keeps it from being a candidate at all; `stays` say by reason why a method leaves it;
    `alone` is the command that takes only this node, if one would stand; `now` the command of this pass that takes it.
    `waits_for` is who holds a node that is leaving already.
    """

    node: str
    blocked: Stay | None = None
    stays: tuple[tuple[DisruptionReason, Stay], ...] = ()
    alone: Command | None = None
    now: Command | None = None
    waits_for: tuple[Blocker, ...] = ()


def explain_node(
    name: str, snapshot: Snapshot, catalog: Catalog, *, now: datetime, policy: Policy | None = None
) -> NodeAnswer | None:
    """What every method says about the node, or None where there is no such node."""
    scene = Scene.of(snapshot, catalog, now=now, policy=policy or Policy())
    node = next((each for each in snapshot.nodes if each.name == name), None)
    if node is None:
        return None
    found = candidate(Question(node, scene))
    if isinstance(found, Stay):
        held = found.code is StayCode.DELETING
        return NodeAnswer(name, blocked=found, waits_for=pod_blockers(node.pods, scene.guards, now) if held else ())
    command = decide(snapshot, catalog, now=now, policy=policy).command
    taken = command if command is not None and name in command.nodes else None
    stays = [
        (reason, stay)
        for reason, rules in ((DisruptionReason.EMPTY, EMPTINESS_RULES), (DisruptionReason.DRIFTED, DRIFT_RULES))
        if (stay := spared(found, scene, rules)) is not None
    ]
    alone = _alone(found, scene)
    if isinstance(alone, Stay):
        return NodeAnswer(name, None, (*stays, (DisruptionReason.UNDERUTILIZED, alone)), now=taken)
    return NodeAnswer(name, None, tuple(stays), alone, taken)


def _alone(found: Candidate, scene: Scene) -> Command | Stay:
    stay = spared(found, scene, CONSOLIDATION_RULES)
    if stay is not None:
        return stay
    pools = scene.pools.values()
    ration = Ration(allowances(scene.snapshot, pools, DisruptionReason.UNDERUTILIZED, scene.now))
    over = ration.stay(found)
    if over is not None:
        return over
    judged = Evaluator(scene).judge((found,))
    if isinstance(judged, Refused):
        return Stay(found.name, judged.code, judged.detail, Told.UNCONSOLIDATABLE, judged.saving)
    return judged.command()
