"""The pods that stand for CapacityBuffers' room, and where the last plan put them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nodesmith.model.pod import Pod
from nodesmith.plan.schedule import OnClaim, OnNode, Placement, SchedulePlan
from nodesmith.state.snapshot import Snapshot


class BufferBook:
    """Written by the buffers' controller and the provisioner, read by whoever keeps nodes."""

    def __init__(self) -> None:
        self._pods: dict[str, tuple[Pod, ...]] = {}
        self._planned: set[str] = set()
        self._hosts: dict[str, str] = {}
        self.placements: dict[str, Placement] = {}

    def set(self, buffer: str, pods: tuple[Pod, ...]) -> None:
        """The buffer's pods are these."""
        if self._pods.get(buffer, ()) == pods:
            return
        self._pods[buffer] = pods
        self._planned.discard(buffer)
        self._drop_others()

    def forget(self, buffer: str) -> None:
        """The buffer is gone."""
        self.set(buffer, ())
        self._pods.pop(buffer, None)

    def pods_of(self, buffer: str) -> tuple[Pod, ...]:
        """The buffer's pods."""
        return self._pods.get(buffer, ())

    def pods(self) -> tuple[Pod, ...]:
        """The pods of all buffers."""
        return tuple(pod for key in sorted(self._pods) for pod in self._pods[key])

    def was_planned(self, buffer: str) -> bool:
        """Whether a plan has had the buffer's pods as they are."""
        return buffer in self._planned

    def planned(self, plan: SchedulePlan, pods: Iterable[Pod], names: Sequence[str]) -> None:
        """A plan has had these pods; `names` are those of the claims that were made for it."""
        for pod in pods:
            place = self.placements[pod.key] = plan.placements[pod.key]
            host = ""
            if isinstance(place, OnNode):
                host = place.node
            elif isinstance(place, OnClaim) and place.index < len(names):
                host = names[place.index]
            self._hosts[pod.key] = host
        self._planned.update(self._pods)
        self._drop_others()

    def hosts(self, snapshot: Snapshot) -> frozenset[str]:
        """The nodes, by name, on which room is kept; a claim's room is its node's when that has come."""
        hosts = frozenset(self._hosts.values()) - {""}
        return frozenset(
            state.name
            for state in snapshot.nodes
            if state.name in hosts or (state.claim is not None and state.claim.name in hosts)
        )

    def _drop_others(self) -> None:
        """Nothing is remembered of pods that are not there any more."""
        alive = {pod.key for pod in self.pods()}
        for memory in (self._hosts, self.placements):
            for key in [key for key in memory if key not in alive]:
                del memory[key]
