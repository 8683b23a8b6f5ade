"""`nodesmith doctor`, the command, on a real API server and AWS in a box: all is well, and then it is not."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from nodesmith.adapters.aws.client import SessionClients
from nodesmith.adapters.kubernetes.cluster import KubernetesCluster
from nodesmith.adapters.kubernetes.transport import Transport
from nodesmith.api import kinds
from nodesmith.api.kind import Kind
from nodesmith.cli.doctor import settings_faults
from nodesmith.install.doctor.check import Outcome, examine
from nodesmith.install.doctor.gather.controllers import controllers_of, ports_of
from nodesmith.install.doctor.table import chosen
from nodesmith.ports.errors import NotFound
from nodesmith.sim.aws import account
from nodesmith.sim.aws.box import Box
from tests.e2e import test_install
from tests.e2e.controlplane import ControlPlane, running
from tests.e2e.test_chart import VALUES, Helm
from tests.e2e.test_install import Bare, until
from tests.functional.install.doctor_setup import CLUSTER, REGION, SYSTEM, Setup, connect
from tests.unit.install.doctor.healthy import healthy

bare = test_install.bare
CRDS = Path(__file__).parents[2] / "charts" / "nodesmith" / "crds"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
MADE: tuple[tuple[Kind[Any], str], ...] = (
    (kinds.NODE_POOL, "default"),
    (kinds.EC2_NODE_CLASS, "default"),
    (kinds.LEASE, "karpenter-leader-election"),
    (kinds.DEPLOYMENT, "karpenter"),
    (kinds.SERVICE, "karpenter"),
    (kinds.POD, "karpenter-0"),
    (kinds.NODE, "system-1"),
    (kinds.SERVICE_ACCOUNT, "karpenter"),
)


@pytest.fixture(scope="module")
def bare_plane(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server of its own: what other tests left on theirs would be found too."""
    collectors = ("garbage-collector-controller", "namespace-controller")
    folder = tmp_path_factory.mktemp("doctor")
    with running(ControlPlane(programs, folder, collectors, schedules=False, simulates_nodes=False)) as plane:
        yield plane


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(seed=5, region=REGION) as running:
        yield running


@pytest.fixture
def helm(programs: Path, tmp_path: Path) -> Helm:
    return Helm(programs, tmp_path)


@pytest.fixture
async def setup(bare_plane: ControlPlane, bare_transport: Transport, box: Box) -> AsyncIterator[Setup]:
    for verb in (
        ("apply", "--server-side", f"--filename={CRDS}"),
        ("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"),
    ):
        done = bare_plane.kubectl(*verb)
        assert done.returncode == 0, done.stderr
    session = boto3.session.Session("testing", "testing", region_name=REGION)
    cluster = KubernetesCluster(bare_transport)
    made = Setup(box, SessionClients(session, endpoint_url=box.url), cluster)
    box.control.cluster(CLUSTER, endpoint=bare_plane.server)
    await made.make()
    yield made
    for kind, name in MADE:
        with suppress(NotFound):
            namespace = SYSTEM if kind.is_namespaced else ""
            await cluster.delete(kind, name, namespace=namespace, grace_period_s=0)


async def test_the_command_finds_nothing_and_then_what_is_wrong(setup: Setup, bare_plane: ControlPlane) -> None:
    code, told = doctor(setup, bare_plane)
    outcomes = {each["check"]: each["outcome"] for each in told["findings"]}
    wrong = {each["check"]: each["found"] for each in told["findings"] if each["outcome"] in {"failed", "warning"}}
    assert (code, told["healthy"], wrong) == (0, True, {})
    assert len(outcomes) > 100
    assert {number: outcomes[number] for number in ("ND007", "ND113", "ND125", "ND503", "ND614")} == {
        "ND007": "ok",
        "ND113": "ok",
        "ND125": "ok",
        "ND503": "ok",
        "ND614": "ok",
    }
    cluster = setup.cluster
    await cluster.delete(kinds.SERVICE_ACCOUNT, "karpenter", namespace=SYSTEM)
    await cluster.patch(kinds.NODE_POOL, "default", {"spec": {"limits": None}})
    code, told = doctor(setup, bare_plane)
    wrong = {each["check"]: each["outcome"] for each in told["findings"] if each["outcome"] in {"failed", "warning"}}
    assert (code, wrong) == (1, {"ND101": "failed", "ND102": "failed", "ND617": "warning"})
    unseen = next(each for each in told["findings"] if each["check"] == "ND113")
    assert unseen["outcome"] == "could not look"
    assert "karpenter" in unseen["found"][0]


def doctor(setup: Setup, plane: ControlPlane) -> tuple[int, Any]:
    """What the command prints, and its exit code."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "nodesmith", "doctor", "--cluster", CLUSTER, "--region", REGION),
            *("--endpoint-url", setup.box.url, "--kubeconfig", str(plane.kubeconfig), "-o", "json"),
        ],
        env={**os.environ, **KEYS},  # noqa: TID251 - what every process is given
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_nothing_is_wrong_after_a_real_install_and_then_a_lost_permission_is(bare: Bare) -> None:
    clients = account.clients(bare.box.url, REGION)
    network = clients("eks").describe_cluster(name="shop")["cluster"]["resourcesVpcConfig"]
    connect(clients, network["subnetIds"][0], network["vpcId"], network["clusterSecurityGroupId"])
    process = bare.begin("install", "--yes", "--timeout=180")
    until(
        lambda: process.poll() is not None or bare.read("nodepools.karpenter.sh", "default"),
        within_s=120,
        what="the NodePool is there",
    )
    controller = bare.controller()
    bare.box.control.enforce_iam(on=True)
    controller.start()
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err + controller.tail()
    # The controller is a process here, not the Deployment's pod.
    assert wrong_at(bare) == (0, {"ND523"})
    iam = clients("iam")
    (policy,) = [each for each in iam.list_policies(Scope="Local")["Policies"] if "NodeLifecycle" in each["PolicyName"]]
    told = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    text = json.dumps(told["Document"]).replace('"ec2:CreateFleet", ', "")
    iam.create_policy_version(PolicyArn=policy["Arn"], PolicyDocument=text, SetAsDefault=True)
    assert wrong_at(bare) == (1, {"ND121", "ND126", "ND523"})


def wrong_at(bare: Bare) -> tuple[int, set[str]]:
    code, text = bare.nodesmith("doctor", "-o", "json")
    findings = json.loads(text)["findings"]
    return code, {each["check"] for each in findings if each["outcome"] in {"failed", "warning"}}


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_what_the_chart_makes_is_known_as_a_controller_with_nothing_wrong(helm: Helm, values: Path) -> None:
    manifests = helm.template("--set=settings.clusterName=demo", f"--values={values}")
    (controller,) = controllers_of(each for each in manifests if each["kind"] == "Deployment")
    services = [each for each in manifests if each["kind"] == "Service"]
    facts = replace(healthy(), version=controller.version)
    cluster = replace(
        facts.cluster,
        controllers=(controller,),
        settings_faults=tuple(settings_faults((), controller.environment)),
        service_ports=tuple(ports_of(services, controller)),
    )
    findings = examine(replace(facts, cluster=cluster), chosen(["ND511", "ND514", "ND533", "ND535"]))
    assert {each.check.number: each.found for each in findings if each.outcome is not Outcome.OK} == {}
    assert controller.is_nodesmith
