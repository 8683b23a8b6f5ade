"""Setting up as steps: each says what is there and what is missing, makes it so, and can take back what it made.

A step may run any number of times: what is there already is kept, and what others made is never taken away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Action(StrEnum):
    """What a step would do."""

    CREATE = "create"
    CHANGE = "change"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a step found: whether its thing is there, and in what it differs from what is wanted."""

    exists: bool
    differences: tuple[str, ...] = ()

    @property
    def action(self) -> Action:
        """What is to be done about it."""
        if not self.exists:
            return Action.CREATE
        return Action.CHANGE if self.differences else Action.KEEP


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
        """It is gone, if a step made it."""
        ...


async def plan(steps: Sequence[Step]) -> list[Row]:
    """What would be done, step by step, without doing it."""
    return [_row(step, await step.look()) for step in steps]


async def ensure(steps: Sequence[Step]) -> list[Row]:
    """All steps are done, in order; returns what that took."""
    rows = []
    for step in steps:
        finding = await step.look()
        if finding.action is not Action.KEEP:
            await step.ensure()
        rows.append(_row(step, finding))
    return rows


async def undo(steps: Sequence[Step]) -> None:
    """All steps are taken back, the last first."""
    for step in reversed(steps):
        await step.undo()


def _row(step: Step, finding: Finding) -> Row:
    reasons = {Action.CREATE: "is not there", Action.CHANGE: "; ".join(finding.differences), Action.KEEP: "as wanted"}
    return Row(step.name, step.target, finding.action, reasons[finding.action])
