import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from nodesmith.adapters.aws.batching import Batcher, Window, counted
from nodesmith.adapters.aws.blocking import run_inline
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.memory.recording import RecordedMetrics
from nodesmith.ports.errors import Refused
from nodesmith.sim.clock import VirtualClock, run

CALL = {"service": "ec2", "operation": "DescribeThings"}


class Scripted:
    """boto3 clients that answer from a list, errors raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def client(self, service: str, region: str) -> Any:
        return self

    def describe_things(self) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def refused(status: int, code: str) -> ClientError:
    metadata: Any = {"HTTPStatusCode": status, "HTTPHeaders": {}}
    return ClientError({"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": metadata}, "DescribeThings")


def test_a_call_is_one_however_often_it_was_tried() -> None:
    async def body(clock: VirtualClock) -> None:
        script = Scripted(refused(503, "RequestLimitExceeded"), EndpointConnectionError(endpoint_url="https://x"), {})
        metrics = RecordedMetrics()
        client = AwsClient(script, region="r", clock=clock, run_blocking=run_inline, metrics=metrics)
        await client.call("ec2", "DescribeThings")
        assert metrics.total("aws_sdk_go_request_total", **CALL) == 1
        assert metrics.total("aws_sdk_go_request_retry_count", **CALL) == 2
        codes = {
            code: metrics.total("aws_sdk_go_request_attempt_total", code=code, **CALL) for code in ("503", "", "200")
        }
        assert codes == {"503": 1, "": 1, "200": 1}
        key = tuple(sorted(CALL.items()))
        (took,) = metrics.observations["aws_sdk_go_request_duration_seconds", key]
        attempts = metrics.observations["aws_sdk_go_request_attempt_duration_seconds", key]
        assert len(attempts) == 3
        assert took > sum(attempts), "waiting between attempts is part of the call"

    run(body)


def test_a_call_that_is_refused_counts_too() -> None:
    async def body(clock: VirtualClock) -> None:
        metrics = RecordedMetrics()
        script = Scripted(refused(403, "UnauthorizedOperation"))
        client = AwsClient(script, region="r", clock=clock, run_blocking=run_inline, metrics=metrics)
        with pytest.raises(Refused):
            await client.call("ec2", "DescribeThings")
        assert metrics.total("aws_sdk_go_request_total", **CALL) == 1
        assert metrics.total("aws_sdk_go_request_retry_count") == 0

    run(body)


def test_batches_tell_how_long_they_were_open_and_how_much_they_held() -> None:
    async def execute(_: str, items: Sequence[int]) -> list[int]:
        return list(items)

    async def body(clock: VirtualClock) -> None:
        metrics = RecordedMetrics()
        window = Window(timedelta(milliseconds=100), timedelta(seconds=1), 100)
        batcher: Batcher[str, int, int] = Batcher(
            clock, window, execute, asyncio.Semaphore(1), counted(metrics, "things")
        )
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(batcher.submit("", number))
        key = (("batcher", "things"),)
        assert metrics.observations["cloudprovider_batcher_batch_size", key] == [3]
        assert metrics.observations["cloudprovider_batcher_batch_time_seconds", key] == [pytest.approx(0.1, abs=0.01)]

    run(body)
