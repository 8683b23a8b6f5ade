"""What an API server does to objects before it stores them: Kubernetes' own defaults and plugins, and a hook for more.

Only what somebody here depends on: a pod's grace and tolerations, a priority by class, a node's first taint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from nodesmith.adapters.memory.objects import meta, with_meta
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import NAMESPACE, NODE, PERSISTENT_VOLUME_CLAIM, POD
from nodesmith.api.storage import DEFAULT_CLASS
from nodesmith.ports.errors import Refused

Admission = Callable[[Kind[Any], Manifest, Manifest | None], Manifest]
"""The object as it is stored, from the object as asked for and what it was before; raises `Refused`."""

NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
_TOLERATED_FOR_S: Final = 300


def accept(_kind: Kind[Any], manifest: Manifest, _before: Manifest | None) -> Manifest:
    """Everything is fine as it is."""
    return manifest


def created(kind: Kind[Any], manifest: dict[str, Any], classes: Iterable[Manifest]) -> dict[str, Any]:
    """The new object with Kubernetes' defaults; `classes` are the PriorityClasses or StorageClasses there are."""
    match kind.plural:
        case POD.plural:
            return {**manifest, "spec": _pod_spec(manifest.get("spec") or {}, classes), "status": {"phase": "Pending"}}
        case NODE.plural:
            return _node(manifest)
        case NAMESPACE.plural:
            labels = {**(meta(manifest).get("labels") or {}), "kubernetes.io/metadata.name": meta(manifest)["name"]}
            return {**with_meta(manifest, labels=labels), "status": {"phase": "Active"}}
        case PERSISTENT_VOLUME_CLAIM.plural:
            return {
                **manifest,
                "spec": _claim_spec(manifest.get("spec") or {}, classes),
                "status": {"phase": "Pending"},
            }
        case _:
            return manifest


def changed_pod(before: Manifest, after: Manifest) -> None:
    """A patch may not move a pod.

    Raises:
        Refused: when it tries to.
    """
    if (before.get("spec") or {}).get("nodeName") != (after.get("spec") or {}).get("nodeName"):
        raise Refused("Pod is invalid: spec: Forbidden: pod updates may not change the node")


def _pod_spec(spec: Manifest, classes: Iterable[Manifest]) -> dict[str, Any]:
    defaults = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler",
    }
    return {**defaults, **spec, **_priority(spec, classes), "tolerations": _tolerations(spec)}


def _tolerations(spec: Manifest) -> list[Manifest]:
    """DefaultTolerationSeconds: five minutes of a node that is not ready or not reachable."""
    stated = list(spec.get("tolerations") or ())
    for key in (NOT_READY, UNREACHABLE):
        if not any(each.get("key", key) == key and each.get("effect", "NoExecute") == "NoExecute" for each in stated):
            stated.append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TOLERATED_FOR_S}
            )
    return stated


def _priority(spec: Manifest, classes: Iterable[Manifest]) -> dict[str, Any]:
    """Priority: by class, or by the global default."""
    by_name = {meta(each)["name"]: each for each in classes}
    by_name.setdefault("system-cluster-critical", {"value": 2_000_000_000})
    by_name.setdefault("system-node-critical", {"value": 2_000_001_000})
    wanted = spec.get("priorityClassName")
    if not wanted:
        default = next((each for each in by_name.values() if each.get("globalDefault")), None)
        return (
            {"priority": default["value"], "priorityClassName": meta(default)["name"]} if default else {"priority": 0}
        )
    if wanted not in by_name:
        raise Refused(f"no PriorityClass with name {wanted} was found")
    return {"priority": by_name[wanted].get("value", 0)}


def _node(manifest: Manifest) -> dict[str, Any]:
    """TaintNodesByCondition: a new node is not ready until its condition says otherwise."""
    spec: Manifest = manifest.get("spec") or {}
    taint = {"key": NOT_READY, "effect": "NoSchedule"}
    taints = list(spec.get("taints") or ())
    if not any((each.get("key"), each.get("effect")) == (NOT_READY, "NoSchedule") for each in taints):
        taints.append(taint)
    return {**manifest, "spec": {**spec, "taints": taints}}


def _claim_spec(spec: Manifest, classes: Iterable[Manifest]) -> Manifest:
    """DefaultStorageClass: the newest class that is marked as default."""
    if spec.get("storageClassName") is not None:
        return spec
    marked = [each for each in classes if _is_default(each)]
    if not marked:
        return spec
    newest = max(marked, key=lambda each: (str(meta(each).get("creationTimestamp")), meta(each)["name"]))
    return {**spec, "storageClassName": meta(newest)["name"]}


def _is_default(storage_class: Manifest) -> bool:
    annotations = meta(storage_class).get("annotations") or {}
    return any(annotations.get(key) == "true" for key in DEFAULT_CLASS)
