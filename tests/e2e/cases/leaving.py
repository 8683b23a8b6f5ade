"""Nodes leave: empty, not worth their price, drifted, expired, deleted by a person; and what holds them back."""

import asyncio
from typing import Any, Final

from nodesmith.adapters.clock import RealClock
from nodesmith.api.kinds import (
    EC2_NODE_CLASS,
    NODE,
    NODE_CLAIM,
    NODE_POOL,
    POD_DISRUPTION_BUDGET,
    VOLUME_ATTACHMENT,
)
from nodesmith.sim.aws.control import PoolRule
from tests.e2e.mirror import is_true
from tests.e2e.stage import CLUSTER
from tests.e2e.yard import LATER_S, NODE_CLASS, SOON_S, Yard, needs

TYPE: Final = "node.kubernetes.io/instance-type"
SMALL: Final = {"requirements": [needs(TYPE, "t4g.medium"), needs("karpenter.sh/capacity-type", "on-demand")]}
AT_ONCE: Final = {"consolidateAfter": "0s"}
BLOCKED: Final = {"maxUnavailable": 0}


def is_tainted(yard: Yard, node: str) -> bool:
    taints = yard.nodes()[node]["spec"].get("taints") or ()
    return any(taint["key"] == "karpenter.sh/disrupted" for taint in taints)


async def _one_node(yard: Yard, *, node_class: str = NODE_CLASS, **template: Any) -> str:
    """A pool, and a pod that runs on its only node; the node's name."""
    spec = {**SMALL, "nodeClassRef": {"name": node_class}, **template}
    await yard.pool(template={"spec": spec})
    await yard.deployment(cpu="500m")
    [pod] = await yard.until_running(1)
    await yard.until(lambda: is_true(yard.claim(), "Initialized"))
    return str(pod["spec"]["nodeName"])


async def _replaced(yard: Yard, old: str, *, within_s: float = LATER_S) -> None:
    """The node went, and its pod runs on another."""
    await yard.until(lambda: old not in yard.nodes(), within_s=within_s, what="the old node is gone")
    await yard.until_running(1)
    await yard.until(lambda: len(yard.claims()) == 1, what="one claim is left")


async def empty_nodes_leave_and_others_stay(yard: Yard) -> None:
    await yard.pool(template={"spec": SMALL}, disruption={**AT_ONCE, "consolidationPolicy": "WhenEmpty"})
    await yard.deployment("stays", cpu="1500m")
    await yard.deployment("goes", cpu="1500m")
    [pod] = await yard.until_running(1, "stays")
    await yard.until_running(1, "goes")
    await yard.scale("goes", 0)
    await yard.until(lambda: set(yard.nodes()) == {pod["spec"]["nodeName"]}, within_s=LATER_S)
    assert yard.running("stays")


async def two_half_empty_nodes_become_one(yard: Yard) -> None:
    await yard.pool(template={"spec": SMALL}, disruption=AT_ONCE)
    await yard.deployment("pair", replicas=4, cpu="800m")
    await yard.until_running(4)
    assert len(yard.nodes()) == 2
    await yard.scale("pair", 2)
    await yard.until(lambda: len(yard.nodes()) == 1 and len(yard.running()) == 2, within_s=LATER_S)


async def a_machine_that_is_too_large_is_replaced_by_a_cheaper_one(yard: Yard) -> None:
    types = [needs(TYPE, "m7g.medium", "m7g.4xlarge"), needs("karpenter.sh/capacity-type", "on-demand")]
    await yard.pool(template={"spec": {"requirements": types}}, disruption=AT_ONCE)
    await yard.deployment("large", cpu="12")
    await yard.deployment("small", cpu="200m")
    await yard.until_running(1, "large")
    await yard.until_running(1, "small")
    await yard.scale("large", 0)
    await yard.until(
        lambda: [each["metadata"]["labels"].get(TYPE) for each in yard.nodes().values()] == ["m7g.medium"],
        within_s=LATER_S,
    )
    await yard.until_running(1, "small")


async def a_pod_that_must_not_be_disrupted_keeps_its_node(yard: Yard) -> None:
    await yard.pool(template={"spec": SMALL}, disruption=AT_ONCE)
    kept = {"metadata": {"annotations": {"karpenter.sh/do-not-disrupt": "true"}}}
    await yard.deployment("kept", cpu="800m", pod=kept)
    await yard.deployment("filler", replicas=3, cpu="800m")
    await yard.until_running(4)
    [pod] = yard.running("kept")
    await yard.scale("filler", 0)
    await yard.until(lambda: len(yard.nodes()) == 1, within_s=LATER_S)
    await yard.until(lambda: yard.events("DisruptionBlocked") or yard.events("Unconsolidatable"), within_s=LATER_S)
    assert [each["metadata"]["uid"] for each in yard.running("kept")] == [pod["metadata"]["uid"]]


async def a_budget_of_none_is_kept(yard: Yard) -> None:
    await yard.pool(template={"spec": SMALL}, disruption={**AT_ONCE, "budgets": [{"nodes": "0"}]})
    await yard.deployment(cpu="500m")
    await yard.until_running(1)
    await yard.until(lambda: is_true(yard.claim(), "Initialized"))
    await yard.scale("web", 0)
    await yard.until(lambda: is_true(yard.claim(), "Consolidatable"))
    await yard.stays(lambda: len(yard.nodes()) == 1, for_s=30)
    await yard.patch(NODE_POOL, yard.name, {"spec": {"disruption": {"budgets": [{"nodes": "1"}]}}})
    await yard.until(lambda: not yard.nodes(), within_s=LATER_S)


async def a_changed_template_is_drift(yard: Yard) -> None:
    old = await _one_node(yard)
    await yard.patch(NODE_POOL, yard.name, {"spec": {"template": {"metadata": {"labels": {"version": "two"}}}}})
    await _replaced(yard, old)
    [node] = yard.nodes().values()
    assert node["metadata"]["labels"]["version"] == "two"


async def a_changed_node_class_is_drift(yard: Yard) -> None:
    """The replacement runs before the old node goes: its pod is never without a place."""
    name = await yard.node_class("changing", tags={"version": "one"})
    old = await _one_node(yard, node_class=name)
    most = 0

    def watch(*_: object) -> None:
        nonlocal most
        most = max(most, sum(is_true(claim, "Initialized") for claim in yard.claims().values()))

    yard.stage.mirror.listeners.append(watch)
    await yard.patch(EC2_NODE_CLASS, name, {"spec": {"tags": {"version": "two"}}})
    await _replaced(yard, old)
    yard.stage.mirror.listeners.remove(watch)
    [instance] = await yard.instances()
    assert {"Key": "version", "Value": "two"} in instance["Tags"]
    assert most == 2


async def a_new_image_is_drift(yard: Yard) -> None:
    """The NodeClass asks for an image by name; a newer one with that name comes."""
    ec2 = yard.stage.aws("ec2")
    images = await asyncio.to_thread(lambda: ec2.describe_images(Owners=["amazon"])["Images"])
    arm = sorted(each["ImageId"] for each in images if each["Architecture"] == "arm64" and "al2023" in each["Name"])
    name = await yard.node_class("pinned", amiFamily="AL2023", amiSelectorTerms=[{"id": arm[0]}])
    old = await _one_node(yard, node_class=name)
    await yard.patch(EC2_NODE_CLASS, name, {"spec": {"amiSelectorTerms": [{"id": arm[1]}]}})
    await _replaced(yard, old)
    [instance] = await yard.instances()
    assert instance["ImageId"] == arm[1]


async def a_node_that_has_lived_its_time_is_replaced(yard: Yard) -> None:
    old = await _one_node(yard, expireAfter="25s")
    await yard.until(lambda: old not in yard.nodes())
    await yard.patch(NODE_POOL, yard.name, {"spec": {"template": {"spec": {"expireAfter": "Never"}}}})
    await yard.until(lambda: yard.running() and all(each["spec"]["nodeName"] != old for each in yard.running()))


async def a_budget_of_pods_holds_a_drain(yard: Yard) -> None:
    node = await _one_node(yard)
    await yard.budget("keep", "web", **BLOCKED)
    [pod] = yard.running()
    await yard.delete(NODE, node)
    await yard.until(lambda: is_tainted(yard, node) and yard.events("FailedDraining"))
    await yard.stays(lambda: [each["metadata"]["uid"] for each in yard.running()] == [pod["metadata"]["uid"]], for_s=8)
    assert len(await yard.instances()) == 1
    await yard.patch(POD_DISRUPTION_BUDGET, "keep", {"spec": {"maxUnavailable": 1}})
    await _replaced(yard, node)


async def the_grace_period_ends_every_drain(yard: Yard) -> None:
    """Neither a budget nor an annotation holds a node for longer than its termination grace period."""
    await yard.pool(template={"spec": {**SMALL, "terminationGracePeriod": "15s"}})
    await yard.deployment(cpu="500m", pod={"metadata": {"annotations": {"karpenter.sh/do-not-disrupt": "true"}}})
    await yard.budget("keep", "web", **BLOCKED)
    [pod] = await yard.until_running(1)
    node = pod["spec"]["nodeName"]
    await yard.delete(NODE_CLAIM, yard.claim()["metadata"]["name"])
    await yard.until(lambda: is_tainted(yard, node))
    assert "karpenter.sh/nodeclaim-termination-timestamp" in yard.claim()["metadata"]["annotations"]
    await yard.stays(lambda: yard.running() and node in yard.nodes(), for_s=6)
    await _replaced(yard, node, within_s=SOON_S)


async def a_person_deletes_a_node(yard: Yard) -> None:
    node = await _one_node(yard)
    [instance] = await yard.instances()
    await yard.delete(NODE, node)
    await _replaced(yard, node)
    assert instance["InstanceId"] not in {each["InstanceId"] for each in await yard.instances()}


async def a_person_deletes_a_node_claim(yard: Yard) -> None:
    node = await _one_node(yard)
    await yard.delete(NODE_CLAIM, yard.claim()["metadata"]["name"])
    await _replaced(yard, node)


async def an_instance_that_was_terminated_by_hand_is_replaced(yard: Yard) -> None:
    node = await _one_node(yard)
    [instance] = await yard.instances()
    await asyncio.to_thread(lambda: yard.stage.aws("ec2").terminate_instances(InstanceIds=[instance["InstanceId"]]))
    await _replaced(yard, node)


async def a_planned_maintenance_drains_the_node(yard: Yard) -> None:
    node = await _one_node(yard)
    [instance] = await yard.instances()
    await asyncio.to_thread(yard.stage.box.control.health_event, instance["InstanceId"])
    await _replaced(yard, node, within_s=SOON_S)


async def a_recommendation_is_only_told(yard: Yard) -> None:
    node = await _one_node(yard)
    [instance] = await yard.instances()
    await asyncio.to_thread(yard.stage.box.control.recommend_rebalance, instance["InstanceId"])
    await yard.until(lambda: yard.events("SpotRebalanceRecommendation"))
    await yard.stays(lambda: list(yard.nodes()) == [node] and not is_tainted(yard, node), for_s=5)


async def an_interrupted_spot_machine_is_replaced_before_it_ends(yard: Yard) -> None:
    await yard.pool(
        template={
            "spec": {
                "requirements": [needs("karpenter.sh/capacity-type", "spot"), needs(TYPE, "m7g.large", "c7g.large")]
            }
        }
    )
    await yard.deployment(replicas=2, cpu="500m")
    await yard.until_running(2)
    await yard.until(lambda: is_true(yard.claim(), "Initialized"))
    [instance] = await yard.instances()
    [old] = yard.nodes()
    ends_at = await asyncio.to_thread(yard.stage.box.control.interrupt_spot, instance["InstanceId"])
    await yard.until(
        lambda: len(yard.running()) == 2 and all(each["spec"]["nodeName"] != old for each in yard.running())
    )
    assert RealClock().now() < ends_at
    await yard.until(lambda: old not in yard.nodes())


async def capacity_that_is_not_there_is_found_elsewhere(yard: Yard) -> None:
    """The cheapest types have no capacity in any zone: the launch goes on with the others, and says so."""
    families = ("r6g", "r7g")
    control = yard.stage.box.control
    await asyncio.to_thread(
        lambda: control.ice(*(PoolRule(instance_type=f"r6g.{size}") for size in ("medium", "large")), replace=False)
    )
    types = [
        needs("karpenter.k8s.aws/instance-family", *families),
        needs("karpenter.k8s.aws/instance-size", "medium", "large"),
    ]
    await yard.pool(template={"spec": {"requirements": types}})
    await yard.deployment(cpu="500m")
    [pod] = await yard.until_running(1)
    assert yard.node_of(pod)["metadata"]["labels"]["karpenter.k8s.aws/instance-family"] == "r7g"


async def without_any_capacity_the_pod_waits_and_the_claim_goes(yard: Yard) -> None:
    control = yard.stage.box.control
    await asyncio.to_thread(lambda: control.ice(PoolRule(instance_type="m6gd.medium"), replace=False))
    await yard.pool(template={"spec": {"requirements": [needs(TYPE, "m6gd.medium")]}})
    await yard.deployment(cpu="200m")
    await yard.until(lambda: yard.events("InsufficientCapacityError"))
    await yard.until(lambda: not yard.claims())
    await yard.stays(lambda: not yard.running(), for_s=4)


async def a_machine_that_nobody_claims_is_ended(yard: Yard) -> None:
    """An instance with the cluster's tags that no NodeClaim stands behind, as a crash may leave it."""
    ec2 = yard.stage.aws("ec2")
    tags = {
        f"kubernetes.io/cluster/{CLUSTER}": "owned",
        "eks:eks-cluster-name": CLUSTER,
        "karpenter.sh/nodepool": yard.name,
        "karpenter.k8s.aws/ec2nodeclass": NODE_CLASS,
        "karpenter.sh/nodeclaim": f"{yard.name}-lost",
    }

    def launch() -> str:
        images = ec2.describe_images(Owners=["amazon"])["Images"]
        subnets = ec2.describe_subnets(Filters=[{"Name": "tag:karpenter.sh/discovery", "Values": [CLUSTER]}])
        made = ec2.run_instances(
            ImageId=next(each["ImageId"] for each in images if each["Architecture"] == "arm64"),
            InstanceType="t4g.small",
            MinCount=1,
            MaxCount=1,
            SubnetId=subnets["Subnets"][0]["SubnetId"],
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            ],
        )
        return str(made["Instances"][0]["InstanceId"])

    lost = await asyncio.to_thread(launch)
    async with asyncio.timeout(LATER_S):
        while lost in {each["InstanceId"] for each in await asyncio.to_thread(yard.stage.instances)}:
            await yard.stays(lambda: True, for_s=2)


async def a_volume_is_let_go_before_the_machine_is(yard: Yard) -> None:
    await yard.storage_class()
    await yard.pool(template={"spec": SMALL})
    await yard.volume("data")
    mounted = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
    await yard.deployment(cpu="100m", pod=mounted)
    [pod] = await yard.until_running(1)
    old = pod["spec"]["nodeName"]

    def attached() -> list[object]:
        return [each for each in yard.stage.mirror.all(VOLUME_ATTACHMENT) if each["spec"]["nodeName"] == old]

    await yard.until(attached)
    await yard.delete(NODE_CLAIM, yard.claim()["metadata"]["name"])
    await yard.until(lambda: not attached(), within_s=LATER_S)
    await _replaced(yard, old)


async def a_node_class_in_use_is_not_let_go(yard: Yard) -> None:
    name = await yard.node_class("wanted")
    await _one_node(yard, node_class=name)
    await yard.delete(EC2_NODE_CLASS, name)
    await yard.until(
        lambda: (
            yard.stage.mirror.get(EC2_NODE_CLASS, name)
            and yard.stage.mirror.tables["EC2NodeClass"][name]["metadata"].get("deletionTimestamp")
        )
    )
    await yard.stays(lambda: yard.stage.mirror.get(EC2_NODE_CLASS, name) is not None and yard.nodes(), for_s=5)
    await yard.delete(NODE_POOL, yard.name)
    await yard.until(lambda: yard.stage.mirror.get(EC2_NODE_CLASS, name) is None, within_s=LATER_S)


async def a_static_pool_has_as_many_nodes_as_it_says(yard: Yard) -> None:
    await yard.pool(template={"spec": SMALL}, replicas=2)
    await yard.until(
        lambda: len(yard.nodes()) == 2 and all(is_true(each, "Initialized") for each in yard.claims().values())
    )
    await yard.patch(NODE_POOL, yard.name, {"spec": {"replicas": 1}})
    await yard.until(lambda: len(yard.nodes()) == 1 == len(yard.claims()), within_s=LATER_S)
    await yard.delete(NODE_CLAIM, yard.claim()["metadata"]["name"])
    await yard.until(
        lambda: len(yard.nodes()) == 1 == len(yard.claims()) and is_true(yard.claim(), "Initialized"), within_s=LATER_S
    )
