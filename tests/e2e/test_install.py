"""From a bare cluster to the first node: `nodesmith install` and one Deployment; and back again, without a trace.

The account comes as a user has it, the control plane is real, helm is helm. As no pod really runs here, the controller
is a process of its own, with the environment and, by its role, the permissions that the Deployment's pod would have.
"""

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.memory.cluster import MemoryCluster
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.install.chart import Controller, chart_values
from nodesmith.install.helm import Helm
from nodesmith.install.names import DISCOVERY, Names
from nodesmith.sim.aws import account
from nodesmith.sim.aws.box import environment
from nodesmith.sim.aws.process import BoxProcess
from nodesmith.sim.aws.world import ACCOUNT
from tests.e2e.calls import Ledger
from tests.e2e.controller import ControllerProcess
from tests.e2e.controlplane import CONTROLLER, ControlPlane, running
from tests.e2e.stage import STAGES
from tests.functional.install.bench import account_state

CLUSTER = "shop"
REGION = "ap-northeast-2"
READS = ("Get", "List", "Describe")
KEPT = "configmaps,leases.coordination.k8s.io,serviceaccounts,deployments,services,roles,rolebindings,secrets,poddisruptionbudgets"
KEPT_OF_ALL = "clusterroles,clusterrolebindings,customresourcedefinitions,nodes,namespaces"
HOME = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": "home",
        "labels": {
            "kubernetes.io/os": "linux",
            "kubernetes.io/hostname": "home",
            "topology.kubernetes.io/zone": f"{REGION}a",
            "eks.amazonaws.com/nodegroup": "main",
        },
    },
    "status": {
        "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "50"},
        "capacity": {"cpu": "4", "memory": "8Gi", "pods": "50"},
        "conditions": [{"type": "Ready", "status": "False"}],
    },
}
PODS = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "hello", "namespace": "default"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "hello"}},
        "template": {
            "metadata": {"labels": {"app": "hello"}},
            "spec": {
                "containers": [{"name": "c", "image": "pause", "resources": {"requests": {"cpu": "900m"}}}],
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "karpenter.sh/nodepool", "operator": "Exists"}]}
                            ]
                        }
                    }
                },
            },
        },
    },
}


@dataclass
class Bare:
    """A control plane with one node, an account with a network, and nothing of ours in either."""

    plane: ControlPlane
    box: BoxProcess
    folder: Path
    stack: ExitStack

    @property
    def variables(self) -> dict[str, str]:
        """What the user's shell has."""
        path = f"{self.plane.programs}:{os.environ['PATH']}"  # noqa: TID251 - the user's shell
        home = {"HOME": str(self.folder), "PATH": path, "PYTHONPATH": os.pathsep.join(sys.path)}
        return {**home, **environment(self.box.url, REGION), "KUBECONFIG": str(self.kubeconfig), "NO_PROXY": "*"}

    @property
    def kubeconfig(self) -> Path:
        """The user's own: the plane's is written anew whenever it is asked for."""
        file = self.folder / "kubeconfig"
        if not file.exists():
            file.write_text(self.plane.kubeconfig.read_text())
        return file

    def begin(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        """`nodesmith COMMAND --cluster shop`, running."""
        program = [sys.executable, "-m", "nodesmith", command, f"--cluster={CLUSTER}", *arguments]
        process = subprocess.Popen(
            program, env=self.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder
        )
        self.stack.callback(process.communicate)
        self.stack.callback(process.kill)
        return process

    def nodesmith(self, command: str, *arguments: str) -> tuple[int, str]:
        """Its exit code and what it printed."""
        process = self.begin(command, *arguments)
        out, err = process.communicate(timeout=240)
        return process.returncode, out + err

    def controller(self) -> ControllerProcess:
        """What the Deployment's pod would run, with the role that its service account has."""
        deployment = self.read("deployment", "karpenter", "--namespace=kube-system")
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        stated = {each["name"]: each["value"] for each in container["env"] if "value" in each}
        account = self.read("serviceaccount", "karpenter", "--namespace=kube-system")
        token = self.folder / "token"
        token.write_text("a service account's token")
        of_box = environment(self.box.url, REGION)
        known = {name: value for name, value in of_box.items() if "KEY" not in name}
        identity = {
            "AWS_ROLE_ARN": account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"],
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        variables = {**stated, **known, **identity, "SYSTEM_NAMESPACE": "kube-system"}
        variables["KUBECONFIG"] = str(self.plane.kubeconfig_for(CONTROLLER))
        controller = ControllerProcess("controller", self.folder, variables)
        self.stack.callback(lambda: controller.kill() if controller.is_alive else None)
        return controller

    def read(self, *what: str) -> Any:
        """What kubectl gets."""
        done = self.plane.kubectl("get", *what, "--output=json")
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def state(self) -> dict[str, Any]:
        """The account and the cluster's lasting objects, without what every change changes."""
        objects = [
            *self.read(KEPT, "--all-namespaces").get("items", ()),
            *self.read(KEPT_OF_ALL).get("items", ()),
        ]
        cluster = {
            f"{each['kind']} {each['metadata'].get('namespace')}/{_name(each)}": _lasting(each) for each in objects
        }
        clients = account.clients(self.box.url, REGION)
        return {**account_state(clients, CLUSTER), **cluster}

    def writes(self, after: int) -> list[str]:
        """The account owner's calls since then that change something: the installer's, not the controller's."""
        calls = self.box.control.calls(after=after)
        return [call.name for call in calls if ":root" in call.caller and not call.action.startswith(READS)]

    def last_call(self) -> int:
        """The number of the last AWS call."""
        return self.box.control.calls()[-1].number


def _name(manifest: dict[str, Any]) -> str:
    return str(manifest["metadata"]["name"])


def _lasting(manifest: dict[str, Any]) -> dict[str, Any]:
    drops = ("resourceVersion", "managedFields", "generation", "uid", "creationTimestamp")
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in drops}
    if manifest["kind"] in {"Node", "Lease"}:
        return {"name": metadata["name"]}
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": metadata}


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What is other than before, by name."""
    keys = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    return {key: (before.get(key), after.get(key)) for key in keys}


def until(question: Callable[[], object], *, within_s: float, what: str) -> None:
    """Return when it is so."""
    end = time.monotonic() + within_s
    while not question():
        assert time.monotonic() < end, f"not within {within_s:.0f} s: {what}"
        time.sleep(0.2)  # noqa: TID251 - other processes are waited for


@pytest.fixture
def bare(programs: Path, tmp_path: Path) -> Iterator[Bare]:
    with ExitStack() as stack:
        plane = stack.enter_context(running(ControlPlane(programs, tmp_path / "plane", stages=STAGES)))
        log = stack.enter_context((tmp_path / "box.log").open("w"))
        program = ("nodesmith.sim.live", f"--kubeconfig={plane.kubeconfig}", f"--cluster={CLUSTER}")
        box = stack.enter_context(BoxProcess(region=REGION, program=program, log=log))
        base = account.prepare(box.url, region=REGION, cluster_name=CLUSTER, endpoint=plane.server)
        box.control.cluster(CLUSTER, authentication_mode="CONFIG_MAP")
        ids = [*base.subnet_ids.values(), base.security_group_id, base.cluster_security_group_id]
        account.clients(box.url, REGION)("ec2").delete_tags(Resources=ids, Tags=[{"Key": DISCOVERY}])
        assert plane.kubectl("apply", "--filename=-", stdin=yaml.safe_dump(HOME)).returncode == 0
        until(lambda: '"True"' in json.dumps(_ready(plane)), within_s=30, what="the node is ready")
        yield Bare(plane, box, tmp_path, stack)


def _ready(plane: ControlPlane) -> Any:
    read = plane.kubectl("get", "node", "home", "--output=jsonpath={.status.conditions}")
    return json.loads(read.stdout or "[]")


def test_install_and_one_deployment_bring_a_node_and_uninstall_leaves_nothing(bare: Bare, ledger: Ledger) -> None:
    before = bare.state()
    code, text = bare.nodesmith("install", "--dry-run")
    assert code == 0, text
    assert bare.state() == before

    # Killed half-way, run again: it goes on, waits for the controller, and says what to do next.
    process = bare.begin("install", "--yes", "--timeout=180")
    until(lambda: bare.box.control.inventory().of("queues"), within_s=60, what="the queue is there")
    process.kill()
    process.wait()
    process = bare.begin("install", "--yes", "--timeout=180")
    until(
        lambda: process.poll() is not None or bare.read("nodepools.karpenter.sh", "default"),
        within_s=120,
        what="the NodePool is there",
    )
    if process.poll() is not None:
        raise AssertionError("".join(process.communicate()))
    controller = bare.controller()
    bare.box.control.enforce_iam(on=True)
    controller.start()
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err + controller.tail()
    assert "Ready: nodes come as soon as pods lack room." in out
    assert "kubectl get nodeclaims" in out

    # A second run writes nothing.
    number, revision = bare.last_call(), bare.read("nodepools.karpenter.sh", "default")["metadata"]["generation"]
    code, text = bare.nodesmith("install", "--yes")
    assert code == 0, text
    assert "Nothing to do" in text
    assert bare.writes(number) == []
    assert bare.read("nodepools.karpenter.sh", "default")["metadata"]["generation"] == revision

    # One Deployment, and no other step, to the first node.
    assert bare.plane.kubectl("apply", "--filename=-", stdin=yaml.safe_dump(PODS)).returncode == 0
    until(
        lambda: bare.read("deployment", "hello")["status"].get("availableReplicas") == 3,
        within_s=90,
        what=f"the pods run\n{controller.tail()}",
    )
    claims = bare.read("nodeclaims.karpenter.sh")["items"]
    assert claims
    refused = [c.name for c in bare.box.control.calls() if c.error in {"AccessDenied", "UnauthorizedOperation"}]
    assert refused == []

    # And back: nodes drained and gone first, then all the rest.
    process = bare.begin("uninstall", "--yes", "--timeout=180")
    until(
        lambda: process.poll() is not None or not bare.read("deployment", "karpenter", "--namespace=kube-system"),
        within_s=120,
        what="helm has taken the Deployment away",
    )
    assert controller.terminate() == 0
    ledger.add(bare.box.control, Names(CLUSTER, ACCOUNT, REGION, ""))
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err + controller.tail()
    assert re.search(r"removed +nodes", out)
    bare.plane.kubectl("delete", "deployment", "hello")
    assert differences(before, bare.state()) == {}
    code, text = bare.nodesmith("uninstall", "--yes")
    assert code == 0, text
    assert "Nothing to do" in text


def memory_cluster() -> MemoryCluster:
    """A cluster with nothing in it, for a step that looks there for others."""
    clock = RealClock()
    return MemoryCluster(ApiServer(clock.now, random.Random(1)), clock)


async def test_a_release_that_helm_was_killed_over_is_recovered(bare: Bare) -> None:
    program = bare.plane.programs / "helm"
    chart = Path(__file__).parents[2] / "charts" / "nodesmith"
    # The node is cordoned, so that the pod never runs and helm goes on waiting.
    bare.plane.kubectl("cordon", "home")
    command = [str(program), "upgrade", "--install", "karpenter", str(chart), "--namespace=kube-system", "--wait"]
    process = await asyncio.create_subprocess_exec(*command, "--set=settings.clusterName=shop", env=bare.variables)
    helm = Helm(program, bare.variables)
    until(lambda: bare.read("deployment", "karpenter", "--namespace=kube-system"), within_s=60, what="helm began")
    process.kill()
    await process.wait()
    release = await helm.find("karpenter", "kube-system")
    assert release is not None
    assert release.status == "pending-install"
    await helm.recover(release)
    assert await helm.find("karpenter", "kube-system") is None
    await helm.upgrade("karpenter", "kube-system", chart, {"settings": {"clusterName": "shop"}, "replicas": 0})
    release = await helm.find("karpenter", "kube-system")
    assert release is not None
    assert (release.chart_name, release.status) == ("nodesmith", "deployed")
    assert release.values == {"settings": {"clusterName": "shop"}, "replicas": 0}
    await helm.upgrade("karpenter", "kube-system", chart, {"settings": {"clusterName": "shop"}, "replicas": 1})
    await helm.recover(replace(release, status="pending-upgrade"))
    release = await helm.find("karpenter", "kube-system")
    assert release is not None
    assert release.values["replicas"] == 0
    # What the installer gives helm is what the chart takes, whatever was asked for.
    names = Names("shop", "123456789012", REGION, "https://oidc.example/id/A1")
    images = ("", "registry.example:5000/nodesmith:1.2", f"registry.example/nodesmith@sha256:{'a' * 64}")
    for by_issuer, image in product((True, False), images):
        values = chart_values(names, by_issuer=by_issuer, image=image, more={"replicas": 0})
        step = Controller(memory_cluster(), helm, names, chart, values)
        await step.ensure()
        assert (await step.look()).differences == ()
        account = bare.read("serviceaccount", "karpenter", "--namespace=kube-system")["metadata"]
        assert ("eks.amazonaws.com/role-arn" in account.get("annotations", {})) is by_issuer
        deployment = bare.read("deployment", "karpenter", "--namespace=kube-system")
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        assert not image or container["image"] in {image, image.replace("@", ":0.1.0@")}
    await helm.uninstall("karpenter", "kube-system")
    await helm.uninstall("karpenter", "kube-system")
    assert await helm.find("karpenter", "kube-system") is None
