"""`--scheduler-config` of `plan` and `explain`, from files to output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nodesmith.cli import build
from tests.unit.cli.plan.example import write

ACROSS_ZONES = """\
podTopologySpread:
  defaultConstraints:
  - {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}
"""
SERVED = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}}
---
apiVersion: v1
kind: Pod
metadata: {name: lone, labels: {app: web}}
spec:
  nodeSelector: {kubernetes.io/arch: arm64}
  containers: [{name: main, image: web, resources: {requests: {cpu: 1500m}}}]
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build(["plan", "explain"]), arguments)


def zones(files: list[str], *arguments: str) -> dict[str, str]:
    """The zone of each pod that a machine is bought for."""
    document = json.loads(run("plan", *files, "-o", "json", *arguments).stdout)
    return {pod: claim["cheapest"]["zone"] for claim in document["nodeClaims"] for pod in claim["pods"]}


@pytest.mark.parametrize("more", ["", SERVED])
def test_pods_that_belong_together_go_to_different_zones(tmp_path: Path, more: str) -> None:
    files = write(tmp_path, more=more)
    config = tmp_path / "scheduler.cfg"
    config.write_text(ACROSS_ZONES)
    assert set(zones(files).values()) == {"b"}
    assert set(zones(files, "--scheduler-config", str(config)).values()) == {"a", "b"}
    explained = run("explain", "pod", "web-0", *files, "--scheduler-config", str(config))
    assert explained.exit_code == 0


def test_what_is_wrong_with_the_file_is_told_line_by_line(tmp_path: Path) -> None:
    config = tmp_path / "scheduler.cfg"
    config.write_text("podTopologySpread: {defaultConstraints: [{maxSkw: 1}]}")
    refused = run("plan", *write(tmp_path), "--scheduler-config", str(config))
    assert refused.exit_code == 2
    assert "did you mean `maxSkew`?" in refused.stderr
    assert "topologyKey must be a label key" in refused.stderr
    assert all(line.startswith(f"error: {config}: ") for line in refused.stderr.splitlines())
    missing = run("plan", *write(tmp_path), "--scheduler-config", str(tmp_path / "none"))
    assert (missing.exit_code, missing.stderr) == (2, f"error: {tmp_path / 'none'}: No such file or directory\n")
