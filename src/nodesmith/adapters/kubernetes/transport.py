"""Sends requests: connections, deadlines, pace, retries. The only module that speaks HTTP to the API server.

A read is tried again when the connection broke; a write is not, since it may have been done: its caller reads and
decides again. What the server asks for itself (429 with Retry-After) is done for both.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp
from yarl import URL

from nodesmith.actuate.pace import TokenBucket
from nodesmith.adapters.kubernetes.credentials import Credentials, Identity, credentials_for
from nodesmith.adapters.kubernetes.errors import UNAUTHORIZED, parse_status, translate
from nodesmith.adapters.kubernetes.kubeconfig import ClientCertificate, Connection
from nodesmith.adapters.kubernetes.requests import Request
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import EvictionBlocked, PortError, Throttled, Unavailable
from nodesmith.ports.metrics import Metrics

SUCCESS_BELOW: Final = 300
Guard = Callable[[], None]
"""Asked in the last moment before a request leaves; it raises a PortError when the request must not."""

MAX_BACKOFF_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How long, how often, how much. The rates are upstream's `kube-client-qps` and `kube-client-burst`."""

    deadline_s: float = 30.0
    list_deadline_s: float = 60.0
    connect_s: float = 10.0
    attempts: int = 5
    per_second: float = 200.0
    burst: int = 300
    connections: int = 128


@dataclass(slots=True)
class Transport:
    """A connected client; use it as `async with Transport(...)`."""

    connection: Connection
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    user_agent: str = "nodesmith"
    chance: random.Random = field(default_factory=random.Random)
    metrics: Metrics | None = None
    _credentials: Credentials = field(init=False)
    _bucket: TokenBucket = field(init=False)
    _session: aiohttp.ClientSession | None = field(init=False, default=None)
    _contexts: dict[ClientCertificate | None, ssl.SSLContext] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._credentials = credentials_for(self.connection, self.clock)
        self._bucket = TokenBucket(self.clock, per_second=self.limits.per_second, burst=self.limits.burst)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.limits.connections),
            # Compressed answers cost this process more than the network gains inside of one.
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": self.user_agent},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.limits.connect_s),
            skip_auto_headers={"Content-Type"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, request: Request, *, deadline_s: float | None = None, guard: Guard | None = None) -> bytes:
        """The body of the answer.

        Raises:
            PortError: by the caller's next step, when the answer was no or none came, or what the guard raised.
        """
        for attempt in range(self.limits.attempts):
            try:
                return await self._send_once(request, deadline_s or self.limits.deadline_s, guard)
            except PortError as error:
                wait = self._wait_before_retry(request, error, attempt)
                if wait is None:
                    raise
                await self.clock.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _wait_before_retry(self, request: Request, error: PortError, attempt: int) -> timedelta | None:
        """How long to wait before the same request is sent again, or None when it is not."""
        if attempt + 1 >= self.limits.attempts or isinstance(error, EvictionBlocked):
            return None
        jitter = self.chance.uniform(0.5, 1.0)
        backoff = min(MAX_BACKOFF_S, 0.25 * 2**attempt) * jitter
        if isinstance(error, Throttled):
            hint = min(MAX_BACKOFF_S, error.retry_after_s or 0.0)
            return timedelta(seconds=hint + backoff)
        if isinstance(error, Unavailable) and not request.is_write:
            return timedelta(seconds=backoff)
        return None

    async def _send_once(self, request: Request, deadline_s: float, guard: Guard | None) -> bytes:
        await self._bucket.take()
        started = self.clock.monotonic()
        try:
            async with asyncio.timeout(deadline_s), self._answer(request, guard) as answer:
                return await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._count(request, "<error>")
            raise Unavailable(f"{request.about}: {_sentence(error)}") from error
        finally:
            if self.metrics is not None:
                took = self.clock.monotonic() - started
                self.metrics.observe("client_go_request_duration_seconds", took, verb=request.method)

    async def stream(self, request: Request, *, silence_s: float) -> AsyncGenerator[bytes]:
        """The chunks of an endless answer, until the server ends it.

        Raises:
            Unavailable: when the connection breaks, or nothing comes for `silence_s`.
            PortError: by the caller's next step, when the answer was no.
        """
        await self._bucket.take()
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(silence_s):
                    answer = await stack.enter_async_context(self._answer(request))
                stack.callback(_abort, answer)
                while chunk := await _next_chunk(answer, silence_s):
                    yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{request.about}: {_sentence(error)}") from error

    @asynccontextmanager
    async def _answer(self, request: Request, guard: Guard | None = None) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is a success; asked for twice when the first identity had run out."""
        for is_last in (False, True):
            identity = await self._credentials.identity()
            if guard is not None:
                guard()
            async with self._request(request, identity) as answer:
                self._count(request, str(answer.status))
                if answer.status < SUCCESS_BELOW:
                    yield answer
                    return
                status = parse_status(await answer.read())
                may_retry = answer.status == UNAUTHORIZED and self._credentials.refused(identity)
                if is_last or not may_retry:
                    raise translate(answer.status, status, about=request.about, headers=answer.headers)

    @asynccontextmanager
    async def _request(self, request: Request, identity: Identity) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("the transport is not open")
        headers = {}
        if request.content_type:
            headers["Content-Type"] = request.content_type
        if identity.authorization:
            headers["Authorization"] = identity.authorization
        async with self._session.request(
            request.method,
            URL(self.connection.server + request.path, encoded=True).with_query(request.query),
            data=request.body or None,
            headers=headers,
            ssl=self._context(identity.certificate),
            proxy=self.connection.proxy or None,
            server_hostname=self.connection.tls_server_name or None,
            allow_redirects=False,
        ) as answer:
            yield answer

    def _count(self, request: Request, code: str) -> None:
        if self.metrics is not None:
            self.metrics.count("client_go_request_total", verb=request.method, code=code)

    def _context(self, certificate: ClientCertificate | None) -> ssl.SSLContext:
        if certificate not in self._contexts:
            self._contexts = {certificate: tls_context(self.connection, certificate)}
        return self._contexts[certificate]


def tls_context(connection: Connection, certificate: ClientCertificate | None) -> ssl.SSLContext:
    """What verifies the server, and shows it our certificate if we have one."""
    ca = connection.ca.decode("utf-8") if connection.ca is not None else None
    context = ssl.create_default_context(cadata=ca)
    if not connection.verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        _load(context, certificate)
    return context


def _load(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    """The standard library reads certificates from files only: a private one, that is gone at once."""
    descriptor, name = tempfile.mkstemp(prefix="nodesmith-")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(certificate.certificate + b"\n" + certificate.key)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()


def _abort(answer: aiohttp.ClientResponse) -> None:
    """Drop the connection of an answer that was left in the middle: saying goodbye would wait for a silent server."""
    if answer.connection is not None and answer.connection.transport is not None:
        answer.connection.transport.abort()


async def _next_chunk(answer: aiohttp.ClientResponse, silence_s: float) -> bytes:
    async with asyncio.timeout(silence_s):
        return await answer.content.readany()


def _sentence(error: BaseException) -> str:
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
