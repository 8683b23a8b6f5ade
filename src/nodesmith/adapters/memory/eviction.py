"""The eviction subresource: a pod goes if its one PodDisruptionBudget allows it now."""

from __future__ import annotations

from typing import Any

from nodesmith.adapters.memory.history import Stored
from nodesmith.adapters.memory.objects import meta
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import POD, POD_DISRUPTION_BUDGET
from nodesmith.api.meta import format_time
from nodesmith.ports.errors import Conflict, EvictionBlocked, Refused


def evict(server: ApiServer, name: str, *, namespace: str, uid: str = "") -> None:
    """The pod is going.

    Raises:
        NotFound: when there is none.
        Conflict: when `uid` is another pod's.
        EvictionBlocked: when its budget does not allow it now.
        Refused: when more than one budget selects it.
    """
    pod = server.get(POD, name, namespace=namespace)
    if uid and meta(pod)["uid"] != uid:
        raise Conflict(f"the uid in the precondition ({uid}) is not the pod's ({meta(pod)['uid']})")
    if not _is_unprotected(pod):
        budgets = _budgets_of(server, pod)
        if len(budgets) > 1:
            raise Refused(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            )
        if budgets:
            _spend(server, budgets[0], pod)
    server.delete(POD, name, namespace=namespace, uid=uid)


def _is_unprotected(pod: Manifest) -> bool:
    """Budgets count running pods: one that has not begun, has ended or is going already may go."""
    return pod["status"].get("phase") in {"Pending", "Succeeded", "Failed"} or "deletionTimestamp" in meta(pod)


def _budgets_of(server: ApiServer, pod: Manifest) -> list[Stored]:
    labels = meta(pod).get("labels") or {}
    found = []
    for _, stored in sorted(server.history.table(POD_DISRUPTION_BUDGET).items()):
        selector = stored.value(POD_DISRUPTION_BUDGET).selector
        if meta(stored.manifest)["namespace"] == meta(pod)["namespace"] and selector and selector.matches(labels):
            found.append(stored)
    return found


def _spend(server: ApiServer, stored: Stored, pod: Manifest) -> None:
    budget: Any = stored.manifest
    name, status = meta(budget)["name"], budget.get("status") or {}
    if not _is_ready(pod) and _lets_unready_go(budget):
        return
    if status.get("observedGeneration", 0) < meta(budget).get("generation", 0):
        raise EvictionBlocked(f"the disruption budget {name} is still being processed by the server", retry_after_s=10)
    allowed = status.get("disruptionsAllowed", 0)
    if allowed <= 0:
        raise EvictionBlocked(
            f"Cannot evict pod as it would violate the pod's disruption budget. The disruption budget {name} needs "
            f"{status.get('desiredHealthy', 0)} healthy pods and has {status.get('currentHealthy', 0)} currently"
        )
    evicted = {meta(pod)["name"]: format_time(server.now)}
    spent = {"disruptionsAllowed": allowed - 1, "disruptedPods": evicted}
    namespace = meta(budget)["namespace"]
    server.patch(POD_DISRUPTION_BUDGET, name, {"status": spent}, namespace=namespace, subresource="status")


def _is_ready(pod: Manifest) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _lets_unready_go(budget: Manifest) -> bool:
    """A pod that is not ready takes nothing from the budget, by policy or because enough others are healthy."""
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    desired: int = status.get("desiredHealthy", 0)
    return desired > 0 and status.get("currentHealthy", 0) >= desired
