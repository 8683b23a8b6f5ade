"""Nodes that leave, step by step until quiet: every step valid and upheld, the end no dearer than another planner's.

The scenarios `leaving-...` are small and their prices round, so that the least that can be paid in the end, and which
nodes stay and leave, stands by reason: `why` in `scenario.json` says it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from nodesmith.decide.disrupt.decide import decide
from nodesmith.decide.disrupt.decide import validate as stands
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.disrupt.replay import apply, cluster_price
from nodesmith.decide.disrupt.verdict import Memory
from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.validate import validate
from nodesmith.model.labels import DO_NOT_DISRUPT
from nodesmith.model.nodepool import Budget, DisruptionReason
from nodesmith.plan.command import Command
from nodesmith.plan.schedule import SchedulePlan
from nodesmith.state.snapshot import Snapshot
from tools.scenarios import SAME, Scenario, scenarios

DATA: Final = Path(__file__).parent / "data"
TAKING_AWAY: Final = [each for each in scenarios([DATA]) if each.verb == "consolidate"]


def problem_of(command: Command, view: Snapshot, start: Problem) -> Problem:
    """The step as a question to the validator: the pods that move, onto what is left and what is bought."""
    moved = tuple(pod for pod in view.pods if pod.key in command.placements)
    return Problem(view, start.catalog, moved, without=frozenset(command.nodes))


def policy_of(scenario: Scenario) -> Policy:
    """The operator's settings that the scenario asks for."""
    said = json.loads((scenario.folder / "scenario.json").read_text())
    return Policy(spot_to_spot=said.get("spotToSpot", False))


def budget_of(budget: Budget, reason: DisruptionReason, total: int) -> int:
    """What a budget allows at any time; those with a schedule are the business of the scenario's own answer."""
    if budget.schedule is not None or (budget.reasons and reason not in budget.reasons):
        return total
    text = budget.nodes
    return math.ceil(int(text[:-1]) * total / 100) if text.endswith("%") else int(text)


def check_budgets(command: Command, view: Snapshot) -> None:
    totals = Counter(node.pool_name for node in view.nodes if node.claim is not None)
    leaving = Counter(each.pool_name for each in command.candidates)
    for pool in view.pools:
        budgets = pool.disruption.budgets
        allowed = min(budget_of(each, command.reason, totals[pool.name]) for each in budgets)
        assert leaving[pool.name] <= allowed


def check_protected(command: Command, view: Snapshot) -> None:
    """Nothing that says it must not be disturbed, or that a budget without room selects, is on a node that leaves."""
    gone = [node for node in view.nodes if node.name in command.nodes]
    for pod in (each for node in gone for each in node.pods):
        assert pod.meta.annotations.get(DO_NOT_DISRUPT) != "true"
        for guard in view.budgets:
            selects = guard.selector is not None and guard.selector.matches(pod.meta.labels)
            assert not (selects and guard.meta.namespace == pod.meta.namespace and guard.disruptions_allowed == 0)


@pytest.mark.parametrize("scenario", TAKING_AWAY, ids=lambda scenario: scenario.name)
def test_our_steps_are_valid_and_end_no_dearer(scenario: Scenario) -> None:
    start, policy = scenario.problem(), policy_of(scenario)
    view, steps, memory = start.snapshot, 0, Memory()
    running = {pod.key for pod in view.pods if pod.node_name and not pod.is_owned_by_daemonset}
    while True:
        verdict = decide(view, start.catalog, now=view.taken_at, policy=policy, memory=memory)
        if (command := verdict.command) is None:
            break
        steps, memory = steps + 1, verdict.memory
        assert steps <= 2 * len(start.snapshot.nodes)
        check_budgets(command, view)
        check_protected(command, view)
        assert stands(command, view, start.catalog, now=view.taken_at, policy=policy) == command
        if command.placements:
            plan = SchedulePlan(command.placements, command.replacements)
            assert not validate(problem_of(command, view, start), plan)
        after = apply(command, view, start.catalog, step=steps)
        assert cluster_price(view, start.catalog) - cluster_price(after, start.catalog) == command.savings
        view = after
    assert running == {pod.key for pod in view.pods if pod.node_name and not pod.is_owned_by_daemonset}
    peer, ours = float(scenario.peer["finalPrice"]), cluster_price(view, start.catalog).dollars
    assert ours <= peer * (1 + SAME)
    if scenario.peer.get("isLeast"):
        assert ours >= peer * (1 - SAME)
        check_reasoned(scenario, view)


def check_reasoned(scenario: Scenario, view: Snapshot) -> None:
    """What an answer that stands by reason says of single nodes, and how many are left of those that are paid for."""
    left = {node.name for node in view.nodes}
    assert left.issuperset(scenario.peer.get("stays", ()))
    assert left.isdisjoint(scenario.peer.get("leaves", ()))
    paid = sum(node.claim is not None for node in view.nodes)
    assert paid == scenario.peer.get("finalNodes", paid)


def test_the_scenarios_are_all_there() -> None:
    reasoned = [each for each in TAKING_AWAY if each.peer.get("isLeast")]
    assert (len(TAKING_AWAY), len(reasoned)) == (53, 34)
