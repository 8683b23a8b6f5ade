import io
import json
from pathlib import Path

import pytest

from nodesmith.adapters.telemetry.logs import Outputs, console_log, json_log
from tests.unit.adapters.kubernetes.manual import ManualClock


def test_a_line_is_json_with_upstreams_keys() -> None:
    stream = io.StringIO()
    json_log(stream, ManualClock(), commit="abc").info("registered nodeclaim", NodeClaim="c", zone=None, name="한")
    line = json.loads(stream.getvalue())
    assert list(line) == ["level", "time", "logger", "message", "commit", "NodeClaim", "name"]
    assert (line["level"], line["time"]) == ("INFO", "2026-01-01T00:16:40.000Z")
    assert "한" in stream.getvalue()


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("error", 1)])
def test_lines_below_the_level_are_left_out(level: str, count: int) -> None:
    stream = io.StringIO()
    log = json_log(stream, ManualClock(), level=level)
    for tell in (log.debug, log.info, log.warning, log.error):
        tell("m")
    assert len(stream.getvalue().splitlines()) == count


def test_bound_fields_are_on_every_line_and_only_there() -> None:
    stream = io.StringIO()
    log = json_log(stream, ManualClock())
    bound = log.bind(controller="disruption")
    bound.info("one", key="k")
    log.info("two")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["controller"], first["key"]) == ("disruption", "k")
    assert "controller" not in second


def test_an_exception_is_told_on_one_line() -> None:
    stream = io.StringIO()
    json_log(stream, ManualClock()).error("reconcile failed", exc_info=ValueError("wrong"))
    [line] = stream.getvalue().splitlines()
    assert json.loads(line)["stacktrace"].endswith("ValueError: wrong")


def test_what_json_does_not_know_is_told_as_text() -> None:
    stream = io.StringIO()
    json_log(stream, ManualClock()).info("m", value={1, 2}.__class__)
    assert "set" in json.loads(stream.getvalue())["value"]


def test_people_get_a_readable_line() -> None:
    stream = io.StringIO()
    console_log(stream, ManualClock()).warning("node is full", Node="a")
    assert "node is full" in stream.getvalue()
    assert "Node=a" in stream.getvalue()


def test_lines_go_to_every_place_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "a.log", tmp_path / "b.log"]
    outputs = Outputs(["stderr", *map(str, files)])
    log = json_log(outputs, ManualClock())
    log.info("one")
    log.info("two", decision="d1")
    outputs.close()
    assert capsys.readouterr().err == files[0].read_text() == files[1].read_text()
    assert [json.loads(line)["message"] for line in files[0].read_text().splitlines()] == ["one", "two"]
