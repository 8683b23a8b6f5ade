"""`nodesmith explain`: why a pod goes where it goes, or nowhere; why a node stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nodesmith.api.likeness import slip_of
from nodesmith.cli.consolidation import answer, node_lines, node_to_json
from nodesmith.cli.reading import (
    UNPLACED,
    Output,
    print_document,
    print_lines,
    read_default_spread,
    read_problem,
    refuse,
)
from nodesmith.decide.schedule.explain import PodExplanation, explain_pod, to_json
from nodesmith.decide.schedule.explain.explanation import Miss, PoolView
from nodesmith.decide.schedule.problem import Options, Problem
from nodesmith.decide.schedule.solve import schedule


class Subject(StrEnum):
    """What can be explained."""

    POD = "pod"
    NODE = "node"


def run(
    *,
    subject: Annotated[Subject, typer.Argument(help="What to explain.")],
    name: Annotated[str, typer.Argument(help="The pod as NAMESPACE/NAME, or the node's name.")],
    filename: Annotated[
        list[Path],
        typer.Option(
            "-f", "--filename", help="Manifests: files, folders, or - for stdin. May be given more than once."
        ),
    ],
    catalog: Annotated[
        Path | None, typer.Option(help="Instance types and prices as JSON. Without it: AWS's that ship with nodesmith.")
    ] = None,
    why_not: Annotated[str, typer.Option(help="Of a pod: also say why not on this instance type.")] = "",
    scheduler_config: Annotated[
        Path | None,
        typer.Option(help="kube-scheduler's default spread, a file: its KubeSchedulerConfiguration, or Karpenter's."),
    ] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="How to print the answer.")] = Output.TABLE,
) -> None:
    """Say why a pod goes where it goes or nowhere and what would help; or why a node stays, and what would be saved."""
    options = Options(default_spread=read_default_spread(scheduler_config))
    problem = read_problem(filename, catalog, options)
    if subject is Subject.NODE:
        _explain_node(problem, name, output)
        return
    key = name if "/" in name else f"default/{name}"
    _check(problem, key)
    explanation = explain_pod(problem, schedule(problem), key, why_not=why_not)
    if output is Output.TABLE:
        print_lines(lines(explanation))
    else:
        print_document(to_json(explanation), output)
    if not explanation.is_placed:
        raise typer.Exit(UNPLACED)


def _explain_node(problem: Problem, name: str, output: Output) -> None:
    said = answer(problem, name)
    if said is None:
        refuse(_unknown("node", name, (node.name for node in problem.snapshot.nodes)))
    if output is Output.TABLE:
        print_lines(node_lines(said))
    else:
        print_document(node_to_json(said), output)


def lines(explanation: PodExplanation) -> Iterator[str]:
    """The explanation as text."""
    if explanation.is_placed:
        yield f"{explanation.pod} goes to {explanation.goes_to}"
        yield f"  {explanation.because}"
    else:
        yield f"{explanation.pod} stays pending: {explanation.because}"
    yield from _nodes(explanation)
    for pool in explanation.pools:
        yield from _pool(pool)
    if explanation.changes:
        yield "what would admit it:"
        yield from (f"  {change}" for change in explanation.changes)
    for each in explanation.why_not:
        yield f"why not {each.instance_type} of NodePool {each.pool}: {each.verdict}"
        yield from (f"  {_offering(miss)}" for miss in each.offerings if miss.failing)


def _nodes(explanation: PodExplanation) -> Iterator[str]:
    nodes = explanation.nodes
    if not nodes.count:
        return
    refusals = ", ".join(f"{each.count} by {each.code}" for each in nodes.refusals)
    yield f"nodes that are there: {nodes.fit} of {nodes.count} would take it" + (
        f"; refused: {refusals}" if refusals else ""
    )
    if nodes.nearest is not None:
        yield f"  nearest: {nodes.nearest.name}: {'; '.join(nodes.nearest.failing)}"


def _pool(view: PoolView) -> Iterator[str]:
    yield f"NodePool {view.pool}: {view.left} of {view.sold} offerings would take it (catalogue: {view.known})"
    for each in view.constraints:
        yield f"  {each.removed:6} removed by {each.text} ({each.asked_by}); {each.without} left without it"
    if view.nearest is not None:
        yield f"  nearest: {_offering(view.nearest)}"


def _offering(miss: Miss) -> str:
    price = "" if miss.price is None else f" {miss.price}"
    return f"{miss.name} {miss.capacity_type} in {miss.zone}{price}: {'; '.join(miss.failing)}"


def _unknown(what: str, name: str, known: Iterable[str]) -> list[str]:
    """That there is no such thing, and what was likely meant."""
    meant = slip_of(name, known)
    return [
        f"error: there is no {what} {name} in the manifests",
        *([f"\nhint: did you mean `{meant}`?"] if meant else []),
    ]


def _check(problem: Problem, key: str) -> None:
    """Exit with a hint when the pod is not one that is to be placed."""
    if any(pod.key == key for pod in problem.pods):
        return
    known = next((pod for pod in problem.snapshot.pods if pod.key == key), None)
    if known is None:
        refuse(_unknown("pod", key, (pod.key for pod in problem.snapshot.pods)))
    where = f"runs on {known.node_name}" if known.node_name else "is not to be placed now"
    refuse([f"error: pod {key} {where}; only pods that wait for a node, or have to leave theirs, can be explained"])
