"""Virtual time."""

import asyncio
from datetime import timedelta

import pytest

from nodesmith.sim.clock import BEGINNING, StandsStill, VirtualClock, VirtualLoop, inline, run


def test_waiting_takes_no_time_but_counts() -> None:
    async def main(clock: VirtualClock) -> None:
        await clock.sleep(timedelta(days=30))

    clock = VirtualClock()
    run(main, clock)
    assert clock.now() == BEGINNING + timedelta(days=30)
    assert clock.monotonic() == 30 * 86400.0


def test_sleepers_wake_in_order_of_time_and_then_of_asking() -> None:
    woken: list[str] = []

    async def sleeper(clock: VirtualClock, name: str, seconds: float) -> None:
        await clock.sleep(timedelta(seconds=seconds))
        woken.append(name)

    async def main(clock: VirtualClock) -> None:
        async with asyncio.TaskGroup() as group:
            for name, seconds in (("c", 2.5), ("a", 0.1), ("d", 2.5), ("b", 0.2)):
                group.create_task(sleeper(clock, name, seconds))

    run(main)
    assert woken == ["a", "b", "c", "d"]


def test_timeouts_use_virtual_time() -> None:
    async def main(clock: VirtualClock) -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(600):
                await asyncio.Event().wait()
        return clock.monotonic()

    assert run(main) == 600.0


def test_many_small_sleeps_do_not_drift() -> None:
    async def main(clock: VirtualClock) -> None:
        for _ in range(10_000):
            await clock.sleep(timedelta(milliseconds=100))

    clock = VirtualClock()
    run(main, clock)
    assert clock.now() - BEGINNING - timedelta(seconds=1000) < timedelta(milliseconds=1)


def test_a_deadlock_is_told_instead_of_waited_out() -> None:
    async def main(clock: VirtualClock) -> None:
        await asyncio.Event().wait()

    with pytest.raises(StandsStill):
        run(main)


def test_blocking_calls_run_in_place() -> None:
    async def main(clock: VirtualClock) -> tuple[int, float]:
        return await inline(max, 1, 2), clock.monotonic()

    assert run(main) == (2, 0.0)


def test_at_a_pace_waiting_takes_real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("nodesmith.sim.clock.time.sleep", slept.append)

    async def main(clock: VirtualClock) -> None:
        await clock.sleep(timedelta(seconds=2))

    run(main, pace=0.5)
    assert sum(slept) == pytest.approx(1.0)


def test_the_loop_tells_the_clocks_time() -> None:
    clock = VirtualClock()
    clock.advance(5)
    loop = VirtualLoop(clock)
    assert loop.time() == 5.0
    loop.close()
