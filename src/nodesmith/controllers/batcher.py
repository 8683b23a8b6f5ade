"""Waits for pods to arrive together, so that machines are bought for all of them at once (spec 3.1)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from nodesmith.ports.clock import Clock

_INSTANT_S: Final = 1e-6
"""Less than this is no wait: a loop in virtual time would not let it pass."""


@dataclass(frozen=True, slots=True)
class BatchWindow:
    """A batch ends when nothing new came for `idle`, or `longest` after it began."""

    idle: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(seconds=10)


class Batcher:
    """Collects triggers by uid; the same uid again does not make a batch longer."""

    def __init__(self, window: BatchWindow, clock: Clock) -> None:
        self._window = window
        self._clock = clock
        self._seen: set[str] = set()
        self._news = asyncio.Event()

    def trigger(self, uid: str) -> None:
        """There will be a batch, or the current one lasts a little longer if the uid is new to it."""
        if uid not in self._seen:
            self._seen.add(uid)
            self._news.set()

    async def wait(self) -> None:
        """Return when a batch is complete; the next one starts empty."""
        await self._news.wait()
        ends = self._clock.monotonic() + self._window.longest.total_seconds()
        while (left := ends - self._clock.monotonic()) > _INSTANT_S:
            self._news.clear()
            try:
                async with asyncio.timeout(min(left, self._window.idle.total_seconds())):
                    await self._news.wait()
            except TimeoutError:
                break
        self._news.clear()
        self._seen.clear()
