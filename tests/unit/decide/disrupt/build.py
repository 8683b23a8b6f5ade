"""Small clusters for tests of disruption: one pool, a few types, nodes and pods by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from nodesmith.decide.disrupt.candidates import Candidate, Question, candidate
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.model import labels
from nodesmith.model.instancetype import InstanceType, Offering, Overhead
from nodesmith.model.meta import Condition, ObjectMeta, OwnerReference
from nodesmith.model.money import UsdPerHour
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import CONSOLIDATABLE, INITIALIZED, LAUNCHED, REGISTERED, NodeClaim
from nodesmith.model.nodepool import Budget, ConsolidationPolicy, Disruption, NodePool
from nodesmith.model.pod import Pod, PodSpec
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.resources import parse_resources
from nodesmith.model.taints import Toleration
from nodesmith.model.workload import DaemonSet, PodDisruptionBudget
from nodesmith.state.snapshot import Snapshot, StateNode

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=2)
ZONES = ("a", "b")


def kind(name: str, cpu: int, price: float, *, spot: float | None = None, zones: Sequence[str] = ZONES) -> InstanceType:
    """A type of so many cores, four GiB each, on-demand everywhere and spot where it has a price."""
    offerings = [Offering(zone, labels.ON_DEMAND, UsdPerHour.of(price)) for zone in zones]
    if spot is not None:
        offerings += [Offering(zone, labels.SPOT, UsdPerHour.of(spot)) for zone in zones]
    capacity = parse_resources({"cpu": str(cpu), "memory": f"{4 * cpu}Gi", "pods": "110"})
    requirements = Requirements.from_labels(
        {labels.INSTANCE_TYPE: name, labels.ARCH: "amd64", labels.OS: "linux", labels.REGION: "r"}
    )
    return InstanceType(name, requirements, capacity, Overhead(), tuple(offerings))


TYPES = (
    kind("tiny", 1, 0.05, spot=0.02),
    kind("small", 2, 0.10, spot=0.04),
    kind("medium", 4, 0.20, spot=0.08),
    kind("large", 8, 0.40, spot=0.16),
    kind("huge", 16, 0.80, spot=0.32),
)


def pool(
    name: str = "default",
    *,
    capacity_types: Iterable[str] = (labels.ON_DEMAND, labels.SPOT),
    after: timedelta | None = timedelta(0),
    policy: ConsolidationPolicy = ConsolidationPolicy.WHEN_EMPTY_OR_UNDERUTILIZED,
    budgets: Iterable[Budget] = (Budget("100%"),),
    annotations: Mapping[str, str] | None = None,
    replicas: int | None = None,
    limits: Mapping[str, int] | None = None,
) -> NodePool:
    """A pool that may buy any of the types."""
    return NodePool(
        ObjectMeta(name, annotations=annotations or {}),
        Requirements.of((Requirement(labels.CAPACITY_TYPE, frozenset(capacity_types)),)),
        disruption=Disruption(after, policy, tuple(budgets)),
        replicas=replicas,
        limits=limits or {},
    )


def pod(
    name: str,
    cpu: str = "500m",
    *,
    node: str = "",
    owner: str = "ReplicaSet",
    annotations: Mapping[str, str] | None = None,
    selector: Mapping[str, str] | None = None,
    priority: int | None = None,
    phase: str = "Running",
    deleted: bool = False,
    ready: bool = True,
    tolerations: tuple[Toleration, ...] = (),
    started: datetime | None = LONG_AGO,
    labelled: Mapping[str, str] | None = None,
) -> Pod:
    """A pod of half a core and a quarter of a GiB; running where `node` says, else waiting for a node."""
    requests = parse_resources({"cpu": cpu, "memory": "256Mi", "pods": "1"})
    owners = (OwnerReference("apps/v1", owner, "owner", "owner", controller=True),) if owner else ()
    meta = ObjectMeta(
        name,
        "default",
        uid=f"uid-{name}",
        labels=labelled or {"app": name.split("-", maxsplit=1)[0]},
        annotations=annotations or {},
        owners=owners,
        created_at=LONG_AGO,
        deleted_at=NOW if deleted else None,
    )
    spec = PodSpec(
        requests=tuple(sorted(requests.items())),
        node_selector=tuple(sorted((selector or {}).items())),
        priority=priority,
        tolerations=tolerations,
    )
    return Pod(
        meta,
        spec,
        node_name=node,
        phase=phase if node else "Pending",
        is_unschedulable=not node,
        is_ready=ready and bool(node),
        started_at=started if node else None,
    )


def up(at: datetime = LONG_AGO) -> dict[str, Condition]:
    """The conditions of a claim that came up at this time."""
    return {
        each: Condition(each, "True", changed_at=at) for each in (LAUNCHED, REGISTERED, INITIALIZED, CONSOLIDATABLE)
    }


def node(
    name: str,
    type_name: str = "medium",
    *pods: Pod,
    zone: str = "a",
    capacity_type: str = labels.ON_DEMAND,
    pool_name: str = "default",
    types: Sequence[InstanceType] = TYPES,
    claim_annotations: Mapping[str, str] | None = None,
    node_annotations: Mapping[str, str] | None = None,
    conditions: Mapping[str, Condition] | None = None,
    created: datetime = LONG_AGO,
    ready: bool = True,
    initialized: bool = True,
    extra_labels: Mapping[str, str] | None = None,
    without_labels: Iterable[str] = (),
    marked: bool = False,
    nominated: datetime | None = None,
    grace: timedelta | None = None,
    managed: bool = True,
    claim_deleted: bool = False,
    pod_event: datetime | None = None,
    expire_after: timedelta | None = None,
) -> StateNode:
    """A node that came up two days ago, with these pods on it."""
    kinds = {each.name: each for each in types}
    amounts = kinds[type_name].capacity if type_name in kinds else TYPES[2].capacity
    stated = {
        labels.INSTANCE_TYPE: type_name,
        labels.ZONE: zone,
        labels.CAPACITY_TYPE: capacity_type,
        labels.NODEPOOL: pool_name,
        labels.NODECLASS: "default",
        labels.ARCH: "amd64",
        labels.OS: "linux",
        labels.REGION: "r",
        labels.REGISTERED: "true",
        **({labels.INITIALIZED: "true"} if initialized else {}),
        **(extra_labels or {}),
    }
    stated = {key: value for key, value in stated.items() if key not in set(without_labels)}
    placed = tuple(each if each.node_name == name else _moved(each, name) for each in pods)
    meta = ObjectMeta(name, labels=stated, annotations=node_annotations or {}, created_at=created)
    claim_meta = ObjectMeta(
        name,
        labels=stated,
        annotations=claim_annotations or {},
        created_at=created,
        deleted_at=NOW if claim_deleted else None,
    )
    status = {"Ready": Condition("Ready", "True" if ready else "False")}
    claim = NodeClaim(
        claim_meta,
        provider_id=f"p-{name}",
        node_name=name,
        conditions=up() if conditions is None else conditions,
        termination_grace_period=grace,
        capacity=amounts,
        allocatable=amounts,
        last_pod_event_at=pod_event,
        expire_after=expire_after,
    )
    return StateNode(
        Node(meta, f"p-{name}", capacity=amounts, allocatable=amounts, conditions=status),
        claim if managed else None,
        placed,
        is_marked=marked,
        nominated_until=nominated,
    )


def snapshot(
    nodes: Iterable[StateNode],
    pools: Iterable[NodePool] | None = None,
    *,
    pending: Iterable[Pod] = (),
    budgets: Iterable[PodDisruptionBudget] = (),
    daemonsets: Iterable[DaemonSet] = (),
    now: datetime = NOW,
) -> Snapshot:
    """The nodes with their pods, and the pods that wait."""
    ordered = tuple(sorted(nodes, key=lambda each: each.name))
    pods = [each for state in ordered for each in state.pods]
    return Snapshot(
        now,
        nodes=ordered,
        pods=tuple(sorted((*pods, *pending), key=lambda each: each.key)),
        pools=tuple(pools if pools is not None else (pool(),)),
        budgets=tuple(budgets),
        daemonsets=tuple(daemonsets),
    )


def catalog(view: Snapshot, types: Sequence[InstanceType] = TYPES) -> dict[str, Sequence[InstanceType]]:
    """The same types for every pool."""
    return {each.name: types for each in view.pools}


def scene(view: Snapshot, *, types: Sequence[InstanceType] = TYPES, policy: Policy | None = None) -> Scene:
    """What the rules look at."""
    return Scene.of(view, catalog(view, types), now=view.taken_at, policy=policy or Policy())


def as_candidate(state: StateNode, *others: StateNode, pools: Iterable[NodePool] | None = None) -> Candidate:
    """The node as a candidate, which it must be."""
    found = candidate(Question(state, scene(snapshot((state, *others), pools))))
    assert isinstance(found, Candidate)
    return found


def _moved(each: Pod, name: str) -> Pod:
    return Pod(
        each.meta,
        each.spec,
        node_name=name,
        phase="Running" if each.phase == "Pending" else each.phase,
        is_ready=each.is_ready or each.phase == "Pending",
        started_at=each.started_at or (LONG_AGO if each.phase == "Pending" else None),
    )
