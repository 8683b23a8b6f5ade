"""Whether a plan may be acted on: the referee of the solver, written from the rules alone.

Nothing here comes from the solver or is used by it. A claim is judged by all it could become: each listed type with
each available offering that its requirements allow. Preferences are not judged, and an unplaced pod is not asked why.
"""

from __future__ import annotations

from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.validate.case import Case
from nodesmith.decide.schedule.validate.claims import check_claims
from nodesmith.decide.schedule.validate.entries import check_entries
from nodesmith.decide.schedule.validate.limits import check_limits, check_reservations
from nodesmith.decide.schedule.validate.nodes import check_nodes
from nodesmith.decide.schedule.validate.topology import check_topology
from nodesmith.decide.schedule.validate.violation import Code, Violation
from nodesmith.plan.schedule import SchedulePlan


def validate(problem: Problem, plan: SchedulePlan) -> tuple[Violation, ...]:
    """Every rule that the plan breaks; empty when it may be acted on."""
    case = Case(problem, plan)
    return (
        *check_entries(case),
        *check_claims(case),
        *check_limits(case),
        *check_reservations(case),
        *check_nodes(case),
        *check_topology(case),
    )


__all__ = ["Code", "Violation", "validate"]
