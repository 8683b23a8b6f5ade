"""Work on an event loop of its own, in a thread of its own: what keeps the caller's loop busy does not hold it up.

For what has a deadline that must be kept while everything else may take as long as it takes. What the work uses must
belong to its loop: connections are opened inside it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any


async def apart(work: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> None:
    """The work has ended. Cancelling this cancels the work, and returns when that has ended too.

    Raises:
        BaseException: what the work raised.
    """
    here = asyncio.get_running_loop()
    begun: asyncio.Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = here.create_future()
    ended: asyncio.Future[BaseException | None] = here.create_future()

    async def whole() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: this is one
        here.call_soon_threadsafe(begun.set_result, (asyncio.get_running_loop(), task))
        await work()

    def run() -> None:
        error: BaseException | None = None
        try:
            asyncio.run(whole())
        except BaseException as raised:  # noqa: BLE001 - it is raised again, where somebody waits for it
            error = raised
        here.call_soon_threadsafe(ended.set_result, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        await asyncio.wait([ended])
    finally:
        if not ended.done():
            there, task = await begun
            there.call_soon_threadsafe(task.cancel)
            await asyncio.wait([ended])
    error = ended.result()
    if error is not None:
        raise error


class SharedEvent(asyncio.Event):
    """An event of the loop that it is made in, which work of another loop may set and clear."""

    def __init__(self) -> None:
        super().__init__()
        self._here = asyncio.get_running_loop()

    def set(self) -> None:
        """It is set as soon as its loop comes to it."""
        self._here.call_soon_threadsafe(super().set)

    def clear(self) -> None:
        """It is clear as soon as its loop comes to it."""
        self._here.call_soon_threadsafe(super().clear)
