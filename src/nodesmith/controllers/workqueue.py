"""What to look at next: keys, each at most once, each with at most one timer.

A watch can only say "look again" (`mark`). A key that is marked while somebody works on it comes again afterwards, so
that no change is missed and no key is worked on twice at a time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Hashable
from datetime import timedelta
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_RETRY: Final = timedelta(milliseconds=100)
LAST_RETRY: Final = timedelta(minutes=1)


class WorkQueue(Generic[K]):
    """Keys to look at, in the order they were marked."""

    def __init__(
        self, rng: random.Random, *, first_retry: timedelta = FIRST_RETRY, last_retry: timedelta = LAST_RETRY
    ) -> None:
        self._rng = rng
        self._first_s = first_retry.total_seconds()
        self._last_s = last_retry.total_seconds()
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._queued: dict[K, float] = {}
        self._in_work: dict[K, float] = {}
        self._again: dict[K, float] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._delays: dict[K, timedelta] = {}
        self._failures: dict[K, int] = {}
        self.adds = 0
        self.retries = 0

    def __len__(self) -> int:
        return len(self._queued)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is waiting and nothing is being worked on; timers do not count."""
        return not self._queued and not self._in_work

    def mark(self, key: K) -> None:
        """The key will be looked at as soon as somebody is free; its timer, if any, is off."""
        self._cancel(key)
        now = asyncio.get_running_loop().time()
        if key in self._in_work:
            self._again.setdefault(key, now)
        elif key not in self._queued:
            self._put(key, now)

    def mark_after(self, key: K, delay: timedelta) -> None:
        """The key will be looked at after the delay, or when it is marked before that."""
        if key in self._queued or key in self._again:
            return
        self._cancel(key)
        loop = asyncio.get_running_loop()
        self._delays[key] = delay
        self._timers[key] = loop.call_later(max(0.0, delay.total_seconds()), self.mark, key)

    def mark_within(self, key: K, delay: timedelta) -> None:
        """The key will be looked at no later than after the delay: an earlier timer stays as it is."""
        pending = self._delays.get(key)
        if pending is not None and pending <= delay:
            return  # it began before now; asked before the clock is, as this is called for every change of a cluster
        timer = self._timers.get(key)
        if timer is None or timer.when() > asyncio.get_running_loop().time() + delay.total_seconds():
            self.mark_after(key, delay)

    def retry(self, key: K) -> timedelta:
        """The key will be looked at after its backoff, which is returned: exponential, jittered and capped."""
        self.retries += 1
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        longest = min(self._last_s, self._first_s * 2 ** min(failures - 1, 30))
        delay = timedelta(seconds=longest * self._rng.uniform(0.5, 1.0))
        self.mark_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """The key has no failures to its name."""
        self._failures.pop(key, None)

    async def take(self) -> K:
        """The next key, to be handed back through `finish`."""
        key = await self._ready.get()
        self._in_work[key] = asyncio.get_running_loop().time() - self._queued.pop(key)
        return key

    def waited(self, key: K) -> timedelta:
        """How long the key that is being worked on had waited since it was first marked."""
        return timedelta(seconds=self._in_work[key])

    def finish(self, key: K) -> None:
        """Nobody works on the key any more; it is ready again if it was marked meanwhile."""
        del self._in_work[key]
        marked_at = self._again.pop(key, None)
        if marked_at is not None:
            self._cancel(key)
            self._put(key, marked_at)

    def close(self) -> None:
        """No timer is left."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._delays.clear()

    def _put(self, key: K, marked_at: float) -> None:
        self._queued[key] = marked_at
        self.adds += 1
        self._ready.put_nowait(key)

    def _cancel(self, key: K) -> None:
        timer = self._timers.pop(key, None)
        self._delays.pop(key, None)
        if timer is not None:
            timer.cancel()
