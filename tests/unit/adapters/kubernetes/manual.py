"""A clock that moves when a test says so."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest


class ManualClock:
    def __init__(self) -> None:
        self.passed_s = 1000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return self.passed_s

    async def sleep(self, duration: timedelta) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.passed_s + duration.total_seconds(), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Let the time pass, waking sleepers in order."""
        end = self.passed_s + seconds
        await self.settle()
        while due := sorted((entry for entry in self._sleepers if entry[0] <= end), key=lambda entry: entry[0]):
            self._sleepers.remove(due[0])
            self.passed_s = max(self.passed_s, due[0][0])
            if not due[0][1].done():
                due[0][1].set_result(None)
            await self.settle()
        self.passed_s = end

    def freeze(self, seconds: float) -> None:
        """The time passes, and nobody notices."""
        self.passed_s += seconds

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)


class InstantClock(ManualClock):
    """Sleeps take no time, and are written down."""

    def __init__(self) -> None:
        super().__init__()
        self.slept_s: list[float] = []

    async def sleep(self, duration: timedelta) -> None:
        self.slept_s.append(duration.total_seconds())
        self.passed_s += duration.total_seconds()
        await asyncio.sleep(0)


def leap(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The event loop's own time jumps: who has waited for less, by now, has waited long enough.

    So a deadline can be far longer than a busy machine is slow, and its test takes no time.
    """
    loop = asyncio.get_running_loop()
    earlier = loop.time
    monkeypatch.setattr(loop, "time", lambda: earlier() + seconds)
