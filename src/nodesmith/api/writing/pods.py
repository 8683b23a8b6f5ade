"""Pods and their specs as manifests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from nodesmith.api.meta import format_time
from nodesmith.api.writing.metadata import head, stated
from nodesmith.api.writing.selectors import label_selector, node_selector, node_term
from nodesmith.model.pod import (
    HostPort,
    Pod,
    PodAffinityTerm,
    PodSpec,
    PodVolume,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)
from nodesmith.model.resources import PODS, format_resources
from nodesmith.model.taints import Toleration

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


def pod(each: Pod) -> dict[str, Any]:
    """The pod."""
    spec = pod_spec(each.spec, limits=each.limits)
    if each.node_name:
        spec["nodeName"] = each.node_name
    if each.has_scheduling_gates:
        spec["schedulingGates"] = [{"name": "closed"}]
    status = stated(
        phase=each.phase,
        nominatedNodeName=each.nominated_node_name,
        startTime=None if each.started_at is None else format_time(each.started_at),
        conditions=_conditions(each),
    )
    return head("v1", "Pod", each.meta) | {"spec": spec, "status": status}


def pod_spec(spec: PodSpec, *, limits: Any = None) -> dict[str, Any]:
    """A spec that decodes to this one."""
    requests = {name: amount for name, amount in spec.requests if name != PODS}
    resources = stated(requests=format_resources(requests), limits=format_resources(limits or {}))
    container = {"name": "main", "image": "main", "resources": resources} | stated(
        ports=[_port(each) for each in spec.host_ports]
    )
    return {"containers": [container], "terminationGracePeriodSeconds": spec.termination_grace_period_s} | stated(
        nodeSelector=dict(spec.node_selector),
        affinity=_affinity(spec),
        topologySpreadConstraints=[_spread(each) for each in spec.topology_spread],
        tolerations=[_toleration(each) for each in spec.tolerations],
        volumes=[_volume(number, each) for number, each in enumerate(spec.volumes)],
        resourceClaims=[{"name": "claim"}] if spec.has_resource_claims else None,
        priority=spec.priority,
        priorityClassName=spec.priority_class,
    )


def _conditions(each: Pod) -> list[dict[str, str]]:
    ready = {"type": "Ready", "status": "True" if each.is_ready else "False"}
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return [ready, unschedulable] if each.is_unschedulable else [ready]


def _port(port: HostPort) -> dict[str, Any]:
    return {"containerPort": port.port, "hostPort": port.port, "protocol": port.protocol, "hostIP": port.ip}


def _affinity(spec: PodSpec) -> dict[str, Any]:
    required = node_selector(spec.required_node_terms)
    if spec.has_match_fields:
        listed = [*(required or {}).get("nodeSelectorTerms", ()), {"matchFields": [_ANY_FIELD]}]
        required = {"nodeSelectorTerms": listed}
    preferred = [{"weight": each.weight, "preference": node_term(each.term)} for each in spec.preferred_node_terms]
    return stated(
        nodeAffinity=stated(**{_REQUIRED: required, _PREFERRED: preferred}),
        podAffinity=_company(spec.required_affinity, spec.preferred_affinity),
        podAntiAffinity=_company(spec.required_anti_affinity, spec.preferred_anti_affinity),
    )


_ANY_FIELD: Final = {"key": "metadata.name", "operator": "In", "values": ["any"]}


def _company(required: Iterable[PodAffinityTerm], preferred: Iterable[WeightedPodAffinityTerm]) -> dict[str, Any]:
    weighted = [{"weight": each.weight, "podAffinityTerm": _term(each.term)} for each in preferred]
    return stated(**{_REQUIRED: [_term(each) for each in required], _PREFERRED: weighted})


def _term(term: PodAffinityTerm) -> dict[str, Any]:
    written: dict[str, Any] = {"topologyKey": term.topology_key}
    for name, selector in (("labelSelector", term.selector), ("namespaceSelector", term.namespace_selector)):
        if (value := label_selector(selector)) is not None:
            written[name] = value
    return written | stated(namespaces=sorted(term.namespaces))


def _spread(constraint: TopologySpreadConstraint) -> dict[str, Any]:
    written: dict[str, Any] = {
        "topologyKey": constraint.topology_key,
        "maxSkew": constraint.max_skew,
        "whenUnsatisfiable": constraint.when_unsatisfiable,
        "nodeAffinityPolicy": "Honor" if constraint.honor_node_affinity else "Ignore",
        "nodeTaintsPolicy": "Honor" if constraint.honor_node_taints else "Ignore",
    }
    if (selector := label_selector(constraint.selector)) is not None:
        written["labelSelector"] = selector
    return written | stated(minDomains=constraint.min_domains)


def _toleration(toleration: Toleration) -> dict[str, Any]:
    return {"operator": toleration.operator} | stated(
        key=toleration.key, value=toleration.value, effect=toleration.effect
    )


def _volume(number: int, volume: PodVolume) -> dict[str, Any]:
    if not volume.is_ephemeral:
        return {"name": f"volume-{number}", "persistentVolumeClaim": {"claimName": volume.claim_name}}
    spec = {} if volume.storage_class is None else {"storageClassName": volume.storage_class}
    return {"name": volume.claim_name, "ephemeral": {"volumeClaimTemplate": {"spec": spec}}}
