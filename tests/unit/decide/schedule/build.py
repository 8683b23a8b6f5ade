"""Small problems and plans for tests of scheduling: pods, pools, types and nodes by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nodesmith.decide.schedule.problem import Options, Problem
from nodesmith.model import labels
from nodesmith.model.instancetype import InstanceType, Offering, Overhead
from nodesmith.model.meta import ObjectMeta, OwnerReference
from nodesmith.model.money import UsdPerHour
from nodesmith.model.node import Node
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod, PodAffinityTerm, PodSpec, TopologySpreadConstraint
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.resources import Resources, parse_resources, total
from nodesmith.model.selector import Expression, LabelSelector
from nodesmith.model.workload import DaemonSet
from nodesmith.plan.schedule import OnClaim, OnNode, Placement, PlannedClaim, Purchase, SchedulePlan
from nodesmith.state.snapshot import Snapshot, StateNode, Storage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ZONES = ("a", "b", "c")
MIB = 2**20


def offerings(price: float, zones: Sequence[str] = ZONES, *, spot: bool = True) -> tuple[Offering, ...]:
    """On-demand at the price in every zone, and spot at 40 % of it."""
    found = [Offering(zone, labels.ON_DEMAND, UsdPerHour.of(price)) for zone in zones]
    if spot:
        found += [Offering(zone, labels.SPOT, UsdPerHour.of(price * 0.4)) for zone in zones]
    return tuple(found)


def kind(
    name: str, cpu: int, price: float, *, zones: Sequence[str] = ZONES, spot: bool = True, **stated: str | None
) -> InstanceType:
    """A type of so many cores with four GiB each; `stated` are more labels, `arch`, `os` or whole keys, None: absent."""
    known = {"arch": labels.ARCH, "os": labels.OS, "family": labels.INSTANCE_FAMILY, "gpu": "example.com/gpu"}
    values = {labels.ARCH: "amd64", labels.OS: "linux", **{known[key]: value for key, value in stated.items()}}
    found = offerings(price, zones, spot=spot)
    requirements = [Requirement(key, frozenset(() if value is None else (value,))) for key, value in values.items()]
    requirements += [
        Requirement(labels.INSTANCE_TYPE, frozenset((name,))),
        Requirement(labels.ZONE, frozenset(zones)),
        Requirement(labels.CAPACITY_TYPE, frozenset(each.capacity_type for each in found)),
    ]
    capacity = parse_resources({"cpu": str(cpu), "memory": f"{4 * cpu}Gi", "pods": "20"})
    overhead = Overhead(kube_reserved=parse_resources({"cpu": "100m", "memory": "256Mi"}))
    return InstanceType(name, Requirements.of(requirements), capacity, overhead, found)


TYPES = (
    kind("small", 2, 0.10),
    kind("medium", 4, 0.20),
    kind("large", 8, 0.40),
    kind("arm-small", 2, 0.08, arch="arm64"),
    kind("arm-large", 8, 0.32, arch="arm64"),
)


def requirements(*wanted: tuple[str, str, Sequence[str]]) -> Requirements:
    """Requirements of keys, operators and values."""
    return Requirements.of(Requirement.of(key, operator, values) for key, operator, values in wanted)


def pool(name: str = "default", *wanted: tuple[str, str, Sequence[str]], **fields: Any) -> NodePool:
    """A NodePool with these requirements."""
    return NodePool(ObjectMeta(name), requirements=requirements(*wanted), **fields)


def spec(cpu: int = 500, memory: int = 512, **fields: Any) -> PodSpec:
    """What a pod asks: thousandths of a core, MiB, and whatever else."""
    requests = {"cpu": cpu, "memory": memory * MIB, "pods": 1, **fields.pop("more", {})}
    return PodSpec(requests=tuple(sorted(requests.items())), **fields)


def pod(name: str, shape: PodSpec | None = None, **fields: Any) -> Pod:
    """A pod that waits for a node; `app` is its label, `node` where it runs already."""
    node, app = fields.pop("node", ""), fields.pop("app", name.rsplit("-", 1)[0])
    meta = ObjectMeta(name, fields.pop("namespace", "default"), uid=name, labels={"app": app}, **fields.pop("meta", {}))
    return Pod(
        meta,
        shape or spec(**fields),
        node_name=node,
        phase="Running" if node else "Pending",
        is_unschedulable=not node,
    )


def pods(name: str, count: int, shape: PodSpec | None = None, **fields: Any) -> tuple[Pod, ...]:
    """So many pods of one shape."""
    shape = shape or spec(**{key: fields.pop(key) for key in [*fields] if key not in {"app", "namespace", "node"}})
    return tuple(pod(f"{name}-{number}", shape, **fields) for number in range(count))


def selecting(app: str) -> LabelSelector:
    """The pods of the app."""
    return LabelSelector((Expression("app", "In", (app,)),))


def spread(app: str, key: str = labels.ZONE, skew: int = 1, **fields: Any) -> TopologySpreadConstraint:
    """Even over the domains of the key, or not at all."""
    return TopologySpreadConstraint(key, skew, "DoNotSchedule", selecting(app), **fields)


def near(app: str, key: str = labels.HOSTNAME, namespaces: Iterable[str] = ("default",)) -> PodAffinityTerm:
    """Company of the app's pods, sought or shunned."""
    return PodAffinityTerm(key, selecting(app), frozenset(namespaces))


def node(
    name: str, kind_name: str = "medium", zone: str = "a", running: Sequence[Pod] = (), **fields: Any
) -> StateNode:
    """A node that is there, of a type of `TYPES`."""
    machine = next(each for each in TYPES if each.name == kind_name)
    own = {
        labels.HOSTNAME: name,
        labels.INSTANCE_TYPE: kind_name,
        labels.ZONE: zone,
        labels.CAPACITY_TYPE: labels.ON_DEMAND,
        labels.ARCH: next(iter(machine.requirements.get(labels.ARCH).values)),
        labels.OS: "linux",
        **fields.pop("labels", {}),
    }
    taken = {key: fields.pop(key) for key in ("is_marked",) if key in fields}
    found = Node(ObjectMeta(name, labels=own), capacity=machine.capacity, allocatable=machine.allocatable, **fields)
    return StateNode(found, None, tuple(running), **taken)


def daemon(name: str, shape: PodSpec) -> DaemonSet:
    """A DaemonSet in kube-system."""
    return DaemonSet(ObjectMeta(name, "kube-system"), shape, ObjectMeta(name, "kube-system"))


def owned_by(name: str) -> dict[str, Any]:
    """The metadata of a pod that the DaemonSet made."""
    return {"owners": (OwnerReference("apps/v1", "DaemonSet", name, controller=True),)}


def problem(
    waiting: Iterable[Pod],
    *,
    pools: Sequence[NodePool] | None = None,
    types: Sequence[InstanceType] = TYPES,
    nodes: Sequence[StateNode] = (),
    daemons: Sequence[DaemonSet] = (),
    storage: Storage | None = None,
    **fields: Any,
) -> Problem:
    """Place the pods, given these pools, types and nodes."""
    waiting = tuple(sorted(waiting, key=lambda each: each.key))
    known = tuple(pools) if pools is not None else (pool(),)
    snapshot = Snapshot(
        NOW,
        nodes=tuple(sorted(nodes, key=lambda each: each.name)),
        pods=(*waiting, *(each for node_ in nodes for each in node_.pods)),
        pools=known,
        daemonsets=tuple(daemons),
        storage=storage or Storage(),
    )
    options = fields.pop("options", Options())
    return Problem(snapshot, {each.name: tuple(types) for each in known}, waiting, options=options, **fields)


def claim(
    kinds: Sequence[str],
    members: Sequence[Pod],
    *wanted: tuple[str, str, Sequence[str]],
    types: Sequence[InstanceType] = TYPES,
    pool_name: str = "default",
) -> PlannedClaim:
    """A claim of these types for the pods; asked are a zone, and so on. It is priced as it ought to be."""
    asked = requirements(*wanted)
    found = [
        (each.price.picos, machine.name, each)
        for machine in types
        if machine.name in kinds
        for each in machine.offerings
        if each.is_available and each.price is not None and _allows(asked, each)
    ]
    _, name, offering = min(found, key=lambda each: each[:2])
    return PlannedClaim(
        pool_name,
        asked,
        tuple(kinds),
        requests_of(members),
        tuple(sorted(each.key for each in members)),
        Purchase(name, offering.zone, offering.capacity_type, offering.price),
    )


def requests_of(members: Iterable[Pod]) -> Resources:
    """What the pods ask together."""
    return total(each.requests for each in members)


def plan(claims: Sequence[tuple[PlannedClaim, Sequence[Pod]]] = (), **on_nodes: Sequence[Pod]) -> SchedulePlan:
    """The claims with their pods, and pods on nodes by the node's name."""
    placements: dict[str, Placement] = {}
    for index, (_, members) in enumerate(claims):
        placements.update((each.key, OnClaim(index)) for each in members)
    for name, members in on_nodes.items():
        placements.update((each.key, OnNode(name)) for each in members)
    return SchedulePlan(placements, tuple(each for each, _ in claims))


def buying(kinds: Sequence[str], members: Sequence[Pod], *wanted: tuple[str, str, Sequence[str]], **fields: Any) -> Any:
    """A claim with its pods, as `plan` takes them."""
    return claim(kinds, members, *wanted, **fields), tuple(members)


def _allows(asked: Requirements, offering: Offering) -> bool:
    settled: Mapping[str, str] = {labels.ZONE: offering.zone, labels.CAPACITY_TYPE: offering.capacity_type}
    return all(asked.get(key).allows(value) for key, value in settled.items())
