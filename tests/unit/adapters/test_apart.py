import asyncio
import threading

import pytest

from nodesmith.adapters.apart import SharedEvent, apart

LONG_S = 30
"""Only a failure waits for so long."""


async def test_what_blocks_the_callers_loop_does_not_hold_it_up() -> None:
    blocked, went_on = threading.Event(), threading.Event()

    async def work() -> None:
        await asyncio.to_thread(blocked.wait, LONG_S)
        await asyncio.sleep(0)
        went_on.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(apart(work, name="work"))
        await asyncio.sleep(0)
        blocked.set()
        assert went_on.wait(LONG_S), "this loop is kept from turning here"


async def test_cancelling_waits_for_what_the_work_does_at_its_end() -> None:
    begun, done = SharedEvent(), list[str]()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            done.append("the lease is given back")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(apart(work, name="work"))
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        assert done == ["the lease is given back"]
        assert task.cancelled()


async def test_what_it_raises_is_raised_here() -> None:
    async def work() -> None:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        await apart(work, name="work")


async def test_an_event_that_is_cleared_elsewhere_is_clear_here() -> None:
    event = SharedEvent()

    async def work() -> None:
        event.set()
        event.clear()

    await apart(work, name="work")
    assert not event.is_set()
    event.set()
    await asyncio.sleep(0)
    assert event.is_set()
