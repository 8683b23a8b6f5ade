import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from nodesmith.adapters.memory.recording import RecordedMetrics
from nodesmith.controllers.controller import DONE, Again, Controller, Outcome, Telemetry, soonest
from nodesmith.controllers.supervisor import ServiceEnded, supervise
from nodesmith.ports.errors import Conflict, Throttled
from nodesmith.ports.log import NoLog
from nodesmith.sim.clock import VirtualClock, run


class Lines(NoLog):
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def warning(self, message: str, /, **fields: object) -> None:
        self.told.append(("warning", str(fields["error"])))

    def error(self, message: str, /, **fields: object) -> None:
        self.told.append(("error", str(fields["error"])))


class Bench:
    """A controller whose looks are written down with their time."""

    def __init__(self, clock: VirtualClock, answer: Callable[[str, int], Outcome], workers: int = 1) -> None:
        self.looks: list[tuple[float, str]] = []
        self.log = Lines()
        self.metrics = RecordedMetrics()
        self._clock = clock
        self._answer = answer
        telemetry = Telemetry(clock, self.metrics, self.log)
        self.controller: Controller[str] = Controller("bench", self._look, telemetry, random.Random(1), workers=workers)

    async def _look(self, key: str) -> Outcome:
        self.looks.append((round(self._clock.monotonic(), 1), key))
        return self._answer(key, sum(1 for _, each in self.looks if each == key))

    async def go(self, seconds: float) -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.controller.run())
            await self._clock.sleep(timedelta(seconds=seconds))
            task.cancel()


class SlowBench(Bench):
    """One whose looks take ten seconds each."""

    async def _look(self, key: str) -> Outcome:
        outcome = await super()._look(key)
        await self._clock.sleep(timedelta(seconds=10))
        return outcome


def _in_virtual_time(story: Callable[[VirtualClock], Awaitable[None]]) -> None:
    async def main(clock: VirtualClock) -> None:
        await story(clock)

    run(main)


def test_done_is_not_looked_at_again_and_again_is() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock, lambda key, _: DONE if key == "done" else Again(timedelta(seconds=10)))
        bench.controller.mark("done")
        bench.controller.mark("again")
        await bench.go(25)
        assert bench.looks == [(0, "done"), (0, "again"), (10, "again"), (20, "again")]

    _in_virtual_time(story)


def test_a_failing_key_is_retried_and_does_not_stop_the_others() -> None:
    def answer(key: str, times: int) -> Outcome:
        if key == "bad" and times < 4:
            raise ZeroDivisionError
        return DONE

    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock, answer)
        bench.controller.mark("bad")
        bench.controller.mark("good")
        await bench.go(60)
        assert [key for _, key in bench.looks].count("bad") == 4
        assert (0, "good") in bench.looks
        assert [level for level, _ in bench.log.told] == ["error"] * 3
        assert bench.metrics.total("controller_runtime_reconcile_errors_total", controller="bench") == 3

    _in_virtual_time(story)


def test_a_conflict_is_retried_without_a_word_and_a_port_error_is_a_warning() -> None:
    def answer(key: str, times: int) -> Outcome:
        if times == 1:
            raise Conflict("changed") if key == "conflict" else Throttled("slow down", retry_after_s=30)
        return DONE

    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock, answer)
        bench.controller.mark("conflict")
        bench.controller.mark("throttled")
        await bench.go(60)
        assert bench.log.told == [("warning", "Throttled: slow down")]
        assert (30, "throttled") in bench.looks
        assert [key for _, key in bench.looks].count("conflict") == 2

    _in_virtual_time(story)


def test_a_failing_service_ends_all_and_one_that_returns_is_a_failure() -> None:
    class Waits:
        def __init__(self) -> None:
            self.was_cancelled = False

        async def run(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                self.was_cancelled = True

    class Returns:
        async def run(self) -> None:
            await asyncio.sleep(1)

    async def story(_: VirtualClock) -> None:
        waits = Waits()
        with pytest.raises(ExceptionGroup) as caught:
            await supervise({"waits": waits, "returns": Returns()}, asyncio.Event())
        assert caught.group_contains(ServiceEnded)
        assert waits.was_cancelled

    _in_virtual_time(story)


def test_stop_ends_all_services_without_an_error() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock, lambda *_: Again(timedelta(seconds=1)))
        bench.controller.mark("a")
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(supervise({"bench": bench.controller}, stop))
            await clock.sleep(timedelta(seconds=5))
            stop.set()
        assert len(bench.looks) >= 5

    _in_virtual_time(story)


def test_the_soonest_outcome_counts() -> None:
    assert soonest(DONE, Again(timedelta(seconds=5)), Again(timedelta(seconds=3))) == Again(timedelta(seconds=3))
    assert soonest(DONE, DONE) is DONE


def test_how_long_keys_waited_for_a_worker_is_told_also_of_those_marked_in_work() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = SlowBench(clock, lambda *_: DONE)
        for key in ("a", "b"):
            bench.controller.mark(key)
        for moment in (4, 7):
            asyncio.get_running_loop().call_later(moment, bench.controller.mark, "a")
        await bench.go(60)
        assert bench.looks == [(0, "a"), (10, "b"), (20, "a")]
        waits = bench.metrics.observations["workqueue_queue_duration_seconds", (("name", "bench"),)]
        assert waits == pytest.approx([0, 10, 16])

    _in_virtual_time(story)
