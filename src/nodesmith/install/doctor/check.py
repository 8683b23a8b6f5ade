"""Checks: what each looks at, what it can say, and how all of them are asked.

A check never fails: facts that it cannot have end it as `unseen`, which is neither good nor bad.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from nodesmith.install.doctor.facts import Facts
from nodesmith.install.doctor.seen import NotSeenError

T = TypeVar("T")


class Outcome(StrEnum):
    """What a check says, the worst first."""

    FAILED = "failed"
    WARNING = "warning"
    UNSEEN = "could not look"
    OK = "ok"
    NOT_APPLICABLE = "not applicable"


ORDER = tuple(Outcome)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found; `cure` is more exact than the check's own where it is given."""

    outcome: Outcome
    found: tuple[str, ...]
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that can be wrong. `number` never changes and is never used again."""

    number: str
    title: str
    cause: str
    cure: str
    look: Callable[[Facts], Verdict]


@dataclass(frozen=True, slots=True)
class Group:
    """Checks about one thing, in the order in which they are told."""

    title: str
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check said."""

    check: Check
    outcome: Outcome
    found: tuple[str, ...]
    cure: str


def ok(*found: str) -> Verdict:
    """All is well."""
    return Verdict(Outcome.OK, found)


def failed(*found: str, cure: str = "") -> Verdict:
    """Something does not work."""
    return Verdict(Outcome.FAILED, found, cure)


def warning(*found: str, cure: str = "") -> Verdict:
    """It works, but not as well as it could, or not for long."""
    return Verdict(Outcome.WARNING, found, cure)


def not_applicable(*found: str) -> Verdict:
    """The check has nothing to look at here."""
    return Verdict(Outcome.NOT_APPLICABLE, found)


def judged(problems: Iterable[str], *, otherwise: str, cure: str = "") -> Verdict:
    """Failed with the problems, or all is well where there are none."""
    listed = tuple(problems)
    return failed(*listed, cure=cure) if listed else ok(otherwise)


def advised(problems: Iterable[str], *, otherwise: str, cure: str = "") -> Verdict:
    """A warning with the problems, or all is well where there are none."""
    listed = tuple(problems)
    return warning(*listed, cure=cure) if listed else ok(otherwise)


def over(things: Iterable[T], problems_of: Callable[[T], Iterable[str]]) -> list[str]:
    """The problems of all things: one that could not be seen does not hide what is wrong with another.

    Raises:
        NotSeenError: when one was not seen, and nothing is wrong with the others.
    """
    found: list[str] = []
    unseen: NotSeenError | None = None
    for thing in things:
        try:
            found += problems_of(thing)
        except NotSeenError as error:
            unseen = unseen or error
    if unseen is not None and not found:
        raise unseen
    return found


def examine(facts: Facts, checks: Iterable[Check]) -> list[Finding]:
    """What every check says, the worst first."""
    findings = [_finding(check, facts) for check in checks]
    return sorted(findings, key=lambda each: (ORDER.index(each.outcome), each.check.number))


def has_failed(findings: Sequence[Finding]) -> bool:
    """Whether something does not work."""
    return any(each.outcome is Outcome.FAILED for each in findings)


def _finding(check: Check, facts: Facts) -> Finding:
    try:
        verdict = check.look(facts)
    except NotSeenError as error:
        return Finding(check, Outcome.UNSEEN, (error.reason,), "")
    is_wrong = verdict.outcome in {Outcome.FAILED, Outcome.WARNING}
    return Finding(check, verdict.outcome, verdict.found, (verdict.cure or check.cure) if is_wrong else "")
