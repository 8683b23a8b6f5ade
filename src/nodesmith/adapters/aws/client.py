"""boto3, off the event loop: one way to call AWS, paced, retried, with the port's errors.

boto3's own retries are off. They sleep in a thread, by the wall clock and without telling anyone; here a retry waits on
the injected clock, goes through the API's token bucket and honours Retry-After.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any, Final, Protocol, TypeVar

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.parsers import ResponseParserError

from nodesmith.adapters.aws.callnumbers import CallNumbers
from nodesmith.adapters.aws.errors import translate
from nodesmith.adapters.aws.pace import BUDGETS, DEFAULT_BUDGET, Pace
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import Refused, Throttled, Unavailable
from nodesmith.ports.metrics import Metrics

T = TypeVar("T")

ATTEMPTS: Final = 5
LONG_POLL_TIMEOUT_S: Final = 40
_FIRST_DELAY: Final = timedelta(milliseconds=200)
_LONGEST_DELAY: Final = timedelta(seconds=20)
_POOL: Final = 100

Answer = Mapping[str, Any]
"""What boto3 returned."""


READING: Final = ("Describe", "Get", "List", "Receive", "Simulate")


class NotLeading(Refused):
    """This replica must not change anything: it is not, or not any more, the leader."""


def always() -> bool:
    """Nobody else could be acting."""
    return True


class RunBlocking(Protocol):
    """Runs a blocking function without blocking the event loop (real), or right here (simulation)."""

    async def __call__(self, call: Callable[[], T], /) -> T:
        """What the function returns."""
        ...


class Clients(Protocol):
    """Where boto3 clients come from."""

    def client(self, service: str, region: str) -> Any:
        """A client of the service in the region."""
        ...


class SessionClients:
    """Clients of one boto3 session. Where `endpoint_url` is empty, AWS_ENDPOINT_URL counts, and else AWS' own."""

    def __init__(self, session: boto3.session.Session, *, endpoint_url: str = "") -> None:
        self._session = session
        self._endpoint_url = endpoint_url or None
        self._made: dict[tuple[str, str], Any] = {}
        self._making = threading.Lock()

    def client(self, service: str, region: str) -> Any:
        """A client, made once."""
        key = (service, region)
        if key in self._made:
            return self._made[key]
        # A boto3 session must not make two clients at once, and this runs in threads.
        with self._making:
            if key in self._made:
                return self._made[key]
            config = Config(
                retries={"total_max_attempts": 1},
                max_pool_connections=_POOL,
                connect_timeout=10,
                read_timeout=LONG_POLL_TIMEOUT_S if service == "sqs" else 60,
            )
            # boto3 types each service by its literal name; this one is a variable.
            make: Any = self._session.client
            self._made[key] = make(service, region_name=region, endpoint_url=self._endpoint_url, config=config)
        return self._made[key]


class AwsClient:
    """Calls to AWS in one region, unless another is named."""

    def __init__(
        self,
        clients: Clients,
        *,
        region: str,
        clock: Clock,
        run_blocking: RunBlocking,
        metrics: Metrics | None = None,
        may_write: Callable[[], bool] = always,
    ) -> None:
        self.region = region
        self._may_write = may_write
        self._calls = CallNumbers(metrics, clock)
        self._clients = clients
        self._clock = clock
        self._run = run_blocking
        self._paces: dict[str, Pace] = {}

    @property
    def clock(self) -> Clock:
        """The clock that its calls wait on."""
        return self._clock

    async def call(
        self, service: str, operation: str, *, region: str = "", attempts: int = ATTEMPTS, **parameters: Any
    ) -> Answer:
        """The answer; throttled and broken calls are tried again, the same parameters and tokens each time.

        Raises:
            PortError: what AWS or the way to it said in the end.
        """
        with self._calls.call(service, operation):
            return await self._call(service, operation, region or self.region, attempts, parameters)

    async def _call(
        self, service: str, operation: str, region: str, attempts: int, parameters: Mapping[str, Any]
    ) -> Answer:
        pace = self._paces.setdefault(operation, Pace(self._clock, BUDGETS.get(operation, DEFAULT_BUDGET)))
        delay = _FIRST_DELAY
        attempt = 0
        while True:
            attempt += 1
            await pace.wait()
            try:
                answer = await self._once(service, operation, region, parameters)
            except Throttled as error:
                pace.throttled(error.retry_after_s)
                if attempt == attempts:
                    raise
            except Unavailable:
                if attempt == attempts:
                    raise
            else:
                pace.succeeded()
                return answer
            self._calls.retried(service, operation)
            await self._clock.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    async def pages(
        self, service: str, operation: str, *, cursor: str = "NextToken", region: str = "", **parameters: Any
    ) -> AsyncIterator[Answer]:
        """Every page, the next asked for when it is needed.

        Raises:
            PortError: as `call`.
        """
        following: str | None = None
        while True:
            more: dict[str, Any] = {cursor: following} if following else {}
            answer = await self.call(service, operation, region=region, **parameters, **more)
            yield answer
            following = answer.get(cursor) or None
            if following is None:
                return

    async def everything(
        self, service: str, operation: str, items: str, *, region: str = "", **parameters: Any
    ) -> list[dict[str, Any]]:
        """The items of all pages.

        Raises:
            PortError: as `call`.
        """
        found: list[dict[str, Any]] = []
        async for page in self.pages(service, operation, region=region, **parameters):
            found.extend(page.get(items) or ())
        return found

    async def _once(self, service: str, operation: str, region: str, parameters: Mapping[str, Any]) -> Answer:
        def guard() -> None:
            if not operation.startswith(READING) and not self._may_write():
                raise NotLeading(f"{operation}: not the leader")

        def ask() -> Answer:
            guard()  # once more, since it may have waited for a thread
            client = self._clients.client(service, region)
            method = getattr(client, xform_name(operation))
            answer: Answer = method(**parameters)
            return answer

        guard()
        try:
            with self._calls.attempt(service, operation):
                return await self._run(ask)
        except (BotoCoreError, ClientError, HTTPClientError, ResponseParserError) as error:
            raise translate(error) from error
