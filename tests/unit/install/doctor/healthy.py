"""Facts of a set-up in which all is well, and a way to change one of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from nodesmith.adapters.memory.catalog import catalog
from nodesmith.api.ec2nodeclass import EC2NodeClass, decode_ec2nodeclass
from nodesmith.api.nodepool import decode_node_pool
from nodesmith.install import policies
from nodesmith.install.chart import ROLE_ANNOTATION
from nodesmith.install.doctor.awsfacts import (
    AccessEntry,
    Caller,
    EksCluster,
    Permission,
    Profile,
    Provider,
    Queue,
    Quota,
    Rehearsal,
    Role,
    Route,
    Rule,
    SecurityGroup,
    Subnet,
)
from nodesmith.install.doctor.clusterfacts import (
    Budget,
    Controller,
    ControllerPod,
    Definition,
    Lease,
    ServiceAccount,
    ServicePort,
)
from nodesmith.install.doctor.facts import Account, Events, Facts, Identity, InCluster, Network
from nodesmith.install.doctor.naming import LEASE
from nodesmith.install.doctor.offers import offered
from nodesmith.install.doctor.own import FIELDS
from nodesmith.install.doctor.seen import Unseen
from nodesmith.install.names import Names
from nodesmith.model.meta import Condition, ObjectMeta
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod, PodSpec
from nodesmith.model.workload import DaemonSet
from nodesmith.state.snapshot import Snapshot, StateNode

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
REGION = "ap-northeast-2"
ACCOUNT = "123456789012"
NAMES = Names("demo", ACCOUNT, REGION, "https://oidc.eks.ap-northeast-2.amazonaws.com/id/AAAA")
TYPES = catalog()
ENDPOINT = "https://aaaa.gr7.ap-northeast-2.eks.amazonaws.com"
OTHER_ISSUER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/BBBB"
TAG = {"karpenter.sh/discovery": "demo"}
QUEUE = Queue(NAMES.queue, NAMES.queue_arn, timedelta(seconds=300), policies.queue_policy(NAMES))
EKS = EksCluster(
    "ACTIVE",
    "1.35",
    ENDPOINT,
    NAMES.issuer,
    "API_AND_CONFIG_MAP",
    "vpc-1",
    ("subnet-a", "subnet-b", "subnet-c"),
    "sg-cluster",
)
CONTROLLER_ROLE = Role(
    NAMES.controller_role,
    NAMES.role_arn(NAMES.controller_role),
    policies.controller_trust(NAMES),
    documents=policies.controller_policies(NAMES),
)
NODE_ROLE = Role(
    NAMES.node_role,
    NAMES.role_arn(NAMES.node_role),
    policies.node_trust(NAMES),
    tuple(f"arn:aws:iam::aws:policy/{name}" for name in policies.NODE_POLICIES),
)
CONTROLLER = Controller(
    namespace="kube-system",
    name="karpenter",
    image="registry.local/nodesmith:0.1.0",
    is_nodesmith=True,
    replicas=2,
    ready=2,
    service_account="karpenter",
    environment={"CLUSTER_NAME": "demo", "INTERRUPTION_QUEUE": NAMES.queue, "METRICS_PORT": "8080"},
    ports={"http-metrics": 8080, "http": 8081},
    selector={"app.kubernetes.io/name": "karpenter"},
    pods=(ControllerPod("karpenter-0", "system-1"), ControllerPod("karpenter-1", "system-2")),
)
SUBNETS = tuple(
    Subnet(
        f"subnet-{letter}",
        "vpc-1",
        f"{REGION}{letter}",
        f"10.0.{number}.0/24",
        1000,
        {**TAG, "kubernetes.io/role/internal-elb": "1"},
        routes=(Route("10.0.0.0/16", "local"), Route("0.0.0.0/0", "nat-1")),
    )
    for number, letter in enumerate("abc")
)
ANYWHERE = Permission("-1", 0, 65535, ("0.0.0.0/0",))
GROUP = SecurityGroup(
    "sg-cluster",
    "eks-cluster-sg-demo",
    "vpc-1",
    {**TAG, "kubernetes.io/cluster/demo": "owned"},
    (Permission("-1", 0, 65535, ("sg-cluster",)),),
    (ANYWHERE,),
)
RULES = tuple(
    Rule(
        f"Karpenter-demo-{part}",
        {"source": [source], "detail-type": [kind]},
        is_enabled=True,
        targets=(NAMES.queue_arn,),
    )
    for part, (source, kind) in policies.RULES.items()
)
LEASE_HELD = Lease("kube-system", LEASE, "karpenter-0_6f0c", NOW - timedelta(seconds=2), timedelta(seconds=15))


def node_class(*, status: dict[str, Any] | None = None, **spec: Any) -> EC2NodeClass:
    """The default EC2NodeClass, ready."""
    stated = {
        "role": NAMES.node_role,
        "amiSelectorTerms": [{"alias": "al2023@latest"}],
        "subnetSelectorTerms": [{"tags": TAG}],
        "securityGroupSelectorTerms": [{"tags": TAG}],
        **spec,
    }
    seen = {
        "subnets": [{"id": each.id, "zone": each.zone} for each in SUBNETS],
        "securityGroups": [{"id": GROUP.id}],
        "amis": [{"id": "ami-1", "name": "al2023", "requirements": []}],
        "instanceProfile": "demo_1",
        "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 1}],
    }
    metadata = {"name": "default", "generation": 1}
    return decode_ec2nodeclass({"metadata": metadata, "spec": stated, "status": seen | (status or {})})


def pool(name: str = "default", *requirements: tuple[str, str, list[str]], **spec: Any) -> NodePool:
    """A NodePool that buys spot and on-demand."""
    rows = [{"key": key, "operator": operator, "values": values} for key, operator, values in requirements]
    rows.append({"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot", "on-demand"]})
    reference = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": spec.pop("node_class", "default")}
    taints = spec.pop("taints", [])
    template = {"spec": {"nodeClassRef": reference, "requirements": rows, "taints": taints}}
    stated = {"template": template, "limits": {"cpu": "100"}, "disruption": {"consolidateAfter": "1m"}, **spec}
    return decode_node_pool({"metadata": {"name": name, "uid": name}, "spec": stated})


def pod(name: str = "web", *, minutes: int = 1, **requests: int) -> Pod:
    """A pod that waits for a node since some minutes."""
    asked = tuple(sorted({"cpu": 500, "memory": 2**29, "pods": 1, **requests}.items()))
    meta = ObjectMeta(name, "default", uid=name, created_at=NOW - timedelta(minutes=minutes))
    return Pod(meta, PodSpec(requests=asked), is_unschedulable=True)


def node(
    name: str = "node-1",
    *,
    ready: str = "True",
    minutes: int = 60,
    leaving: int | None = None,
    cpu: int = 4000,
    pods: tuple[Pod, ...] = (),
) -> StateNode:
    """A node of the default NodePool; `leaving` says for how many minutes."""
    labels = {"karpenter.sh/nodepool": "default", "karpenter.sh/registered": "true", "karpenter.sh/initialized": "true"}
    since = NOW - timedelta(minutes=minutes)
    deleted = None if leaving is None else NOW - timedelta(minutes=leaving)
    meta = ObjectMeta(name, labels=labels, created_at=since, deleted_at=deleted)
    amounts = {"cpu": cpu, "memory": 16 * 2**30, "pods": 58}
    told = {"Ready": Condition("Ready", ready, message="kubelet stopped posting", changed_at=since)}
    own = Node(meta, f"aws:///a/i-{name}", capacity=amounts, allocatable=amounts, conditions=told)
    conditions = {kind: Condition(kind, "True", changed_at=since) for kind in ("Launched", "Registered", "Initialized")}
    claim = NodeClaim(
        ObjectMeta(f"claim-{name}", labels=labels, created_at=since, deleted_at=deleted),
        provider_id=own.provider_id,
        node_name=name,
        conditions=conditions,
        capacity=amounts,
        allocatable=amounts,
    )
    return StateNode(own, claim, pods)


def claim(*, minutes: int, launched: str) -> StateNode:
    """A NodeClaim without a node since some minutes."""
    since = NOW - timedelta(minutes=minutes)
    told = Condition("Launched", launched, "LaunchFailed", "EC2 said no", changed_at=since)
    meta = ObjectMeta("claim-new", labels={"karpenter.sh/nodepool": "default"}, created_at=since)
    identity = "aws:///a/i-new" if launched == "True" else ""
    return StateNode(None, NodeClaim(meta, conditions={"Launched": told}, provider_id=identity))


def daemons(name: str = "agent", cpu: int = 50) -> DaemonSet:
    """A DaemonSet whose pods ask for so many milli-CPU."""
    meta = ObjectMeta(name, "kube-system", uid=name)
    return DaemonSet(meta, PodSpec(requests=(("cpu", cpu), ("pods", 1))), meta)


def healthy() -> Facts:
    """All is well."""
    found = ("subnet-a", "subnet-b", "subnet-c")
    facts = Facts(
        cluster_name="demo",
        region=REGION,
        version="0.1.0",
        now=NOW,
        account=Account(
            Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/me", timedelta(seconds=1)),
            EKS,
            ("demo", "other"),
            has_spot_role=True,
            quotas=(Quota("Running On-Demand Standard", 1000, 16), Quota("All Standard Spot", 1000, 0)),
        ),
        identity=Identity(
            provider=Provider(NAMES.issuer_arn, ("sts.amazonaws.com",)),
            providers=(NAMES.issuer_arn,),
            pod_identities=(),
            controller_role=CONTROLLER_ROLE,
            node_roles={NAMES.node_role: NODE_ROLE},
            profiles={"demo_1": Profile("demo_1", (NAMES.node_role,))},
            access_entries=(AccessEntry(NODE_ROLE.arn, "EC2_LINUX", ("system:nodes",)),),
            assumed=f"arn:aws:sts::{ACCOUNT}:assumed-role/{NAMES.controller_role}/nodesmith-doctor",
            rehearsals=tuple(
                Rehearsal(action, "DryRunOperation", "Request would have succeeded")
                for action in ("CreateLaunchTemplate", "RunInstances", "CreateFleet")
            ),
        ),
        network=Network(
            subnets=SUBNETS,
            groups=(GROUP,),
            endpoints=(),
            found_subnets={"default": found},
            found_groups={"default": ("sg-cluster",)},
            found_images={"default": ("ami-1",)},
        ),
        events=Events(QUEUE, (NAMES.queue,), RULES),
        cluster=InCluster(
            server=ENDPOINT.upper().replace("HTTPS", "https"),
            reached=True,
            controllers=(CONTROLLER,),
            settings_faults=(),
            service_account=ServiceAccount("kube-system", "karpenter", {ROLE_ANNOTATION: CONTROLLER_ROLE.arn}),
            has_pod_identity_agent=False,
            service_ports=(ServicePort("karpenter", "http-metrics", "http-metrics"),),
            leases=(LEASE_HELD,),
            aws_auth=None,
            definitions=tuple(Definition(name, ("v1",), "v1", fields) for name, fields in FIELDS.items()),
            node_classes=(node_class(),),
            snapshot=Snapshot(NOW, nodes=(node(),), pods=(pod(),), pools=(pool(),), daemonsets=(daemons(),)),
            budgets=(Budget("default/web", 1, 3, 3, 2),),
        ),
    )
    return with_offers(facts)


def with_offers(facts: Facts) -> Facts:
    """The facts with what the NodePools can buy."""
    snapshot = facts.cluster.snapshot
    assert not isinstance(snapshot, Unseen)
    catalogs = {each.name: TYPES for each in snapshot.pools}
    offers = {each.name: offered(snapshot, each, TYPES) for each in snapshot.pools}
    return replace(facts, catalog=catalogs, offers=offers)


def changed(facts: Facts, path: str, value: Any) -> Facts:
    """The facts with one of them changed; the path is `part.field`."""
    part, _, name = path.partition(".")
    if not name:
        return replace(facts, **{part: value})
    return replace(facts, **{part: replace(getattr(facts, part), **{name: value})})
