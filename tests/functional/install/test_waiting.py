"""Waiting: for the controller to be ready, for nodes to go, for AWS to have heard of what is new."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from nodesmith.api.kinds import EC2_NODE_CLASS, LEASE, NODE_CLAIM, NODE_POOL, POD
from nodesmith.api.meta import format_micro_time
from nodesmith.install.aws import names_of
from nodesmith.install.ready import readiness, wait_until_ready
from nodesmith.install.setup import Action, StepFailed, ensure, leaving_plan, plan, undo
from nodesmith.sim.aws.control import FaultRule
from tests.functional.install.bench import IN_CLUSTER, Bench, JumpingClock

LABELS = {"app.kubernetes.io/name": "karpenter"}


class Clock(JumpingClock):
    """Something happens whenever somebody waits."""

    def __init__(self, happens: Callable[[], None]) -> None:
        super().__init__()
        self._happens = happens

    async def sleep(self, duration: timedelta) -> None:
        await super().sleep(duration)
        self._happens()


async def installed(bench: Bench) -> None:
    await ensure(await bench.arriving(*IN_CLUSTER))


def with_claim(bench: Bench, name: str) -> None:
    pool = bench.server.get(NODE_POOL, "default")
    spec = {"nodeClassRef": pool["spec"]["template"]["spec"]["nodeClassRef"], "requirements": []}
    metadata = {"name": name, "finalizers": ["karpenter.sh/termination"]}
    bench.server.create(NODE_CLAIM, {"metadata": metadata, "spec": spec})


def with_controller(bench: Bench) -> None:
    renewed = format_micro_time(bench.clock.now())
    metadata = {"name": "karpenter-leader-election", "namespace": "kube-system"}
    bench.server.create(LEASE, {"metadata": metadata, "spec": {"holderIdentity": "a", "renewTime": renewed}})


def end(bench: Bench, name: str) -> None:
    """What the controller does when the machine is gone."""
    claim = bench.server.find(NODE_CLAIM, name)
    if claim is not None and "deletionTimestamp" in claim["metadata"]:
        bench.server.patch(NODE_CLAIM, name, {"metadata": {"finalizers": []}})


async def test_nodes_go_before_anything_else(bench: Bench) -> None:
    before = bench.state()
    await installed(bench)
    for name in ("a", "b"):
        with_claim(bench, name)
    with_controller(bench)
    told: list[str] = []
    going = iter("ab")
    clock = Clock(lambda: end(bench, next(going, "a")))
    bench.clock = clock
    rows = await undo(await bench.leaving(*IN_CLUSTER, tell=told.append))
    assert [row.step for row in rows if row.action is Action.REMOVE][:3] == ["NodePool", "nodes", "EC2NodeClass"]
    assert told == ["2 nodes to go", "1 node to go"]
    assert bench.state() == before


async def test_nodes_that_do_not_go_are_named_with_the_reason(bench: Bench) -> None:
    await installed(bench)
    for name in ("a", "b"):
        with_claim(bench, name)
    with_controller(bench)
    drained: dict[str, Any] = {"type": "Drained", "status": "Unknown", "reason": "Draining", "message": "2 pods left"}
    bench.server.patch(NODE_CLAIM, "a", {"status": {"conditions": [drained]}}, subresource="status")
    steps = await bench.leaving(*IN_CLUSTER, within=timedelta(minutes=3))
    with pytest.raises(StepFailed, match=r"2 nodes still there: a is being drained, 2 pods left; b is held by"):
        await undo(steps)
    assert bench.releases.found


async def test_nobody_waits_for_a_controller_that_does_not_run(bench: Bench) -> None:
    await installed(bench)
    with_claim(bench, "a")
    rows = await leaving_plan(await bench.leaving(*IN_CLUSTER))
    stopped = {row.step: row.reason for row in rows if row.action is Action.STOP}
    assert stopped == {"nodes": "1 node, and the controller does not run: start it, or say --keep-nodes"}
    with_controller(bench)
    rows = await leaving_plan(await bench.leaving(*IN_CLUSTER))
    assert [row for row in rows if row.action is Action.STOP] == []
    await bench.clock.sleep(timedelta(hours=1))
    rows = await leaving_plan(await bench.leaving(*IN_CLUSTER))
    assert [row.step for row in rows if row.action is Action.STOP] == ["nodes"]


async def test_a_class_that_the_controller_holds_is_waited_for(bench: Bench) -> None:
    await installed(bench)
    bench.server.patch(EC2_NODE_CLASS, "default", {"metadata": {"finalizers": ["karpenter.k8s.aws/termination"]}})
    with pytest.raises(StepFailed, match=r"EC2NodeClass default does not go, karpenter.k8s.aws/termination holds it"):
        await undo(await bench.leaving(*IN_CLUSTER))
    bench.server.patch(EC2_NODE_CLASS, "default", {"metadata": {"finalizers": []}})
    await undo(await bench.leaving(*IN_CLUSTER))
    assert bench.server.list(EC2_NODE_CLASS) == []


async def test_what_is_not_ready_says_why(bench: Bench) -> None:
    await installed(bench)
    stands = await readiness(bench.cluster, "kube-system")
    assert stands.lacking[0] == "the controller does not run yet"
    assert "EC2NodeClass default is not ready: the controller has not said anything about it" in stands.lacking
    pod: dict[str, Any] = {
        "metadata": {"name": "karpenter-1", "namespace": "kube-system", "labels": LABELS},
        "spec": {"containers": [{"name": "controller", "image": "nodesmith:0.1.0"}]},
    }
    bench.server.create(POD, pod)
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    status = {"containerStatuses": [{"name": "controller", "state": {"waiting": waiting}}]}
    bench.server.patch(POD, "karpenter-1", {"status": status}, namespace="kube-system", subresource="status")
    subnets = {"type": "SubnetsReady", "status": "False", "reason": "SubnetsNotFound", "message": "none is tagged"}
    conditions = [{"type": "Ready", "status": "False"}, subnets]
    bench.server.patch(EC2_NODE_CLASS, "default", {"status": {"conditions": conditions}}, subresource="status")
    told: list[str] = []
    within = timedelta(seconds=30)
    stands = await wait_until_ready(bench.cluster, bench.clock, "kube-system", within=within, tell=told.append)
    assert told == ["the controller does not run yet: ImagePullBackOff, no such image"]
    assert "EC2NodeClass default is not ready: SubnetsReady, none is tagged" in stands.lacking
    assert not stands.is_ready


async def test_what_aws_has_not_heard_of_yet_is_tried_again(bench: Bench) -> None:
    code = "InvalidParameterException"
    bench.box.control.faults(FaultRule("eks:CreateAccessEntry", "error", code=code, status=400, times=2))
    steps = await bench.arriving("node role", "access entry")
    await ensure(steps)
    assert {row.action for row in await plan(steps)} == {Action.KEEP}
    asked = [call for call in bench.box.control.calls() if call.name == "eks:CreateAccessEntry"]
    assert [call.error for call in asked] == [code, code, None]
    bench.box.control.faults()


async def test_the_nodes_subnets_are_those_of_node_groups_then_the_private_ones(bench: Bench) -> None:
    subnets = list(bench.base.subnet_ids.values())
    bench.raw("ec2").modify_subnet_attribute(SubnetId=subnets[0], MapPublicIpOnLaunch={"Value": True})
    _, network = await names_of(bench.client, "demo")
    assert list(network.subnets) == subnets[1:]
    role = bench.base.cluster_role_arn
    bench.raw("eks").create_nodegroup(clusterName="demo", nodegroupName="g", subnets=subnets[:1], nodeRole=role)
    _, network = await names_of(bench.client, "demo")
    assert list(network.subnets) == subnets[:1]
