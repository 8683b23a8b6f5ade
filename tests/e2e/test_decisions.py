"""`nodesmith decisions` asks the running controller what it did and why; one that has just started did nothing yet."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cases.leaving import SMALL
from tests.e2e.stage import Stage
from tests.e2e.yard import NODE_CLASS, Yard, node_class


@pytest.fixture
def yard(stage: Stage) -> Iterator[Yard]:
    stage.apply(node_class(NODE_CLASS, stage))
    yard = Yard(stage, "decided")
    stage.loop.call(yard.open())
    yield yard
    if not stage.controller.is_alive:
        stage.controller.start()
    stage.loop.call(yard.clear())
    stage.kubectl("delete", "ec2nodeclass", NODE_CLASS, "--timeout=60s")


def told(stage: Stage, *arguments: str) -> str:
    url = f"--url=http://127.0.0.1:{stage.controller.metrics_port}"
    command = [sys.executable, "-m", "nodesmith", "decisions", url, *arguments]
    wide = {**os.environ, "COLUMNS": "300"}  # noqa: TID251 - what every process is given
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=wide)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def records(stage: Stage, kind: str) -> list[dict[str, Any]]:
    return [each for each in json.loads(told(stage, "--json")) if each["kind"] == kind]


def test_decisions_are_read_from_the_running_controller(stage: Stage, yard: Yard) -> None:
    disruption = {"consolidateAfter": "1s", "consolidationPolicy": "WhenEmpty"}
    stage.loop.call(yard.pool(template={"spec": SMALL}, disruption=disruption))
    stage.loop.call(yard.deployment(cpu="500m"))
    [pod] = stage.loop.call(yard.until_running(1))
    key = f"{yard.name}/{pod['metadata']['name']}"

    [bought] = [each for each in records(stage, "provision") if key in each["inputs"]["pods"]]
    assert yard.name in bought["inputs"]["nodepools"]
    assert bought["plan"]["price"] > 0
    [line] = stage.controller.said(bought["summary"], decision=bought["id"])
    assert line["plan"] == bought["plan"]
    assert any(bought["id"] in row and bought["summary"] in row for row in told(stage).splitlines())
    assert json.loads(told(stage, f"--id={bought['id']}")) == [bought]

    node = pod["spec"]["nodeName"]
    stage.loop.call(yard.scale("web", 0))
    stage.wait(lambda: not yard.claims(), within_s=90, what="the empty node has left")
    [left] = [each for each in records(stage, "disrupt") if node in each["inputs"]["nodes"]]
    assert stage.controller.said(left["summary"], decision=left["id"])

    times = len(stage.controller.said("became leader"))
    stage.controller.terminate()
    stage.controller.start()
    stage.controller.wait_until_leading(times=times + 1)
    assert json.loads(told(stage, "--json")) == []
    assert told(stage).startswith("no decisions since this replica started")
    stage.loop.call(yard.scale("web", 1))
    stage.loop.call(yard.until_running(1))
    [again] = records(stage, "provision")
    assert again["id"] not in {bought["id"], left["id"]}
