"""Time, for the shell only; decisions are handed `now`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where the shell gets its time from."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Return when the duration has passed on this clock."""
        ...
