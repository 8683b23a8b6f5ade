"""`nodesmith plan`: what would be bought for the pods in manifests, or which nodes leave. Nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from nodesmith.adapters.clock import Stopwatch
from nodesmith.cli import consolidation
from nodesmith.cli.machines import print_plan
from nodesmith.cli.reading import (
    UNPLACED,
    Output,
    print_document,
    print_lines,
    read_default_spread,
    read_problem,
    wide_console,
)
from nodesmith.decide.schedule.bound import Bound, lower_bound
from nodesmith.decide.schedule.checked import checked, nothing
from nodesmith.decide.schedule.problem import MinValuesPolicy, Options, PreferencePolicy, PricingPolicy, Problem
from nodesmith.decide.schedule.solve import schedule
from nodesmith.plan.reason import Unplaced
from nodesmith.plan.result import consolidation_to_json, schedule_to_json
from nodesmith.plan.schedule import SchedulePlan


@dataclass(frozen=True, slots=True)
class Measure:
    """What a plan is held against: no plan costs less than `bound`; `karpenter` is the plan by Karpenter's rule."""

    bound: Bound
    karpenter: SchedulePlan


def run(
    *,
    filename: Annotated[
        list[Path],
        typer.Option(
            "-f", "--filename", help="Manifests: files, folders, or - for stdin. May be given more than once."
        ),
    ],
    catalog: Annotated[
        Path | None, typer.Option(help="Instance types and prices as JSON. Without it: AWS's that ship with nodesmith.")
    ] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="How to print the plan.")] = Output.TABLE,
    pricing: Annotated[
        PricingPolicy, typer.Option(help="Take the cheapest valid plan, or the one that Karpenter's rule leads to.")
    ] = PricingPolicy.LOWEST,
    preference_policy: Annotated[
        PreferencePolicy, typer.Option(help="Whether preferred affinity and ScheduleAnyway spread are minded.")
    ] = PreferencePolicy.RESPECT,
    min_values_policy: Annotated[
        MinValuesPolicy, typer.Option(help="Whether minValues that cannot be met block a machine or are lowered.")
    ] = MinValuesPolicy.STRICT,
    scheduler_config: Annotated[
        Path | None,
        typer.Option(help="kube-scheduler's default spread, a file: its KubeSchedulerConfiguration, or Karpenter's."),
    ] = None,
    deadline: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds that the plan may be improved, once it stands. Without it: counted steps."),
    ] = None,
    consolidate: Annotated[bool, typer.Option("--consolidate", help="Say which nodes would leave now.")] = False,
    until_quiet: Annotated[
        bool, typer.Option("--until-quiet", help="As --consolidate, step after step until nothing is left to do.")
    ] = False,
    curve: Annotated[
        bool, typer.Option("--frontier", help="As --consolidate, but show what could be saved for how many pods moved.")
    ] = False,
) -> None:
    """Say what would be bought for the pods in manifests, and where each pod would go; or which nodes would leave."""
    options = Options(
        preferences=preference_policy,
        min_values=min_values_policy,
        pricing=pricing,
        default_spread=read_default_spread(scheduler_config),
    )
    problem = read_problem(filename, catalog, options)
    if consolidate or until_quiet or curve:
        _take_away(problem, output, until_quiet=until_quiet, curve=curve)
        return
    started = perf_counter()
    is_time_up = None if deadline is None else Stopwatch(timedelta(seconds=deadline))
    result = checked(problem, partial(schedule, is_time_up=is_time_up))
    solve_ms = (perf_counter() - started) * 1000
    for fault in result.faults:
        typer.echo(f"error: the plan breaks a rule, which is a fault of nodesmith: {fault}", err=True)
    plan = result.plan or nothing(problem)
    if output is Output.TABLE:
        print_plan(wide_console(), problem, plan, measure(problem, plan))
    else:
        print_document(schedule_to_json(plan, solve_ms=solve_ms), output)
    if plan.unplaced:
        raise typer.Exit(UNPLACED)


def _take_away(problem: Problem, output: Output, *, until_quiet: bool, curve: bool) -> None:
    """Print which nodes would leave, or the curve to choose from."""
    if curve:
        commands = consolidation.curve(problem)
        if output is Output.TABLE:
            print_lines(consolidation.curve_lines(commands))
        else:
            print_document(consolidation.curve_to_json(commands), output)
        return
    started = perf_counter()
    outcome = consolidation.consolidate(problem, until_quiet=until_quiet)
    solve_ms = (perf_counter() - started) * 1000
    if output is Output.TABLE:
        print_lines(consolidation.outcome_lines(outcome))
    else:
        steps = consolidation_to_json(outcome.steps, nodes=outcome.nodes, prices=outcome.prices, solve_ms=solve_ms)
        print_document(steps, output)


def measure(problem: Problem, plan: SchedulePlan) -> Measure:
    """What no plan that places the same pods can cost less than, and what Karpenter's rule would have paid."""
    placed = {key for key, place in plan.placements.items() if not isinstance(place, Unplaced)}
    by_rule = schedule(replace(problem, options=replace(problem.options, pricing=PricingPolicy.KARPENTER)))
    return Measure(lower_bound(problem, placed), by_rule)
