"""NodePools and NodeClaims as manifests, status and all."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations
from typing import Any, Final

from nodesmith.api.meta import conditions_to_json
from nodesmith.api.nodeclaim import node_class_to_json, status_to_json, to_manifest
from nodesmith.api.nodepool import node_pool_hash
from nodesmith.api.scalars import NEVER, format_duration, taints_to_json
from nodesmith.api.writing.metadata import head, metadata, stated
from nodesmith.model.meta import Condition
from nodesmith.model.nodeclaim import LAUNCHED, NodeClaim
from nodesmith.model.nodepool import Budget, Disruption, NodePool
from nodesmith.model.resources import format_resources

_MAY_BE_EMPTY: Final = ("labels", "annotations", "taints", "startupTaints")


def node_claim(each: NodeClaim) -> dict[str, Any]:
    """The NodeClaim; one without conditions says that it is not launched, lest it be taken for an old one."""
    status = status_to_json(each)
    if not each.conditions:
        status["conditions"] = conditions_to_json({LAUNCHED: Condition(LAUNCHED, "Unknown")})
    return to_manifest(each) | {"metadata": metadata(each.meta), "status": status}


def node_pool(each: NodePool) -> dict[str, Any]:
    """The NodePool."""
    node = {
        "requirements": each.requirements.to_manifest(),
        "nodeClassRef": node_class_to_json(each.node_class),
        "expireAfter": _duration(each.expire_after),
    } | stated(
        taints=taints_to_json(each.taints),
        startupTaints=taints_to_json(each.startup_taints),
        terminationGracePeriod=(
            None if each.termination_grace_period is None else format_duration(each.termination_grace_period)
        ),
    )
    labelled = stated(labels=dict(each.labels), annotations=dict(each.annotations))
    spec = {
        "template": _as_hashed(labelled, node, each.static_hash),
        "disruption": _disruption(each.disruption),
    } | stated(limits=format_resources(each.limits), weight=each.weight or None)
    if each.replicas is not None:
        spec["replicas"] = each.replicas
    status = stated(conditions=conditions_to_json(each.conditions))
    return head("karpenter.sh/v1", "NodePool", each.meta) | {"spec": spec} | stated(status=status)


def _as_hashed(metadata: dict[str, Any], spec: dict[str, Any], wanted: str) -> dict[str, Any]:
    """The template, with those of its parts left empty, and not out, that make its drift hash the one wanted.

    Go hashes a map or list that is there and empty, and not one that is absent; whoever reads may see them alike.
    """
    absent = [name for name in _MAY_BE_EMPTY if name not in metadata and name not in spec]
    for count in range(len(absent) + 1):
        for empty in combinations(absent, count):
            named: dict[str, Any] = {name: {} for name in ("labels", "annotations") if name in empty}
            listed: dict[str, Any] = {name: [] for name in ("taints", "startupTaints") if name in empty}
            template = stated(metadata=metadata | named) | {"spec": spec | listed}
            if node_pool_hash(template) == wanted:
                return template
    return stated(metadata=metadata) | {"spec": spec}


def _disruption(disruption: Disruption) -> dict[str, Any]:
    return {
        "consolidateAfter": _duration(disruption.consolidate_after),
        "consolidationPolicy": disruption.policy.value,
        "budgets": [_budget(each) for each in disruption.budgets],
    }


def _budget(budget: Budget) -> dict[str, Any]:
    return {"nodes": budget.nodes} | stated(
        reasons=None if budget.reasons is None else sorted(reason.value for reason in budget.reasons),
        schedule=budget.schedule,
        duration=None if budget.duration is None else format_duration(budget.duration).removesuffix("0s") or "0m",
    )


def _duration(duration: timedelta | None) -> str:
    return NEVER if duration is None else format_duration(duration)
