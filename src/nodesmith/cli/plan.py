"""`nodesmith plan`: what would be bought for the pods in some manifests. Nothing is changed anywhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from nodesmith.cli.machines import print_plan
from nodesmith.cli.reading import UNPLACED, Output, print_document, read_problem, wide_console
from nodesmith.decide.schedule.bound import Bound, lower_bound
from nodesmith.decide.schedule.problem import Options, PricingPolicy, Problem
from nodesmith.decide.schedule.solve import schedule
from nodesmith.plan.reason import Unplaced
from nodesmith.plan.result import schedule_to_json
from nodesmith.plan.schedule import SchedulePlan


@dataclass(frozen=True, slots=True)
class Measure:
    """What a plan is held against: no plan costs less than `bound`; `karpenter` is the plan by Karpenter's rule."""

    bound: Bound
    karpenter: SchedulePlan


def run(
    *,
    filename: Annotated[
        list[Path], typer.Option("-f", "--filename", help="Manifests: files or folders. May be given more than once.")
    ],
    catalog: Annotated[
        Path | None, typer.Option(help="Instance types and prices as JSON. Without it: AWS's that ship with nodesmith.")
    ] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="How to print the plan.")] = Output.TABLE,
    pricing: Annotated[
        PricingPolicy, typer.Option(help="Take the cheapest valid plan, or the one that Karpenter's rule leads to.")
    ] = PricingPolicy.LOWEST,
) -> None:
    """Say what would be bought for the pods in manifests, and where each pod would go."""
    problem = read_problem(filename, catalog, Options(pricing=pricing))
    started = perf_counter()
    plan = schedule(problem)
    solve_ms = (perf_counter() - started) * 1000
    if output is Output.TABLE:
        print_plan(wide_console(), problem, plan, measure(problem, plan))
    else:
        print_document(schedule_to_json(plan, solve_ms=solve_ms), output)
    if plan.unplaced:
        raise typer.Exit(UNPLACED)


def measure(problem: Problem, plan: SchedulePlan) -> Measure:
    """What no plan that places the same pods can cost less than, and what Karpenter's rule would have paid."""
    placed = {key for key, place in plan.placements.items() if not isinstance(place, Unplaced)}
    by_rule = schedule(replace(problem, options=replace(problem.options, pricing=PricingPolicy.KARPENTER)))
    return Measure(lower_bound(problem, placed), by_rule)
