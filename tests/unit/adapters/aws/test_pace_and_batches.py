"""Batches, token buckets, caches and the client's retries, in virtual time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from nodesmith.adapters.aws.batching import Batcher, Window
from nodesmith.adapters.aws.blocking import Threads, run_inline
from nodesmith.adapters.aws.cache import Cache
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.pace import Budget, Pace
from nodesmith.adapters.aws.unavailable import Unavailable as Refusals
from nodesmith.ports.errors import NotFound, PortError, Refused, Throttled, Unavailable
from nodesmith.sim.clock import VirtualClock, run

T = TypeVar("T")
WINDOW = Window(timedelta(milliseconds=100), timedelta(seconds=1), 5)


class Counting:
    """Executes batches by doubling numbers; keeps what it was given and when."""

    def __init__(self, clock: VirtualClock, *, takes: float = 0.0) -> None:
        self.batches: list[tuple[float, list[int]]] = []
        self._clock = clock
        self._takes = timedelta(seconds=takes)

    async def __call__(self, _: str, items: Sequence[int]) -> list[int | PortError]:
        self.batches.append((round(self._clock.monotonic(), 3), list(items)))
        await self._clock.sleep(self._takes)
        return [NotFound(str(item)) if item < 0 else item * 2 for item in items]

    def batcher(self, window: Window = WINDOW) -> Batcher[str, int, int]:
        return Batcher(self._clock, window, self, asyncio.Semaphore(100))


async def gathered(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T | BaseException]:
    return await asyncio.gather(*calls, return_exceptions=True)  # noqa: TID251 - errors are answers here


def test_what_comes_together_is_asked_together() -> None:
    async def body(clock: VirtualClock) -> None:
        work = Counting(clock)
        batcher = work.batcher()
        assert await gathered([batcher.submit("", number) for number in (1, 2, 3)]) == [2, 4, 6]
        assert work.batches == [(0.1, [1, 2, 3])]

    run(body)


def test_other_keys_are_other_batches_and_an_error_is_its_items_own() -> None:
    async def body(clock: VirtualClock) -> None:
        work = Counting(clock)
        batcher = work.batcher()
        one, two, lost = await gathered([batcher.submit("a", 1), batcher.submit("b", 2), batcher.submit("a", -1)])
        assert (one, two) == (2, 4)
        assert isinstance(lost, NotFound)
        assert sorted(items for _, items in work.batches) == [[1, -1], [2]]

    run(body)


def test_a_batch_closes_when_it_is_full_or_old() -> None:
    async def body(clock: VirtualClock) -> None:
        work = Counting(clock)
        batcher = work.batcher()
        await gathered([batcher.submit("", number) for number in range(7)])
        assert sorted(len(items) for _, items in work.batches) == [2, 5]

        async def later(number: int) -> int:
            await clock.sleep(timedelta(milliseconds=90 * number))
            return await batcher.submit("", number)

        work.batches.clear()
        started = clock.monotonic()
        await gathered([later(number) for number in range(4)])
        assert [items for _, items in work.batches] == [[0, 1, 2, 3]]
        assert clock.monotonic() - started == pytest.approx(0.37)
        slow = work.batcher(Window(timedelta(milliseconds=100), timedelta(milliseconds=200), 100))
        work.batches.clear()

        async def steadily(number: int) -> int:
            await clock.sleep(timedelta(milliseconds=90 * number))
            return await slow.submit("", number)

        await gathered([steadily(number) for number in range(4)])
        assert [items for _, items in work.batches] == [[0, 1, 2], [3]]

    run(body)


def test_a_cancelled_leader_hands_over_and_a_cancelled_follower_is_left_out() -> None:
    async def body(clock: VirtualClock) -> None:
        work = Counting(clock)
        batcher = work.batcher()
        async with asyncio.TaskGroup() as group:
            leader = group.create_task(batcher.submit("", 1))
            follower = group.create_task(batcher.submit("", 2))
            third = group.create_task(batcher.submit("", 3))
            await clock.sleep(timedelta(milliseconds=50))
            leader.cancel()
            third.cancel()
        assert follower.result() == 4
        assert [items for _, items in work.batches] == [[2]]

    run(body)


def test_when_the_call_is_broken_off_the_others_are_told_that_it_may_have_been_made() -> None:
    async def body(clock: VirtualClock) -> None:
        work = Counting(clock, takes=10)
        batcher = work.batcher()
        outcome: list[Any] = []

        async def follow() -> None:
            try:
                await batcher.submit("", 2)
            except Unavailable as error:
                outcome.append(str(error))

        async with asyncio.TaskGroup() as group:
            leader = group.create_task(batcher.submit("", 1))
            group.create_task(follow())
            await clock.sleep(timedelta(seconds=1))
            leader.cancel()
        assert outcome == ["the call was broken off"]

    run(body)


def test_a_whole_call_that_fails_fails_for_all() -> None:
    async def body(clock: VirtualClock) -> None:
        async def fail(_: str, __: Sequence[int]) -> Sequence[int | PortError]:
            raise Throttled("no")

        batcher: Batcher[str, int, int] = Batcher(clock, WINDOW, fail, asyncio.Semaphore(1))
        outcome = await gathered([batcher.submit("", 1), batcher.submit("", 2)])
        assert all(isinstance(each, Throttled) for each in outcome)

    run(body)


def test_a_bucket_lets_a_burst_through_and_then_so_many_a_second() -> None:
    async def body(clock: VirtualClock) -> None:
        pace = Pace(clock, Budget(burst=3, per_second=2))
        times: list[float] = []
        for _ in range(7):
            await pace.wait()
            times.append(round(clock.monotonic(), 3))
        assert times == [0, 0, 0, 0.5, 1.0, 1.5, 2.0]

    run(body)


def test_throttling_halves_the_rate_and_retry_after_is_kept() -> None:
    async def body(clock: VirtualClock) -> None:
        pace = Pace(clock, Budget(burst=3, per_second=2))
        pace.throttled(None)
        await pace.wait()
        assert clock.monotonic() == pytest.approx(1.0)
        pace.throttled(retry_after_s=30)
        await pace.wait()
        assert clock.monotonic() == pytest.approx(31.0)
        for _ in range(200):
            pace.succeeded()
        before = clock.monotonic()
        for _ in range(8):
            await pace.wait()
        assert clock.monotonic() - before < 8

    run(body)


def test_a_cached_answer_is_asked_for_once_and_again_after_its_time() -> None:
    async def body(clock: VirtualClock) -> None:
        cache: Cache[str, int] = Cache(clock, timedelta(seconds=60))
        asked: list[int] = []

        async def ask() -> int:
            asked.append(1)
            await clock.sleep(timedelta(seconds=1))
            return len(asked)

        assert await gathered([cache.get("a", ask) for _ in range(5)]) == [1] * 5
        await clock.sleep(timedelta(seconds=59))
        assert cache.peek("a") == 1
        await clock.sleep(timedelta(seconds=1))
        assert cache.expired() == [("a", 1)]
        assert await cache.get("a", ask) == 2
        cache.drop("a")
        assert cache.peek("a") is None

    run(body)


def test_refusals_are_forgotten_after_three_minutes() -> None:
    async def body(clock: VirtualClock) -> None:
        refusals = Refusals(clock)
        pool = {"instance_type": "m5.large", "zone": "a", "capacity_type": "spot"}
        refusals.mark(**pool)
        refusals.mark(**{**pool, "zone": "b"}, group="pg-1")
        refusals.mark_subnet("subnet-1")
        refusals.mark_capacity_type("reserved")
        version = refusals.version
        assert not refusals.has_offering(**pool)
        assert refusals.has_offering(**{**pool, "zone": "b"})
        assert not refusals.has_offering(**{**pool, "zone": "b"}, group="pg-1")
        assert not refusals.has_offering(**{**pool, "capacity_type": "reserved"})
        assert not refusals.has_addresses("subnet-1")
        await clock.sleep(timedelta(minutes=3))
        assert refusals.has_offering(**pool)
        assert refusals.has_addresses("subnet-1")
        assert refusals.version > version

    run(body)


class Scripted:
    """boto3 clients that answer from a list, errors raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def client(self, service: str, region: str) -> Any:
        return self

    def describe_things(self, **parameters: Any) -> Any:
        self.asked.append(parameters)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def client_error(code: str, status: int = 400, **headers: str) -> ClientError:
    metadata: Any = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    return ClientError({"Error": {"Code": code, "Message": "said"}, "ResponseMetadata": metadata}, "DescribeThings")


def test_broken_and_throttled_calls_are_tried_again_with_the_same_parameters() -> None:
    async def body(clock: VirtualClock) -> None:
        broken = EndpointConnectionError(endpoint_url="https://x")
        script = Scripted(
            client_error("InternalError", 500), broken, client_error("RequestLimitExceeded", 503), {"A": 1}
        )
        client = AwsClient(script, region="r", clock=clock, run_blocking=run_inline)
        assert await client.call("ec2", "DescribeThings", Token="t") == {"A": 1}
        assert script.asked == [{"Token": "t"}] * 4
        assert clock.monotonic() > 1

    run(body)


def test_retry_after_is_honoured() -> None:
    async def body(clock: VirtualClock) -> None:
        script = Scripted(client_error("Throttling", 429, **{"retry-after": "17"}), {})
        client = AwsClient(script, region="r", clock=clock, run_blocking=run_inline)
        await client.call("ec2", "DescribeThings")
        assert clock.monotonic() >= 17

    run(body)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("UnauthorizedOperation", 403, Refused),
        ("InvalidParameterValue", 400, Refused),
        ("InvalidInstanceID.NotFound", 400, NotFound),
        ("NoSuchEntity", 404, NotFound),
        ("RequestLimitExceeded", 503, Throttled),
        ("Strange", 502, Unavailable),
    ],
)
def test_an_answer_has_a_next_step(code: str, status: int, kind: type[PortError]) -> None:
    async def body(clock: VirtualClock) -> None:
        client = AwsClient(Scripted(client_error(code, status)), region="r", clock=clock, run_blocking=run_inline)
        with pytest.raises(kind, match=code):
            await client.call("ec2", "DescribeThings", attempts=1)

    run(body)


def test_pages_are_followed_to_the_end() -> None:
    async def body(clock: VirtualClock) -> None:
        script = Scripted({"Things": [1, 2], "NextToken": "n"}, {"Things": [3], "NextToken": ""})
        client = AwsClient(script, region="r", clock=clock, run_blocking=run_inline)
        assert await client.everything("ec2", "DescribeThings", "Things", MaxResults=2) == [1, 2, 3]  # type: ignore[comparison-overlap]  # numbers stand for things
        assert script.asked == [{"MaxResults": 2}, {"MaxResults": 2, "NextToken": "n"}]

    run(body)


async def test_threads_do_not_block_the_loop() -> None:
    threads = Threads(2)
    assert await threads(lambda: 41 + 1) == 42
    with pytest.raises(ZeroDivisionError):
        await threads(lambda: 1 // 0)
    assert await asyncio.gather(*(threads(lambda n=n: n) for n in range(20))) == list(range(20))  # type: ignore[misc]  # noqa: TID251 - the calls are the test
    threads.close()


def test_a_call_under_way_does_not_hold_up_the_end_of_the_process() -> None:
    program = """
import asyncio, time
from nodesmith.adapters.aws.blocking import Threads

async def main():
    threads = Threads()
    async with asyncio.timeout(0.2):
        await threads(lambda: time.sleep(60))

try:
    asyncio.run(main())
except TimeoutError:
    print("gave up")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stdout) == (0, "gave up\n")


def test_a_process_that_does_not_lead_only_reads() -> None:
    async def body(clock: VirtualClock) -> None:
        script = Scripted({}, {})
        client = AwsClient(script, region="r", clock=clock, run_blocking=run_inline, may_write=lambda: False)
        await client.call("ec2", "DescribeThings")
        for operation in ("CreateFleet", "TerminateInstances", "CreateTags", "DeleteMessage", "DeleteLaunchTemplate"):
            with pytest.raises(Refused, match="not the leader"):
                await client.call("ec2", operation)
        assert len(script.asked) == 1

    run(body)


def test_a_call_that_waits_for_a_thread_is_not_made_by_who_was_deposed_meanwhile() -> None:
    async def body(clock: VirtualClock) -> None:
        leads = True

        async def deposed(work: Callable[[], T]) -> T:
            nonlocal leads
            leads = False
            return await run_inline(work)

        script = Scripted({})
        client = AwsClient(script, region="r", clock=clock, run_blocking=deposed, may_write=lambda: leads)
        with pytest.raises(Refused, match="not the leader"):
            await client.call("ec2", "CreateFleet")
        assert script.asked == []

    run(body)
