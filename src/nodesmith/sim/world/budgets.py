"""The disruption controller: how many pods each PodDisruptionBudget lets go now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from nodesmith.adapters.memory.history import Occurrence
from nodesmith.adapters.memory.objects import meta
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import BY_API_VERSION_AND_NAME, POD, POD_DISRUPTION_BUDGET
from nodesmith.api.meta import parse_time
from nodesmith.sim.world.engine import Engine
from nodesmith.sim.world.raw import find, is_active, is_deleting, is_ready, key_of, set_status, split

DISRUPTION_TIMEOUT: Final = timedelta(minutes=2)


class Budgets:
    """Keeps the status of budgets."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._server = engine.server
        self._mark = engine.queue(self._look)
        engine.on(POD_DISRUPTION_BUDGET, lambda occurrence: self._mark(occurrence.key))
        engine.on(POD, self._pod_changed)

    def _pod_changed(self, occurrence: Occurrence) -> None:
        namespace = meta(occurrence.stored.manifest)["namespace"]
        for budget in self._server.list(POD_DISRUPTION_BUDGET):
            if meta(budget)["namespace"] == namespace:
                self._mark(key_of(budget))

    def _look(self, key: str) -> None:
        budget = find(self._server, POD_DISRUPTION_BUDGET, key)
        if budget is None:
            return
        namespace, name = split(key)
        selected = self._selected(name, namespace)
        present: dict[str, Any] = budget.get("status") or {}
        disrupted = self._still_disrupted(present.get("disruptedPods") or {}, selected)
        counted = [pod for pod in selected if is_active(pod)]
        healthy = sum(1 for pod in counted if is_ready(pod) and meta(pod)["name"] not in disrupted)
        expected = self._expected(counted)
        desired = _desired(budget["spec"], expected)
        status = {
            "observedGeneration": meta(budget)["generation"],
            "expectedPods": expected,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "disruptionsAllowed": max(0, healthy - desired) if expected else 0,
            "disruptedPods": {**dict.fromkeys(present.get("disruptedPods") or {}), **disrupted},
        }
        set_status(self._server, POD_DISRUPTION_BUDGET, budget, status)

    def _selected(self, name: str, namespace: str) -> list[Manifest]:
        selector = (
            self._server.stored(POD_DISRUPTION_BUDGET, name, namespace=namespace).value(POD_DISRUPTION_BUDGET).selector
        )
        return [
            pod.manifest
            for _, pod in sorted(self._server.history.table(POD).items())
            if meta(pod.manifest)["namespace"] == namespace
            and selector is not None
            and selector.matches(meta(pod.manifest).get("labels") or {})
        ]

    def _still_disrupted(self, told: dict[str, str], selected: list[Manifest]) -> dict[str, str]:
        """Evictions that were granted and have not begun."""
        waiting = {meta(pod)["name"] for pod in selected if not is_deleting(pod)}
        oldest = self._engine.clock.now() - DISRUPTION_TIMEOUT
        kept = {}
        for name, at in told.items():
            moment = parse_time(at)
            if name in waiting and moment is not None and moment > oldest:
                kept[name] = at
        return kept

    def _expected(self, pods: list[Manifest]) -> int:
        """What the pods' controllers are to run; a pod of nobody counts as one."""
        scales: dict[str, int] = {}
        for pod in pods:
            owner = next((each for each in meta(pod).get("ownerReferences") or () if each.get("controller")), None)
            if owner is None:
                scales[meta(pod)["uid"]] = 1
                continue
            kind = BY_API_VERSION_AND_NAME.get((owner["apiVersion"], owner["kind"]))
            controller = self._server.find(kind, owner["name"], namespace=meta(pod)["namespace"]) if kind else None
            scales[owner["uid"]] = (controller or {}).get("spec", {}).get("replicas", 1)
        return sum(scales.values())


def _desired(spec: Manifest, expected: int) -> int:
    if spec.get("maxUnavailable") is not None:
        return max(0, expected - _count(spec["maxUnavailable"], expected))
    return _count(spec.get("minAvailable", 1), expected)


def _count(wanted: Any, whole: int) -> int:
    """A number, or a percentage rounded up."""
    text = str(wanted)
    return -(-int(text[:-1]) * whole // 100) if text.endswith("%") else int(text)
