"""`nodesmith decisions` against the server that a controller has."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiohttp import web
from typer.testing import CliRunner, Result

from nodesmith.adapters.telemetry.health import HttpServer
from nodesmith.adapters.telemetry.logs import json_log
from nodesmith.app import _tell_decisions
from nodesmith.cli import build
from nodesmith.controllers.decisions import DecisionRecord, Decisions, decision_id
from tests.unit.adapters.kubernetes.manual import ManualClock

NOW = datetime(2026, 1, 1, 9, 30, tzinfo=UTC)


def record(number: int, kind: str = "provision") -> DecisionRecord:
    id_ = decision_id(number)
    return DecisionRecord(id_, kind, NOW, f"decision number {number}", {"nodeclaims": [number]}, {"pods": ["shop/web"]})


@asynccontextmanager
async def controller(decisions: Decisions) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        return await _tell_decisions(decisions, request)

    server = HttpServer({"/decisions": answer}, 0, host="127.0.0.1")
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.run())
        await server.listening.wait()
        yield f"http://127.0.0.1:{server.port}"
        serving.cancel()


async def ask(url: str, *arguments: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(build(), ["decisions", f"--url={url}", *arguments]))


async def test_the_last_decisions_are_listed_and_one_is_shown_with_what_explains_it() -> None:
    log = io.StringIO()
    decisions = Decisions(json_log(log, ManualClock()), kept=3)
    for number in range(5):
        decisions.record(record(number, "disrupt" if number == 4 else "provision"))
    async with controller(decisions) as url:
        listed = await ask(url)
        assert listed.exit_code == 0
        assert "decision number 4" in listed.output
        assert "decision number 1" not in listed.output, "the oldest have gone"
        one = json.loads((await ask(url, f"--id={decision_id(4)}")).output)
        assert [(each["kind"], each["plan"], each["inputs"]) for each in one] == [
            ("disrupt", {"nodeclaims": [4]}, {"pods": ["shop/web"]})
        ]
        assert len(json.loads((await ask(url, "--json")).output)) == 3
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["decision"] for line in lines] == [decision_id(number) for number in range(5)], "one line a decision"


async def test_a_controller_that_has_just_started_has_decided_nothing() -> None:
    async with controller(Decisions(json_log(io.StringIO(), ManualClock()), kept=3)) as url:
        listed = await ask(url)
        assert (listed.exit_code, listed.output.startswith("no decisions since this replica started")) == (0, True)
        assert json.loads((await ask(url, "--json")).output) == []


async def test_where_no_controller_answers_that_is_said() -> None:
    refused = await ask("http://127.0.0.1:9")
    assert refused.exit_code == 1
    assert "no controller answers" in refused.output
