"""What is switched off at first, on a real API server: overlays, buffers, kube-scheduler's default spread.

A release of its own has them, under an account of its own, so that what its role allows for them can be held against
what its controller asks for.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.e2e.audit import refused, verbs
from tests.e2e.cases.leaving import SMALL
from tests.e2e.controlplane import GATED, GATED_USER
from tests.e2e.roles import granted
from tests.e2e.stage import CHART, Stage
from tests.e2e.yard import CASE, NODE_CLASS, Yard, needs, node_class

SPREAD: Final = json.dumps(
    {
        "podTopologySpread": {
            "defaultConstraints": [
                {"maxSkew": 3, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
            ]
        }
    }
)
GATES: Final = {"nodeOverlay": True, "capacityBuffer": True}
RELEASE: Final = {
    "fullnameOverride": "gated",
    "replicas": 0,
    "podDisruptionBudget": {"name": "gated"},
    "settings": {"clusterName": "shop", "schedulerConfig": SPREAD, "featureGates": GATES},
}


@pytest.fixture
def yard(stage: Stage, programs: Path, tmp_path: Path) -> Iterator[Yard]:
    """A corner in which the gated release acts."""
    values, made = tmp_path / "values.yaml", tmp_path / "made.yaml"
    values.write_text(yaml.safe_dump(RELEASE))
    flags = ("--namespace=kube-system", "--kube-version=1.34", f"--values={values}")
    command = [str(programs / "helm"), "template", "gated", str(CHART), *flags]
    made.write_text(
        subprocess.run(
            command, env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=True, timeout=60
        ).stdout
    )
    stage.kubectl("apply", f"--filename={made}")
    stage.apply(node_class(NODE_CLASS, stage))
    yard = Yard(stage, "gated")
    stage.loop.call(yard.open())
    own = stage.controller
    own.terminate()
    variables = {"FEATURE_GATES": "NodeOverlay=true,CapacityBuffer=true", "SCHEDULER_CONFIG": SPREAD}
    gated = stage.controller = stage.replica("gated", token=GATED, **variables)
    gated.start()
    gated.wait_until_leading()
    try:
        yield yard
        stage.loop.call(yard.clear())
        stage.kubectl("delete", "ec2nodeclass", NODE_CLASS, "--timeout=60s")
    finally:  # whatever came of it: the other tests want the first release's controller
        gated.terminate()
        stage.controller = own
        times = len(own.said("became leader"))
        own.start()
        own.wait_until_leading(times=times + 1)
        stage.kubectl("delete", f"--filename={made}")


def buffer(yard: Yard, name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling.x-k8s.io/v1beta1",
        "kind": "CapacityBuffer",
        "metadata": {"name": name, "namespace": yard.name},
        "spec": {"replicas": 1, **spec},
    }


def scalable(yard: Yard, kind: str) -> dict[str, Any]:
    """Something that has no replicas now, and may have some."""
    spec = {
        "replicas": 0,
        "selector": {"matchLabels": {"app": kind}},
        "template": yard.template(kind, None, {"cpu": "100m"}),
    }
    more = {"serviceName": "none"} if kind == "StatefulSet" else {}
    metadata = {"name": kind.lower(), "namespace": yard.name}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec | more}


def test_overlays_and_buffers_work_with_what_their_role_allows(stage: Stage, yard: Yard) -> None:
    stage.loop.call(yard.pool(template={"spec": SMALL}))
    dear = {"requirements": [needs("karpenter.sh/nodepool", "gated")], "price": "7.5"}
    stage.apply(
        {"apiVersion": "karpenter.sh/v1alpha1", "kind": "NodeOverlay", "metadata": {"name": "gated"}, "spec": dear}
    )
    template = {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": "room", "namespace": yard.name},
        "template": yard.template("room", None, {"cpu": "300m"}),
    }
    kinds = ("Deployment", "StatefulSet", "ReplicaSet")
    workloads = [scalable(yard, kind) for kind in kinds]
    buffers = [buffer(yard, "template", podTemplateRef={"name": "room"})]
    for kind in kinds:
        of = {"apiGroup": "apps", "kind": kind, "name": kind.lower()}
        buffers.append(buffer(yard, kind.lower(), scalableRef=of))
    stage.apply(template, *workloads, *buffers)
    stage.kubectl("wait", "nodeoverlay/gated", "--for=condition=Ready", "--timeout=60s")
    for condition in ("ReadyForProvisioning", "Provisioning"):
        every = f"--namespace={yard.name}", "capacitybuffers", "--all"
        stage.kubectl("wait", *every, f"--for=condition={condition}", "--timeout=120s")
    stage.wait(yard.nodes, within_s=60, what="there is room")
    assert not yard.pods()
    assert {node["metadata"]["labels"][CASE] for node in yard.nodes().values()} == {yard.name}
    prices = [line for line in stage.controller.metrics().splitlines() if "offering_price_estimate{" in line]
    assert {line.rpartition(" ")[2] for line in prices} == {"7.5"}, "those of the overlay"
    stage.kubectl("delete", f"--namespace={yard.name}", "capacitybuffers", "--all", "--timeout=60s")
    stage.kubectl("delete", "nodeoverlay", "gated", "--timeout=60s")

    asked, allowed = verbs(stage.plane.audit_log, user=GATED_USER), granted(stage, "gated")
    assert refused(stage.plane.audit_log, user=GATED_USER) == set()
    assert asked - allowed == set(), "missing"
    gated = allowed - granted(stage, "karpenter")
    assert {each.resource for each in gated} >= {"nodeoverlays", "capacitybuffers", "podtemplates", "services"}
    assert gated - asked == set(), "unused"
