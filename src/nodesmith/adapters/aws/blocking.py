"""How boto3's blocking calls are run: in threads, or, where time is virtual, on the spot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

THREADS: Final = 64


class Threads:
    """A `RunBlocking` in a bounded pool of threads; `close` it at the end."""

    def __init__(self, threads: int = THREADS) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="aws")

    async def __call__(self, call: Callable[[], T], /) -> T:
        """What the function returns."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """No thread is left that waits for work."""
        self._executor.shutdown(wait=False, cancel_futures=True)


async def run_inline(call: Callable[[], T], /) -> T:
    """What the function returns, run here and now: one thread, so the same run comes out the same."""
    return call()
