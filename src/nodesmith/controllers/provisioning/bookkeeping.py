"""How long pods waited for what (spec 3.11): numbers only, nothing is decided on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nodesmith.model.pod import Pod
from nodesmith.ports.clock import Clock
from nodesmith.ports.metrics import Metrics, Reading

RUNNING: Final = "Running"


@dataclass(slots=True)
class _Times:
    """Which pod was first seen to wait for a machine, when, whether a plan has had it, and whether it has a node."""

    namespace: str
    name: str
    seen_at: datetime
    is_decided: bool = False
    is_bound: bool = False


class PodTimes:
    """Remembers, by uid, pods that wait; a pod is forgotten when it runs or goes."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._waiting: dict[str, _Times] = {}

    def changed(self, before: Pod | None, after: Pod | None) -> None:
        """What the change of a pod ends is measured."""
        if after is None or before is None:
            if after is None and before is not None:
                self._waiting.pop(before.meta.uid, None)
            elif after is not None:
                self._see(after)
            return
        self._see(after)
        is_bound, runs = after.node_name and not before.node_name, after.phase == RUNNING and before.phase != RUNNING
        if not is_bound and not runs:
            return
        now = self._clock.now()
        times = self._waiting.get(after.meta.uid)
        if is_bound:
            self._observe("pods_bound_duration_seconds", after.meta.created_at, now)
            if times is not None:
                times.is_bound = True
                self._observe("pods_provisioning_bound_duration_seconds", times.seen_at, now)
        if runs:
            self._observe("pods_startup_duration_seconds", after.meta.created_at, now)
            if times is not None:
                self._observe("pods_provisioning_startup_duration_seconds", times.seen_at, now)
                del self._waiting[after.meta.uid]

    def decided(self, pods: Iterable[Pod]) -> None:
        """A plan has had these pods, whatever it said of them."""
        now = self._clock.now()
        for pod in pods:
            times = self._waiting.get(pod.meta.uid)
            if times is not None and not times.is_decided:
                times.is_decided = True
                self._observe("pods_scheduling_decision_duration_seconds", times.seen_at, now)

    def readings(self) -> Iterator[Reading]:
        """How long pods that were seen to wait have not been decided on, bound, started."""
        now = self._clock.now()
        for times in self._waiting.values():
            waited, labels = (now - times.seen_at).total_seconds(), {"name": times.name, "namespace": times.namespace}
            yield Reading("pods_provisioning_unstarted_time_seconds", waited, labels)
            if not times.is_bound:
                yield Reading("pods_provisioning_unbound_time_seconds", waited, labels)
            if not times.is_decided:
                yield Reading("pods_provisioning_scheduling_undecided_time_seconds", waited, labels)

    def _see(self, pod: Pod) -> None:
        if pod.is_provisionable and pod.meta.uid not in self._waiting:
            self._waiting[pod.meta.uid] = _Times(pod.meta.namespace, pod.meta.name, self._clock.now())

    def _observe(self, name: str, since: datetime, now: datetime) -> None:
        self._metrics.observe(name, max((now - since).total_seconds(), 0.0))


class PodZones:
    """Tells how many planned pods need which zone; a zone that nobody needs any more is told as none."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._told: set[str] = set()

    def tell(self, counts: Mapping[str, int]) -> None:
        """These are the numbers of the last plan."""
        self._told |= counts.keys()
        for zone in sorted(self._told):
            self._metrics.set(
                "scheduler_pending_pods_by_effective_zone_count",
                counts.get(zone, 0),
                controller="provisioner",
                zone=zone,
            )
