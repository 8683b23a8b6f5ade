"""The commands as they are typed, up to the point where they would need a real cluster."""

import json
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from nodesmith.cli import build
from nodesmith.cli.setting_up import Output, Shown, counted
from nodesmith.install.setup import Action, Row
from tests.functional.install.bench import REGION, Bench

COMMANDS = ["install", "uninstall"]
ROWS = [
    Row("node role", "KarpenterNodeRole-demo", Action.CREATE, "is not there"),
    Row("queue", "[odd]", Action.CHANGE, "the policy lets nobody send"),
    Row("CRDs", "NodePool", Action.KEEP, "made by install"),
]


def kubeconfig(folder: Path, server: str) -> Path:
    file = folder / "kubeconfig"
    document = {
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "c", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    }
    file.write_text(yaml.safe_dump(document))
    return file


class Shell:
    def __init__(self, bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in bench.box.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(folder, "https://127.0.0.1:1")))
        self.monkeypatch = monkeypatch

    def run(self, *arguments: str, says: str = "") -> tuple[int, str]:
        done = CliRunner().invoke(build(COMMANDS), list(arguments), input=says)
        return done.exit_code, done.output


@pytest.fixture
def shell(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(bench, tmp_path, monkeypatch)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_kubeconfig_of_another_cluster_is_refused(shell: Shell, bench: Bench, command: str) -> None:
    number = bench.last_call()
    code, text = shell.run(command, "--cluster=demo", "--yes")
    assert code == 2
    assert "the kubeconfig's context c is of https://127.0.0.1:1, and demo is at https://" in text
    assert "hint: aws eks update-kubeconfig --name demo" in text
    assert bench.writes(number) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_cluster_that_is_not_there_is_said(shell: Shell, command: str) -> None:
    code, text = shell.run(command, "--cluster=nowhere", "--yes")
    assert code == 1
    assert "error: ResourceNotFoundException: No cluster found for name: nowhere." in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--kubeconfig=none"], "error: no kubeconfig at none"),
        (["--context=other"], "error: the kubeconfig has no context 'other'"),
        (["--values=wrong"], "values are a mapping"),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)
def test_what_is_missing_or_wrong_is_said(shell: Shell, tmp_path: Path, arguments: list[str], says: str) -> None:
    (tmp_path / "wrong").write_text("- no mapping\n")
    shell.monkeypatch.chdir(tmp_path)
    code, text = shell.run("install", "--cluster=demo", *arguments)
    assert says in text
    assert code == 2


def without_a_region(shell: Shell, folder: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        shell.monkeypatch.delenv(name)
    shell.monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "none"))


def test_without_a_region_nothing_is_asked(shell: Shell, bench: Bench, tmp_path: Path) -> None:
    without_a_region(shell, tmp_path)
    number = bench.last_call()
    code, text = shell.run("install", "--cluster=demo")
    assert "error: no AWS region: say --region, or set AWS_REGION" in text
    assert (code, bench.last_call()) == (2, number)


@pytest.mark.parametrize("is_variable", [False, True], ids=["flag", "variable"])
def test_a_region_is_named_by_flag_or_variable(shell: Shell, tmp_path: Path, *, is_variable: bool) -> None:
    without_a_region(shell, tmp_path)
    if is_variable:
        shell.monkeypatch.setenv("AWS_REGION", REGION)
    _, text = shell.run("install", "--cluster=demo", *([] if is_variable else [f"--region={REGION}"]))
    assert "the kubeconfig's context c is of" in text


def test_a_plan_is_a_table_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    Shown(Output.TABLE, Console(width=120)).plan(ROWS, "Cluster demo")
    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines()[2:5]] == ["create", "change", "keep"]
    assert "[odd]" in text
    assert text.endswith("1 to create, 1 to change, 1 to keep\n")
    shown = Shown(Output.JSON)
    shown.plan(ROWS, "Cluster demo")
    shown.say("nothing of this")
    shown.document(ROWS, changed=True)
    told = json.loads(capsys.readouterr().out)
    assert told["changed"] is True
    assert told["rows"][1] == {
        "step": "queue",
        "target": "[odd]",
        "action": "change",
        "reason": "the policy lets nobody send",
    }
    assert counted([]) == ""


def test_progress_is_a_line_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Shown(Output.TABLE, Console(width=120))
    shown.start(len(ROWS))
    for row in ROWS:
        shown.begins(row)
        shown.ends(row)
    shown.waits("the controller does not run yet")
    shown.stop()
    assert capsys.readouterr().out.splitlines() == [
        "created  node role KarpenterNodeRole-demo",
        "changed  queue [odd]",
        "waiting: the controller does not run yet",
    ]
