"""Whether a command may be carried out: where it puts pods, and what it buys for them, held against every rule.

The command is judged by itself, with the waiting pods that its replacements were sized for. Other pods that wait are no
part of it, so what only their coming could mend (the company that a moved pod looks for, the evenness of a spread) is
not held against it while there are such pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from nodesmith.decide.schedule.defaultspread import spread_by_default
from nodesmith.decide.schedule.problem import Catalog, MinValuesPolicy, Options, PricingPolicy, Problem, pods_to_place
from nodesmith.decide.schedule.validate import Code, validate
from nodesmith.plan.command import Command, Method
from nodesmith.plan.schedule import OnClaim, OnNode, SchedulePlan
from nodesmith.state.snapshot import Snapshot

_MAY_BE_MENDED: Final = frozenset({Code.AFFINITY, Code.SPREAD_SKEW, Code.SPREAD_UNIVERSE})


def problem_of(command: Command, snapshot: Snapshot, catalog: Catalog, options: Options) -> Problem:
    """What the command answers: its nodes gone, their pods to be placed."""
    placed = _placements(command)
    pods = tuple(pod for pod in snapshot.pods if pod.key in placed)
    strict = replace(options, min_values=MinValuesPolicy.STRICT)
    return spread_by_default(Problem(snapshot, catalog, pods, without=frozenset(command.nodes), options=strict))


def faults_of(command: Command, problem: Problem) -> tuple[str, ...]:
    """Every rule that the command breaks, a line each; a static pool's replacement puts no pod anywhere."""
    if command.method is Method.STATIC_DRIFT:
        return ()
    plan = SchedulePlan(_placements(command), command.replacements)
    others_wait = any(pod.key not in plan.placements for pod in pods_to_place(problem.snapshot))
    return tuple(
        str(violation)
        for violation in validate(problem, plan)
        if not (others_wait and violation.code in _MAY_BE_MENDED)
    )


def _placements(command: Command) -> Mapping[str, OnNode | OnClaim]:
    """Where the command's pods go, and those that wait already and share a replacement with them."""
    sharing = {key: OnClaim(index) for index, claim in enumerate(command.replacements) for key in claim.pods}
    return {**sharing, **command.placements}


def greedy(options: Options) -> Options:
    """The same options, with machines filled as Karpenter's rule has it."""
    return replace(options, pricing=PricingPolicy.KARPENTER)
