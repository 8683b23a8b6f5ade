"""Setting up as steps: each says what is there and what is missing, makes it so, and can take back what it made.

The one thing to know: a plan is made from findings alone, and doing it looks again before each step, so that a step
may run any number of times. What is there already is kept, and what others made is never taken away.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from nodesmith.ports.errors import PortError, Refused


class Action(StrEnum):
    """What a step would do; `STOP` is that something is in the way of all of them."""

    CREATE = "create"
    CHANGE = "change"
    KEEP = "keep"
    REMOVE = "remove"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a step found.

    `differences` is in what it is not as it is wanted; `additions` is what we put into a thing that others made, and
    take out of it in the end; `note` is why it stays as it is; `obstacle` is why it cannot be set up, and `hold` why it
    cannot be taken back.
    """

    exists: bool
    differences: tuple[str, ...] = ()
    is_own: bool = False
    additions: tuple[str, ...] = ()
    note: str = ""
    obstacle: str = ""
    hold: str = ""

    @property
    def action(self) -> Action:
        """What is to be done about it."""
        if self.obstacle:
            return Action.STOP
        if not self.exists:
            return Action.CREATE
        return Action.CHANGE if self.differences else Action.KEEP

    @property
    def leaving(self) -> Action:
        """What is to be done about it when everything is taken back."""
        if self.hold:
            return Action.STOP
        if self.exists and self.is_own:
            return Action.REMOVE
        return Action.CHANGE if self.additions else Action.KEEP


ABSENT: Final = Finding(exists=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a plan."""

    step: str
    target: str
    action: Action
    reason: str


class Step(Protocol):
    """One thing that has to be there."""

    @property
    def name(self) -> str:
        """What kind of thing it is."""
        ...

    @property
    def target(self) -> str:
        """What it is called."""
        ...

    async def look(self) -> Finding:
        """What is there now."""
        ...

    async def ensure(self) -> None:
        """It is there, and as it is wanted."""
        ...

    async def undo(self) -> None:
        """It is gone, if a step made it; what a step put into something of others is out of it."""
        ...


class Progress(Protocol):
    """Who is told while steps are done."""

    def begins(self, row: Row) -> None:
        """The row is being done."""
        ...

    def ends(self, row: Row) -> None:
        """The row is done."""
        ...


class Silence:
    """A `Progress` that nobody listens to."""

    def begins(self, row: Row) -> None:
        """Nothing is told."""

    def ends(self, row: Row) -> None:
        """Nothing is told."""


class StepFailed(Exception):
    """A step was not done. Those before it are; running again goes on here."""

    def __init__(self, row: Row, error: PortError) -> None:
        super().__init__(f"{row.action} {row.step} {row.target}: {error}")
        self.row = row


async def plan(steps: Sequence[Step]) -> list[Row]:
    """What would be done, step by step, without doing it."""
    return [arriving_row(step, await step.look()) for step in steps]


async def leaving_plan(steps: Sequence[Step]) -> list[Row]:
    """What would be taken back, the last first, without doing it."""
    return [leaving_row(step, await step.look()) for step in reversed(steps)]


async def ensure(steps: Sequence[Step], progress: Progress | None = None) -> list[Row]:
    """All steps are done, in order; returns what that took.

    Raises:
        StepFailed: when one could not be done.
    """
    told, rows = progress or Silence(), []
    for step in steps:
        row = arriving_row(step, await step.look())
        told.begins(row)
        try:
            await _unless_kept(row, step.ensure)
        except PortError as error:
            raise StepFailed(row, error) from error
        told.ends(row)
        rows.append(row)
    return rows


async def undo(steps: Sequence[Step], progress: Progress | None = None) -> list[Row]:
    """All steps are taken back, the last first; returns what that took.

    Raises:
        StepFailed: when one could not be taken back.
    """
    told, rows = progress or Silence(), []
    for step in reversed(steps):
        row = leaving_row(step, await step.look())
        told.begins(row)
        try:
            await _unless_kept(row, step.undo)
        except PortError as error:
            raise StepFailed(row, error) from error
        told.ends(row)
        rows.append(row)
    return rows


async def _unless_kept(row: Row, do: Callable[[], Awaitable[None]]) -> None:
    if row.action is Action.STOP:
        raise Refused(row.reason)
    if row.action is not Action.KEEP:
        await do()


def arriving_row(step: Step, finding: Finding) -> Row:
    """The line of a plan to set up."""
    there = "made by install" if finding.is_own else "there already, not made by install"
    reasons = {
        Action.STOP: finding.obstacle,
        Action.CREATE: finding.note or "is not there",
        Action.CHANGE: "; ".join(finding.differences),
        Action.KEEP: finding.note or there,
    }
    return Row(step.name, step.target, finding.action, reasons[finding.action])


def leaving_row(step: Step, finding: Finding) -> Row:
    """The line of a plan to take back."""
    kept = finding.note or ("not made by install" if finding.exists else "is not there")
    reasons = {
        Action.STOP: finding.hold,
        Action.REMOVE: finding.note or "made by install",
        Action.CHANGE: f"taken out of what others made: {'; '.join(finding.additions)}",
        Action.KEEP: kept,
    }
    return Row(step.name, step.target, finding.leaving, reasons[finding.leaving])
