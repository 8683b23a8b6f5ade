"""What the API server and Kubernetes' controllers would have done to objects by the time one looks at them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from nodesmith.model.labels import INITIALIZED as INITIALIZED_LABEL
from nodesmith.model.labels import NODEPOOL
from nodesmith.model.labels import REGISTERED as REGISTERED_LABEL
from nodesmith.model.meta import Condition, ObjectMeta
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import INITIALIZED, LAUNCHED, READY, REGISTERED, NodeClaim
from nodesmith.model.pod import Pod, PodSpec
from nodesmith.model.storage import PersistentVolumeClaim, StorageClass
from nodesmith.model.workload import Namespace, PodDisruptionBudget, PriorityClass

Values = dict[str, list[Any]]

NAME_LABEL: Final = "kubernetes.io/metadata.name"
SYSTEM_PRIORITIES: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def settle(values: Values, *, now: datetime) -> None:
    """The values are as a cluster would hold them."""
    values["NodeClaim"] = [_settled_claim(each, now) for each in values.get("NodeClaim", ())]
    _pair(values)
    values["Namespace"] = _namespaces(values)
    values["PersistentVolumeClaim"] = _claims(values)
    values["Pod"] = _with_priorities(values.get("Pod", []), values.get("PriorityClass", []))
    values["PodDisruptionBudget"] = _budgets(values.get("PodDisruptionBudget", []), values["Pod"])


# --- nodes and their claims ---


def _settled_claim(claim: NodeClaim, now: datetime) -> NodeClaim:
    """The claim; without conditions it is launched, registered and initialised since it was made."""
    if claim.conditions:
        return claim
    since = claim.meta.created_at if claim.meta.created_at.timestamp() else now
    kinds = (LAUNCHED, REGISTERED, INITIALIZED, READY)
    return replace(claim, conditions={kind: Condition(kind, "True", kind, changed_at=since) for kind in kinds})


def _pair(values: Values) -> None:
    """Give each Node and its NodeClaim one provider id: that of either, found by id, then by name."""
    nodes: dict[str, Node] = {node.name: node for node in values.get("Node", ())}
    by_id = {node.provider_id: node for node in nodes.values() if node.provider_id}
    claims: list[NodeClaim] = []
    for claim in values.get("NodeClaim", ()):
        node = by_id.get(claim.provider_id) or nodes.get(claim.node_name) or nodes.get(claim.name)
        if node is None:
            claims.append(replace(claim, provider_id=claim.provider_id or f"manifest:///{claim.name}"))
            continue
        provider_id = node.provider_id or claim.provider_id or f"manifest:///{node.name}"
        claims.append(replace(claim, provider_id=provider_id, node_name=node.name))
        nodes[node.name] = replace(_labelled(node, claim), provider_id=provider_id)
    values["NodeClaim"] = claims
    paired = {claim.node_name for claim in claims}
    values["Node"] = [node if node.name in paired else _labelled(node, None) for node in nodes.values()]


def _labelled(node: Node, claim: NodeClaim | None) -> Node:
    """The node, with the labels that registration and initialization leave on it."""
    labels = dict(node.meta.labels)
    if claim is None and NODEPOOL not in labels and not node.is_managed:
        return node
    for label, condition in ((REGISTERED_LABEL, REGISTERED), (INITIALIZED_LABEL, INITIALIZED)):
        if claim is None or claim.has(condition):
            labels.setdefault(label, "true")
    return replace(node, meta=replace(node.meta, labels=labels))


# --- names, priorities, classes ---


def _namespaces(values: Values) -> list[Namespace]:
    """Those listed and those used, each with the label that says its name."""
    listed: dict[str, Namespace] = {each.meta.name: each for each in values.get("Namespace", ())}
    used = {pod.meta.namespace for pod in values.get("Pod", ())} | {
        each.meta.namespace for each in values.get("DaemonSet", ())
    }
    for name in sorted(used - listed.keys()):
        listed[name] = Namespace(ObjectMeta(name=name))
    return [
        Namespace(replace(each.meta, labels={**each.meta.labels, NAME_LABEL: name})) for name, each in listed.items()
    ]


def _claims(values: Values) -> list[PersistentVolumeClaim]:
    """The claims; one that names no class and no volume is of the default class, the newest if there are several."""
    claims: list[PersistentVolumeClaim] = values.get("PersistentVolumeClaim", [])
    defaults: list[StorageClass] = [each for each in values.get("StorageClass", ()) if each.is_default]
    if not defaults:
        return claims
    default = max(defaults, key=lambda each: (each.meta.created_at, each.meta.name)).meta.name
    return [
        replace(claim, storage_class=default) if claim.storage_class is None and not claim.volume_name else claim
        for claim in claims
    ]


def _with_priorities(pods: list[Pod], classes: list[PriorityClass]) -> list[Pod]:
    """The pods, each with the priority of its class."""
    by_name = SYSTEM_PRIORITIES | {each.meta.name: each.value for each in classes}
    default = max((each.value for each in classes if each.is_global_default), default=0)
    specs: dict[int, PodSpec] = {}
    return [_with_priority(pod, by_name, default, specs) for pod in pods]


def _with_priority(pod: Pod, by_name: Mapping[str, int], default: int, specs: dict[int, PodSpec]) -> Pod:
    spec = pod.spec
    if spec.priority is not None:
        return pod
    priority = by_name.get(spec.priority_class, 0) if spec.priority_class else default
    if not priority:
        return pod
    settled = specs.get(id(spec))
    if settled is None:
        settled = specs[id(spec)] = replace(spec, priority=priority)
    return replace(pod, spec=settled)


# --- disruption budgets ---


def _budgets(budgets: list[PodDisruptionBudget], pods: list[Pod]) -> list[PodDisruptionBudget]:
    return [
        budget
        if budget.disruptions_allowed is not None
        else replace(budget, disruptions_allowed=_allowed(budget, pods))
        for budget in budgets
    ]


def _allowed(budget: PodDisruptionBudget, pods: list[Pod]) -> int:
    """How many of the selected pods may go, as the disruption controller counts it."""
    if budget.selector is None:
        return 0
    selected = [
        pod
        for pod in pods
        if pod.meta.namespace == budget.meta.namespace
        and not pod.is_terminal
        and budget.selector.matches(pod.meta.labels)
    ]
    healthy = sum(1 for pod in selected if pod.is_ready and pod.node_name and not pod.meta.is_deleting)
    expected = len(selected)
    if budget.max_unavailable is not None:
        wanted = expected - _scaled(budget.max_unavailable, expected)
    elif budget.min_available is not None:
        wanted = _scaled(budget.min_available, expected)
    else:
        wanted = 0
    return max(0, healthy - wanted) if expected else 0


def _scaled(stated: str, expected: int) -> int:
    """A count, or a percentage of the pods rounded up."""
    number = stated.rstrip("%")
    if not number.isdigit():
        return expected
    return math.ceil(int(number) * expected / 100) if stated.endswith("%") else int(number)
