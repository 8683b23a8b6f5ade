"""What is measured: the same inputs every time.

Two kinds: manifests in `data/`, for which another scheduler's time and price are known, and mixes of plain pods that
are made here, for the gap to the lower bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from random import Random
from typing import Final

from nodesmith.adapters.aws.shipped import shipped_types
from nodesmith.api.catalog import load_catalog
from nodesmith.api.manifests import load
from nodesmith.decide.schedule.problem import Problem, pods_to_place
from nodesmith.model import labels
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.node import Node
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod, PodSpec
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.state.snapshot import Snapshot, StateNode

DATA: Final = Path(__file__).parent / "data"
SYNTHETIC_TYPES: Final = DATA / "synthetic.json.gz"
AWS_TYPES: Final = Path(str(resources.files("nodesmith.adapters.aws").joinpath("data/catalog.json.gz")))
NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
MIB: Final = 2**20

Shape = tuple[int, int]
"""Thousandths of a core and MiB."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another scheduler on the same input and two cores: its whole decision, and what it pays."""

    seconds: float
    dollars: float


@dataclass(frozen=True, slots=True)
class Case:
    """One input, what another scheduler makes of it, and what we want to stay within.

    `files` are its manifests and catalogue, where it is stored.
    """

    name: str
    problem: Callable[[], Problem]
    peer: Peer | None = None
    files: tuple[Path, Path] | None = None
    most_seconds: float | None = None
    most_dollars: float | None = None
    most_gap: float | None = None


def cases() -> Iterator[Case]:
    """Everything that is measured, small inputs first."""
    yield _stored("microservices-200", "aws", Peer(7.0, 11.06), most_seconds=0.3, most_dollars=4.2)
    yield _stored("microservices-600", "aws", Peer(19.5, 34.98), most_seconds=0.3, most_dollars=14.0)
    yield _stored("diverse-1000", "aws", Peer(11.1, 8.39))
    yield _stored("preferences-4000", "synthetic", Peer(66.3, 2517.99), most_seconds=0.5)
    yield _stored("diverse-5000", "synthetic", Peer(9.3, 1766.68), most_seconds=0.4)
    yield _stored("diverse-5000", "aws", Peer(60.1, 42.21), most_seconds=0.6, most_dollars=30.0)
    yield _stored("diverse-10000", "synthetic", Peer(20.9, 3581.84), most_seconds=0.8)
    yield _stored("diverse-10000", "aws", Peer(201.3, 88.41), most_seconds=1.2)
    yield Case("existing-50000", existing, most_seconds=3.0)
    for name in MIXES:
        for most_cores in (192, 16):
            for arm in (False, True):
                yield _mixed(name, most_cores, arm=arm)


def _stored(name: str, catalog: str, peer: Peer, **wanted: float) -> Case:
    files = DATA / f"{name}.yaml.gz", AWS_TYPES if catalog == "aws" else SYNTHETIC_TYPES
    return Case(f"{name}-{catalog}", lambda: stored(name, catalog), peer, files, **wanted)


def _mixed(name: str, most_cores: int, *, arm: bool) -> Case:
    title = f"mix-{name}-{most_cores}" + ("-arm" if arm else "")
    return Case(title, lambda: mix(name, most_cores, arm=arm), most_gap=0.04)


def stored(name: str, catalog: str) -> Problem:
    """The manifests of `data/`, with a catalogue."""
    loaded = load([DATA / f"{name}.yaml.gz"])
    types = shipped_types() if catalog == "aws" else synthetic_types()
    snapshot = loaded.snapshot
    return Problem(snapshot, {pool.name: types for pool in snapshot.pools}, pods_to_place(snapshot))


@cache
def synthetic_types() -> tuple[InstanceType, ...]:
    """400 types whose price follows their size."""
    return load_catalog(SYNTHETIC_TYPES)


# --- mixes of plain pods ---


def _uniform(random: Random) -> Shape:
    return random.choice((100, 250, 500, 1000, 1500)), random.choice((100, 256, 512, 1024, 2048, 4096))


def _log_normal(random: Random) -> Shape:
    cpu, memory = random.lognormvariate(math.log(250), 1.0), random.lognormvariate(math.log(512), 1.0)
    return min(8000, 10 * max(1, round(cpu / 10))), min(32768, 16 * max(1, round(memory / 16)))


def _bimodal(random: Random) -> Shape:
    if random.random() < 0.5:  # noqa: PLR2004 - half and half
        cores = random.choice((1, 2, 3, 4))
        return 1000 * cores, 512 * cores
    gib = random.choice((4, 8, 12, 16))
    return 125 * gib, 1024 * gib


_WEB: Final[Sequence[Shape]] = (
    (50, 128), (100, 128), (100, 256), (200, 256), (250, 512), (250, 1024), (500, 512), (500, 1024), (1000, 2048),
    (2000, 4096),
)  # fmt: skip


def _web(random: Random) -> Shape:
    return random.choices(_WEB, weights=(20, 18, 15, 12, 10, 8, 7, 5, 3, 2))[0]


def _batch(random: Random) -> Shape:
    cores = random.choice((3, 4, 6, 8, 12))
    return 1000 * cores, 1024 * cores * random.choice((1, 2))


MIXES: Final[dict[str, Callable[[Random], Shape]]] = {
    "uniform": _uniform,
    "log-normal": _log_normal,
    "bimodal": _bimodal,
    "web": _web,
    "batch": _batch,
}
PODS_OF_A_MIX: Final = 3000


def mix(name: str, most_cores: int, *, arm: bool) -> Problem:
    """3,000 plain pods of a mix, for types up to a size; with arm64 or without."""
    random = Random(1)
    specs: dict[Shape, PodSpec] = {}
    pods = []
    for number in range(PODS_OF_A_MIX):
        shape = MIXES[name](random)
        pods.append(_pod(f"{name}-{number:05}", specs.setdefault(shape, _spec(*shape))))
    arches = frozenset(("amd64", "arm64") if arm else ("amd64",))
    wanted = [Requirement(labels.ARCH, arches), Requirement.of(labels.INSTANCE_CPU, "Lte", [str(most_cores)])]
    pool = NodePool(ObjectMeta("default"), requirements=Requirements.of(wanted))
    snapshot = Snapshot(NOW, pods=tuple(pods), pools=(pool,))
    return Problem(snapshot, {"default": shipped_types()}, tuple(pods))


def existing(pods: int = 50_000, deployments: int = 2_000, nodes: int = 3_000) -> Problem:
    """Many pods of many deployments onto nodes that are there already."""
    random = Random(1)
    kind = next(each for each in shipped_types() if each.name == "m5.4xlarge")
    there = []
    for number in range(nodes):
        own = {
            labels.INSTANCE_TYPE: kind.name,
            labels.ZONE: f"us-west-2{'abc'[number % 3]}",
            labels.ARCH: "amd64",
            labels.OS: "linux",
            labels.CAPACITY_TYPE: labels.ON_DEMAND,
            labels.NODEPOOL: "default",
        }
        meta = ObjectMeta(f"node-{number:05}", labels=own)
        there.append(StateNode(Node(meta, capacity=kind.capacity, allocatable=kind.allocatable), None))
    waiting = []
    for number in range(deployments):
        spec = _spec(*_web(random))
        own = {"app": f"app-{number}"}
        count = pods // deployments
        waiting += [_pod(f"app-{number:05}-{replica:03}", spec, own) for replica in range(count)]
    pool = NodePool(ObjectMeta("default"))
    snapshot = Snapshot(NOW, pods=tuple(waiting), nodes=tuple(there), pools=(pool,))
    return Problem(snapshot, {"default": shipped_types()}, tuple(waiting))


def _spec(cpu: int, memory: int) -> PodSpec:
    return PodSpec(requests=(("cpu", cpu), ("memory", memory * MIB), ("pods", 1)))


def _pod(name: str, spec: PodSpec, own: dict[str, str] | None = None) -> Pod:
    return Pod(ObjectMeta(name, "default", uid=name, labels=own or {}), spec, is_unschedulable=True)
