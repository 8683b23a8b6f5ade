"""The demo: its story holds, twice the same, and its exit code says so."""

import io
from time import perf_counter

import pytest
from rich.console import Console
from typer.testing import CliRunner

from nodesmith.cli import build
from nodesmith.sim.demo.run import Result, run_demo


def told(seed: int, pace: float = 0.0) -> tuple[Result, str]:
    out = io.StringIO()
    return run_demo(Console(file=out, width=140), seed=seed, pace=pace), out.getvalue()


def test_the_story_holds_and_is_the_same_twice() -> None:
    first, shown = told(0)
    assert first.failures == ()
    assert "FAILED" not in shown
    assert "nodepool.yaml:47" in shown
    assert "did you mean `limits`?" in shown
    assert first.log.count("t4g.") >= 5
    assert first.log.count("is running") >= 15
    # Once more at a pace, a thousand times that of the clock on the wall: what happens does not depend on it.
    began = perf_counter()
    again, shown_again = told(0, pace=0.001)
    assert perf_counter() - began > 0.8
    assert again.log == first.log
    assert shown_again == shown


@pytest.mark.parametrize(("failures", "code"), [((), 0), (("the price fell",), 1)])
def test_the_exit_code_says_whether_all_of_it_held(
    monkeypatch: pytest.MonkeyPatch, failures: tuple[str, ...], code: int
) -> None:
    def pretend(console: Console, *, seed: int, pace: float) -> Result:
        assert (seed, pace) == (3, 1.0)
        return Result(failures, "a line\n")

    monkeypatch.setattr("nodesmith.sim.demo.run.run_demo", pretend)
    environment = {"AWS_PROFILE": "nobody"}
    monkeypatch.setattr("os.environ", environment)
    result = CliRunner().invoke(build(["demo"]), ["demo", "--seed", "3", "--pace", "real", "--log", "-"])
    assert result.exit_code == code, result.output
    assert "a line" in result.output
    assert all(failure in result.output for failure in failures)
    assert "AWS_PROFILE" not in environment
