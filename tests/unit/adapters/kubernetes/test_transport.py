import random
from pathlib import Path

import pytest
from aiohttp import web

from nodesmith.adapters.kubernetes import requests
from nodesmith.adapters.kubernetes.kubeconfig import Connection
from nodesmith.adapters.kubernetes.requests import Request
from nodesmith.adapters.kubernetes.transport import Limits, Transport
from nodesmith.adapters.telemetry.logs import StructuredLog
from nodesmith.adapters.telemetry.metrics import PrometheusMetrics
from nodesmith.api.kinds import NODE, POD
from nodesmith.ports.errors import EvictionBlocked, Refused, Throttled, Unavailable
from tests.unit.adapters.kubernetes.manual import InstantClock
from tests.unit.adapters.kubernetes.server import Handler, answers, serving, status

READ = requests.get(NODE, "a")
WRITE = requests.patch(NODE, "a", {})


def fine() -> web.Response:
    return web.json_response({"metadata": {"name": "a"}})


def slow_down() -> web.Response:
    answer = status(429, "TooManyRequests")
    answer.headers["Retry-After"] = "2"
    return answer


async def send(answer: Handler, request: Request) -> tuple[list[str], list[float]]:
    """What the server was asked for one request, and the waits between."""
    clock = InstantClock()
    async with serving(answer) as server:
        connection = Connection(server.url)
        async with Transport(connection, clock, chance=random.Random(1)) as transport:
            await transport.send(request)
        return server.asked, clock.slept_s


async def test_a_broken_read_is_sent_again() -> None:
    asked, waits = await send(answers(lambda: status(500), lambda: status(503), fine), READ)
    assert len(asked) == 3
    assert waits[0] < waits[1] < 1.0


async def test_a_broken_write_is_not_sent_again() -> None:
    with pytest.raises(Unavailable):
        await send(answers(lambda: status(500), fine), WRITE)


async def test_the_servers_wish_to_wait_is_followed_for_writes_too() -> None:
    asked, waits = await send(answers(slow_down, fine), WRITE)
    assert len(asked) == 2
    assert 2.0 <= waits[0] < 3.0


async def test_a_server_that_throttles_and_names_no_time_is_asked_again_soon() -> None:
    asked, waits = await send(answers(lambda: status(429, "TooManyRequests"), fine), WRITE)
    assert len(asked) == 2
    assert 0 < waits[0] <= 0.25


async def test_a_hint_beyond_all_patience_is_cut_short() -> None:
    def in_an_hour() -> web.Response:
        answer = slow_down()
        answer.headers["Retry-After"] = "3600"
        return answer

    _, waits = await send(answers(in_an_hour, fine), READ)
    assert 30.0 < waits[0] < 31.0


async def test_clients_that_are_sent_away_together_do_not_come_back_together() -> None:
    waits = set()
    for seed in range(5):
        clock = InstantClock()
        async with (
            serving(answers(slow_down, fine)) as server,
            Transport(Connection(server.url), clock, chance=random.Random(seed)) as transport,
        ):
            await transport.send(READ)
        waits |= set(clock.slept_s)
    assert len(waits) == 5


async def test_where_a_server_points_to_another_it_is_not_followed() -> None:
    """A redirect would carry the token to whoever is named."""
    elsewhere = answers(lambda: web.Response(status=307, headers={"Location": "http://127.0.0.1:9/"}))
    with pytest.raises(Refused):
        await send(elsewhere, READ)


async def test_patience_ends() -> None:
    with pytest.raises(Throttled):
        await send(answers(slow_down), READ)


async def test_a_blocked_eviction_is_told_at_once() -> None:
    blocked = answers(lambda: status(429, "TooManyRequests", causes=[{"reason": "DisruptionBudget"}]), fine)
    with pytest.raises(EvictionBlocked):
        await send(blocked, requests.evict("p", namespace="n", uid="u"))


async def test_a_refusal_is_told_at_once() -> None:
    with pytest.raises(Refused, match="get Node a: you may not"):
        await send(answers(lambda: status(403, "Forbidden", "you may not"), fine), READ)


async def test_nobody_at_the_door() -> None:
    connection = Connection("http://127.0.0.1:1")
    async with Transport(connection, InstantClock(), Limits(attempts=2)) as transport:
        with pytest.raises(Unavailable, match="get Node a"):
            await transport.send(READ)


async def test_a_token_that_ran_out_is_renewed_within_the_request(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] == "Bearer new":
            return fine()
        token.write_text("new")
        return status(401, "Unauthorized")

    async with serving(answer) as server:
        connection = Connection(server.url, token_file=token)
        async with Transport(connection, InstantClock()) as transport:
            await transport.send(READ)
        assert len(server.asked) == 2


async def test_a_fixed_token_that_is_refused_stays_so() -> None:
    async with serving(answers(lambda: status(401, "Unauthorized"))) as server:
        async with Transport(Connection(server.url, token="t"), InstantClock()) as transport:
            with pytest.raises(Refused):
                await transport.send(READ)
        assert len(server.asked) == 1


async def test_requests_arrive_as_built() -> None:
    async with serving(answers(fine)) as server:
        async with Transport(Connection(server.url, token="t"), InstantClock()) as transport:
            await transport.send(requests.get(NODE, "a/b c"))
            await transport.send(requests.patch(POD, "p", {"a": 1}, namespace="n"))
        assert server.asked[0] == "GET /api/v1/nodes/a%2Fb%20c"
        assert server.asked[1] == "PATCH /api/v1/namespaces/n/pods/p?fieldManager=nodesmith"
        assert server.bodies[1] == b'{"a":1}'
        assert server.headers[1]["Content-Type"] == "application/merge-patch+json"
        assert server.headers[1]["Authorization"] == "Bearer t"
        assert "Content-Type" not in server.headers[0]


async def test_the_pace_is_kept() -> None:
    clock = InstantClock()
    async with serving(answers(fine)) as server:
        limits = Limits(per_second=10, burst=2)
        async with Transport(Connection(server.url), clock, limits) as transport:
            for _ in range(4):
                await transport.send(READ)
    assert sum(clock.slept_s) == pytest.approx(0.2)


async def test_streams_keep_the_pace_too() -> None:
    clock = InstantClock()
    async with serving(answers(fine)) as server:
        async with Transport(Connection(server.url), clock, Limits(per_second=10, burst=2)) as transport:
            for _ in range(4):
                assert [chunk async for chunk in transport.stream(READ, silence_s=60)]
        assert len(server.asked) == 4
    assert sum(clock.slept_s) == pytest.approx(0.2)


async def test_requests_are_counted_by_answer() -> None:
    clock = InstantClock()
    metrics = PrometheusMetrics(clock, StructuredLog(lambda _: None))
    async with (
        serving(answers(lambda: status(500), fine)) as server,
        Transport(Connection(server.url), clock, metrics=metrics) as transport,
    ):
        await transport.send(READ)
    async with Transport(Connection("http://127.0.0.1:1"), clock, Limits(attempts=1), metrics=metrics) as transport:
        with pytest.raises(Unavailable):
            await transport.send(READ)
    text = metrics.text()[0].decode()
    for code in ("200", "500", "<error>"):
        assert f'client_go_request_total{{code="{code}",verb="GET"}} 1.0' in text
    assert 'client_go_request_duration_seconds_count{verb="GET"} 3.0' in text
