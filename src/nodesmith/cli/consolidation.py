"""Which nodes would leave: the steps, the curve of savings against pods moved, and why one node stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nodesmith.decide.disrupt.curve import frontier
from nodesmith.decide.disrupt.decide import decide
from nodesmith.decide.disrupt.explain import NodeAnswer, explain_node
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.disrupt.replay import apply, cluster_price
from nodesmith.decide.disrupt.verdict import Memory
from nodesmith.decide.schedule.problem import Problem
from nodesmith.model.money import UsdPerHour
from nodesmith.plan.command import Command, to_json
from nodesmith.plan.stay import Stay
from nodesmith.state.snapshot import Snapshot

_STEPS_A_NODE: Final = 2
_MOST_NAMES: Final = 6


@dataclass(frozen=True, slots=True)
class Outcome:
    """Steps from one state of the cluster to another; `stays` are the reasons of the nodes that stay in the end."""

    steps: tuple[Command, ...]
    nodes: tuple[int, int]
    prices: tuple[UsdPerHour, UsdPerHour]
    stays: tuple[Stay, ...]


def consolidate(problem: Problem, *, until_quiet: bool) -> Outcome:
    """The step that is due now, or all steps until nothing is left to do."""
    start = view = problem.snapshot
    policy, memory = Policy(options=problem.options), Memory()
    steps: list[Command] = []
    most = _STEPS_A_NODE * len(view.nodes) if until_quiet else 1
    while True:
        verdict = decide(view, problem.catalog, now=view.taken_at, policy=policy, memory=memory)
        if verdict.command is None or len(steps) == most:
            break
        steps.append(verdict.command)
        view = apply(verdict.command, view, problem.catalog, step=len(steps))
        memory = verdict.memory
    prices = cluster_price(start, problem.catalog), cluster_price(view, problem.catalog)
    return Outcome(tuple(steps), (_owned(start), _owned(view)), prices, verdict.stays)


def curve(problem: Problem) -> tuple[Command, ...]:
    """Commands of which none saves more while moving fewer pods than another."""
    snapshot = problem.snapshot
    return frontier(snapshot, problem.catalog, now=snapshot.taken_at, policy=Policy(options=problem.options))


def answer(problem: Problem, name: str) -> NodeAnswer | None:
    """What is said about the node, or None where there is no such node."""
    snapshot = problem.snapshot
    return explain_node(name, snapshot, problem.catalog, now=snapshot.taken_at, policy=Policy(options=problem.options))


def outcome_lines(outcome: Outcome) -> Iterator[str]:
    """The steps and the end as text."""
    for number, step in enumerate(outcome.steps, start=1):
        yield f"{number}. {step_line(step)}"
        yield from purchases(step)
    if not outcome.steps:
        yield "no node leaves"
    (before, after), (nodes_before, nodes_after) = outcome.prices, outcome.nodes
    yield f"{nodes_before} nodes for {before} become {nodes_after} nodes for {after}"
    reasons = Counter(stay.code.value for stay in outcome.stays)
    for code, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        example = next(stay for stay in outcome.stays if stay.code.value == code)
        yield f"  {count} stay by {code}, such as {example.node}: {example}"


def purchases(step: Command) -> Iterator[str]:
    """What a step buys, a line for each kind of machine."""
    kinds = Counter(claim.cheapest for claim in step.replacements)
    for cheapest, count in kinds.items():
        price = "" if cheapest.price is None else f" {cheapest.price}"
        times = f"{count} x " if count > 1 else ""
        yield f"   buys {times}{cheapest.instance_type} {cheapest.capacity_type} in {cheapest.zone}{price}"


def step_line(step: Command) -> str:
    """One step in a line."""
    names = ", ".join(step.nodes[:_MOST_NAMES])
    more = f" and {len(step.nodes) - _MOST_NAMES} more" if len(step.nodes) > _MOST_NAMES else ""
    saved = "an unknown amount" if step.savings is None else str(step.savings)
    return f"{step.decision.value} {names}{more} ({step.reason.value}): moves {step.moves} pods, saves {saved}"


def curve_lines(commands: Sequence[Command]) -> Iterator[str]:
    """The curve as text: a line for each choice."""
    if not commands:
        yield "no saving is to be had"
        return
    yield f"{'pods moved':>10} {'saves $/h':>10} {'nodes leave':>11} {'bought':>6}"
    for each in commands:
        saved = 0.0 if each.savings is None else each.savings.dollars
        yield f"{each.moves:>10} {saved:>10.4f} {len(each.candidates):>11} {len(each.replacements):>6}"


def curve_to_json(commands: Sequence[Command]) -> dict[str, Any]:
    """The curve as JSON."""
    return {"frontier": [{"moves": each.moves, **to_json(each)} for each in commands]}


def node_lines(said: NodeAnswer) -> Iterator[str]:
    """What is said about a node as text."""
    if said.now is not None:
        yield f"{said.node} leaves: {step_line(said.now)}"
    else:
        yield f"{said.node} stays"
    if said.blocked is not None:
        yield f"  it cannot be disrupted: {said.blocked}"
    for each in said.waits_for:
        yield f"  it waits for {each}"
    for reason, stay in said.stays:
        yield f"  {reason.value}: {stay}{_saving(stay)}"
    if said.alone is not None:
        yield f"  alone it could leave: {step_line(said.alone)}"


def node_to_json(said: NodeAnswer) -> dict[str, Any]:
    """What is said about a node as JSON."""
    return {
        "node": said.node,
        "leaves": said.now is not None,
        "blocked": None if said.blocked is None else _stay_to_json(said.blocked),
        "waitsFor": [{"name": each.name, "why": each.why} for each in said.waits_for],
        "stays": {reason.value: _stay_to_json(stay) for reason, stay in said.stays},
        "alone": None if said.alone is None else to_json(said.alone),
        "now": None if said.now is None else to_json(said.now),
    }


def _stay_to_json(stay: Stay) -> dict[str, Any]:
    saving = {} if stay.saving is None else {"nearestSaving": stay.saving.dollars}
    return {"code": stay.code.value, "detail": stay.detail, **saving}


def _saving(stay: Stay) -> str:
    return "" if stay.saving is None else f" (the nearest saving: {stay.saving})"


def _owned(snapshot: Snapshot) -> int:
    return sum(1 for node in snapshot.nodes if node.claim is not None)
