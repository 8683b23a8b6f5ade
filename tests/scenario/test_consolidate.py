"""Nodes that leave, step by step until quiet, against another planner's steps: every step valid, the end no dearer."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from nodesmith.decide.disrupt.decide import decide
from nodesmith.decide.disrupt.replay import apply, cluster_price
from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.validate import validate
from nodesmith.model.labels import DO_NOT_DISRUPT
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


def budget_of(text: str, total: int) -> int:
    """What a budget of a scenario allows: none of them has a schedule or reasons."""
    return math.ceil(int(text[:-1]) * total / 100) if text.endswith("%") else int(text)


def check_budgets(command: Command, view: Snapshot) -> None:
    totals = Counter(node.pool_name for node in view.nodes if node.claim is not None)
    leaving = Counter(each.pool_name for each in command.candidates)
    for pool in view.pools:
        allowed = min(budget_of(each.nodes, totals[pool.name]) for each in pool.disruption.budgets)
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
    start = scenario.problem()
    view, steps = start.snapshot, 0
    running = {pod.key for pod in view.pods if pod.node_name and not pod.is_owned_by_daemonset}
    while (command := decide(view, start.catalog, now=view.taken_at).command) is not None:
        steps += 1
        assert steps <= 2 * len(start.snapshot.nodes)
        check_budgets(command, view)
        check_protected(command, view)
        if command.placements:
            plan = SchedulePlan(command.placements, command.replacements)
            assert not validate(problem_of(command, view, start), plan)
        after = apply(command, view, start.catalog, step=steps)
        assert cluster_price(view, start.catalog) - cluster_price(after, start.catalog) == command.savings
        view = after
    assert running == {pod.key for pod in view.pods if pod.node_name and not pod.is_owned_by_daemonset}
    peer = float(scenario.peer["finalPrice"])
    assert cluster_price(view, start.catalog).dollars <= peer * (1 + SAME)


def test_the_scenarios_are_all_there() -> None:
    assert len(TAKING_AWAY) == 18
