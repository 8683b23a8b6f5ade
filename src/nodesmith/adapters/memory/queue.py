"""An interruption queue in memory."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Final

from nodesmith.ports.clock import Clock
from nodesmith.ports.queue import Interruption, InterruptionKind

BATCH: Final = 10
WAIT_S: Final = 20.0
"""As SQS waits at most."""

_INSTANT_S: Final = 1e-6
"""Less than this is no wait: the loop would not let time go on for it."""


class MemoryQueue:
    """A `Queue`: messages stay until they are deleted; one that was received is hidden for a while."""

    def __init__(self, clock: Clock, *, hidden_for_s: float = 30.0, wait_s: float = WAIT_S) -> None:
        self._clock = clock
        self._wait_s = wait_s
        self._hidden_for_s = hidden_for_s
        self._messages: dict[str, Interruption] = {}
        self._visible_at: dict[str, float] = {}
        self._numbers = itertools.count(1)
        self._news = asyncio.Event()

    def send(self, kind: InterruptionKind, *instance_ids: str) -> None:
        """A message about these instances is in the queue."""
        receipt = f"receipt-{next(self._numbers)}"
        self._messages[receipt] = Interruption(kind, instance_ids, receipt, self._clock.now())
        self._visible_at[receipt] = self._clock.monotonic()
        self._news.set()

    def forget(self) -> None:
        """Whatever is in the queue is lost."""
        self._messages.clear()
        self._visible_at.clear()

    async def receive(self) -> Sequence[Interruption]:
        """Up to ten messages; waits a while for the first."""
        deadline = self._clock.monotonic() + self._wait_s
        while not (found := self._visible()) and (left := deadline - self._clock.monotonic()) > _INSTANT_S:
            self._news.clear()
            try:
                async with asyncio.timeout(min(left, self._until_visible_s())):
                    await self._news.wait()
            except TimeoutError:
                continue
        for message in found:
            self._visible_at[message.receipt] = self._clock.monotonic() + self._hidden_for_s
        return found

    async def delete(self, receipts: Sequence[str]) -> None:
        """The messages will not come again."""
        await asyncio.sleep(0)
        for receipt in receipts:
            self._messages.pop(receipt, None)
            self._visible_at.pop(receipt, None)

    def _visible(self) -> list[Interruption]:
        now = self._clock.monotonic()
        return [self._messages[receipt] for receipt, at in self._visible_at.items() if at <= now + _INSTANT_S][:BATCH]

    def _until_visible_s(self) -> float:
        now = self._clock.monotonic()
        return min((max(at - now, 0.001) for at in self._visible_at.values()), default=self._wait_s)
