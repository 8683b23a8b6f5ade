"""`nodesmith explain pod` from files to output and exit code."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from nodesmith.cli import build
from tests.unit.cli.plan.example import HUGE, write


def explain(*arguments: str) -> Result:
    return CliRunner().invoke(build(["plan", "explain"]), ["explain", *arguments])


def test_a_pod_that_fits_nowhere_is_told_what_would_help(tmp_path: Path) -> None:
    shown = explain("pod", "default/huge", *write(tmp_path, more=HUGE))
    assert shown.exit_code == 1
    lines = shown.stdout.splitlines()
    assert lines[0].startswith("default/huge stays pending: ")
    assert "NodePool default: 0 of 3 offerings would take it (catalogue: 4)" in lines
    assert any(line.strip().startswith("3 removed by cpu 64 (pod)") for line in lines)
    assert "what would admit it:" in lines
    assert any("nodes that are there: 0 of 1 would take it; refused: 1 by resources" in line for line in lines)


def test_a_pod_that_is_placed_is_told_where_and_why_not_elsewhere(tmp_path: Path) -> None:
    shown = explain("pod", "web-0", *write(tmp_path), "--why-not", "t4g.xlarge")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("default/web-0 goes to a new node of NodePool default: t4g.large spot in b")
    assert "why not t4g.xlarge of NodePool default: it would do" in shown.stdout


def test_the_same_goes_out_as_json(tmp_path: Path) -> None:
    shown = explain("pod", "default/huge", *write(tmp_path, more=HUGE), "-o", "json")
    document = json.loads(shown.stdout)
    assert document["placed"] is False
    assert document["nodePools"][0]["offerings"] == 3


def test_pods_that_are_not_to_be_placed_are_refused_with_a_reason(tmp_path: Path) -> None:
    running = HUGE.replace("spec:", "spec:\n  nodeName: old")
    shown = explain("pod", "huge", *write(tmp_path, more=running))
    assert shown.exit_code == 2
    assert "runs on old" in shown.stderr
    unknown = explain("pod", "default/nobody", *write(tmp_path))
    assert unknown.exit_code == 2
    assert "no pod default/nobody" in unknown.stderr
    assert "hint" not in unknown.stderr
    for subject, name, meant in (("pod", "web-O", "default/web-0"), ("node", "odl", "old")):
        misspelt = explain(subject, name, *write(tmp_path))
        assert misspelt.exit_code == 2
        assert misspelt.stderr.endswith(f"hint: did you mean `{meant}`?\n")
