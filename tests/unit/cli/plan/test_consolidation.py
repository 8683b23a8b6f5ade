"""`plan --consolidate` and `explain node`, from files to output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from typer.testing import CliRunner, Result

from nodesmith.cli import build
from nodesmith.cli.consolidation import curve_lines, node_lines, node_to_json, purchases
from nodesmith.decide.disrupt.explain import NodeAnswer
from nodesmith.plan.command import Command, Method
from nodesmith.plan.schedule import PlannedClaim
from nodesmith.plan.stay import Stay, StayCode
from tests.unit.cli.plan.example import write
from tests.unit.decide.schedule.build import claim, pods

DATA: Final = Path(__file__).parents[3] / "scenario" / "data"
CATALOG: Final = ["--catalog", str(DATA / "catalogs" / "aws-small.json.gz")]
FILES: Final = ["-f", str(DATA / "consolidation-00"), *CATALOG]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build(["plan", "explain"]), arguments)


def build_claim(name: str) -> PlannedClaim:
    return claim([name], pods("web", 1))


def test_one_pass_says_what_leaves_now_and_why_the_others_stay() -> None:
    shown = run("plan", *FILES, "--consolidate")
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0] == "1. delete node-0002, node-0003, node-0001 (Empty): moves 0 pods, saves $0.6888/h"
    assert lines[1] == "7 nodes for $1.4252/h become 4 nodes for $0.7364/h"


def test_all_steps_go_out_as_json() -> None:
    document = json.loads(run("plan", *FILES, "--until-quiet", "-o", "json").stdout)
    assert document["nodes"] == 7
    assert len(document["steps"]) > 1
    assert document["finalPrice"] < document["price"]
    saved = sum(step["savings"] for step in document["steps"])
    assert abs(document["price"] - saved - document["finalPrice"]) < 1e-6
    text = run("plan", *FILES, "--until-quiet").stdout.splitlines()
    assert any(" stay by " in line and ", such as " in line for line in text)
    one = json.loads(run("plan", *FILES, "--consolidate", "-o", "json").stdout)
    assert one["steps"] == document["steps"][:1]


def test_the_curve_saves_more_the_more_it_moves() -> None:
    table = run("plan", *FILES, "--frontier").stdout.splitlines()
    assert table[0].split() == ["pods", "moved", "saves", "$/h", "nodes", "leave", "bought"]
    choices = json.loads(run("plan", *FILES, "--frontier", "-o", "json").stdout)["frontier"]
    assert len(choices) == len(table) - 1
    moves, savings = [each["moves"] for each in choices], [each["savings"] for each in choices]
    assert moves == sorted(moves)
    assert savings == sorted(savings)
    assert list(curve_lines(())) == ["no saving is to be had"]


def test_a_quiet_cluster_is_told_to_be_quiet(tmp_path: Path) -> None:
    shown = run("plan", *write(tmp_path), "--consolidate")
    assert shown.stdout.splitlines()[:2] == ["no node leaves", "0 nodes for $0.0000/h become 0 nodes for $0.0000/h"]


def test_a_node_is_told_why_it_stays() -> None:
    shown = run("explain", "node", "node-0000", *FILES)
    assert shown.exit_code == 0
    assert shown.stdout.startswith("node-0000 stays\n")
    assert "  Empty: node is not empty" in shown.stdout
    document = json.loads(run("explain", "node", "node-0000", *FILES, "-o", "json").stdout)
    assert document["leaves"] is False
    assert document["stays"]["Drifted"]["code"] == "not-drifted"


def test_purchases_of_one_kind_are_put_together() -> None:
    claims = [build_claim(name) for name in ("small", "small", "large")]
    step = Command(Method.MULTI, (), tuple(claims))
    assert list(purchases(step)) == [
        "   buys 2 x small spot in a $0.0400/h",
        "   buys large spot in a $0.1600/h",
    ]


def test_a_node_that_leaves_is_told_so() -> None:
    leaving = json.loads(run("plan", *FILES, "--consolidate", "-o", "json").stdout)["steps"][0]["candidates"][0]
    assert run("explain", "node", leaving, *FILES).stdout.startswith(f"{leaving} leaves: delete {leaving}")


def test_a_node_that_cannot_be_disrupted_or_is_not_there() -> None:
    blocked = NodeAnswer("n1", blocked=Stay("n1", StayCode.NOMINATED, "nominated for a pod"))
    assert list(node_lines(blocked)) == ["n1 stays", "  it cannot be disrupted: nominated for a pod"]
    assert node_to_json(blocked)["blocked"] == {"code": "nominated", "detail": "nominated for a pod"}
    missing = run("explain", "node", "nobody", *FILES)
    assert missing.exit_code == 2
    assert "no node nobody" in missing.stderr
