"""Puts the controllers together. `app` does it with the real outside, `sim` with one in memory; nobody else does.

    controllers = build(ports, options, solve=schedule, decide=decide, validate=validate, rng=random.Random())
    await controllers.run(stop)          # watches and acts until `stop` is set

A composition that elects a leader runs `controllers.watching` always and `controllers.acting()` while it leads.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

from nodesmith.actuate.claims import Claims
from nodesmith.actuate.recorder import Recorder
from nodesmith.actuate.writer import HasMeta, Writer
from nodesmith.adapters.kubernetes.reflector import Reflector
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.kind import Kind
from nodesmith.api.kinds import (
    CAPACITY_BUFFER,
    CSI_NODE,
    DAEMON_SET,
    EC2_NODE_CLASS,
    NAMESPACE,
    NODE,
    NODE_CLAIM,
    NODE_OVERLAY,
    NODE_POOL,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    SELECTING,
    STORAGE_CLASS,
    VOLUME_ATTACHMENT,
)
from nodesmith.controllers.controller import Service
from nodesmith.controllers.decisions import Decisions
from nodesmith.controllers.disruption.loop import Decide, Validate
from nodesmith.controllers.feed import Feed
from nodesmith.controllers.fleet import Fleet
from nodesmith.controllers.freshness import Freshness
from nodesmith.controllers.ports import Ports
from nodesmith.controllers.shell import Options, RunSolver, Shell
from nodesmith.controllers.supervisor import supervise
from nodesmith.controllers.transitions import Transitions
from nodesmith.controllers.wiring import Wiring
from nodesmith.decide.schedule.checked import Solve
from nodesmith.model.buffer import CapacityBuffer
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.overlay import NodeOverlay
from nodesmith.model.pod import Pod
from nodesmith.model.storage import CSINode, PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttachment
from nodesmith.model.workload import DaemonSet, Namespace, PodDisruptionBudget
from nodesmith.ports.cluster import Change, ChangeType
from nodesmith.state.store import SNAPSHOT_TYPES, Store, nomination_window

T = TypeVar("T", bound=HasMeta)
R = TypeVar("R")

WATCHED: Final[dict[Kind[Any], type[Any]]] = {
    NODE_POOL: NodePool,
    NODE_CLAIM: NodeClaim,
    EC2_NODE_CLASS: EC2NodeClass,
    NODE: Node,
    POD: Pod,
    DAEMON_SET: DaemonSet,
    NAMESPACE: Namespace,
    POD_DISRUPTION_BUDGET: PodDisruptionBudget,
    PERSISTENT_VOLUME: PersistentVolume,
    PERSISTENT_VOLUME_CLAIM: PersistentVolumeClaim,
    STORAGE_CLASS: StorageClass,
    CSI_NODE: CSINode,
    VOLUME_ATTACHMENT: VolumeAttachment,
}
"""What is watched, and the model type that the store keeps it as."""


def watched(options: Options) -> dict[Kind[Any], type[Any]]:
    """The same, with what is only looked at when its feature gate is open, or for a default spread."""
    more: dict[Kind[Any], type[Any]] = {}
    if options.gates.node_overlay:
        more[NODE_OVERLAY] = NodeOverlay
    if options.gates.capacity_buffer:
        more[CAPACITY_BUFFER] = CapacityBuffer
    if options.schedule.default_spread:
        more.update(SELECTING)
    return {**WATCHED, **more}


async def in_thread(work: Callable[[], R]) -> R:
    """The work's result, computed beside the loop: leases are renewed meanwhile."""
    return await asyncio.to_thread(work)


async def at_once(work: Callable[[], R]) -> R:
    """The work's result, computed here: where time is virtual, computing takes none."""
    return work()


@dataclass(frozen=True, slots=True)
class Controllers:
    """Controllers that are put together and not yet running."""

    store: Store
    fleet: Fleet
    decisions: Decisions
    watching: Mapping[str, Service]
    synced: asyncio.Event
    freshness: Freshness

    def acting(self) -> Mapping[str, Service]:
        """What writes: to be run by the one process that leads, and only after `synced`."""
        return self.fleet.services()

    async def run(self, stop: asyncio.Event) -> None:
        """Watch and act until `stop` is set.

        Raises:
            ExceptionGroup: when a service failed.
        """
        await supervise({**self.watching, "controllers": _Acting(self)}, stop)


def new_store(options: Options) -> Store:
    """An empty store for what is watched."""
    others = [each for each in watched(options).values() if each not in SNAPSHOT_TYPES]
    return Store(
        (*SNAPSHOT_TYPES, *others),
        nomination_window=nomination_window(options.batch.longest),
        ignores_resource_claims=options.ignores_resource_claims,
    )


def build(
    ports: Ports,
    options: Options,
    *,
    solve: Solve,
    decide: Decide,
    validate: Validate,
    rng: random.Random,
    fallback: Solve | None = None,
    run_solver: RunSolver = in_thread,
    store: Store | None = None,
) -> Controllers:
    """The controllers over these ports. The same seed in `rng` makes the same names and the same jitter.

    `store` is one of `new_store`, for a cloud that reads it as well. `fallback` plans where the plan of `solve` breaks
    a rule; None: the plain greedy.
    """
    store = new_store(options) if store is None else store
    kinds = watched(options)
    feed = Feed(store, kinds)
    writer = Writer(ports.cluster, feed.apply)
    decisions = Decisions(ports.log, kept=options.decisions_kept)
    shell = Shell(
        store=store,
        cloud=ports.cloud,
        writer=writer,
        claims=Claims(writer, ports.clock),
        clock=ports.clock,
        events=Recorder(ports.events, ports.clock),
        metrics=ports.metrics,
        log=ports.log,
        options=options,
        rng=rng,
        run_solver=run_solver,
        freshness=Freshness(),
        scenarios=ports.scenarios,
    )
    fleet = Fleet(shell, ports, solve=solve, decide=decide, validate=validate, decisions=decisions, fallback=fallback)
    Wiring(store, fleet, feed)
    if options.observes_state:
        Transitions(feed, ports.metrics, ports.clock)
    synced = asyncio.Event()
    watching: dict[str, Service] = {}
    for kind in kinds:
        sink = _Sink(feed, kind, partial(_check_synced, store, synced))
        reflector = Reflector(ports.cluster, kind, sink, ports.clock, ports.log, rng)
        watching[f"watch-{kind.plural}"] = reflector
        shell.freshness.watch(kind.plural, reflector)
    return Controllers(store, fleet, decisions, watching, synced, shell.freshness)


class _Sink(Generic[T]):
    """Where one kind's reflector puts what it hears."""

    def __init__(self, feed: Feed, kind: Kind[T], listed: Callable[[], None]) -> None:
        self._feed = feed
        self._kind = kind
        self._listed = listed

    def replace(self, items: Sequence[T], resource_version: str) -> None:
        """The objects of the kind are exactly these."""
        del resource_version
        self._feed.replace(self._kind, items)
        self._listed()

    def apply(self, change: Change[T]) -> None:
        """One object came, changed or went."""
        if change.value is not None:
            self._feed.apply(self._kind, change.value, is_deleted=change.type is ChangeType.DELETED)


@dataclass(frozen=True, slots=True)
class _Acting:
    """Acts once everything was listed."""

    controllers: Controllers

    async def run(self) -> None:
        """Work until cancelled."""
        await self.controllers.synced.wait()
        await supervise(self.controllers.acting(), asyncio.Event())


def _check_synced(store: Store, synced: asyncio.Event) -> None:
    if store.is_listed:
        synced.set()
