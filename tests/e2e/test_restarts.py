"""Processes die: the controller in the middle of everything, the API server. The work goes on where it was."""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from typing import Any, Final

import pytest

from nodesmith.adapters.clock import RealClock
from nodesmith.api.kinds import EC2_NODE_CLASS, NODE, NODE_CLAIM, NODE_POOL, POD_DISRUPTION_BUDGET
from nodesmith.sim.aws.control import FaultRule
from tests.e2e.cases.leaving import BLOCKED, SMALL, TYPE, is_tainted
from tests.e2e.controller import ControllerProcess
from tests.e2e.mirror import is_true
from tests.e2e.stage import Stage
from tests.e2e.yard import NODE_CLASS, Yard, needs, node_class

NO_ELECTION: Final = {"DISABLE_LEADER_ELECTION": "true"}


class Ground:
    """A yard, and whoever acts in it at the time."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        self.yard = Yard(stage, name)
        self.actor = stage.controller

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What the coroutine returns."""
        return self.stage.loop.call(work)

    def wait(self, question: Callable[[], object], *, within_s: float = 60, what: str = "") -> float:
        """How many seconds it took until it was so."""
        return self.stage.wait(question, within_s=within_s, what=what)

    def one_node(self, **template: Any) -> str:
        """A pod that runs on the only node; the node's name."""
        self.do(self.yard.pool(template={"spec": {**SMALL, **template}}))
        self.do(self.yard.deployment(cpu="500m"))
        [pod] = self.do(self.yard.until_running(1))
        self.wait(lambda: is_true(self.yard.claim(), "Initialized"))
        return str(pod["spec"]["nodeName"])

    def take_over(self, process: ControllerProcess) -> None:
        """From now on this process acts, and is the one that the stage stops in the end."""
        self.stage.controller = self.actor = process

    def start_alone(self, name: str) -> None:
        """A process that acts at once, without asking for the lease."""
        process = self.stage.replica(name, **NO_ELECTION)
        process.start()
        self.take_over(process)

    def settle(self, instances: int) -> None:
        """As many instances are paid for as there are claims, and that is so many."""
        pool = self.yard.name
        deadline = time.monotonic() + 90
        while len(self.stage.instances(pool=pool)) != instances or len(self.yard.claims()) != instances:
            assert time.monotonic() < deadline, (self.stage.instances(pool=pool), self.yard.report())
            time.sleep(1)  # noqa: TID251 - the account can only be asked again
        assert {each["status"]["providerID"].rpartition("/")[2] for each in self.yard.claims().values()} == {
            each["InstanceId"] for each in self.stage.instances(pool=pool)
        }


@pytest.fixture
def ground(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Ground]:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))[:40].strip("-")
    stage.apply(node_class(NODE_CLASS, stage))
    ground = Ground(stage, name)
    ground.do(ground.yard.open())
    yield ground
    if not stage.controller.is_alive:
        stage.controller.start()
    stage.box.control.faults()
    stage.box.control.timing()
    ground.do(ground.yard.clear())
    stage.kubectl("delete", "ec2nodeclass", NODE_CLASS, "--timeout=60s")


# --- the API server ---


def test_the_api_server_is_away_for_a_while(ground: Ground) -> None:
    """However long: this one holds no lease, which would run out."""
    ground.actor.terminate()
    ground.start_alone("through-the-outage")
    ground.one_node()
    process = ground.actor.process
    ground.stage.plane.kill("kube-apiserver")
    time.sleep(2)  # noqa: TID251 - an outage takes its time
    ground.stage.plane.start_apiserver()
    ground.do(_persist(ground.yard.scale("web", 6)))
    ground.do(ground.yard.until_running(6))
    assert ground.actor.process is process
    assert ground.actor.is_alive


async def _persist(work: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(30):
        await work


# --- kill -9 in the middle of each phase ---


def test_killed_while_pods_are_collected(ground: Ground) -> None:
    """Nothing was planned yet: what is pending is found again."""
    ground.do(ground.yard.pool(template={"spec": SMALL}))
    ground.do(ground.yard.deployment(replicas=3, cpu="1500m"))
    ground.wait(lambda: len(ground.yard.pods()) == 3)
    ground.actor.kill()
    assert not ground.yard.claims()
    ground.start_alone("after-collecting")
    ground.do(ground.yard.until_running(3))
    ground.settle(3)


def test_killed_while_it_launches(ground: Ground) -> None:
    """The instances are there, and the controller never heard so: they are adopted, not bought again."""
    ground.stage.box.control.faults(FaultRule("ec2:CreateFleet", "slow", delay_s=5))
    ground.do(ground.yard.pool(template={"spec": SMALL}))
    ground.do(ground.yard.deployment(replicas=3, cpu="1500m"))
    ground.wait(lambda: len(ground.yard.claims()) == 3)
    deadline = time.monotonic() + 30
    while not ground.stage.instances(pool=ground.yard.name):
        assert time.monotonic() < deadline
    ground.actor.kill()
    assert not all((each.get("status") or {}).get("providerID") for each in ground.yard.claims().values())
    ground.stage.box.control.faults()
    ground.start_alone("after-launch")
    ground.do(ground.yard.until_running(3))
    ground.settle(3)


def test_killed_while_nodes_register(ground: Ground) -> None:
    ground.stage.box.control.timing(pending=timedelta(seconds=2))
    ground.do(ground.yard.pool(template={"spec": SMALL}))
    ground.do(ground.yard.deployment(replicas=3, cpu="1500m"))
    ground.wait(lambda: sum(is_true(each, "Launched") for each in ground.yard.claims().values()) == 3)
    ground.actor.kill()
    assert not any(is_true(each, "Registered") for each in ground.yard.claims().values())
    ground.start_alone("after-registration")
    ground.do(ground.yard.until_running(3))
    ground.wait(lambda: all(is_true(each, "Initialized") for each in ground.yard.claims().values()))
    ground.settle(3)


def test_killed_while_a_node_initializes(ground: Ground) -> None:
    """The node has joined, and waits for a daemon that takes its startup taint away."""
    waiting = {"key": "example.com/starting", "effect": "NoSchedule"}
    ground.do(ground.yard.pool(template={"spec": {**SMALL, "startupTaints": [waiting]}}))
    ground.do(ground.yard.deployment(cpu="500m"))
    ground.wait(lambda: any(is_true(each, "Registered") for each in ground.yard.claims().values()))
    ground.actor.kill()
    assert not is_true(ground.yard.claim(), "Initialized")
    [name] = ground.yard.nodes()
    ground.start_alone("after-joining")
    ground.stage.kubectl("taint", "node", name, f"{waiting['key']}:{waiting['effect']}-")
    ground.do(ground.yard.until_running(1))
    ground.wait(lambda: is_true(ground.yard.claim(), "Initialized"))
    ground.settle(1)


def test_killed_while_an_instance_is_taken_back(ground: Ground) -> None:
    """Told by EC2 that a spot instance ends, and killed before its pods have another: they run elsewhere in time."""
    spot = [needs("karpenter.sh/capacity-type", "spot"), needs(TYPE, "m7g.large", "c7g.large")]
    ground.do(ground.yard.pool(template={"spec": {"requirements": spot}}))
    ground.do(ground.yard.deployment(cpu="500m"))
    ground.do(ground.yard.until_running(1))
    ground.wait(lambda: is_true(ground.yard.claim(), "Initialized"))
    [old] = ground.yard.nodes()
    [instance] = ground.do(ground.yard.instances())
    ground.stage.box.control.timing(pending=timedelta(seconds=2))
    ends_at = ground.stage.box.control.interrupt_spot(instance["InstanceId"])
    ground.wait(lambda: len(ground.yard.claims()) == 2)
    ground.actor.kill()
    ground.start_alone("after-warning")
    ground.wait(lambda: [each["spec"]["nodeName"] for each in ground.yard.running()] not in ([], [old]))
    assert RealClock().now() < ends_at
    ground.wait(lambda: old not in ground.yard.nodes())
    ground.settle(1)


def test_killed_while_a_node_drains(ground: Ground) -> None:
    node = ground.one_node()
    ground.do(ground.yard.budget("keep", "web", **BLOCKED))
    ground.do(ground.yard.delete(NODE, node))
    ground.wait(lambda: is_tainted(ground.yard, node))
    ground.actor.kill()
    assert ground.yard.running()
    ground.start_alone("after-drain")
    ground.do(ground.yard.patch(POD_DISRUPTION_BUDGET, "keep", {"spec": {"maxUnavailable": 1}}))
    ground.wait(lambda: node not in ground.yard.nodes())
    ground.do(ground.yard.until_running(1))
    ground.settle(1)


def test_killed_while_an_instance_terminates(ground: Ground) -> None:
    node = ground.one_node()
    ground.stage.box.control.timing(shutting_down=timedelta(seconds=6))
    name = ground.yard.claim()["metadata"]["name"]
    ground.do(ground.yard.delete(NODE_CLAIM, name))
    ground.wait(lambda: is_true(ground.yard.claims().get(name, {}), "InstanceTerminating"))
    ground.actor.kill()
    assert node in ground.yard.nodes()
    ground.start_alone("after-termination")
    ground.wait(lambda: node not in ground.yard.nodes() and name not in ground.yard.claims())
    ground.do(ground.yard.until_running(1))
    ground.settle(1)


def test_killed_while_it_replaces(ground: Ground) -> None:
    """The replacement was bought and the old node is marked: it is finished or taken back, and nobody pays for both."""
    node = ground.one_node()
    ground.stage.box.control.timing(pending=timedelta(seconds=2))
    ground.do(
        ground.yard.patch(NODE_POOL, ground.yard.name, {"spec": {"template": {"metadata": {"labels": {"v": "2"}}}}})
    )
    ground.wait(lambda: len(ground.yard.claims()) == 2, within_s=90)
    ground.actor.kill()
    assert node in ground.yard.nodes()
    ground.start_alone("after-replacement")
    ground.wait(lambda: node not in ground.yard.nodes(), within_s=120)
    ground.do(ground.yard.until_running(1))
    ground.settle(1)
    [left] = ground.yard.nodes().values()
    assert left["metadata"]["labels"]["v"] == "2"
    assert not ground.stage.mirror.all(EC2_NODE_CLASS)[0]["metadata"].get("deletionTimestamp")
