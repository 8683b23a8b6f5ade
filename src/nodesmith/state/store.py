"""The one owner of what is known about the cluster: watch events go in, snapshots come out.

Changed only by plain calls from one thread, so nothing needs a lock. Whatever order the events of different objects
come in, and however often, the store ends at what a list would say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, cast

from nodesmith.model.meta import ObjectMeta
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod
from nodesmith.model.storage import (
    CSINode,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
    VolumeAttachment,
)
from nodesmith.model.workload import (
    DaemonSet,
    Deployment,
    Namespace,
    PodDisruptionBudget,
    ReplicaSet,
    ReplicationController,
    Service,
    StatefulSet,
)
from nodesmith.state.inflight import DOOMED_FOR, InFlight
from nodesmith.state.machines import Machines
from nodesmith.state.snapshot import Snapshot, Storage, Workloads
from nodesmith.state.table import HasMeta, Table

T = TypeVar("T", bound=HasMeta)

NOMINATION_WINDOW: Final = timedelta(seconds=20)
"""Twice the longest batch window by default, and never under ten seconds (spec 6)."""

SNAPSHOT_TYPES: Final[tuple[type[HasMeta], ...]] = (
    Node,
    NodeClaim,
    NodePool,
    Pod,
    DaemonSet,
    Namespace,
    PodDisruptionBudget,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
    CSINode,
    VolumeAttachment,
)
"""What a snapshot is made of."""

_MAKERS: Final = (Deployment, ReplicaSet, StatefulSet, ReplicationController)


def nomination_window(longest_batch: timedelta) -> timedelta:
    """How long a promised node is kept for its pod."""
    return max(2 * longest_batch, timedelta(seconds=10))


class Store:
    """The cluster as the watches tell it, and what we did that they have not told yet.

    `types` are the model types that must have been listed before the store is synced; others may be kept as well.
    DaemonSets whose pods have resource claims are in no snapshot while `ignores_resource_claims` (spec 9, DRA).
    """

    def __init__(
        self,
        types: Iterable[type[HasMeta]] = SNAPSHOT_TYPES,
        *,
        nomination_window: timedelta = NOMINATION_WINDOW,
        ignores_resource_claims: bool = True,
    ) -> None:
        self._types = tuple(types)
        self._ignores_resource_claims = ignores_resource_claims
        self._tables: dict[type[HasMeta], Table[Any]] = {}
        self._in_flight = InFlight()
        self._machines = Machines(self._in_flight)
        self._without_id: set[str] = set()
        self._nomination_window = nomination_window
        self._storage: Storage | None = None
        self._namespaces: Mapping[str, Namespace] | None = None
        self._workloads: Workloads | None = None
        self._is_listed = False
        self._generation = 0
        self._snapshot: tuple[int, Snapshot] | None = None
        self._listeners: list[Callable[[], None]] = []

    # --- what the watches tell ---

    def apply(self, kind: type[T], value: T, *, is_deleted: bool = False) -> bool:
        """The object is this, or gone; False when the store knew that, or knows better."""
        return self.exchange(kind, value, is_deleted=is_deleted)[0]

    def exchange(self, kind: type[T], value: T, *, is_deleted: bool = False) -> tuple[bool, T | None]:
        """The same, with what the object was before."""
        meta = value.meta
        table, key = self._table(kind), meta.key
        before = table.get(key)
        changed = table.drop(meta) is not None if is_deleted else table.put(key, value)
        if changed:
            self._moved(kind, key, before, None if is_deleted else value)
        if kind is NodeClaim:
            self._settle_created(meta)
        return changed, before

    def replace(self, kind: type[T], values: Iterable[T]) -> frozenset[str]:
        """The objects of the kind are exactly these; returns the keys at which something changed."""
        table = self._table(kind)
        before = dict(table.by_key)
        left, came = table.replace(values)
        was_listed = self._is_listed
        self._is_listed = all(each in self._tables and self._tables[each].is_listed for each in self._types)
        if self._is_listed != was_listed:
            self._changed()
        for value in left:
            self._moved(kind, value.meta.key, value, None)
        for value in came:
            self._moved(kind, value.meta.key, before.get(value.meta.key), value)
            if isinstance(value, NodeClaim):
                self._settle_created(value.meta)
        return frozenset(value.meta.key for value in (*left, *came))

    # --- what we did ---

    def claim_created(self, claim: NodeClaim, *, now: datetime) -> None:
        """The claim counts from now on, although no watch has shown it yet."""
        table = self._table(NodeClaim)
        if table.get(claim.name) is None and not table.has_gone_since(claim.meta):
            self._in_flight.create(claim, now=now)
            self._show_claim(claim.name)
            self._changed()

    def mark(self, name: str) -> None:
        """The node or claim of this name is leaving."""
        self._in_flight.marked.add(name)
        self._touch(name)

    def unmark(self, name: str) -> None:
        """It stays after all."""
        self._in_flight.marked.discard(name)
        self._touch(name)

    def doom(self, name: str, *, now: datetime) -> None:
        """The machine of this node or claim is about to be lost: it counts as leaving for `DOOMED_FOR`."""
        self._in_flight.doomed[name] = now + DOOMED_FOR
        self._touch(name)

    def nominate(self, name: str, *, now: datetime) -> None:
        """A pod was promised the node or claim of this name, for the nomination window."""
        self._in_flight.nominated[name] = now + self._nomination_window
        self._touch(name)

    # --- what is known ---

    @property
    def is_listed(self) -> bool:
        """Whether every kind has been listed once."""
        return self._is_listed

    @property
    def is_synced(self) -> bool:
        """Whether decisions may be made: all is listed, and no claim is waiting for its machine (spec 6)."""
        return self.is_listed and not self._without_id

    def get(self, kind: type[T], key: str) -> T | None:
        """The object, or None when there is none."""
        return cast("T | None", self._table(kind).get(key))

    def all(self, kind: type[T]) -> tuple[T, ...]:
        """Every object of the kind, by key; created claims that no watch has shown are not among them."""
        return cast("tuple[T, ...]", self._table(kind).items())

    def nodes_with(self, provider_id: str) -> tuple[Node, ...]:
        """The Nodes of this machine, by name; more than one is a fault."""
        return self._machines.nodes_with(provider_id)

    def claims_with(self, provider_id: str) -> tuple[NodeClaim, ...]:
        """The claims of this machine, by name; more than one is a fault."""
        return self._machines.claims_with(provider_id)

    def pods_on(self, node_name: str) -> tuple[Pod, ...]:
        """The pods bound to the Node that are not at their end, by key."""
        return self._machines.pods_on(node_name)

    def generation(self, now: datetime) -> int:
        """A number that grows whenever a snapshot would show something else."""
        for name in self._in_flight.expire(now):
            self._show_claim(name)
            self._touch(name)
        return self._generation

    def listen(self, listener: Callable[[], None]) -> None:
        """The listener is called when the generation has grown; it must not act on it at once."""
        self._listeners.append(listener)

    def snapshot(self, now: datetime) -> Snapshot:
        """The cluster at this moment."""
        generation = self.generation(now)
        if self._snapshot is None or self._snapshot[0] != generation:
            self._snapshot = (generation, self._new_snapshot(now))
            return self._snapshot[1]
        return replace(self._snapshot[1], taken_at=now)

    def _new_snapshot(self, now: datetime) -> Snapshot:
        if self._namespaces is None:
            self._namespaces = self._by_key(Namespace)
        return Snapshot(
            taken_at=now,
            is_synced=self.is_synced,
            nodes=self._machines.ordered(),
            pods=self.all(Pod),
            pools=self.all(NodePool),
            daemonsets=self._daemonsets(),
            namespaces=self._namespaces,
            budgets=self.all(PodDisruptionBudget),
            storage=self.storage(),
            workloads=self._workloads_now(),
        )

    def _daemonsets(self) -> tuple[DaemonSet, ...]:
        daemonsets = self.all(DaemonSet)
        if not self._ignores_resource_claims:
            return daemonsets
        return tuple(each for each in daemonsets if not each.template.has_resource_claims)

    def storage(self) -> Storage:
        """Volumes, their claims and where they are attached, now."""
        if self._storage is None:
            self._storage = Storage(
                volumes=self._by_key(PersistentVolume),
                claims=self._by_key(PersistentVolumeClaim),
                classes=self._by_key(StorageClass),
                csi_nodes=self._by_key(CSINode),
                attachments=self.all(VolumeAttachment),
            )
        return self._storage

    def _workloads_now(self) -> Workloads:
        if self._workloads is None:
            made = [(kind.__name__, value) for kind in _MAKERS for value in self.all(kind)]
            selectors = {(kind, each.meta.key): each.selector for kind, each in made if each.selector is not None}
            self._workloads = Workloads(self.all(Service), selectors)
        return self._workloads

    def _by_key(self, kind: type[T]) -> Mapping[str, T]:
        return {value.meta.key: value for value in self.all(kind)}

    def _table(self, kind: type[HasMeta]) -> Table[Any]:
        table = self._tables.get(kind)
        if table is None:
            table = self._tables[kind] = Table()
        return table

    def _moved(self, kind: type[HasMeta], key: str, before: HasMeta | None, after: HasMeta | None) -> None:
        """Carry one change into what is derived."""
        self._changed()
        if kind is Pod:
            self._machines.move_pod(key, cast("Pod | None", before), cast("Pod | None", after))
        elif kind is Node:
            self._machines.set_node(key, cast("Node | None", after))
        elif kind is NodeClaim:
            self._show_claim(key)
        else:
            self._storage = self._namespaces = self._workloads = None
            return
        if after is None and kind is not Pod:
            self._in_flight.forget(key)

    def _settle_created(self, meta: ObjectMeta) -> None:
        """A watch has spoken of the claim: what we remember of creating it is over."""
        if meta.name in self._in_flight.created:
            self._in_flight.shown(meta.name)
            self._show_claim(meta.name)
            self._changed()

    def _show_claim(self, name: str) -> None:
        claim = self._table(NodeClaim).get(name) or self._in_flight.created.get(name)
        self._machines.set_claim(name, claim)
        if claim is not None and not claim.provider_id:
            self._without_id.add(name)
        else:
            self._without_id.discard(name)

    def _touch(self, name: str) -> None:
        self._machines.touch(name)
        self._changed()

    def _changed(self) -> None:
        self._generation += 1
        for listener in self._listeners:
            listener()
