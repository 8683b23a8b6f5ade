"""Status conditions by upstream's rules (spec 1.3.1): what a change makes of them, and of the root condition.

The root (`Ready`) is never set by anybody: it is what its dependents make it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nodesmith.model.meta import Condition, Conditions, ObjectMeta
from nodesmith.model.nodeclaim import INITIALIZED, LAUNCHED, READY, REGISTERED

TRUE: Final = "True"
FALSE: Final = "False"
UNKNOWN: Final = "Unknown"

AWAITING: Final = "AwaitingReconciliation"
_AWAITING_MESSAGE: Final = "object is awaiting reconciliation"
UNHEALTHY_DEPENDENTS: Final = "UnhealthyDependents"
RECONCILING_DEPENDENTS: Final = "ReconcilingDependents"

VALIDATION_SUCCEEDED: Final = "ValidationSucceeded"
NODE_CLASS_READY: Final = "NodeClassReady"
NODE_REGISTRATION_HEALTHY: Final = "NodeRegistrationHealthy"

CLAIM_DEPENDENTS: Final = (LAUNCHED, REGISTERED, INITIALIZED)
POOL_DEPENDENTS: Final = (VALIDATION_SUCCEEDED, NODE_CLASS_READY)


@dataclass(frozen=True, slots=True)
class Change:
    """What a condition is to be; `status` None takes it away."""

    type: str
    status: str | None
    reason: str = ""
    message: str = ""


def holds(kind: str, *, reason: str = "", message: str = "") -> Change:
    """The condition is True; its reason is its own name unless another is given."""
    return Change(kind, TRUE, reason or kind, message)


def fails(kind: str, reason: str, message: str = "") -> Change:
    """The condition is False."""
    return Change(kind, FALSE, reason, message or reason)


def unknown(kind: str, reason: str = AWAITING, message: str = "") -> Change:
    """The condition is not known."""
    return Change(kind, UNKNOWN, reason, message or (_AWAITING_MESSAGE if reason == AWAITING else reason))


def gone(kind: str) -> Change:
    """The condition is not there."""
    return Change(kind, None)


def changed(
    conditions: Conditions, meta: ObjectMeta, changes: Iterable[Change], *, dependents: tuple[str, ...], now: datetime
) -> Conditions:
    """The conditions after the changes, complete and in upstream's order: by time of transition, the root last.

    Where nothing changes they are the very same.
    """
    result: dict[str, Condition] = dict(conditions)
    for kind in dependents:
        if kind not in result:
            first = unknown(kind)
            result[kind] = Condition(kind, UNKNOWN, first.reason, first.message, meta.created_at, meta.generation)
    for change in changes:
        if change.status is not None:
            result[change.type] = _applied(result.get(change.type), change, meta.generation, now)
        elif change.type not in dependents:
            result.pop(change.type, None)
    root = _root(result, meta.generation, dependents)
    result[READY] = _applied(result.get(READY), root, meta.generation, now)
    if len(result) == len(conditions) and all(conditions.get(kind) is each for kind, each in result.items()):
        return conditions
    ordered = sorted(result.values(), key=lambda each: (each.type == READY, each.changed_at, each.type))
    return {condition.type: condition for condition in ordered}


def _applied(present: Condition | None, change: Change, generation: int, now: datetime) -> Condition:
    status = change.status or UNKNOWN
    if present is None or present.status != status:
        return Condition(change.type, status, change.reason, change.message, now, generation)
    told = (change.reason, change.message, generation)
    if (present.reason, present.message, present.observed_generation) == told:
        return present
    return Condition(change.type, status, change.reason, change.message, present.changed_at, generation)


def _root(conditions: Mapping[str, Condition], generation: int, dependents: tuple[str, ...]) -> Change:
    current = [conditions[kind] for kind in dependents]
    seen = [each.observed_generation == generation for each in current]
    if all(each.is_true and is_current for each, is_current in zip(current, seen, strict=True)):
        return holds(READY)
    told = ", ".join(f"{each.type}={each.status}" for each in current if not each.is_true)
    if any(each.is_false and is_current for each, is_current in zip(current, seen, strict=True)):
        return fails(READY, UNHEALTHY_DEPENDENTS, told)
    return unknown(READY, RECONCILING_DEPENDENTS, told or "dependents are being reconciled")
