"""The nodes that are there or on their way, as arrays: what is free on each, which pods labels and taints admit."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.universe import Amounts, Dimensions, Flags
from nodesmith.decide.schedule.volumes import AttachedVolume, attached_volumes
from nodesmith.model import labels
from nodesmith.model.pod import HostPort, Pod
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.taints import NO_SCHEDULE, PREFER_NO_SCHEDULE, Taint, Toleration, untolerated
from nodesmith.model.workload import DaemonSet
from nodesmith.state.snapshot import Snapshot, StateNode, Storage

Attached = dict[int, defaultdict[str, Counter[str]]]
"""How many pods hold each claim attached to a node, by driver; only for nodes with a known limit."""
Kept = NDArray[np.int64]
"""Places of nodes that are kept."""
CORDONED: Final = Taint("node.kubernetes.io/unschedulable", NO_SCHEDULE)


class Nodes:
    """Nodes that may take pods, in Karpenter's order: those fit for pods first, then by name (spec 3.4)."""

    def __init__(self, snapshot: Snapshot, dimensions: Dimensions) -> None:
        self.all = tuple(
            sorted(
                (node for node in snapshot.nodes if not node.is_deleting),
                key=lambda node: (not node.is_initialized, node.name),
            )
        )
        self.names = [node.name for node in self.all]
        self.labels = [node.labels for node in self.all]
        self.taints = [_taints(node) for node in self.all]
        self._whole: tuple[Nodes, Kept] | None = None
        self._values: dict[str, list[str | None]] = {}
        self._admitted: dict[Requirement, Flags] = {}
        self._tolerated: dict[tuple[Toleration, ...], Flags] = {}
        self.index = {name: position for position, name in enumerate(self.names)}
        self.free = self._free(snapshot.daemonsets, dimensions)
        self.sheltered = self._sheltered(snapshot)
        self.ports: dict[int, set[HostPort]] = {}
        for position, node in enumerate(self.all):
            taken = {port for pod in node.pods if not pod.is_terminal for port in pod.spec.host_ports}
            if taken:
                self.ports[position] = taken
        self.attach_limits: dict[int, dict[str, int]] = {}
        self.attached: Attached = {}
        self._read_attachments(snapshot.storage)

    def less(self, without: frozenset[str]) -> Nodes:
        """The same nodes but those named; what is found out about labels and taints is shared."""
        gone = {self.index[name] for name in without if name in self.index}
        if not gone:
            return self
        rest = [position for position in range(len(self.all)) if position not in gone]
        kept: Kept = np.array(rest, dtype=np.int64)
        fewer = Nodes.__new__(Nodes)
        fewer._whole = (self, kept)  # noqa: SLF001 - an object of this class
        fewer._values, fewer._admitted, fewer._tolerated = {}, {}, {}  # noqa: SLF001 - as above
        fewer.all, fewer.names, fewer.labels, fewer.taints = (
            tuple(self.all[position] for position in rest),
            [self.names[position] for position in rest],
            [self.labels[position] for position in rest],
            [self.taints[position] for position in rest],
        )
        fewer.index = {name: position for position, name in enumerate(fewer.names)}
        fewer.free, fewer.sheltered = self.free[kept], self.sheltered[kept]
        moved = {position: index for index, position in enumerate(rest)}
        fewer.ports = {moved[at]: taken for at, taken in self.ports.items() if at in moved}
        fewer.attach_limits = {moved[at]: limits for at, limits in self.attach_limits.items() if at in moved}
        fewer.attached = {moved[at]: claims for at, claims in self.attached.items() if at in moved}
        return fewer

    def __len__(self) -> int:
        return len(self.all)

    def values(self, key: str) -> list[str | None]:
        """The label's value on each node."""
        values = self._values.get(key)
        if values is None:
            values = self._values[key] = self._read_values(key)
        return values

    def admitted(self, requirements: Requirements) -> Flags:
        """The nodes whose labels satisfy the requirements, with nothing left open (spec 2, existing nodes)."""
        flags = np.ones(len(self.all), dtype=np.bool_)
        for requirement in requirements:
            flags &= self._admitted_by(requirement)
        return flags

    def tolerated(self, tolerations: tuple[Toleration, ...]) -> Flags:
        """The nodes all of whose taints are tolerated."""
        flags = self._tolerated.get(tolerations)
        if flags is None:
            flags = self._tolerated[tolerations] = self._tolerated_by(tolerations)
        return flags

    def attachable(self, volumes: Sequence[AttachedVolume], attached: Attached) -> Flags:
        """The nodes that can attach the volumes beside those that are attached."""
        flags = np.ones(len(self.all), dtype=np.bool_)
        for position, limits in self.attach_limits.items():
            for driver, limit in limits.items():
                wanted = {each.claim for each in volumes if each.driver == driver}
                if wanted and len(attached[position][driver].keys() | wanted) > limit:
                    flags[position] = False
        return flags

    def _admitted_by(self, requirement: Requirement) -> Flags:
        flags = self._admitted.get(requirement)
        if flags is None:
            flags = self._admitted[requirement] = self._read_admitted(requirement)
        return flags

    def _read_values(self, key: str) -> list[str | None]:
        if self._whole is not None:
            values = self._whole[0].values(key)
            return [values[position] for position in self._whole[1].tolist()]
        return [own.get(key) for own in self.labels]

    def _read_admitted(self, requirement: Requirement) -> Flags:
        if self._whole is not None:
            whole, kept = self._whole
            return whole._admitted_by(requirement)[kept]  # noqa: SLF001 - an object of this class
        memo: dict[str | None, bool] = {None: requirement.is_negative}
        values = self.values(requirement.key)
        for value in values:
            if value not in memo:
                memo[value] = requirement.allows(value or "")
        return np.array([memo[value] for value in values], dtype=np.bool_)

    def _tolerated_by(self, tolerations: tuple[Toleration, ...]) -> Flags:
        if self._whole is not None:
            whole, kept = self._whole
            return whole.tolerated(tolerations)[kept]
        memo: dict[tuple[Taint, ...], bool] = {}
        for taints in self.taints:
            if taints not in memo:
                memo[taints] = untolerated(taints, tolerations) is None
        return np.array([memo[taints] for taints in self.taints], dtype=np.bool_)

    def _sheltered(self, snapshot: Snapshot) -> Flags:
        """The nodes too young to take pods that consolidation would move (spec 3.5)."""
        after = {pool.name: pool.disruption.consolidate_after for pool in snapshot.pools}
        flags = np.zeros(len(self.all), dtype=np.bool_)
        for position, node in enumerate(self.all):
            wait = after.get(node.pool_name)
            if wait and node.claim is not None and node.is_initialized:
                since = node.claim.last_pod_event_at or node.initialized_at
                flags[position] = snapshot.taken_at - since < wait
        return flags

    def _free(self, daemonsets: Iterable[DaemonSet], dimensions: Dimensions) -> Amounts:
        """Allocatable less the pods that run there and the daemons that have yet to start (spec 3.5)."""
        free = dimensions.matrix([node.allocatable for node in self.all])
        running = [
            (position, pod) for position, node in enumerate(self.all) for pod in node.pods if not pod.is_terminal
        ]
        if running:
            rows: dict[int, int] = {}
            specs = [rows.setdefault(id(pod.spec), len(rows)) for _, pod in running]
            vectors = dimensions.matrix(_distinct_requests(running))
            np.subtract.at(free, [position for position, _ in running], vectors[specs])
        due = np.zeros_like(free)
        for daemonset in daemonsets:
            due[self._daemon_nodes(daemonset)] += dimensions.vector(dict(daemonset.template.requests))
        for position, pod in running:
            if pod.is_owned_by_daemonset:
                due[position] -= dimensions.vector(pod.requests)
        return free - np.maximum(due, 0)

    def _daemon_nodes(self, daemonset: DaemonSet) -> Flags:
        spec = daemonset.template
        tolerations = (*spec.tolerations, Toleration(operator="Exists", effect=PREFER_NO_SCHEDULE))
        selector = Requirements.from_labels(dict(spec.node_selector))
        flags = np.zeros(len(self.all), dtype=np.bool_)
        for term in spec.required_node_terms or ((),):
            wanted = Requirements.all_of((*selector, *term)).without(
                (labels.HOSTNAME, labels.REGISTERED, labels.INITIALIZED)
            )
            flags |= self.admitted(wanted)
        return flags & self.tolerated(tolerations)

    def _read_attachments(self, storage: Storage) -> None:
        for position, node in enumerate(self.all):
            csi_node = storage.csi_nodes.get(node.name)
            limits = csi_node.limits if csi_node is not None else {}
            known = {driver: limit for driver, limit in limits.items() if limit is not None}
            if known:
                self.attach_limits[position] = known
                here = self.attached[position] = defaultdict(Counter)
                for pod in node.pods:
                    if not pod.is_terminal:
                        for volume in attached_volumes(pod, storage):
                            here[volume.driver][volume.claim] += 1


def _taints(node: StateNode) -> tuple[Taint, ...]:
    cordoned = node.node is not None and node.node.is_cordoned and CORDONED not in node.taints
    return (*node.taints, CORDONED) if cordoned else node.taints


def _distinct_requests(running: Iterable[tuple[int, Pod]]) -> list[Mapping[str, int]]:
    distinct = {id(pod.spec): pod.requests for _, pod in running}
    return list(distinct.values())
