"""Nodes, namespaces, DaemonSets and disruption budgets as manifests."""

from __future__ import annotations

from typing import Any

from nodesmith.api.meta import conditions_to_json, meta_to_json
from nodesmith.api.scalars import taints_to_json
from nodesmith.api.writing.metadata import head, stated
from nodesmith.api.writing.pods import pod_spec
from nodesmith.api.writing.selectors import label_selector
from nodesmith.model.node import Node
from nodesmith.model.resources import format_resources
from nodesmith.model.workload import DaemonSet, Namespace, PodDisruptionBudget


def node(each: Node) -> dict[str, Any]:
    """The Node."""
    spec = stated(
        providerID=each.provider_id, taints=taints_to_json(each.taints), unschedulable=each.is_cordoned or None
    )
    status = stated(
        capacity=format_resources(each.capacity),
        allocatable=format_resources(each.allocatable),
        conditions=conditions_to_json(each.conditions),
    )
    return head("v1", "Node", each.meta) | {"spec": spec, "status": status}


def namespace(each: Namespace) -> dict[str, Any]:
    """The Namespace."""
    return head("v1", "Namespace", each.meta)


def daemon_set(each: DaemonSet) -> dict[str, Any]:
    """The DaemonSet, with its pod's shape."""
    labels = dict(each.template_meta.labels)
    template = {"metadata": meta_to_json(each.template_meta), "spec": pod_spec(each.template)}
    return head("apps/v1", "DaemonSet", each.meta) | {
        "spec": {"selector": {"matchLabels": labels}, "template": template}
    }


def disruption_budget(each: PodDisruptionBudget) -> dict[str, Any]:
    """The PodDisruptionBudget, with the status that it has."""
    spec = stated(
        minAvailable=each.min_available,
        maxUnavailable=each.max_unavailable,
        unhealthyPodEvictionPolicy="AlwaysAllow" if each.evicts_unready_always else None,
    )
    if (selector := label_selector(each.selector)) is not None:
        spec["selector"] = selector
    return head("policy/v1", "PodDisruptionBudget", each.meta) | {
        "spec": spec,
        "status": stated(disruptionsAllowed=each.disruptions_allowed),
    }
