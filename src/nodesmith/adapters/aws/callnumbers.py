"""How many calls to AWS were made, how they ended, and how long they took: under the names of the AWS SDK for Go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.parsers import ResponseParserError

from nodesmith.ports.clock import Clock
from nodesmith.ports.metrics import Metrics

ANSWERED: Final = "200"
NO_ANSWER: Final = ""


class CallNumbers:
    """Tells of each call and of each attempt at it; of nothing where there is nobody to tell."""

    def __init__(self, metrics: Metrics | None, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock

    @contextmanager
    def call(self, service: str, operation: str) -> Iterator[None]:
        """The block is one call, with all its attempts."""
        started = self._clock.monotonic()
        try:
            yield
        finally:
            if self._metrics is not None:
                labels = {"service": service, "operation": operation}
                self._metrics.count("aws_sdk_go_request_total", **labels)
                took = self._clock.monotonic() - started
                self._metrics.observe("aws_sdk_go_request_duration_seconds", took, **labels)

    @contextmanager
    def attempt(self, service: str, operation: str) -> Iterator[None]:
        """The block is one attempt."""
        started, code = self._clock.monotonic(), ANSWERED
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", NO_ANSWER))
            raise
        except (BotoCoreError, HTTPClientError, ResponseParserError):
            code = NO_ANSWER
            raise
        finally:
            if self._metrics is not None:
                labels = {"service": service, "operation": operation}
                self._metrics.count("aws_sdk_go_request_attempt_total", code=code, **labels)
                took = self._clock.monotonic() - started
                self._metrics.observe("aws_sdk_go_request_attempt_duration_seconds", took, **labels)

    def retried(self, service: str, operation: str) -> None:
        """One more attempt follows."""
        if self._metrics is not None:
            self._metrics.count("aws_sdk_go_request_retry_count", service=service, operation=operation)
