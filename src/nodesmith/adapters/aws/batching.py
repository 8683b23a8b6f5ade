"""Calls of the same kind, collected for a moment and made as one.

The first caller of a batch leads it: it waits the window, makes the call and hands the others their answers. There is
no task of its own that could be lost; when the leader is cancelled while it waits, the next caller takes over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Generic, Protocol, TypeVar

from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import PortError, Unavailable
from nodesmith.ports.metrics import Metrics

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
R = TypeVar("R")

_SLACK_S: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Window:
    """How long a batch stays open: until nothing came for `idle`, `longest` at most, and `most` items at most."""

    idle: timedelta
    longest: timedelta
    most: int


CREATE_FLEET_WINDOW: Final = Window(timedelta(milliseconds=35), timedelta(seconds=1), 1000)
BY_ID_WINDOW: Final = Window(timedelta(milliseconds=100), timedelta(seconds=1), 500)
ADOPT_WINDOW: Final = Window(timedelta(milliseconds=20), timedelta(milliseconds=500), 100)


class TellBatch(Protocol):
    """Hears of each batch: how long it was open, in seconds, and how many items it has."""

    def __call__(self, open_s: float, size: int, /) -> None:
        """The batch is about to be executed."""
        ...


def counted(metrics: Metrics, batcher: str) -> TellBatch:
    """Tells the numbers of a batcher of this name."""

    def tell(open_s: float, size: int) -> None:
        metrics.observe("cloudprovider_batcher_batch_time_seconds", open_s, batcher=batcher)
        metrics.observe("cloudprovider_batcher_batch_size", size, batcher=batcher)

    return tell


class _Lead:
    """Handed to a waiting caller: you lead now."""


@dataclass(eq=False)
class _Entry(Generic[T, R]):
    item: T
    answer: asyncio.Future[R | _Lead]


@dataclass(eq=False)
class _Batch(Generic[T, R]):
    opened_at: float
    last_at: float
    entries: list[_Entry[T, R]] = field(default_factory=list)


class Batcher(Generic[K, T, R]):
    """Collects items by key and executes each batch once; every item gets its own answer or its own error."""

    def __init__(
        self,
        clock: Clock,
        window: Window,
        execute: Callable[[K, Sequence[T]], Awaitable[Sequence[R | PortError]]],
        workers: asyncio.Semaphore,
        tell: TellBatch | None = None,
    ) -> None:
        self._clock = clock
        self._window = window
        self._execute = execute
        self._workers = workers
        self._tell = tell
        self._open: dict[K, _Batch[T, R]] = {}

    async def submit(self, key: K, item: T) -> R:
        """The item's answer.

        Raises:
            PortError: the item's own error; `Unavailable` where the call may or may not have been made.
        """
        entry: _Entry[T, R] = _Entry(item, asyncio.get_running_loop().create_future())
        now = self._clock.monotonic()
        batch = self._open.get(key)
        is_leader = batch is None
        if batch is None:
            batch = self._open[key] = _Batch(now, now)
        batch.last_at = now
        batch.entries.append(entry)
        if len(batch.entries) >= self._window.most:
            del self._open[key]
        if is_leader:
            await self._lead(key, batch, entry)
        answer = await entry.answer
        while isinstance(answer, _Lead):
            entry.answer = asyncio.get_running_loop().create_future()
            await self._lead(key, batch, entry)
            answer = await entry.answer
        return answer

    async def _lead(self, key: K, batch: _Batch[T, R], own: _Entry[T, R]) -> None:
        try:
            await self._wait(key, batch)
            await self._workers.acquire()
        except asyncio.CancelledError:
            batch.entries.remove(own)
            self._hand_over(key, batch)
            raise
        try:
            self._close(key, batch)
            entries = [entry for entry in batch.entries if not entry.answer.cancelled()]
            if self._tell is not None:
                self._tell(self._clock.monotonic() - batch.opened_at, len(entries))
            await self._run(key, entries)
        finally:
            self._workers.release()

    async def _wait(self, key: K, batch: _Batch[T, R]) -> None:
        """Return when the batch is full, or nothing came for a while, or it has been open long enough."""
        while self._open.get(key) is batch:
            until = min(
                batch.last_at + self._window.idle.total_seconds(),
                batch.opened_at + self._window.longest.total_seconds(),
            )
            left_s = until - self._clock.monotonic()
            if left_s <= _SLACK_S:
                return
            await self._clock.sleep(timedelta(seconds=left_s))

    async def _run(self, key: K, entries: Sequence[_Entry[T, R]]) -> None:
        outcome: Sequence[R | PortError] = [Unavailable("the call was broken off")] * len(entries)
        try:
            outcome = await self._execute(key, [entry.item for entry in entries])
        except PortError as error:
            outcome = [error] * len(entries)
        finally:
            for entry, answer in zip(entries, outcome, strict=True):
                _settle(entry, answer)

    def _hand_over(self, key: K, batch: _Batch[T, R]) -> None:
        for entry in batch.entries:
            if not entry.answer.done():
                entry.answer.set_result(_Lead())
                return
        self._close(key, batch)

    def _close(self, key: K, batch: _Batch[T, R]) -> None:
        if self._open.get(key) is batch:
            del self._open[key]


def _settle(entry: _Entry[T, R], answer: R | PortError) -> None:
    if entry.answer.done():
        return
    if isinstance(answer, PortError):
        entry.answer.set_exception(answer)
        # Looked at once here: an asker that was cancelled never will, and asyncio would complain of that.
        entry.answer.exception()
    else:
        entry.answer.set_result(answer)
