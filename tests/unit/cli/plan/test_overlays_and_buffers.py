"""`nodesmith plan` with NodeOverlays and CapacityBuffers among the manifests, and under other policies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from nodesmith.cli import build
from tests.unit.cli.plan.example import write

OVERLAY = """\
apiVersion: karpenter.sh/v1alpha1
kind: NodeOverlay
metadata: {name: %s}
spec:
  weight: 1
  requirements: [{key: node.kubernetes.io/instance-type, operator: In, values: [t4g.xlarge]}]
  price: "%s"
"""
BUFFER = """\
apiVersion: v1
kind: PodTemplate
metadata: {name: spare}
template:
  spec:
    nodeSelector: {kubernetes.io/arch: arm64}
    containers: [{name: main, image: web, resources: {requests: {cpu: "1", memory: 1Gi}}}]
---
apiVersion: autoscaling.x-k8s.io/v1beta1
kind: CapacityBuffer
metadata: {name: room}
spec: {podTemplateRef: {name: spare}, replicas: 2}
---
apiVersion: autoscaling.x-k8s.io/v1beta1
kind: CapacityBuffer
metadata: {name: share}
spec: {scalableRef: {apiGroup: apps, kind: Deployment, name: web}, percentage: 50}
---
apiVersion: autoscaling.x-k8s.io/v1beta1
kind: CapacityBuffer
metadata: {name: lost}
spec: {podTemplateRef: {name: missing}, replicas: 1}
"""
PREFERRED = """\
apiVersion: v1
kind: Pod
metadata: {name: choosy}
spec:
  nodeSelector: {kubernetes.io/arch: arm64}
  affinity:
    nodeAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
      - {weight: 1, preference: {matchExpressions: [{key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}]}}
  containers: [{name: main, image: web, resources: {requests: {cpu: 1500m, memory: 1Gi}}}]
"""


def plan(*arguments: str) -> Result:
    return CliRunner().invoke(build(["plan"]), ["plan", *arguments, "-o", "json"])


def planned(tmp_path: Path, more: str, *arguments: str) -> dict[str, Any]:
    shown = plan(*write(tmp_path, more=more), *arguments)
    assert shown.exit_code == 0, shown.stderr
    document: dict[str, Any] = json.loads(shown.stdout)
    return document


def types(document: dict[str, Any]) -> list[str]:
    return [claim["cheapest"]["instanceType"] for claim in document["nodeClaims"]]


def test_an_overlays_price_decides(tmp_path: Path) -> None:
    assert set(types(planned(tmp_path, ""))) == {"t4g.large"}
    document = planned(tmp_path, OVERLAY % ("committed", "0.001"))
    assert types(document) == ["t4g.xlarge"]
    assert document["totalPrice"] == 0.001


def test_overlays_that_conflict_are_told_and_the_later_one_is_left_out(tmp_path: Path) -> None:
    both = OVERLAY % ("a", "0.001") + "---\n" + OVERLAY % ("b", "9")
    shown = plan(*write(tmp_path, more=both))
    assert "NodeOverlay a is not applied: conflict with another overlay" in shown.stderr
    assert set(types(json.loads(shown.stdout))) == {"t4g.large"}


def test_room_is_planned_for_as_pods_that_are_not_there(tmp_path: Path) -> None:
    shown = plan(*write(tmp_path, more=BUFFER))
    document = json.loads(shown.stdout)
    room = sorted(key for key in document["pods"] if "capacity-buffer" in key)
    assert room == [
        "default/capacity-buffer-room-0",
        "default/capacity-buffer-room-1",
        "default/capacity-buffer-share-0",
    ]
    assert document["totalPrice"] > planned(tmp_path, "")["totalPrice"]
    assert "CapacityBuffer default/lost keeps no room" in shown.stderr


def test_preferences_are_minded_or_not(tmp_path: Path) -> None:
    def terms(document: dict[str, Any]) -> str:
        claim = document["nodeClaims"][document["pods"]["default/choosy"]["nodeClaim"]]
        return str(claim["cheapest"]["capacityType"])

    assert terms(planned(tmp_path, PREFERRED)) == "on-demand"
    assert terms(planned(tmp_path, PREFERRED, "--preference-policy", "Ignore")) == "spot"
