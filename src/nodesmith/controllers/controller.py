"""The reconcile contract: look at a key's whole state, do the next step, say when to look again.

A controller never acts on an event's payload. It returns `Done`, or `Again(after)`, and raises for failure; a failing
key is retried with backoff and never stops the others.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, Protocol, TypeVar

from nodesmith.controllers.workqueue import FIRST_RETRY, LAST_RETRY, WorkQueue
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import Conflict, PortError, Throttled
from nodesmith.ports.log import Log
from nodesmith.ports.metrics import Metrics, Reading

K = TypeVar("K", bound=Hashable)

SINGLETON: Final = "singleton"
"""The key of a controller that looks at everything at once."""


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more to do until something changes."""


@dataclass(frozen=True, slots=True)
class Again:
    """To be looked at again after a while, even if nothing changes."""

    after: timedelta


Outcome = Done | Again
DONE: Final = Done()


def soonest(*outcomes: Outcome) -> Outcome:
    """The outcome that looks again first."""
    delays = [outcome.after for outcome in outcomes if isinstance(outcome, Again)]
    return Again(min(delays)) if delays else DONE


class Service(Protocol):
    """Something that runs until it is cancelled."""

    async def run(self) -> None:
        """Run; returning is a failure."""
        ...


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What every controller tells, and the clock that it tells the time by."""

    clock: Clock
    metrics: Metrics
    log: Log


class Controller(Generic[K]):
    """Works through a queue of keys with a few workers."""

    def __init__(
        self,
        name: str,
        reconcile: Callable[[K], Awaitable[Outcome]],
        telemetry: Telemetry,
        rng: random.Random,
        *,
        workers: int = 1,
        first_retry: timedelta = FIRST_RETRY,
        last_retry: timedelta = LAST_RETRY,
    ) -> None:
        self.name = name
        self.queue: WorkQueue[K] = WorkQueue(rng, first_retry=first_retry, last_retry=last_retry)
        self._reconcile = reconcile
        self._telemetry = telemetry
        self._workers = workers
        self._started: dict[K, float] = {}

    def mark(self, key: K) -> None:
        """The key will be looked at."""
        self.queue.mark(key)

    def readings(self) -> Iterator[Reading]:
        """How much waits, and how much is being worked on, now."""
        started = self._started.values()
        now = self._telemetry.clock.monotonic()
        by_queue = {"name": self.name}
        yield Reading("workqueue_depth", len(self.queue), by_queue)
        yield Reading("workqueue_adds_total", self.queue.adds, by_queue)
        yield Reading("workqueue_retries_total", self.queue.retries, by_queue)
        yield Reading("workqueue_unfinished_work_seconds", sum(now - at for at in started), by_queue)
        longest = max((now - at for at in started), default=0.0)
        yield Reading("workqueue_longest_running_processor_seconds", longest, by_queue)
        by_controller = {"controller": self.name}
        yield Reading("controller_runtime_active_workers", len(started), by_controller)
        yield Reading("controller_runtime_max_concurrent_reconciles", self._workers, by_controller)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._workers):
                    group.create_task(self._work(), name=f"{self.name}-{number}")
        finally:
            self.queue.close()

    async def _work(self) -> None:
        while True:
            key = await self.queue.take()
            self._started[key] = self._telemetry.clock.monotonic()
            waited_s = self.queue.waited(key).total_seconds()
            self._telemetry.metrics.observe("workqueue_queue_duration_seconds", waited_s, name=self.name)
            try:
                await self._once(key)
            finally:
                del self._started[key]
                self.queue.finish(key)

    async def _once(self, key: K) -> None:
        started = self._telemetry.clock.monotonic()
        result = "success"
        try:
            outcome = await self._reconcile(key)
        except Exception as error:  # noqa: BLE001 - the one fence: no key may stop the others
            result = "error"
            self._failed(key, error)
        else:
            self.queue.forget(key)
            if isinstance(outcome, Again):
                result = "requeue_after"
                self.queue.mark_after(key, outcome.after)
        metrics = self._telemetry.metrics
        metrics.count("controller_runtime_reconcile_total", controller=self.name, result=result)
        took = self._telemetry.clock.monotonic() - started
        metrics.observe("controller_runtime_reconcile_time_seconds", took, controller=self.name)
        metrics.observe("workqueue_work_duration_seconds", took, name=self.name)

    def _failed(self, key: K, error: Exception) -> None:
        delay = self.queue.retry(key)
        if isinstance(error, Throttled) and error.retry_after_s is not None:
            delay = max(delay, timedelta(seconds=error.retry_after_s))
            self.queue.mark_after(key, delay)
        if isinstance(error, Conflict):
            return
        self._telemetry.metrics.count("controller_runtime_reconcile_errors_total", controller=self.name)
        told = self._telemetry.log.warning if isinstance(error, PortError) else self._telemetry.log.error
        told(
            "reconcile failed",
            controller=self.name,
            key=str(key),
            error=f"{type(error).__name__}: {error}",
            retry_in_s=round(delay.total_seconds(), 3),
            exc_info=None if isinstance(error, PortError) else error,
        )
