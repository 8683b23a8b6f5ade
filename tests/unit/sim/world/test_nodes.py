"""Kubelets, what the control plane does about nodes, budgets, the market."""

import pytest

from nodesmith.adapters.memory.eviction import evict
from nodesmith.adapters.memory.queue import MemoryQueue
from nodesmith.api.kinds import NODE, POD, POD_DISRUPTION_BUDGET
from nodesmith.model.labels import ARCH, CAPACITY_TYPE, INSTANCE_TYPE, SPOT, ZONE
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.ports.errors import EvictionBlocked
from nodesmith.ports.queue import InterruptionKind
from nodesmith.sim.clock import VirtualClock
from nodesmith.sim.world.engine import Mark, Restless
from nodesmith.sim.world.market import Market, MemoryInterruptions
from nodesmith.sim.world.userdata import NodeadmError, read_node_config
from nodesmith.sim.world.world import Base
from tests.unit.sim.world.bench import Bench, live, pod, workload


def taints(bench: Bench, node: str) -> list[str]:
    return sorted(str(taint) for taint in NODE.decode(bench.find(NODE, node)).taints)


def test_a_machine_becomes_a_node_in_steps() -> None:
    async def story(bench: Bench) -> None:
        machine = await bench.machine(labels={"team": "a"})
        steps: list[str] = []
        bench.server.listen(
            lambda occurrence: (
                steps.append(" ".join(sorted(str(taint) for taint in NODE.decode(occurrence.stored.manifest).taints)))
                if occurrence.kind is NODE
                else None
            )
        )
        await bench.rest()
        (manifest,) = bench.server.list(NODE)
        node = NODE.decode(manifest)
        assert node.provider_id == machine.provider_id
        assert node.is_ready
        assert [str(taint) for taint in node.taints] == ["karpenter.sh/unregistered:NoExecute"]
        assert node.labels["team"] == "a"
        assert node.labels[INSTANCE_TYPE] == "m7g.large"
        assert (node.labels[ZONE], node.labels[ARCH]) == ("ap-northeast-2a", "arm64")
        assert node.allocatable["cpu"] == machine.allocatable["cpu"]
        assert "not-ready" in steps[0]
        assert "uninitialized" in steps[0]

    live(story)


def test_a_terminating_pod_is_let_go_within_its_grace() -> None:
    async def story(bench: Bench) -> None:
        await bench.node()
        bench.world.apply(pod("p"))
        await bench.rest()
        bench.server.delete(POD, "p", namespace="default")
        assert bench.places()
        await bench.rest(5)
        assert not bench.places()

    live(story)


def test_a_lost_machine_leaves_a_silent_node_whose_pods_start_elsewhere() -> None:
    async def story(bench: Bench) -> None:
        lost = await bench.node()
        bench.world.apply(workload("Deployment", "web", replicas=1))
        await bench.rest()
        bench.server.patch(NODE, lost, {"metadata": {"finalizers": ["example.com/hold"]}})
        bench.cloud.terminate(NODE.decode(bench.find(NODE, lost)).provider_id)
        await bench.rest(45)
        assert "node.kubernetes.io/unreachable:NoExecute" in taints(bench, lost)
        assert bench.find(NODE, lost)["metadata"]["deletionTimestamp"]
        assert list(bench.places(app="web").values()) == [lost]
        other = await bench.node()
        bench.server.patch(NODE, lost, {"metadata": {"finalizers": None}})
        await bench.rest(60)
        assert list(bench.places(app="web").values()) == [other]

    live(story)


def test_pods_leave_an_unreachable_node_after_five_minutes() -> None:
    async def story(bench: Bench) -> None:
        node = await bench.node()
        bench.world.apply(pod("p"))
        await bench.rest()
        bench.server.patch(
            NODE,
            node,
            {"status": {"conditions": [{"type": "Ready", "status": "Unknown", "lastTransitionTime": ""}]}},
            subresource="status",
        )
        await bench.rest(299)
        assert "deletionTimestamp" not in bench.find(POD, "p")["metadata"]
        await bench.rest(2)
        assert not bench.places() or "deletionTimestamp" in bench.find(POD, "p")["metadata"]

    live(story)


def test_a_budget_counts_what_is_healthy() -> None:
    async def story(bench: Bench) -> None:
        await bench.node("m7g.xlarge")
        bench.world.apply(workload("Deployment", "web", replicas=3))
        spec = {"selector": {"matchLabels": {"app": "web"}}, "maxUnavailable": 1}
        bench.server.create(POD_DISRUPTION_BUDGET, {"metadata": {"name": "guard"}, "spec": spec})
        await bench.rest()

        def status() -> tuple[int, int, int]:
            found = bench.find(POD_DISRUPTION_BUDGET, "guard")["status"]
            return found["expectedPods"], found["currentHealthy"], found["disruptionsAllowed"]

        assert status() == (3, 3, 1)
        first, second, _ = bench.places(app="web")
        evict(bench.server, first, namespace="default")
        with pytest.raises(EvictionBlocked):
            evict(bench.server, second, namespace="default")
        bench.world.engine.settle()
        assert status() == (3, 2, 0)
        await bench.rest()
        assert status() == (3, 3, 1)

    live(story)


@pytest.mark.parametrize(
    ("spec", "allowed"),
    [
        ({"minAvailable": 3}, 1),
        ({"minAvailable": "50%"}, 2),
        ({"maxUnavailable": "30%"}, 2),
        ({"maxUnavailable": 0}, 0),
        ({"minAvailable": "100%"}, 0),
    ],
)
def test_budgets_are_numbers_or_shares(spec: dict[str, object], allowed: int) -> None:
    async def story(bench: Bench) -> None:
        await bench.node("m7g.xlarge")
        bench.world.apply(workload("Deployment", "web", replicas=4))
        stated = {"selector": {"matchLabels": {"app": "web"}}, **spec}
        bench.server.create(POD_DISRUPTION_BUDGET, {"metadata": {"name": "guard"}, "spec": stated})
        await bench.rest()
        assert bench.find(POD_DISRUPTION_BUDGET, "guard")["status"]["disruptionsAllowed"] == allowed

    live(story)


def test_the_market_takes_spot_machines_back_with_notice() -> None:
    async def story(bench: Bench) -> None:
        spot = await bench.cloud.create(NodeClaim(meta=ObjectMeta("spot", uid="spot")))
        assert spot.capacity_type == SPOT
        other = await bench.machine()
        queue = MemoryQueue(bench.clock)
        interruptions = MemoryInterruptions(bench.world.engine, bench.cloud, queue)
        Market(bench.world.engine, interruptions.spot, interruptions.interrupt, per_hour=60)
        await bench.rest(61)
        (message,) = await queue.receive()
        assert message.kind is InterruptionKind.SPOT_INTERRUPTED
        assert message.instance_ids == (spot.provider_id.rpartition("/")[2],)
        assert bench.cloud.state_of(spot.provider_id) == "running"
        await bench.rest(120)
        assert bench.cloud.state_of(spot.provider_id) == "terminated"
        assert bench.cloud.state_of(other.provider_id) == "running"
        assert other.labels[CAPACITY_TYPE] != SPOT

    live(story)


def test_one_seed_is_one_run_and_another_is_another() -> None:
    async def story(bench: Bench) -> None:
        await bench.node("m7g.xlarge")
        bench.world.apply(workload("Deployment", "web", replicas=5))
        await bench.rest()

    first, again, other = (live(story, seed).world.diary.text for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert first.count("is running") == 5


def test_parts_that_undo_each_other_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodesmith.sim.world.engine._MOST_ROUNDS", 100)
    engine = Base(VirtualClock()).engine
    others: list[Mark] = []

    def hand_on(key: str) -> None:
        others[0](key)

    mark = engine.queue(hand_on)
    others.append(engine.queue(mark))
    mark("x")
    with pytest.raises(Restless):
        engine.settle()


ARCHIVE = """MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="//"

--//
Content-Type: text/x-shellscript; charset="us-ascii"

#!/bin/bash
echo hello

--//
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  kubelet:
    config: {maxPods: 10}
    flags: ["--v=2"]

--//
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  cluster: {name: demo, apiServerEndpoint: "https://x", certificateAuthority: Zm9v, cidr: 10.100.0.0/16}
  kubelet:
    config:
      maxPods: 20
      registerWithTaints: [{key: karpenter.sh/unregistered, effect: NoExecute}]
    flags: ['--node-labels="a=b,karpenter.sh/nodepool=default"']

--//--
"""


def test_nodeadm_reads_what_counts_of_the_archive() -> None:
    config = read_node_config(ARCHIVE)
    assert (config.cluster, config.endpoint) == ("demo", "https://x")
    assert config.labels == {"a": "b", "karpenter.sh/nodepool": "default"}
    assert [str(taint) for taint in config.taints] == ["karpenter.sh/unregistered:NoExecute"]
    assert config.kubelet["maxPods"] == 20


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no NodeConfig"),
        ("#!/bin/bash\n/etc/eks/bootstrap.sh demo", "no NodeConfig"),
        (ARCHIVE.replace("name: demo, ", ""), r"lacks spec\.cluster\.name"),
    ],
)
def test_nodeadm_stops_without_a_cluster_to_join(text: str, why: str) -> None:
    with pytest.raises(NodeadmError, match=why):
        read_node_config(text)
