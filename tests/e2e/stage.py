"""The whole of it: a real control plane, AWS in a box with kubelets, nodesmith as Helm installs it, and a user.

    with open_stage(programs, folder) as stage:
        stage.controller.start()
        stage.kubectl("apply", "--filename=pool.yaml")
        stage.wait(lambda: ..., within_s=60)

Everything runs in processes of its own, but for the user; his look at the cluster (`mirror`) lives in a thread.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import boto3
import yaml

from nodesmith.adapters.aws.blocking import Threads
from nodesmith.adapters.aws.client import AwsClient, SessionClients
from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.kubernetes import kubeconfig
from nodesmith.adapters.kubernetes.cluster import KubernetesCluster
from nodesmith.adapters.kubernetes.transport import Limits, Transport
from nodesmith.install.access import access_step
from nodesmith.install.aws import aws_steps, names_of
from nodesmith.install.names import Names
from nodesmith.install.setup import Step, ensure, undo
from nodesmith.sim.aws import account
from nodesmith.sim.aws.box import environment
from nodesmith.sim.aws.control import Inventory
from nodesmith.sim.aws.process import BoxProcess
from tests.e2e.controller import ControllerProcess
from tests.e2e.controlplane import CONTROLLER, ControlPlane, running
from tests.e2e.mirror import Mirror

T = TypeVar("T")

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "charts" / "nodesmith"
VALUES: Final = Path(__file__).parent / "data" / "values" / "as-written.yaml"
SET: Final = (
    "--set=replicas=0",
    "--set=settings.featureGates.staticCapacity=true",
    "--set=settings.enableZonalShift=true",
)
STAGES: Final = Path(__file__).parent / "data" / "kwok.yaml"
CLUSTER: Final = "shop"
REGION: Final = "ap-northeast-2"
ZONES: Final = tuple(f"{REGION}{letter}" for letter in "abc")


class Loop:
    """An event loop in a thread, for what has to go on while a test waits."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stage", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """What the coroutine returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """The coroutine goes on by itself; the future has what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _cancel_all(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.wait(rest) if rest else None


@dataclass
class Stage:
    """Everything that takes part."""

    plane: ControlPlane
    box: BoxProcess
    folder: Path
    loop: Loop
    cluster: KubernetesCluster
    mirror: Mirror
    names: Names
    steps: list[Step]
    before: Inventory
    environment: dict[str, str]
    controller: ControllerProcess
    replicas: list[ControllerProcess] = field(default_factory=list)

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl prints; it must succeed."""
        done = self.plane.kubectl(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}{done.stdout}"
        return done.stdout

    def apply(self, *manifests: dict[str, Any]) -> None:
        """The cluster has the manifests."""
        self.kubectl("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(manifests))

    def wait(self, question: Callable[[], object], *, within_s: float, what: str = "") -> float:
        """How many seconds it took until it was so."""
        try:
            return self.loop.call(self.mirror.until(question, within_s=within_s, what=what))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.controller.tail()}") from None

    def replica(self, name: str, *, token: str = CONTROLLER, **environment: str) -> ControllerProcess:
        """Another process of the controller, not yet started."""
        own = {"KUBECONFIG": str(self.plane.kubeconfig_for(token))}
        self.replicas.append(ControllerProcess(name, self.folder, {**self.environment, **own, **environment}))
        return self.replicas[-1]

    def end_controllers(self) -> None:
        """No process of the controller is left."""
        for process in (self.controller, *self.replicas):
            if process.is_alive:
                process.kill()

    def aws(self, service: str) -> Any:
        """The account owner's client of a service."""
        return account.clients(self.box.url, REGION)(service)

    def instances(self, **tags: str) -> list[dict[str, Any]]:
        """The instances that are paid for, and carry the tags (`pool` is `karpenter.sh/nodepool`)."""
        wanted = {_TAGS.get(name, name): value for name, value in tags.items()}
        pages = self.aws("ec2").get_paginator("describe_instances").paginate()
        found = [each for page in pages for reservation in page["Reservations"] for each in reservation["Instances"]]
        return [
            each
            for each in found
            if each["State"]["Name"] in {"pending", "running"}
            and wanted.items() <= {tag["Key"]: tag["Value"] for tag in each.get("Tags", ())}.items()
        ]


_TAGS: Final = {"pool": "karpenter.sh/nodepool"}


@contextmanager
def open_stage(programs: Path, folder: Path) -> Iterator[Stage]:
    """A cluster with nodesmith installed and not running, in an account that is set up for it."""
    with ExitStack() as stack:
        loop = stack.enter_context(Loop())
        plane = stack.enter_context(running(ControlPlane(programs, folder / "plane", stages=STAGES)))
        log = stack.enter_context((folder / "box.log").open("w"))
        program = ("nodesmith.sim.live", f"--kubeconfig={plane.kubeconfig}", f"--cluster={CLUSTER}")
        box = stack.enter_context(BoxProcess(region=REGION, program=program, log=log))
        account.prepare(box.url, region=REGION, cluster_name=CLUSTER, endpoint=plane.server)
        box.control.cluster(CLUSTER, authentication_mode="CONFIG_MAP")
        before = box.control.inventory()
        variables = install(plane, folder) | environment(box.url, REGION)
        variables |= {"KUBECONFIG": str(plane.kubeconfig_for(CONTROLLER))}
        outside = AsyncExitStack()
        stack.callback(lambda: loop.call(outside.aclose()))
        cluster, mirror = loop.call(_look(outside, plane))
        names, steps = loop.call(_set_up(box.url, cluster))
        variables = _as_controller(variables, names, folder)
        box.control.zonal_shift(names.cluster_arn)
        box.control.enforce_iam(on=True)
        controller = ControllerProcess("controller", folder, variables)
        stage = Stage(plane, box, folder, loop, cluster, mirror, names, steps, before, variables, controller)
        stack.callback(stage.end_controllers)
        yield stage


def install(plane: ControlPlane, folder: Path) -> dict[str, str]:
    """Helm has installed the chart with the user's values, without replicas; what its Deployment would run with."""
    command = [str(plane.programs / "helm"), f"--kubeconfig={plane.kubeconfig}", "install", "karpenter", str(CHART)]
    done = subprocess.run(
        [*command, "--namespace=kube-system", f"--values={VALUES}", *SET],
        env={"HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    read = plane.kubectl("get", "deployment", "karpenter", "--namespace=kube-system", "--output=json")
    container = json.loads(read.stdout)["spec"]["template"]["spec"]["containers"][0]
    stated = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    return {**stated, "SYSTEM_NAMESPACE": "kube-system"}


async def _look(outside: AsyncExitStack, plane: ControlPlane) -> tuple[KubernetesCluster, Mirror]:
    connection = kubeconfig.load([plane.kubeconfig])
    limits = Limits(per_second=1000, burst=1000)
    cluster = KubernetesCluster(await outside.enter_async_context(Transport(connection, RealClock(), limits)))
    mirror = Mirror(cluster)
    group = await outside.enter_async_context(asyncio.TaskGroup())
    following = group.create_task(mirror.run(), name="mirror")
    outside.callback(following.cancel)
    await mirror.until(lambda: mirror.is_complete, within_s=30, what="the mirror is complete")
    return cluster, mirror


async def _set_up(url: str, cluster: KubernetesCluster) -> tuple[Names, list[Step]]:
    """The account has what the installer makes, and the node role is mapped in aws-auth."""
    threads = Threads(4)
    session = boto3.session.Session("testing", "testing", region_name=REGION)
    client = AwsClient(
        SessionClients(session, endpoint_url=url), region=REGION, clock=RealClock(), run_blocking=threads
    )
    names, network = await names_of(client, CLUSTER)
    steps = [*aws_steps(client, names, network), await access_step(client, cluster, names)]
    await ensure(steps)
    return names, steps


def _as_controller(variables: Mapping[str, str], names: Names, folder: Path) -> dict[str, str]:
    """The variables of a pod whose service account has the controller's role: a token to change for keys, and no keys."""
    token = folder / "token"
    token.write_text(f"{names.namespace}:{names.service_account}")
    role = {"AWS_ROLE_ARN": names.role_arn(names.controller_role), "AWS_WEB_IDENTITY_TOKEN_FILE": str(token)}
    without_keys = {name: value for name, value in variables.items() if "ACCESS_KEY" not in name}
    return {**without_keys, **role, "AWS_ROLE_SESSION_NAME": "controller"}


def tear_down(stage: Stage) -> dict[str, list[str]]:
    """What is left in the account after the installer took back what it made."""
    stage.loop.call(undo(stage.steps))
    return stage.box.control.inventory().beyond(stage.before)
