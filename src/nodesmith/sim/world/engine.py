"""Makes the world's parts move: they hear of changes, look at keys, and set timers, all in one thread and one order.

Each part acts on the API server in memory directly, so that one instant's consequences are done before time goes on.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from nodesmith.adapters.memory.history import Occurrence
from nodesmith.adapters.memory.objects import same
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.api.kind import Kind
from nodesmith.ports.clock import Clock

Action = Callable[[], None]
Listener = Callable[[Occurrence], None]
Mark = Callable[[str], None]

_MOST_ROUNDS: Final = 100_000
"""Rounds of looking in one instant; more are two parts that undo each other's work."""


_INSTANT_S: Final = 1e-6
"""What is due within this is due: a sum of floats may miss a moment by less than the loop can wait for."""


class Restless(RuntimeError):
    """The world does not come to rest: two parts undo each other's work."""


class Engine:
    """Queues, listeners and timers of the world."""

    def __init__(self, server: ApiServer, clock: Clock, rng: random.Random) -> None:
        self.server = server
        self.clock = clock
        self.rng = rng
        self._queues: list[tuple[dict[str, None], Callable[[str], None]]] = []
        self._listeners: list[tuple[Kind[Any], Listener]] = []
        self._timers: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()
        self._waiting: asyncio.Future[None] | None = None
        server.listen(self._hear)

    def queue(self, look: Callable[[str], None]) -> Mark:
        """A way to have keys looked at, each once however often it is marked."""
        keys: dict[str, None] = {}
        self._queues.append((keys, look))

        def mark(key: str) -> None:
            keys[key] = None
            self._wake()

        return mark

    def on(self, kind: Kind[Any], listener: Listener) -> None:
        """The listener hears of every change to objects of the kind; it may mark keys, and not act."""
        self._listeners.append((kind, listener))

    def after(self, delay: timedelta, action: Action) -> None:
        """The action is done once the delay is over."""
        due = self.clock.monotonic() + max(0.0, delay.total_seconds())
        timer = (due, next(self._numbers), action)
        heapq.heappush(self._timers, timer)
        if self._timers[0] is timer:
            self._wake()

    def every(self, period: timedelta, action: Action) -> None:
        """The action is done again and again."""

        def again() -> None:
            action()
            self.after(period, again)

        self.after(period, again)

    def settle(self) -> None:
        """Everything that is due now is done.

        Raises:
            Restless: when that does not end.
        """
        steps = 0
        while self._run_due() or self._look():
            steps += 1
            if steps > _MOST_ROUNDS:
                raise Restless("the parts of the world undo each other's work")

    async def run(self) -> None:
        """Move until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self.settle()
                self._waiting = loop.create_future()
                left_s = self._timers[0][0] - self.clock.monotonic() if self._timers else None
                timer = loop.call_later(left_s, self._wake) if left_s is not None else None
                await self._waiting
                if timer is not None:
                    timer.cancel()
        finally:
            self._waiting = None

    def _wake(self) -> None:
        """Whoever waits for news goes on; there are none while it settles, which ends when nothing is left."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _hear(self, occurrence: Occurrence) -> None:
        for kind, listener in self._listeners:
            if same(kind, occurrence.kind):
                listener(occurrence)

    def _run_due(self) -> bool:
        if not self._timers or self._timers[0][0] > self.clock.monotonic() + _INSTANT_S:
            return False
        heapq.heappop(self._timers)[2]()
        return True

    def _look(self) -> bool:
        """One round: every part looks once at each of its keys, so that many changes of one key are one look."""
        looked = False
        for keys, look in self._queues:
            if not keys:
                continue
            batch, looked = list(keys), True
            keys.clear()
            for key in batch:
                look(key)
        return looked
