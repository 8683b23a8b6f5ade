"""`nodesmith plan` from files to output and exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from nodesmith.cli import build
from tests.unit.cli.plan.example import HUGE, write


def plan(*arguments: str) -> Result:
    return CliRunner().invoke(build(["plan", "explain"]), ["plan", *arguments])


def test_the_result_goes_out_as_json_and_as_yaml(tmp_path: Path) -> None:
    files = write(tmp_path)
    as_json = plan(*files, "-o", "json")
    assert as_json.exit_code == 0
    document = json.loads(as_json.stdout)
    assert document["totalPrice"] == 0.06
    assert document["pods"]["default/small"] == {"node": "old"}
    assert len(document["nodeClaims"]) == 2
    assert document["solveMs"] > 0
    as_yaml = yaml.safe_load(plan(*files, "-o", "yaml").stdout)
    assert as_yaml["pods"] == document["pods"]


def test_the_table_shows_machines_and_what_they_are_held_against(tmp_path: Path) -> None:
    shown = plan(*write(tmp_path))
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0].split() == ["pool", "type", "zone", "capacity", "$/h", "cpu", "memory", "pods"]
    assert sum("t4g.large" in line and "spot" in line and "0.0300" in line for line in lines) == 2
    assert "1 pod onto 1 node that are there" in shown.stdout
    assert "total        $0.0600/h for 2 machines" in lines
    assert any(line.startswith("lower bound") for line in lines)


def test_a_pod_that_stays_pending_makes_exit_code_one(tmp_path: Path) -> None:
    shown = plan(*write(tmp_path, more=HUGE))
    assert shown.exit_code == 1
    assert "default/huge stays pending" in shown.stdout
    document = json.loads(plan(*write(tmp_path, more=HUGE), "-o", "json").stdout)
    assert "error" in document["pods"]["default/huge"]


def test_every_fault_of_the_input_is_told_at_once(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("kind: [\n---\nkind: }\n")
    shown = plan("-f", str(broken), "-f", str(tmp_path / "missing.yaml"), "--catalog", str(broken))
    assert shown.exit_code == 2
    assert not shown.stdout
    for told in ("broken.yaml:2: not YAML", "broken.yaml:3: not YAML", "missing.yaml", "broken.yaml: JSON"):
        assert told in shown.stderr


def test_what_holds_no_object_is_bad_input_and_stdin_is_read(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello\n")
    (tmp_path / "values.yaml").write_text("replicas: 3\n")
    named = [tmp_path / "empty", tmp_path / "notes.txt", tmp_path / "values.yaml"]
    refused = plan(*(each for path in named for each in ("-f", str(path))), *write(tmp_path))
    assert refused.exit_code == 2
    told = refused.stderr.splitlines()
    assert [line.split(": ")[1] for line in told] == [str(path) for path in named]
    assert all("there is no Kubernetes object in it" in line for line in told)
    files = write(tmp_path)
    piped = CliRunner().invoke(build(["plan"]), ["plan", "-f", "-", *files[2:]], input=Path(files[1]).read_text())
    assert piped.stdout == plan(*files).stdout


@pytest.mark.parametrize("catalog", ["missing.json"])
def test_a_catalogue_that_cannot_be_read_is_bad_input(tmp_path: Path, catalog: str) -> None:
    files = write(tmp_path)
    shown = plan(*files[:2], "--catalog", str(tmp_path / catalog))
    assert shown.exit_code == 2
    assert shown.stderr == f"error: {tmp_path / catalog}: No such file or directory\n"


def test_without_a_catalogue_the_providers_own_serves(tmp_path: Path) -> None:
    files = write(tmp_path)
    document = json.loads(plan(*files[:2], "-o", "json").stdout)
    assert document["nodeClaims"][0]["cheapest"]["zone"].startswith("us-west-2")


def test_karpenters_rule_can_be_asked_for(tmp_path: Path) -> None:
    document = json.loads(plan(*write(tmp_path), "-o", "json", "--pricing", "karpenter").stdout)
    assert document["totalPrice"] >= 0.06
