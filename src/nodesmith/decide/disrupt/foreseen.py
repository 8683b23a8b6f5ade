"""Steps that were looked ahead to, written so that they can be found again in a later snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.decide.disrupt.replay import price_of
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.decide.disrupt.simulate import Care
from nodesmith.decide.disrupt.verdict import Foreseen
from nodesmith.plan.command import Command
from nodesmith.state.snapshot import Snapshot

AHEAD: Final = "replacement-ahead"
"""What machines are called that are bought while looking ahead: pods look at nodes in order of name, so those come
where the machines of `replay.py` will, after the earlier ones."""


def foresee(command: Command, scene: Scene, *, care: Care) -> Foreseen:
    """The command as a step to be taken when the cluster is as it is in the scene."""
    nodes = tuple(f"@{each.pods[0]}" if each.node.startswith(f"{AHEAD}-") else each.node for each in command.candidates)
    return Foreseen(price_of(scene.snapshot, scene.types), _pods(scene.snapshot), nodes, care)


def holds(step: Foreseen, scene: Scene) -> bool:
    """Whether the cluster is as it was foreseen: the same pods, at the same price."""
    return step.price == price_of(scene.snapshot, scene.types) and step.pods == _pods(scene.snapshot)


def take(step: Foreseen, candidates: Sequence[Candidate]) -> list[Candidate] | None:
    """The candidates that the step means, or None where one of them is none."""
    by_name = {each.name: each for each in candidates}
    by_pod = {f"@{pod.key}": each for each in candidates for pod in each.pods}
    found = [by_name.get(name) or by_pod.get(name) for name in step.nodes]
    return None if None in found else [each for each in found if each is not None]


def _pods(snapshot: Snapshot) -> frozenset[str]:
    return frozenset(pod.key for node in snapshot.nodes for pod in node.pods if pod.is_reschedulable)
