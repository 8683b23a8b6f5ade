"""The machine's clock."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta


class RealClock:
    """A `Clock` that tells the machine's time."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(tz=UTC)  # noqa: TID251 - the one place where the machine's time comes in

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    async def sleep(self, duration: timedelta) -> None:
        """Return when the duration has passed."""
        await asyncio.sleep(max(0.0, duration.total_seconds()))


class Stopwatch:
    """Says whether so much time has passed since it was first asked."""

    def __init__(self, allowed: timedelta) -> None:
        self._allowed = allowed.total_seconds()
        self._ends: float | None = None

    def __call__(self) -> bool:
        """Whether the time is up; never at the first question, unless none is allowed."""
        now = time.monotonic()
        if self._ends is None:
            self._ends = now + self._allowed
        return now >= self._ends
