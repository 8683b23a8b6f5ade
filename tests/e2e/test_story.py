"""The user's story, with kubectl, on a real control plane: his manifests, put right, from the first pod to an empty account."""

import json
import re
import subprocess
import sys
from pathlib import Path
from string import Template
from typing import Any

from nodesmith.api.kinds import EC2_NODE_CLASS, NODE, NODE_CLAIM, NODE_POOL, POD
from tests.e2e.mirror import is_true
from tests.e2e.stage import CLUSTER, ROOT, Stage

MANIFESTS = ROOT / "src" / "nodesmith" / "sim" / "demo" / "manifests"
REPLICAS = 12
FEWER = 3


class Story:
    """The user's doings, and what he sees."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self.folder = folder

    def corrected(self, name: str) -> str:
        """His file with its names filled in, as `nodesmith lint --fix` leaves it."""
        names = {"EKS_CLUSTER_NAME": CLUSTER, "KARPENTER_NODE_ROLE": self.stage.names.node_role}
        file = self.folder / name
        file.write_text(Template((MANIFESTS / name).read_text()).safe_substitute(names))
        command = [sys.executable, "-m", "nodesmith", "lint", "--fix", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout
        return file.read_text()

    def apply(self, text: str) -> None:
        """`kubectl apply`, with everything that a server can find wrong told."""
        self.stage.kubectl("apply", "--validate=strict", "--filename=-", stdin=text)

    def scale(self, replicas: int) -> None:
        """`kubectl scale`."""
        self.stage.kubectl("scale", "deployment", "web", f"--replicas={replicas}")

    def pods(self) -> list[Any]:
        """His pods that are not on their way out."""
        found = self.stage.mirror.all(POD, namespace="default", app="web")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def running(self) -> dict[str, str]:
        """The nodes of his pods that are ready, by pod."""
        return {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in self.pods() if is_true(pod, "Ready")}

    def nodes(self) -> dict[str, Any]:
        """The pool's nodes."""
        return {node["metadata"]["name"]: node for node in self.stage.mirror.all(NODE, nodepool="default")}

    def run(self) -> bool:
        """Whether the number of pods runs that he asked for."""
        stated = json.loads(self.stage.kubectl("get", "deployment", "web", "--output=json"))["spec"]["replicas"]
        return len(self.pods()) == len(self.running()) == int(stated)


def test_the_users_story(stage: Stage, tmp_path: Path) -> None:
    story = Story(stage, tmp_path)
    profiles = set(stage.box.control.inventory().of("instance_profiles"))

    # Pods pend, and NodeClaims, instances and nodes come for them.
    # He waits ten minutes for his nodes to leave, one after the other; here nobody does.
    hurried = "consolidateAfter: 2s\n    budgets: [{nodes: 100%}]"
    pool = story.corrected("nodepool.yaml").replace("consolidateAfter: 10m", hurried)
    assert hurried in pool
    assert "limits:" in pool
    story.apply(story.corrected("ec2nodeclass.yaml"))
    story.apply(pool)
    story.apply((MANIFESTS / "daemons.yaml").read_text())
    stage.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "nodepool/default")
    story.apply((MANIFESTS / "web.yaml").read_text())
    stage.wait(lambda: len(story.running()) == REPLICAS, within_s=60, what="all pods run")
    steps = ("Launched", "Registered", "Initialized")
    stage.wait(
        lambda: {is_true(each, step) for each in stage.mirror.all(NODE_CLAIM) for step in steps} == {True},
        within_s=30,
        what="each claim is initialized",
    )
    claims = stage.mirror.all(NODE_CLAIM, nodepool="default")
    assert set(story.running().values()) == {claim["status"]["nodeName"] for claim in claims}
    instances = {each["InstanceId"]: each for each in stage.instances(pool="default")}
    assert {claim["status"]["providerID"].rpartition("/")[2] for claim in claims} == set(instances)
    for each in instances.values():
        assert re.fullmatch(r"t4g\.(medium|large|xlarge)", each["InstanceType"])
        assert (each["InstanceLifecycle"], each["Placement"]["AvailabilityZone"]) == ("spot", "ap-northeast-2a")
    for node in story.nodes().values():
        assert node["metadata"]["labels"]["karpenter.k8s.aws/instance-family"] == "t4g"
        assert not node["spec"].get("taints")

    # Fewer pods: nodes become empty or nearly so, and leave; the pods that are left go on running.
    story.scale(FEWER)
    stage.wait(
        lambda: len(story.nodes()) == len(stage.mirror.all(NODE_CLAIM)) == 1 and story.run(),
        within_s=150,
        what="one node is left",
    )
    [left] = stage.instances(pool="default")

    # AWS takes the instance back: its pods run on another before it ends.
    stage.box.control.interrupt_spot(left["InstanceId"])
    [old] = story.nodes()
    stage.wait(
        lambda: old not in story.nodes() and len(story.running()) == FEWER, within_s=60, what="the node is replaced"
    )
    [new] = stage.instances(pool="default")
    assert new["InstanceId"] != left["InstanceId"]
    reasons = {event["reason"] for event in stage.mirror.tables["Event"].values()}
    assert {"SpotInterrupted", "TerminatingOnInterruption", "Nominated", "DisruptionTerminating"} <= reasons

    # Everything is deleted, and nothing is left.
    stage.kubectl("delete", "deployment", "web")
    stage.kubectl("delete", "daemonset", "--namespace=kube-system", "aws-node", "kube-proxy")
    stage.kubectl("delete", "nodepool", "default", "--timeout=60s")
    stage.wait(lambda: not stage.mirror.all(NODE_CLAIM, nodepool="default") and not story.nodes(), within_s=60)
    stage.kubectl("delete", "ec2nodeclass", "default", "--timeout=60s")
    assert not stage.mirror.all(NODE_POOL)
    stage.wait(lambda: not stage.mirror.all(EC2_NODE_CLASS), within_s=10)
    assert not stage.instances(pool="default")
    after = stage.box.control.inventory()
    assert set(after.of("instance_profiles")) == profiles
    assert not after.of("launch_templates")
