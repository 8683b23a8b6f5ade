"""How boto3's blocking calls are run: in threads, or, where time is virtual, on the spot.

The threads are daemons: a process that is told to stop does not wait for the end of a long poll.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, TypeVar

T = TypeVar("T")

THREADS: Final = 64


class Threads:
    """A `RunBlocking` in a bounded pool of threads; `close` it at the end."""

    def __init__(self, threads: int = THREADS) -> None:
        self._most = threads
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._busy = 0
        self._workers = 0

    async def __call__(self, call: Callable[[], T], /) -> T:
        """What the function returns."""
        loop = asyncio.get_running_loop()
        job = _Job(call, loop, loop.create_future())
        self._busy += 1
        if self._busy > self._workers and self._workers < self._most:
            self._workers += 1
            threading.Thread(target=_work, args=(self._jobs,), name=f"aws-{self._workers}", daemon=True).start()
        self._jobs.put(job)
        # Shielded: a thread cannot be called back, and is busy until its call has ended.
        job.answer.add_done_callback(self._ended)
        result: T = await asyncio.shield(job.answer)
        return result

    def close(self) -> None:
        """No thread is left that waits for work."""
        for _ in range(self._workers):
            self._jobs.put(None)

    def _ended(self, answer: asyncio.Future[Any]) -> None:
        self._busy -= 1
        if not answer.cancelled():
            answer.exception()  # whoever waited for it may be gone


class _Job:
    """A call, and where its answer goes."""

    def __init__(self, call: Callable[[], Any], loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Any]) -> None:
        self._call = call
        self._loop = loop
        self.answer = answer

    def run(self) -> None:
        """The call has been made, and its answer handed over, unless nobody is there any more."""
        try:
            result = self._call()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller gets it
            self._tell(lambda error=error: self.answer.set_exception(error))  # type: ignore[misc]  # a default argument
        else:
            self._tell(lambda: self.answer.set_result(result))

    def _tell(self, tell: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(lambda: None if self.answer.done() else tell())
        except RuntimeError:
            return  # the loop has been closed


def _work(jobs: SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        job.run()


async def run_inline(call: Callable[[], T], /) -> T:
    """What the function returns, run here and now: one thread, so the same run comes out the same."""
    return call()
