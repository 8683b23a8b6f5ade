"""The record of every AWS call the box has answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Authorization:
    """One permission that a call needed: the action on a resource, with its request context."""

    action: str
    resource: str
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One call: who asked what, what it needed, how it ended."""

    number: int
    at: datetime
    service: str
    action: str
    region: str
    caller: str
    params: Mapping[str, Any]
    needed: tuple[Authorization, ...]
    status: int
    error: str | None


@dataclass(slots=True)
class Journal:
    """Calls in the order they were answered; the oldest go when there are too many."""

    entries: list[Entry] = field(default_factory=list)
    keep: int = 50_000
    _count: int = 0

    def next_number(self) -> int:
        """Count one more call."""
        self._count += 1
        return self._count

    def add(self, entry: Entry) -> None:
        """Record a call that was answered."""
        self.entries.append(entry)
        if len(self.entries) > self.keep:
            del self.entries[: self.keep // 10]
