"""Answers that stay good for a while, by the clock; one question at a time for each key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from datetime import timedelta
from typing import Generic, TypeVar

from nodesmith.ports.clock import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Cache(Generic[K, V]):
    """Values by key, each good for `ttl` after it was set."""

    def __init__(self, clock: Clock, ttl: timedelta) -> None:
        self._clock = clock
        self._ttl_s = ttl.total_seconds()
        self._values: dict[K, tuple[float, V]] = {}
        self._asking: dict[K, asyncio.Lock] = {}

    def peek(self, key: K) -> V | None:
        """The value, or None where there is none that is still good."""
        found = self._values.get(key)
        if found is None or self._clock.monotonic() >= found[0]:
            return None
        return found[1]

    def set(self, key: K, value: V, *, ttl: timedelta | None = None) -> None:
        """The value is good from now on, for `ttl` where that is given."""
        seconds = self._ttl_s if ttl is None else ttl.total_seconds()
        self._values[key] = (self._clock.monotonic() + seconds, value)

    def replace(self, key: K, value: V) -> None:
        """The key's value is another, good for as long as the one before; nothing where it has none."""
        found = self._values.get(key)
        if found is not None:
            self._values[key] = (found[0], value)

    def drop(self, key: K) -> None:
        """The key has no value."""
        self._values.pop(key, None)

    def clear(self) -> None:
        """No key has a value."""
        self._values.clear()

    def expired(self) -> list[tuple[K, V]]:
        """Take out what is no longer good."""
        now = self._clock.monotonic()
        gone = [(key, value) for key, (until, value) in self._values.items() if now >= until]
        for key, _ in gone:
            del self._values[key]
        return gone

    async def get(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        """The value, asked for where there is none; callers of the same key wait for one answer."""
        found = self.peek(key)
        if found is not None:
            return found
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                found = self.peek(key)
                if found is None:
                    found = await ask()
                    self.set(key, found)
                return found
        finally:
            if not lock.locked():
                self._asking.pop(key, None)
