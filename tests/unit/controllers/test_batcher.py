import asyncio
from datetime import timedelta

import pytest

from nodesmith.controllers.batcher import Batcher, BatchWindow
from nodesmith.sim.clock import VirtualClock, run


@pytest.mark.parametrize(
    ("arrivals", "ends"),
    [
        ([0.0], 1.0),
        ([0.0, 0.5, 1.0], 2.0),
        ([number * 0.9 for number in range(40)], 10.0),
    ],
    ids=["alone", "together", "without-end"],
)
def test_a_batch_ends_after_a_second_of_quiet_or_ten_in_all(arrivals: list[float], ends: float) -> None:
    async def story(clock: VirtualClock) -> None:
        batcher = Batcher(BatchWindow(), clock)

        async def arrive() -> None:
            for number, at in enumerate(arrivals):
                await clock.sleep(timedelta(seconds=at - clock.monotonic()))
                batcher.trigger(f"uid-{number}")

        async with asyncio.TaskGroup() as group:
            task = group.create_task(arrive())
            await batcher.wait()
            assert clock.monotonic() == pytest.approx(ends, abs=0.01)
            task.cancel()

    run(story)


def test_the_same_pod_again_does_not_make_a_batch_longer() -> None:
    async def story(clock: VirtualClock) -> None:
        batcher = Batcher(BatchWindow(), clock)

        async def nag() -> None:
            while True:
                batcher.trigger("uid")
                await clock.sleep(timedelta(seconds=0.3))

        async with asyncio.TaskGroup() as group:
            task = group.create_task(nag())
            await batcher.wait()
            assert clock.monotonic() == pytest.approx(1.0, abs=0.01)
            task.cancel()

    run(story)


def test_what_comes_between_two_batches_is_in_the_next() -> None:
    async def story(clock: VirtualClock) -> None:
        batcher = Batcher(BatchWindow(), clock)
        batcher.trigger("first")
        await batcher.wait()
        batcher.trigger("second")
        await clock.sleep(timedelta(seconds=5))
        await batcher.wait()
        assert clock.monotonic() == pytest.approx(7.0, abs=0.01)

    run(story)
