import asyncio
import random
from datetime import timedelta

from nodesmith.controllers.workqueue import WorkQueue
from nodesmith.sim.clock import VirtualClock, run


def _queue() -> WorkQueue[str]:
    return WorkQueue(random.Random(1))


def test_a_key_marked_twice_is_taken_once() -> None:
    async def story(_: VirtualClock) -> None:
        queue = _queue()
        queue.mark("a")
        queue.mark("a")
        queue.mark("b")
        assert [await queue.take(), await queue.take()] == ["a", "b"]
        assert len(queue) == 0
        assert not queue.is_idle

    run(story)


def test_a_key_marked_while_it_is_worked_on_comes_again_afterwards_and_not_before() -> None:
    async def story(_: VirtualClock) -> None:
        queue = _queue()
        queue.mark("a")
        key = await queue.take()
        queue.mark("a")
        assert len(queue) == 0
        queue.finish(key)
        assert await queue.take() == "a"
        queue.finish("a")
        assert queue.is_idle

    run(story)


def test_a_new_look_cancels_the_timer() -> None:
    async def story(clock: VirtualClock) -> None:
        queue = _queue()
        queue.mark_after("a", timedelta(seconds=10))
        queue.mark("a")
        queue.finish(await queue.take())
        await clock.sleep(timedelta(seconds=20))
        assert len(queue) == 0

    run(story)


def test_the_later_of_two_timers_replaces_the_earlier() -> None:
    async def story(clock: VirtualClock) -> None:
        queue = _queue()
        queue.mark_after("a", timedelta(seconds=10))
        queue.mark_after("a", timedelta(seconds=30))
        await clock.sleep(timedelta(seconds=20))
        assert len(queue) == 0
        await clock.sleep(timedelta(seconds=20))
        assert len(queue) == 1

    run(story)


def test_within_keeps_an_earlier_timer_and_shortens_a_later_one() -> None:
    async def story(clock: VirtualClock) -> None:
        queue = _queue()
        queue.mark_within("early", timedelta(seconds=3))
        queue.mark_within("early", timedelta(seconds=9))
        queue.mark_after("late", timedelta(seconds=60))
        queue.mark_within("late", timedelta(seconds=4))
        await clock.sleep(timedelta(seconds=5))
        assert {await queue.take(), await queue.take()} == {"early", "late"}

    run(story)


def test_retries_are_ever_slower_up_to_a_cap_and_start_anew_after_success() -> None:
    async def story(_: VirtualClock) -> None:
        queue = _queue()
        delays = [queue.retry("a").total_seconds() for _ in range(14)]
        for number, delay in enumerate(delays):
            longest = min(0.1 * 2**number, 60)
            assert longest / 2 <= delay <= longest
        queue.forget("a")
        assert queue.retry("a").total_seconds() <= 0.1
        queue.close()

    run(story)


def test_the_same_seed_waits_the_same() -> None:
    async def story(_: VirtualClock) -> None:
        first, second = _queue(), _queue()
        assert [first.retry("a") for _ in range(5)] == [second.retry("a") for _ in range(5)]
        first.close()
        second.close()

    run(story)


def test_close_leaves_no_timer() -> None:
    async def story(clock: VirtualClock) -> None:
        queue = _queue()
        queue.mark_after("a", timedelta(seconds=1))
        queue.close()
        await clock.sleep(timedelta(seconds=2))
        assert len(queue) == 0
        await asyncio.sleep(0)

    run(story)
