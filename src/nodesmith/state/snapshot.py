"""The cluster at one moment, as decisions see it: immutable, complete, ordered by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from nodesmith.model.labels import CAPACITY_TYPE, HOSTNAME, INSTANCE_TYPE, NODEPOOL, ZONE
from nodesmith.model.meta import EPOCH
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import INITIALIZED, INSTANCE_TERMINATING, NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod
from nodesmith.model.resources import Resources
from nodesmith.model.selector import LabelSelector
from nodesmith.model.storage import (
    CSINode,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
    VolumeAttachment,
)
from nodesmith.model.taints import Taint, is_ephemeral
from nodesmith.model.workload import DaemonSet, Namespace, PodDisruptionBudget, Service


@dataclass(frozen=True, slots=True)
class StateNode:
    """A machine that is there or on its way: its Node, its NodeClaim, or both (spec section 6)."""

    node: Node | None
    claim: NodeClaim | None
    pods: tuple[Pod, ...] = ()
    is_marked: bool = False
    nominated_until: datetime | None = None

    @property
    def name(self) -> str:
        """The Node's name, or the claim's while there is no Node."""
        if self.node is not None:
            return self.node.name
        return self.claim.name if self.claim is not None else ""

    @property
    def provider_id(self) -> str:
        """The machine's id in the cloud; empty until it is launched."""
        if self.node is not None and self.node.provider_id:
            return self.node.provider_id
        return self.claim.provider_id if self.claim is not None else ""

    @property
    def is_registered(self) -> bool:
        """Whether the Node has joined and was taken over."""
        return self.node is not None and self.node.is_registered

    @property
    def is_initialized(self) -> bool:
        """Whether it is fit for pods."""
        return self.node is not None and self.node.is_initialized

    @property
    def is_managed(self) -> bool:
        """Whether a NodeClaim stands behind it."""
        return self.claim is not None

    @property
    def is_deleting(self) -> bool:
        """Whether it is leaving: marked, or its claim (or unmanaged Node) is being deleted."""
        if self.is_marked:
            return True
        if self.claim is not None:
            return self.claim.meta.is_deleting or self.claim.has(INSTANCE_TERMINATING)
        return self.node is not None and self.node.meta.is_deleting

    @property
    def labels(self) -> Mapping[str, str]:
        """The Node's labels once it is registered, the claim's before; with the host name."""
        if self.node is not None and (self.claim is None or self.node.is_registered):
            return self.node.labels
        own = dict(self.claim.labels) if self.claim is not None else {}
        if self.node is not None:
            return {**self.node.labels, **own}
        return {HOSTNAME: self.name, **own}

    @property
    def taints(self) -> tuple[Taint, ...]:
        """The taints that count now: those that go away by themselves do not until it is initialized."""
        if self.claim is not None and not self.is_registered:
            return self.claim.taints
        taints = self.node.taints if self.node is not None else ()
        if self.claim is None or self.is_initialized:
            return taints
        startup = {(taint.key, taint.effect) for taint in self.claim.startup_taints}
        return tuple(taint for taint in taints if not is_ephemeral(taint) and (taint.key, taint.effect) not in startup)

    @property
    def capacity(self) -> Resources:
        """The Node's capacity; until it is initialized, the claim's where the Node shows none."""
        return self._reported(self.node.capacity if self.node else {}, self.claim.capacity if self.claim else {})

    @property
    def allocatable(self) -> Resources:
        """What pods may use, by the same rule as `capacity`."""
        return self._reported(self.node.allocatable if self.node else {}, self.claim.allocatable if self.claim else {})

    @property
    def pool_name(self) -> str:
        """The NodePool it belongs to; empty when none."""
        return self.labels.get(NODEPOOL, "")

    @property
    def instance_type(self) -> str:
        """The instance type by label; empty when unknown."""
        return self.labels.get(INSTANCE_TYPE, "")

    @property
    def zone(self) -> str:
        """The zone by label; empty when unknown."""
        return self.labels.get(ZONE, "")

    @property
    def capacity_type(self) -> str:
        """The capacity type by label; empty when unknown."""
        return self.labels.get(CAPACITY_TYPE, "")

    @property
    def initialized_at(self) -> datetime:
        """When the claim became fit for pods."""
        condition = self.claim.condition(INITIALIZED) if self.claim is not None else None
        return condition.changed_at if condition is not None else EPOCH

    def _reported(self, seen: Resources, promised: Resources) -> Resources:
        if self.is_initialized or not promised:
            return seen
        return {**promised, **{name: amount for name, amount in seen.items() if amount}}


@dataclass(frozen=True, slots=True)
class Storage:
    """Volumes and claims, by key."""

    volumes: Mapping[str, PersistentVolume] = field(default_factory=dict)
    claims: Mapping[str, PersistentVolumeClaim] = field(default_factory=dict)
    classes: Mapping[str, StorageClass] = field(default_factory=dict)
    csi_nodes: Mapping[str, CSINode] = field(default_factory=dict)
    attachments: tuple[VolumeAttachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Workloads:
    """What says which pods belong together, where that is looked at: for a default spread, and nothing else.

    `selectors` are those of the objects that make pods, by kind and key.
    """

    services: tuple[Service, ...] = ()
    selectors: Mapping[tuple[str, str], LabelSelector] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a decision may look at. `pods` are all pods, bound ones included; `nodes` are ordered by name."""

    taken_at: datetime
    is_synced: bool = True
    nodes: tuple[StateNode, ...] = ()
    pods: tuple[Pod, ...] = ()
    pools: tuple[NodePool, ...] = ()
    daemonsets: tuple[DaemonSet, ...] = ()
    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    budgets: tuple[PodDisruptionBudget, ...] = ()
    storage: Storage = field(default_factory=Storage)
    workloads: Workloads = field(default_factory=Workloads)
