"""Pods, as far as placing and moving them is concerned.

`PodSpec` is what decides where a pod may go. Decoders intern it: pods of one workload share one object, so that a
solver can work per class of pods instead of per pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from nodesmith.model.labels import DO_NOT_DISRUPT
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.requirements import Requirement
from nodesmith.model.selector import LabelSelector
from nodesmith.model.taints import Toleration

DO_NOT_SCHEDULE: Final = "DoNotSchedule"
SCHEDULE_ANYWAY: Final = "ScheduleAnyway"
LOWEST_PRIORITY: Final = -(2**31)
"""That of pods which only stand for room to be kept."""
SYSTEM_CRITICAL: Final = frozenset({"system-cluster-critical", "system-node-critical"})

NodeSelectorTerm = tuple[Requirement, ...]
"""The expressions of one term; all must hold."""


@dataclass(frozen=True, slots=True)
class PreferredTerm:
    """A node affinity term that would be nice."""

    weight: int
    term: NodeSelectorTerm


@dataclass(frozen=True, slots=True)
class PodAffinityTerm:
    """Company sought (affinity) or shunned (anti-affinity) in a topology domain.

    `selector` already includes matchLabelKeys and mismatchLabelKeys; None selects nothing. `namespaces` are the listed
    ones (the pod's own when nothing is said); `namespace_selector` adds the namespaces it matches, None adds none.
    """

    topology_key: str
    selector: LabelSelector | None
    namespaces: frozenset[str]
    namespace_selector: LabelSelector | None = None


@dataclass(frozen=True, slots=True)
class WeightedPodAffinityTerm:
    """A pod affinity term that would be nice."""

    weight: int
    term: PodAffinityTerm


@dataclass(frozen=True, slots=True)
class TopologySpreadConstraint:
    """Evenness over the domains of a key; `selector` already includes matchLabelKeys; None selects nothing."""

    topology_key: str
    max_skew: int
    when_unsatisfiable: str
    selector: LabelSelector | None
    min_domains: int | None = None
    honor_node_affinity: bool = True
    honor_node_taints: bool = False

    @property
    def is_hard(self) -> bool:
        """Whether it must hold (DoNotSchedule)."""
        return self.when_unsatisfiable == DO_NOT_SCHEDULE


@dataclass(frozen=True, slots=True, order=True)
class HostPort:
    """A port of the node that a pod takes; an empty IP was read as 0.0.0.0."""

    port: int
    protocol: str = "TCP"
    ip: str = "0.0.0.0"  # noqa: S104 - a value of the Kubernetes API, nothing is bound

    def conflicts_with(self, other: HostPort) -> bool:
        """Whether both cannot be had on one node."""
        wild = {"0.0.0.0", "::"}  # noqa: S104 - as above
        same_ip = self.ip == other.ip or self.ip in wild or other.ip in wild
        return self.port == other.port and self.protocol == other.protocol and same_ip


@dataclass(frozen=True, slots=True)
class PodVolume:
    """A volume through a PersistentVolumeClaim; an ephemeral one names its StorageClass (None: the default one).

    The claim of an ephemeral volume is called `POD-VOLUME`; `claim_name` of an ephemeral volume is the volume's name.
    """

    claim_name: str
    is_ephemeral: bool = False
    storage_class: str | None = None


@dataclass(frozen=True, slots=True)
class PodSpec:
    """What decides where a pod may go.

    `requests` are the effective ones (init and sidecar containers, overhead, pod-level resources, limits as requests),
    sorted by name, with `pods` = 1.
    """

    requests: tuple[tuple[str, int], ...] = ()
    node_selector: tuple[tuple[str, str], ...] = ()
    required_node_terms: tuple[NodeSelectorTerm, ...] = ()
    preferred_node_terms: tuple[PreferredTerm, ...] = ()
    required_affinity: tuple[PodAffinityTerm, ...] = ()
    preferred_affinity: tuple[WeightedPodAffinityTerm, ...] = ()
    required_anti_affinity: tuple[PodAffinityTerm, ...] = ()
    preferred_anti_affinity: tuple[WeightedPodAffinityTerm, ...] = ()
    topology_spread: tuple[TopologySpreadConstraint, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    volumes: tuple[PodVolume, ...] = ()
    has_resource_claims: bool = False
    has_match_fields: bool = False
    priority: int | None = None
    priority_class: str = ""
    termination_grace_period_s: int = 30


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod: its shape, where it runs, and how it is doing."""

    meta: ObjectMeta
    spec: PodSpec
    node_name: str = ""
    phase: str = "Pending"
    is_unschedulable: bool = False
    is_ready: bool = False
    has_scheduling_gates: bool = False
    nominated_node_name: str = ""
    started_at: datetime | None = None
    limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return self.meta.key

    @property
    def requests(self) -> Mapping[str, int]:
        """The effective requests by resource name, `pods` included."""
        return dict(self.spec.requests)

    @property
    def is_terminal(self) -> bool:
        """Whether it has run to its end."""
        return self.phase in {"Succeeded", "Failed"}

    @property
    def is_active(self) -> bool:
        """Whether it is neither at its end nor asked to go."""
        return not self.is_terminal and not self.meta.is_deleting

    @property
    def is_owned_by_daemonset(self) -> bool:
        """Whether a DaemonSet made it."""
        return self.meta.owner_of_kind("DaemonSet") is not None

    @property
    def is_owned_by_node(self) -> bool:
        """Whether it is a static (mirror) pod."""
        return self.meta.owner_of_kind("Node") is not None

    @property
    def is_provisionable(self) -> bool:
        """Whether it waits for a node that may have to be bought (spec 3.1): no node is kept for it."""
        return not self.nominated_node_name and self.is_waiting

    @property
    def is_waiting(self) -> bool:
        """Whether kube-scheduler found no node for it, whatever node may be kept for it."""
        return (
            self.is_unschedulable
            and self.is_active
            and not self.node_name
            and not self.has_scheduling_gates
            and not (self.meta.owners and (self.is_owned_by_daemonset or self.is_owned_by_node))
        )

    @property
    def is_reschedulable(self) -> bool:
        """Whether it has to find another node when its own goes (spec 3.2)."""
        is_stateful = self.meta.owner_of_kind("StatefulSet") is not None
        lives_on = self.is_active or (is_stateful and self.meta.is_deleting and not self.is_terminal)
        return lives_on and not self.is_owned_by_daemonset and not self.is_owned_by_node

    @property
    def is_critical(self) -> bool:
        """Whether it is evicted last (system-cluster-critical, system-node-critical)."""
        return self.spec.priority_class in SYSTEM_CRITICAL

    @property
    def do_not_disrupt(self) -> str | None:
        """The annotation's text, or None when there is none."""
        return self.meta.annotations.get(DO_NOT_DISRUPT)
