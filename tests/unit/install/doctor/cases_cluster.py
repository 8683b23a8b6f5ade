"""What breaks each check of the cluster's side: the facts with one thing wrong, and words of what has to be said of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from nodesmith.install.doctor.awsfacts import Quota
from nodesmith.install.doctor.clusterfacts import Budget, Controller, ControllerPod, Definition, ServicePort
from nodesmith.install.doctor.facts import Facts
from nodesmith.install.doctor.own import FIELDS
from nodesmith.install.doctor.seen import Unseen
from nodesmith.model.meta import Condition
from nodesmith.model.pod import PodSpec
from nodesmith.state.snapshot import Snapshot
from tests.unit.install.doctor.cases_aws import WELL, Case
from tests.unit.install.doctor.healthy import (
    CONTROLLER,
    LEASE_HELD,
    changed,
    claim,
    daemons,
    node,
    node_class,
    pod,
    pool,
    with_offers,
)

NODEPOOLS = "nodepools.karpenter.sh"
FAMILY = "karpenter.k8s.aws/instance-family"
ZONE = "topology.kubernetes.io/zone"


def snapshot(**fields: Any) -> Facts:
    known = WELL.cluster.snapshot
    assert isinstance(known, Snapshot)
    return with_offers(changed(WELL, "cluster.snapshot", replace(known, **fields)))


def pools(*found: Any) -> Facts:
    return snapshot(pools=found)


def controller(**fields: Any) -> Facts:
    return changed(WELL, "cluster.controllers", (replace(CONTROLLER, **fields),))


def told(**environment: str) -> Facts:
    return controller(environment={**CONTROLLER.environment, **environment})


def classes(*found: Any) -> Facts:
    return changed(WELL, "cluster.node_classes", found)


def definitions(*left_out: str, **fields: Any) -> Facts:
    found = [
        Definition(name, **{"served": ("v1",), "stored": "v1", "fields": known, **fields})
        for name, known in FIELDS.items()
        if name not in left_out
    ]
    return changed(WELL, "cluster.definitions", tuple(found))


def condition(kind: str, status: str, message: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": kind, "message": message}


KARPENTER = Controller(
    "karpenter",
    "karpenter",
    "public.local/karpenter/controller:1.9.0",
    is_nodesmith=False,
    replicas=2,
    ready=2,
    service_account="karpenter",
)
UNREADY = [condition("Ready", "False", ""), condition("SubnetsReady", "False", "SubnetSelector did not match")]
SMALL = pool("default", ("karpenter.k8s.aws/instance-size", "In", ["large"]))
INVALID = replace(pool(), conditions={"ValidationSucceeded": Condition("ValidationSucceeded", "False", "X", "bad key")})
FAILING: dict[str, tuple[Case, ...]] = {
    "ND501": ((definitions(NODEPOOLS), NODEPOOLS),),
    "ND502": ((definitions(served=("v1beta1",)), "v1beta1"),),
    "ND511": ((changed(WELL, "cluster.controllers", ()), "no Deployment"),),
    "ND512": (
        (controller(ready=0, pods=(ControllerPod("karpenter-0", waits_for="ImagePullBackOff"),)), "ImagePullBackOff"),
        (controller(replicas=0, ready=0), "scaled to none"),
    ),
    "ND515": ((controller(pods=(ControllerPod("karpenter-0", "node-1", "default"),)), "NodePool default"),),
    "ND521": ((changed(WELL, "cluster.controllers", (CONTROLLER, KARPENTER)), "karpenter/karpenter"),),
    "ND522": (
        (changed(WELL, "cluster.leases", (LEASE_HELD, replace(LEASE_HELD, namespace="karpenter"))), "karpenter"),
    ),
    "ND523": (
        (changed(WELL, "cluster.leases", (replace(LEASE_HELD, holder=""),)), "nobody holds"),
        (changed(WELL, "cluster.leases", (replace(LEASE_HELD, duration=timedelta(seconds=1)),)), "nobody holds"),
    ),
    "ND531": ((told(CLUSTER_NAME="dem"), "dem"), (told(CLUSTER_NAME=""), "empty")),
    "ND532": ((told(CLUSTER_ENDPOINT="https://bbbb.eks"), "bbbb"),),
    "ND533": ((changed(WELL, "cluster.settings_faults", ("BATCH_IDLE_DURATION: bad",)), "BATCH_IDLE_DURATION"),),
    "ND534": ((told(AWS_REGION="us-east-1"), "us-east-1"),),
    "ND535": (
        (told(METRICS_PORT="9090"), "9090"),
        (changed(WELL, "cluster.service_ports", (ServicePort("karpenter", "metrics", "metrics"),)), "port metrics"),
    ),
    "ND601": ((classes(), "no EC2NodeClass"),),
    "ND602": (
        (classes(node_class(status={"conditions": UNREADY})), "SubnetSelector did not match"),
        (classes(node_class(status={"conditions": []})), "has no status"),
    ),
    "ND603": ((classes(replace(node_class(), meta=replace(node_class().meta, generation=3))), "generation 3"),),
    "ND604": ((changed(WELL, "network.found_images", {"default": ()}), "al2023@latest"),),
    "ND607": ((classes(node_class(tags={"karpenter.sh/nodepool": "x"})), "karpenter.sh/nodepool"),),
    "ND608": ((changed(WELL, "account.has_spot_role", value=False), "AWSServiceRoleForEC2Spot"),),
    "ND609": ((changed(WELL, "account.quotas", (Quota("Standard", 16, 16),)), "16 of 16"),),
    "ND611": ((pools(), "no NodePool"),),
    "ND612": ((pools(pool(node_class="defalt")), "did you mean `default`?"),),
    "ND613": ((pools(INVALID), "bad key"),),
    "ND614": (
        (pools(pool("default", (FAMILY, "In", ["t4"]))), FAMILY),
        (
            pools(pool("default", ("kubernetes.io/arch", "In", ["amd64"]), (FAMILY, "In", ["t4g"]))),
            "without it 18 would be left",
        ),
        (pools(pool("default", (ZONE, "In", ["ap-northeast-2d"]))), ZONE),
    ),
    "ND615": (
        (snapshot(daemonsets=(daemons("a", 1200), daemons("b", 1200)), pools=(SMALL,)), "none of which takes a pod"),
    ),
    "ND616": ((pools(pool(limits={"cpu": "4"})), "4 of 4 cpu"),),
    "ND618": ((pools(pool("default", (ZONE, "In", ["ap-northeast-2d"]))), "ap-northeast-2d"),),
    "ND701": (
        (snapshot(pods=(pod("huge", minutes=30, cpu=512_000),)), "default/huge waits for 30 min"),
        (snapshot(pods=(pod("web", minutes=30),)), "although node node-1 has room"),
        (snapshot(pods=(pod("web", minutes=30),), nodes=()), "the controller has not made it"),
        (snapshot(pods=tuple(pod(f"huge-{n}", minutes=9, cpu=512_000) for n in range(7))), "and 2 more pods"),
    ),
    "ND702": ((snapshot(nodes=(claim(minutes=30, launched="Unknown"),)), "EC2 said no"),),
    "ND703": ((snapshot(nodes=(claim(minutes=30, launched="True"),)), "i-new"),),
    "ND704": ((snapshot(nodes=(node(ready="Unknown"),)), "kubelet stopped posting"),),
}
WARNING: dict[str, tuple[Case, ...]] = {
    "ND503": ((definitions(fields=frozenset()), "does not know"),),
    "ND512": ((controller(ready=1), "1 of 2"),),
    "ND513": ((controller(pods=(ControllerPod("karpenter-0", restarts=4, last_end="OOMKilled"),)), "OOMKilled"),),
    "ND514": ((controller(image="registry.local/nodesmith:v0.0.9"), "0.0.9"),),
    "ND516": ((controller(keeps_off_own_nodes=False), "lets it onto"),),
    "ND523": ((changed(WELL, "cluster.leases", (replace(LEASE_HELD, holder="laptop_1"),)), "laptop_1"),),
    "ND401": ((told(INTERRUPTION_QUEUE=""), "is empty"),),
    "ND605": (
        (classes(node_class(status={"amis": [{"id": "ami-1", "deprecated": True, "requirements": []}]})), "ami-1"),
    ),
    "ND606": (
        (classes(node_class(metadataOptions={"httpTokens": "optional"})), "httpTokens"),
        (classes(node_class(metadataOptions={"httpPutResponseHopLimit": 2})), "is 2"),
        (classes(node_class(metadataOptions={"httpEndpoint": "disabled"})), "httpEndpoint"),
    ),
    "ND609": ((changed(WELL, "account.quotas", (Quota("Standard", 64, 4),)), "come to 100"),),
    "ND616": ((pools(pool(limits={"cpu": "4200m"})), "4 of 4200m cpu"),),
    "ND617": ((pools(pool(limits={})), "no limits"),),
    "ND619": ((pools(pool("a"), pool("b")), "a and b"),),
    "ND620": ((pools(pool("default", (FAMILY, "In", ["t4g"]), (ZONE, "In", ["ap-northeast-2a"]))), "3 spot pools"),),
    "ND621": ((pools(pool(disruption={"consolidateAfter": "1m", "budgets": [{"nodes": "0"}]})), "budget of 0"),),
    "ND622": ((pools(pool(disruption={"consolidateAfter": "Never"})), "Never"),),
    "ND623": ((changed(WELL, "price_caveat", "on-demand prices are those that shipped"), "that shipped"),),
    "ND705": ((snapshot(nodes=(node(leaving=90, pods=(pod("db"),)),)), "held by default/db"),),
    "ND706": ((changed(WELL, "cluster.budgets", (Budget("default/db", 0, 3, 3, 3),)), "default/db"),),
    "ND707": ((snapshot(daemonsets=(daemons("agent", 64_000),)), "DaemonSet kube-system/agent"),),
    "ND708": ((snapshot(pods=(replace(pod("bare"), spec=PodSpec(requests=(("pods", 1),))),)), "namespace default"),),
}
PASSING: dict[str, Facts] = {
    "ND619": pools(pool("a", weight=10), pool("b")),
    "ND701": snapshot(pods=()),
}
"""Facts that pass in another way than `healthy`."""

__all__ = ["FAILING", "PASSING", "WARNING", "Unseen"]
