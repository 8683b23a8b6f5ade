"""A server that does not answer is given up: each wait has an end of its own.

The event loop's time leaps, so that no test waits and none depends on how fast the machine is.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest

from nodesmith.adapters.kubernetes import requests
from nodesmith.adapters.kubernetes.cluster import SILENCE_S, KubernetesCluster
from nodesmith.adapters.kubernetes.kubeconfig import Connection
from nodesmith.adapters.kubernetes.transport import Limits, Transport
from nodesmith.api.kinds import NODE
from nodesmith.ports.errors import Unavailable
from tests.unit.adapters.kubernetes.manual import InstantClock, leap
from tests.unit.adapters.kubernetes.server import Stuck, serving

READ = requests.get(NODE, "a")
LIMITS = Limits(deadline_s=600, list_deadline_s=1200, connect_s=60, attempts=1)


class Told:
    """Metrics that tell when an answer has begun."""

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        self.has_begun.set()

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        pass

    def set(self, name: str, value: float, /, **labels: str) -> None:
        pass


class Wait:
    """One call that gets no answer."""

    def __init__(self, stuck: Stuck, transport: Transport, told: Told, patch: pytest.MonkeyPatch) -> None:
        self.transport = transport
        self._stuck, self._told, self._patch = stuck, told, patch

    async def ends_within(self, earliest: float, latest: float, call: Awaitable[object], *, says: str) -> None:
        """The call is given up between the two, with these words."""
        async with asyncio.TaskGroup() as group:
            error = group.create_task(_refusal(call))
            await (self._told.has_begun if self._stuck.begins else self._stuck.was_reached).wait()
            await self.passes(0)
            await self.passes(earliest)
            assert not error.done()
            await self.passes(latest - earliest)
            assert error.done()
        assert says in error.result()

    async def passes(self, seconds: float) -> None:
        leap(self._patch, seconds)
        for _ in range(50):
            await asyncio.sleep(0)


async def _refusal(call: Awaitable[object]) -> str:
    with pytest.raises(Unavailable) as caught:
        await call
    return str(caught.value)


@asynccontextmanager
async def stuck(patch: pytest.MonkeyPatch, *, begins: bool) -> AsyncIterator[Wait]:
    server_side, told = Stuck(begins), Told()
    async with serving(server_side) as server:
        async with Transport(Connection(server.url), InstantClock(), LIMITS, metrics=told) as transport:
            yield Wait(server_side, transport, told, patch)
        server_side.may_go.set()


BEGINS = pytest.mark.parametrize("begins", [False, True], ids=["that does not come", "that does not end"])


@BEGINS
async def test_a_request_is_given_up_after_its_deadline(monkeypatch: pytest.MonkeyPatch, *, begins: bool) -> None:
    async with stuck(monkeypatch, begins=begins) as wait:
        await wait.ends_within(590, 610, wait.transport.send(READ), says="get Node a: no answer in time")


async def test_a_caller_may_have_less_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stuck(monkeypatch, begins=False) as wait:
        await wait.ends_within(20, 40, wait.transport.send(READ, deadline_s=30), says="no answer in time")


async def test_a_page_of_a_list_has_a_deadline_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stuck(monkeypatch, begins=True) as wait:
        await wait.ends_within(1190, 1210, KubernetesCluster(wait.transport).list(NODE), says="no answer in time")


async def test_a_stream_that_does_not_begin_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stuck(monkeypatch, begins=False) as wait:
        chunks = wait.transport.stream(READ, silence_s=300)
        await wait.ends_within(290, 310, anext(chunks), says="get Node a: no answer in time")


async def test_a_stream_that_falls_silent_is_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stuck(monkeypatch, begins=True) as wait:
        chunks = wait.transport.stream(READ, silence_s=300)
        assert await anext(chunks) == b"\n"
        await wait.passes(290)
        await wait.ends_within(290, 310, anext(chunks), says="get Node a: no answer in time")


async def test_a_watch_is_given_up_after_the_silence_that_watches_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stuck(monkeypatch, begins=True) as wait:
        changes = KubernetesCluster(wait.transport).watch(NODE, since="1")
        await wait.ends_within(SILENCE_S - 10, SILENCE_S + 10, anext(changes), says="no answer in time")


async def test_a_server_that_cannot_be_reached_is_given_up_long_before_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(*_: object) -> None:
        server_side.was_reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    server_side = Stuck()
    async with Transport(Connection("http://127.0.0.1:1"), InstantClock(), LIMITS) as transport:
        wait = Wait(server_side, transport, Told(), monkeypatch)
        await wait.ends_within(50, 70, transport.send(READ), says="Connection timeout")
