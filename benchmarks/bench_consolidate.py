"""How fast nodes are taken away, in how many steps, and what is left to pay.

    python benchmarks/bench_consolidate.py [--only PART]

Two questions. One decision over all candidates of a large cluster: how long. A whole consolidation, each step applied
before the next is taken: how long, how many steps, at what price, next to another planner's on two cores. Times are
processor seconds, so that a busy machine does not count.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

HERE: Final = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.inputs import stored  # noqa: E402 - the path is set above, so that the script runs from anywhere
from nodesmith.adapters.aws.shipped import shipped_types  # noqa: E402
from nodesmith.decide.disrupt.decide import decide  # noqa: E402
from nodesmith.decide.disrupt.replay import apply, cluster_price  # noqa: E402
from nodesmith.decide.disrupt.verdict import Memory  # noqa: E402
from nodesmith.decide.schedule.problem import Catalog  # noqa: E402
from nodesmith.model import labels  # noqa: E402
from nodesmith.model.instancetype import InstanceType  # noqa: E402
from nodesmith.model.meta import Condition, ObjectMeta, OwnerReference  # noqa: E402
from nodesmith.model.node import Node  # noqa: E402
from nodesmith.model.nodeclaim import INITIALIZED, LAUNCHED, REGISTERED, NodeClaim  # noqa: E402
from nodesmith.model.nodepool import Budget, Disruption, NodePool  # noqa: E402
from nodesmith.model.pod import (  # noqa: E402
    DO_NOT_SCHEDULE,
    Pod,
    PodAffinityTerm,
    PodSpec,
    TopologySpreadConstraint,
)
from nodesmith.model.requirements import Requirement, Requirements  # noqa: E402
from nodesmith.model.selector import Expression, LabelSelector  # noqa: E402
from nodesmith.state.snapshot import Snapshot, StateNode  # noqa: E402

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
MIB: Final = 2**20
KINDS: Final = ("m5.2xlarge", "m5.4xlarge", "c5.4xlarge", "r5.2xlarge", "m6i.4xlarge", "c6i.8xlarge")
App = tuple[str, PodSpec]
"""The label of its pods, and what each of them is."""
UP: Final = {kind: Condition(kind, "True") for kind in (LAUNCHED, REGISTERED, INITIALIZED)}


@dataclass(frozen=True, slots=True)
class Peer:
    """Another planner on the same cluster: steps, seconds, price in the end; None where it was not run to the end."""

    steps: int
    seconds: float
    dollars: float


@dataclass(frozen=True, slots=True)
class Case:
    """A cluster, whether to go on to the end, and what we want to stay within."""

    name: str
    cluster: Callable[[], tuple[Snapshot, Catalog]]
    to_the_end: bool
    most_seconds: float | None = None
    peer: Peer | None = None


def cases() -> Iterator[Case]:
    """Everything that is measured."""
    yield Case("cluster-20", lambda: _stored("cluster-20"), to_the_end=True, peer=Peer(3, 1.4, 0.80))
    yield Case("cluster-100", lambda: _stored("cluster-100"), to_the_end=True, peer=Peer(10, 8.7, 3.30))
    yield Case("cluster-300", lambda: _stored("cluster-300"), True, 3.0, Peer(29, 66.5, 11.48))  # noqa: FBT003 - a table
    yield Case("cluster-1000", lambda: _stored("cluster-1000"), to_the_end=True, most_seconds=15.0)
    yield Case("one-200-4000-apart", lambda: full_cluster(200, 20, keeps_apart=True), to_the_end=False)
    yield Case("one-1000-20000", lambda: full_cluster(1000, 20), to_the_end=False, most_seconds=1.5)
    yield Case("one-1000-20000-10%", lambda: full_cluster(1000, 20, "10%"), to_the_end=False, most_seconds=1.5)
    yield Case("one-1000-20000-apart", lambda: full_cluster(1000, 20, keeps_apart=True), False, 1.5)  # noqa: FBT003 - a table
    yield Case("one-5000-100000-2%", lambda: full_cluster(5000, 20, "2%"), to_the_end=False, most_seconds=10.0)


def full_cluster(nodes: int, pods: int, budget: str = "100%", *, keeps_apart: bool = False) -> tuple[Snapshot, Catalog]:
    """So many nodes with so many pods each, of 90 shapes; a third of the nodes are spot.

    `keeps_apart`: the pods are those of half as many apps as there are nodes, of which two thirds are spread over
    zones, over hosts, over both, or are at most once on a host.
    """
    random, types = Random(1), {kind.name: kind for kind in shipped_types()}
    shapes = [
        PodSpec(requests=(("cpu", cpu), ("memory", mebibytes * MIB), ("pods", 1)))
        for cpu in (50, 100, 150, 200, 250, 350, 500, 750, 1000)
        for mebibytes in (64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
    ]
    apps = [("svc", shape) for shape in shapes]
    if keeps_apart:
        apps = [_apart(index, random.choice(shapes)) for index in range(nodes // 2)]
    states = [_node(index, types[random.choice(KINDS)], apps, pods, random) for index in range(nodes)]
    allowed = {
        labels.ARCH: ("amd64",),
        labels.OS: ("linux",),
        labels.CAPACITY_TYPE: (labels.SPOT, labels.ON_DEMAND),
        "karpenter.k8s.aws/instance-category": ("c", "m", "r"),
    }
    pool = NodePool(
        ObjectMeta("default"),
        Requirements.of(Requirement(key, frozenset(values)) for key, values in allowed.items()),
        disruption=Disruption(timedelta(seconds=30), budgets=(Budget(budget),)),
    )
    bound = tuple(pod for state in states for pod in state.pods)
    return Snapshot(NOW, nodes=tuple(states), pods=bound, pools=(pool,)), {"default": tuple(types.values())}


def _apart(index: int, shape: PodSpec) -> App:
    name = f"app-{index}"
    own = LabelSelector((Expression("app", "In", (name,)),))
    zones, hosts = (TopologySpreadConstraint(key, 1, DO_NOT_SCHEDULE, own) for key in (labels.ZONE, labels.HOSTNAME))
    alone = PodAffinityTerm(labels.HOSTNAME, own, frozenset(("default",)))
    match index % 6:
        case 0:
            return name, replace(shape, topology_spread=(zones,))
        case 1:
            return name, replace(shape, topology_spread=(hosts,))
        case 2:
            return name, replace(shape, topology_spread=(zones, hosts))
        case 3:
            return name, replace(shape, required_anti_affinity=(alone,))
        case _:
            return name, shape


def _node(index: int, kind: InstanceType, apps: list[App], pods: int, random: Random) -> StateNode:
    terms = labels.SPOT if random.random() < 0.3 else labels.ON_DEMAND  # noqa: PLR2004 - the share of spot
    offering = random.choice([each for each in kind.offerings if each.capacity_type == terms])
    name = f"node-{index:05d}"
    stated = {
        labels.INSTANCE_TYPE: kind.name,
        labels.ZONE: offering.zone,
        labels.CAPACITY_TYPE: terms,
        labels.NODEPOOL: "default",
        labels.NODECLASS: "default",
        labels.ARCH: "amd64",
        labels.OS: "linux",
        labels.REGISTERED: "true",
        labels.INITIALIZED: "true",
    }
    left, mine = dict(kind.allocatable), list[Pod]()
    for number in range(pods):
        app, spec = random.choice(apps)
        is_twice = bool(spec.required_anti_affinity) and any(pod.meta.labels["app"] == app for pod in mine)
        if is_twice or any(amount > left[resource] for resource, amount in spec.requests):
            continue
        for resource, amount in spec.requests:
            left[resource] -= amount
        owners = (OwnerReference("apps/v1", "ReplicaSet", app, app, controller=True),)
        meta = ObjectMeta(f"pod-{index}-{number}", "default", labels={"app": app}, owners=owners)
        mine.append(Pod(meta, spec, node_name=name, phase="Running", is_ready=True))
    meta = ObjectMeta(name, labels=stated, created_at=NOW - timedelta(days=1))
    node = Node(meta, f"id-{name}", capacity=kind.capacity, allocatable=kind.allocatable)
    claim = NodeClaim(meta, provider_id=f"id-{name}", node_name=name, conditions=UP)
    return StateNode(node, claim, tuple(mine))


def _stored(name: str) -> tuple[Snapshot, Catalog]:
    problem = stored(name, "aws")
    return problem.snapshot, problem.catalog


def measure(case: Case) -> str:
    """One line: how long, how far."""
    view, catalog = case.cluster()
    before, nodes, pods = cluster_price(view, catalog), len(view.nodes), len(view.pods)
    started, first, steps, memory = time.process_time(), 0.0, 0, Memory()
    while True:
        verdict = decide(view, catalog, now=view.taken_at, memory=memory)
        first = first or time.process_time() - started
        if verdict.command is None:
            break
        view, memory = apply(verdict.command, view, catalog, step=steps), verdict.memory
        steps += 1
        if not case.to_the_end:
            break
    spent = time.process_time() - started if case.to_the_end else first
    after = cluster_price(view, catalog)
    line = f"{case.name:<22}{nodes:>6}{pods:>8}{first:>8.2f}{spent:>8.2f}{steps:>6}{len(view.nodes):>7}"
    line += f"{before.dollars:>10.2f}{after.dollars:>10.2f}"
    if case.peer is not None:
        line += (
            f"{case.peer.seconds / spent:>8.1f}{case.peer.steps / steps:>8.1f}{after.dollars / case.peer.dollars:>8.2f}"
        )
    if case.most_seconds is not None and spent > case.most_seconds:
        line += f"   missed: {case.most_seconds} s"
    return line


def main() -> int:
    """Always 0: a benchmark tells, it does not judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name has this part")
    only = parser.parse_args().only
    print(
        f"{'cluster':<22}{'nodes':>6}{'pods':>8}{'first':>8}{'s':>8}{'steps':>6}{'nodes':>7}{'$/h':>10}{'$/h':>10}",
        end="",
    )
    print(f"{'peer t':>8}{'peer n':>8}{'peer $':>8}")
    for case in cases():
        if only in case.name:
            print(measure(case), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
