"""Deployments that run nodesmith or Karpenter, read from their manifests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from nodesmith.api.kind import Manifest
from nodesmith.install.doctor.clusterfacts import Controller, ControllerPod, ServicePort
from nodesmith.model.labels import NODEPOOL

_NAMES: Final = frozenset({"karpenter", "nodesmith"})
_ELSEWHERE: Final = ("eks.amazonaws.com/nodegroup", "eks.amazonaws.com/compute-type")
"""Node labels that no node of a NodePool has."""


def controllers_of(deployments: Iterable[Manifest]) -> Iterator[Controller]:
    """The controllers among Deployments, without their pods."""
    for manifest in deployments:
        container = _container(manifest)
        if container is not None:
            yield _controller(manifest, container)


def _container(manifest: Manifest) -> Mapping[str, Any] | None:
    """The container that is a controller, or None."""
    labels = (manifest["metadata"].get("labels") or {}) | (_template(manifest).get("metadata") or {}).get("labels", {})
    containers: Sequence[Mapping[str, Any]] = _pod_spec(manifest).get("containers") or ()
    for each in containers:
        words = set(_repository(each).split("/"))
        is_named = labels.get("app.kubernetes.io/name") in _NAMES or bool(words & _NAMES)
        if is_named and "CLUSTER_NAME" in {row.get("name") for row in each.get("env") or ()}:
            return each
    return None


def _controller(manifest: Manifest, container: Mapping[str, Any]) -> Controller:
    metadata, spec, status = manifest["metadata"], manifest.get("spec") or {}, manifest.get("status") or {}
    pod = _pod_spec(manifest)
    stated = {row["name"]: str(row["value"]) for row in container.get("env") or () if row.get("value") is not None}
    replicas = spec.get("replicas")
    return Controller(
        namespace=metadata.get("namespace") or "default",
        name=metadata["name"],
        image=container.get("image") or "",
        is_nodesmith="nodesmith" in _repository(container) or list(container.get("args") or ()) == ["run"],
        replicas=1 if replicas is None else int(replicas),
        ready=int(status.get("readyReplicas") or 0),
        service_account=pod.get("serviceAccountName") or "default",
        environment=stated,
        keeps_off_own_nodes=_keeps_off(pod),
        ports={each["name"]: int(each["containerPort"]) for each in container.get("ports") or () if each.get("name")},
        selector=(spec.get("selector") or {}).get("matchLabels") or {},
    )


def _template(manifest: Manifest) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (manifest.get("spec") or {}).get("template") or {}
    return found


def _pod_spec(manifest: Manifest) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _template(manifest).get("spec") or {}
    return found


def _repository(container: Mapping[str, Any]) -> str:
    image = str(container.get("image") or "").partition("@")[0]
    head, _, last = image.rpartition("/")
    name = last.partition(":")[0]
    return f"{head}/{name}" if head else name


def _keeps_off(pod: Mapping[str, Any]) -> bool:
    """Whether every way that the affinity leaves open leads to a node that no NodePool made."""
    if any(key in (pod.get("nodeSelector") or {}) for key in _ELSEWHERE):
        return True
    affinity = (pod.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or ()
    return bool(terms) and all(any(map(_is_elsewhere, term.get("matchExpressions") or ())) for term in terms)


def _is_elsewhere(expression: Mapping[str, Any]) -> bool:
    key, operator = expression.get("key"), expression.get("operator")
    return (key == NODEPOOL and operator == "DoesNotExist") or (key in _ELSEWHERE and operator in {"In", "Exists"})


def pod_of(manifest: Manifest, pool: str) -> ControllerPod:
    """A controller's pod, on a node of this NodePool (empty: of none)."""
    status = manifest.get("status") or {}
    states: Sequence[Mapping[str, Any]] = status.get("containerStatuses") or ()
    conditions = {each.get("type"): each.get("status") for each in status.get("conditions") or ()}
    ends = [(each.get("lastState") or {}).get("terminated") or {} for each in states]
    waits = [(each.get("state") or {}).get("waiting") or {} for each in states]
    unscheduled = [
        str(each.get("message") or each.get("reason") or "")
        for each in status.get("conditions") or ()
        if each.get("type") == "PodScheduled" and each.get("status") == "False"
    ]
    return ControllerPod(
        name=manifest["metadata"]["name"],
        node=(manifest.get("spec") or {}).get("nodeName") or "",
        pool=pool,
        is_ready=conditions.get("Ready") == "True",
        restarts=max((int(each.get("restartCount") or 0) for each in states), default=0),
        last_end=next((str(each["reason"]) for each in ends if each.get("reason")), ""),
        waits_for=next((str(each["reason"]) for each in waits if each.get("reason")), next(iter(unscheduled), "")),
    )


def ports_of(services: Iterable[Manifest], controller: Controller) -> Iterator[ServicePort]:
    """The ports of Services that select the controller's pods."""
    for manifest in services:
        spec = manifest.get("spec") or {}
        selector = spec.get("selector") or {}
        is_here = manifest["metadata"].get("namespace") == controller.namespace
        if is_here and selector and selector.items() <= controller.selector.items():
            for port in spec.get("ports") or ():
                target = port.get("targetPort") or port.get("port")
                yield ServicePort(manifest["metadata"]["name"], str(port.get("name") or port.get("port")), str(target))
