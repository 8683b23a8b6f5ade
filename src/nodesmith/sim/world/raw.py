"""Reading and writing the JSON objects that the world's parts deal in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from nodesmith.adapters.memory.objects import meta
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.meta import format_time


def split(key: str) -> tuple[str, str]:
    """Namespace and name of a key; no namespace for an object of the whole cluster."""
    namespace, _, name = key.rpartition("/")
    return namespace, name


def find(server: ApiServer, kind: Kind[Any], key: str) -> Manifest | None:
    """The object of this key, or None."""
    namespace, name = split(key)
    return server.find(kind, name, namespace=namespace)


def key_of(manifest: Manifest) -> str:
    """The object's key."""
    given = meta(manifest)
    return f"{given['namespace']}/{given['name']}" if given.get("namespace") else str(given["name"])


def is_deleting(manifest: Manifest) -> bool:
    """Whether the object was asked to go."""
    return "deletionTimestamp" in meta(manifest)


def is_active(pod: Manifest) -> bool:
    """Whether the pod has not ended and was not asked to go."""
    return not is_deleting(pod) and pod["status"].get("phase") not in {"Succeeded", "Failed"}


def condition(manifest: Manifest, type_: str) -> Mapping[str, Any] | None:
    """The condition of this type."""
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == type_), None)


def is_ready(manifest: Manifest) -> bool:
    """Whether the object's Ready condition is True."""
    ready = condition(manifest, "Ready")
    return ready is not None and ready["status"] == "True"


def with_conditions(manifest: Manifest, now: datetime, *changes: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """The conditions with these changed; a time of transition moves only with the status."""
    conditions = {each["type"]: each for each in (manifest.get("status") or {}).get("conditions") or ()}
    for change in changes:
        before = conditions.get(change["type"])
        stayed = before is not None and before["status"] == change["status"]
        moved_at = before["lastTransitionTime"] if before is not None and stayed else format_time(now)
        conditions[change["type"]] = {**change, "lastTransitionTime": moved_at}
    return list(conditions.values())


def controller_of(manifest: Manifest, kind: str) -> Mapping[str, Any] | None:
    """The owner of this kind that controls the object."""
    owners: Iterable[Mapping[str, Any]] = meta(manifest).get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller") and owner["kind"] == kind), None)


def owned_by(manifest: Manifest) -> list[dict[str, Any]]:
    """The owner references of what this object makes."""
    given = meta(manifest)
    return [
        {
            "apiVersion": manifest["apiVersion"],
            "kind": manifest["kind"],
            "name": given["name"],
            "uid": given["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def set_status(server: ApiServer, kind: Kind[Any], manifest: Manifest, status: Mapping[str, Any]) -> None:
    """The object's status has these fields; nothing happens when the object is gone."""
    given = meta(manifest)
    name, namespace = given["name"], given.get("namespace", "")
    present = server.find(kind, name, namespace=namespace)
    if present is None:
        return
    before = present.get("status") or {}
    if any(key not in before or before[key] != value for key, value in status.items()):
        server.patch(kind, name, {"status": status}, namespace=namespace, subresource="status")


def remove(server: ApiServer, kind: Kind[Any], manifest: Manifest, *, grace_s: int | None = None) -> None:
    """The object is going; nothing happens when it is gone, or another has its name."""
    given = meta(manifest)
    present = server.find(kind, given["name"], namespace=given.get("namespace", ""))
    if present is not None and meta(present)["uid"] == given["uid"]:
        server.delete(kind, given["name"], namespace=given.get("namespace", ""), grace_period_s=grace_s)
