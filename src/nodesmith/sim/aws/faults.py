"""Faults by rule: which calls fail, how, and how often. Which ones depends on the seed and the call, not on timing."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class FaultKind(StrEnum):
    """What goes wrong."""

    THROTTLE = "throttle"
    """The call is refused as too frequent, before it acts."""
    ERROR = "error"
    """The call is answered with an error, before it acts."""
    LOST_REPLY = "lost-reply"
    """The call acts, and its answer is an error all the same."""
    SLOW = "slow"
    """The call is answered late, in real time."""
    EVENTUAL = "eventual"
    """What was made less than `window` ago may not be seen yet."""


@dataclass(slots=True)
class Fault:
    """One rule."""

    action: str
    """A pattern over `service:Action`, as `ec2:CreateFleet` or `ec2:*`."""
    kind: FaultKind
    probability: float = 1.0
    code: str | None = None
    status: int | None = None
    delay: timedelta = timedelta(0)
    window: timedelta = timedelta(0)
    times: int | None = None
    """How often it may still happen; None is without limit."""


@dataclass(slots=True)
class Faults:
    """The rules in force."""

    rules: list[Fault] = field(default_factory=list)

    def draw(self, action: str, token: str) -> list[Fault]:
        """The faults that hit this call; `token` makes the draw repeatable."""
        return [
            rule
            for index, rule in enumerate(self.rules)
            if rule.kind is not FaultKind.EVENTUAL and self._hits(index, rule, action, token)
        ]

    def is_hidden(self, action: str, token: str, made_at: datetime, now: datetime) -> bool:
        """Whether something made at `made_at` is not visible to this call yet."""
        return any(
            rule.kind is FaultKind.EVENTUAL and now - made_at < rule.window and self._hits(index, rule, action, token)
            for index, rule in enumerate(self.rules)
        )

    @staticmethod
    def _hits(index: int, rule: Fault, action: str, token: str) -> bool:
        if rule.times == 0 or not fnmatchcase(action, rule.action):
            return False
        if random.Random(f"{index}:{rule.kind}:{token}").random() >= rule.probability:
            return False
        if rule.times is not None:
            rule.times -= 1
        return True
