"""Calls that the box recorded against IAM policies: which were not allowed, and what of the policies nobody needed.

calls = [call for call in box.control.calls() if call.caller == role]
audit(calls, controller_policies(names)).refused        # () when the policies are enough
audit(calls, controller_policies(names)).unused         # () when all of them is needed
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodesmith.adapters.aws.policy import evaluate, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nodesmith.sim.aws.control import RecordedCall


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found, a line each, sorted."""

    refused: tuple[str, ...]
    """Permissions that a call needed and no statement gives."""
    unused: tuple[str, ...]
    """Actions of statements that no call needed."""


def audit(calls: Iterable[RecordedCall], policies: Mapping[str, Mapping[str, Any]]) -> Audit:
    """The calls' needs, with their resources and conditions, against the policies by name."""
    statements = tuple(each for name, document in policies.items() for each in parse(document, name=name))
    unused = {(each.label, action) for each in statements for action in each.actions if each.is_allow}
    refused: set[str] = set()
    for call in calls:
        for need in call.needed:
            verdict = evaluate(statements, need.action, need.resource, need.context)
            if not verdict.is_allowed:
                refused.add(f"{call.name} needs {need.action} on {need.resource}")
            unused.difference_update((each.label, need.action) for each in verdict.statements)
    return Audit(tuple(sorted(refused)), tuple(sorted(f"{label}: {action}" for label, action in unused)))
