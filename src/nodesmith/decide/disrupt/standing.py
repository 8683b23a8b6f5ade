"""Whether a command may be carried out: where it puts pods, and what it buys for them, held against every rule.

The command is judged by itself. Pods that wait besides are no part of it, so what only their coming could mend (the
company that a moved pod looks for, the evenness of a spread) is not held against it while there are such pods.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from nodesmith.decide.schedule.problem import Catalog, MinValuesPolicy, Options, PricingPolicy, Problem, pods_to_place
from nodesmith.decide.schedule.validate import Code, validate
from nodesmith.plan.command import Command, Method
from nodesmith.plan.schedule import SchedulePlan
from nodesmith.state.snapshot import Snapshot

_MAY_BE_MENDED: Final = frozenset({Code.AFFINITY, Code.SPREAD_SKEW, Code.SPREAD_UNIVERSE})


def problem_of(command: Command, snapshot: Snapshot, catalog: Catalog, options: Options) -> Problem:
    """What the command answers: its nodes gone, their pods to be placed."""
    pods = tuple(pod for pod in snapshot.pods if pod.key in command.placements)
    strict = replace(options, min_values=MinValuesPolicy.STRICT)
    return Problem(snapshot, catalog, pods, without=frozenset(command.nodes), options=strict)


def faults_of(command: Command, problem: Problem) -> tuple[str, ...]:
    """Every rule that the command breaks, a line each; a static pool's replacement puts no pod anywhere."""
    if command.method is Method.STATIC_DRIFT:
        return ()
    plan = SchedulePlan(command.placements, command.replacements)
    moved = frozenset(command.placements)
    others_wait = any(pod.key not in moved for pod in pods_to_place(problem.snapshot))
    return tuple(
        str(violation)
        for violation in validate(problem, plan)
        if not (others_wait and violation.code in _MAY_BE_MENDED)
    )


def greedy(options: Options) -> Options:
    """The same options, with machines filled as Karpenter's rule has it."""
    return replace(options, pricing=PricingPolicy.KARPENTER)
