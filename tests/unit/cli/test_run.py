"""`nodesmith run`, up to where the controllers begin."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from nodesmith.app import Surroundings
from nodesmith.cli import build
from nodesmith.cli import run as run_module
from nodesmith.ports.errors import Refused
from nodesmith.settings import SETTINGS, flag_of

KUBECONFIG: dict[str, Any] = {
    "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "x",
}


class Shell:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began: list[Surroundings] = []
        self.fails: Exception | None = None
        file = folder / "kubeconfig"
        file.write_text(yaml.safe_dump(KUBECONFIG))
        self._environment: dict[str, str | None] = {
            "KUBECONFIG": str(file),
            "KUBERNETES_SERVICE_HOST": None,
            "AWS_CONFIG_FILE": str(folder / "none"),
            "AWS_REGION": None,
            "AWS_DEFAULT_REGION": None,
            "AWS_PROFILE": None,
            "CLUSTER_NAME": "shop",
        }
        monkeypatch.setattr(run_module, "run_controller", self._controllers)

    async def _controllers(self, around: Surroundings, _: asyncio.Event) -> None:
        self.began.append(around)
        if self.fails is not None:
            raise self.fails

    def run(self, *arguments: str, **environment: str) -> tuple[int, list[dict[str, Any]]]:
        """The exit code, and what it told: lines of the log, or text."""
        done = CliRunner().invoke(build(), ["run", *arguments], env={**self._environment, **environment})
        lines = done.output.splitlines()
        return done.exit_code, [
            json.loads(line) if line.startswith("{") else {"level": "TEXT", "message": line} for line in lines
        ]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({"AWS_REGION": "ap-northeast-2"}, "ap-northeast-2"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_REGION": "ap-northeast-2", "AWS_DEFAULT_REGION": "eu-west-1"}, "ap-northeast-2"),
    ],
)
def test_the_region_is_the_environments(shell: Shell, environment: dict[str, str], region: str) -> None:
    code, lines = shell.run(**environment)
    assert (code, [line["message"] for line in lines]) == (0, ["starting", "stopped"])
    assert shell.began[0].region == region
    assert lines[0]["region"] == region


def test_without_a_region_nothing_begins(shell: Shell) -> None:
    code, [line] = shell.run()
    assert (code, line["message"]) == (2, "error: no AWS region: set AWS_REGION")
    assert shell.began == []


def test_what_changes_nothing_or_less_than_it_says_is_told_at_the_start(shell: Shell) -> None:
    arguments = ("--ignore-dra-requests=false", "--feature-gates=TerminateFirstDrift=true")
    _, lines = shell.run(*arguments, AWS_REGION="ap-northeast-2")
    warned = [line for line in lines if line["level"] == "WARN"]
    assert [line.get("setting") for line in warned] == ["feature-gates: terminate_first_drift", None]
    assert warned[1]["message"].startswith("pods with resource claims stay pending")
    _, plain = shell.run(AWS_REGION="ap-northeast-2")
    assert {line["level"] for line in plain} == {"INFO"}


def test_every_fault_that_ends_it_is_a_line_and_an_exit_code(shell: Shell) -> None:
    shell.fails = ExceptionGroup("parts", [Refused("not allowed"), RuntimeError("a mistake")])
    code, lines = shell.run(AWS_REGION="ap-northeast-2")
    errors = [line for line in lines if line["level"] == "ERROR"]
    assert (code, [line["error"] for line in errors]) == (1, ["Refused: not allowed", "RuntimeError: a mistake"])
    assert "stacktrace" not in errors[0]
    assert "a mistake" in errors[1]["stacktrace"]


def test_each_process_is_somebody_else_in_the_lease(shell: Shell) -> None:
    for _ in range(2):
        shell.run(AWS_REGION="ap-northeast-2", HOSTNAME="karpenter-0")
    first, second = (each.identity for each in shell.began)
    assert first != second
    assert first.startswith("karpenter-0_nodesmith-")


def test_help_lists_every_setting_with_its_default() -> None:
    done = CliRunner().invoke(build(["run"]), ["run", "--help"])
    assert done.exit_code == 0
    told = done.output.split()
    for name, each in SETTINGS.items():
        flag = f"--{flag_of(name)}"
        assert (flag if each.is_required else f"{flag}={each.default_text}:") in told
    assert "NodeRepair=true,ReservedCapacity=false." in told
