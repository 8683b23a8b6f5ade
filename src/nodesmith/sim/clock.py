"""Virtual time: a clock, and an event loop whose time jumps to the next timer when nothing else is left to do.

The loop is asyncio's own; only its selector, which would have waited, moves the clock instead. One thread, so the same
program runs the same way every time. With a `pace`, waiting takes that many real seconds for each virtual one.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

T = TypeVar("T")

BEGINNING: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
"""A Monday morning; where nothing else is said, virtual time begins here."""

_NANOS: Final = 1_000_000_000


class StandsStill(RuntimeError):
    """Everybody waits, and no timer is set: nothing would ever happen again."""


class VirtualClock:
    """A `Clock` that moves only when it is moved, in whole nanoseconds so that sums are exact."""

    def __init__(self, beginning: datetime = BEGINNING) -> None:
        self._beginning = beginning
        self._elapsed_ns = 0
        self._now = beginning

    def now(self) -> datetime:
        """The virtual time of day, in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Virtual seconds since the beginning."""
        return self._elapsed_ns / _NANOS

    async def sleep(self, duration: timedelta) -> None:
        """Return when the duration has passed on this clock; needs the loop of `run`."""
        await asyncio.sleep(max(0.0, duration.total_seconds()))

    def advance(self, seconds: float) -> None:
        """It is later by so much."""
        self._elapsed_ns += math.ceil(seconds * _NANOS)
        self._now = self._beginning + timedelta(microseconds=self._elapsed_ns // 1000)


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's event loop on a virtual clock."""

    def __init__(self, clock: VirtualClock, *, pace: float = 0.0) -> None:
        self._virtual = clock
        super().__init__(_JumpingSelector(clock, pace))

    def time(self) -> float:
        """The clock's seconds; all timers are set by it."""
        return self._virtual.monotonic()


class _JumpingSelector(selectors.DefaultSelector):
    """Where the loop would wait for a timer, lets the clock jump to it."""

    def __init__(self, clock: VirtualClock, pace: float) -> None:
        super().__init__()
        self._clock = clock
        self._pace = pace
        self._sockets = 0

    def register(self, *arguments: Any, **named: Any) -> selectors.SelectorKey:
        """The socket is looked at."""
        self._sockets += 1
        return super().register(*arguments, **named)

    def unregister(self, *arguments: Any) -> selectors.SelectorKey:
        """The socket is not looked at any more."""
        self._sockets -= 1
        return super().unregister(*arguments)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; when nothing is, time passes instead.

        Raises:
            StandsStill: when there is nothing to wait for.
        """
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0) if self._has_sockets(timeout) else []
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            raise StandsStill("every task waits for another and no timer is set")
        if self._pace:
            time.sleep(timeout * self._pace)  # noqa: TID251 - shown at a pace that people can follow
        self._clock.advance(timeout)
        return ready

    def _has_sockets(self, timeout: float | None) -> bool:
        """Whether the system has to be asked: the loop's own pipe tells nothing that is not known while timers run."""
        return timeout is None or self._sockets > 1


def run(
    main: Callable[[VirtualClock], Coroutine[Any, Any, T]], clock: VirtualClock | None = None, *, pace: float = 0.0
) -> T:
    """What `main` returns, run in virtual time to its end."""
    clock = clock or VirtualClock()
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock, pace=pace)) as runner:
        return runner.run(main(clock))


async def inline(function: Callable[..., T], /, *arguments: Any, **named: Any) -> T:
    """What the function returns, called here and now: for blocking calls, which in virtual time take none."""
    return function(*arguments, **named)
