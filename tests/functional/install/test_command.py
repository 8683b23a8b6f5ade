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


def test_what_is_missing_is_asked_for(shell: Shell, tmp_path: Path) -> None:
    shell.monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    code, text = shell.run("install", "--cluster=demo")
    assert (code, "error: no kubeconfig at" in text) == (2, True)
    shell.monkeypatch.delenv("KUBECONFIG")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        shell.monkeypatch.delenv(name)
    file = kubeconfig(tmp_path, "https://127.0.0.1:1")
    code, text = shell.run("install", "--cluster=demo", f"--kubeconfig={file}", "--context=other")
    assert (code, "other" in text) == (2, True)
    shell.monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    code, text = shell.run("install", "--cluster=demo", f"--kubeconfig={file}")
    assert (code, "error: no AWS region: say --region, or set AWS_REGION" in text) == (2, True)
    code, text = shell.run("install", "--cluster=demo", f"--kubeconfig={file}", f"--region={REGION}")
    assert "the kubeconfig's context c is of" in text
    shell.monkeypatch.setenv("AWS_REGION", REGION)
    code, text = shell.run("install", "--cluster=demo", f"--kubeconfig={file}")
    assert "the kubeconfig's context c is of" in text
    values = tmp_path / "values.yaml"
    values.write_text("- no mapping\n")
    code, text = shell.run("install", "--cluster=demo", f"--values={values}")
    assert (code, "values are a mapping" in text) == (2, True)


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
