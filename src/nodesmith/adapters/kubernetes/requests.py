"""HTTP requests for the Kubernetes API, as values.

Pure: nothing is sent here, so every path, query and header is tested without a server. Writes are patches, creations
and deletions; there is no full update, which would undo what others wrote to fields we do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

import msgspec

from nodesmith.api.kind import Kind, Manifest

FIELD_MANAGER: Final = "nodesmith"
PAGE_SIZE: Final = 500


class PatchType(StrEnum):
    """How a patch is meant, as its content type says."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `about` is what an error message calls it."""

    method: str
    path: str
    about: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str = ""

    @property
    def is_write(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET"


def version() -> Request:
    """Which version the API server has."""
    return Request("GET", "/version", "get the API server's version")


def object_path(kind: Kind[Any], name: str = "", *, namespace: str = "", subresource: str = "") -> str:
    """Where the object is, or the collection when no name is given (all namespaces when no namespace is)."""
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    parts = ["namespaces", namespace] if kind.is_namespaced and namespace else []
    parts += [kind.plural, *([name] if name else []), *([subresource] if subresource else [])]
    return "/".join([root, *(quote(part, safe="") for part in parts)])


def get(kind: Kind[Any], name: str, *, namespace: str = "") -> Request:
    """Read one object."""
    return Request("GET", object_path(kind, name, namespace=namespace), _about("get", kind, name, namespace))


def list_page(kind: Kind[Any], *, continue_token: str = "", limit: int = PAGE_SIZE) -> Request:
    """Read one page of all objects of a kind; all in one page when the limit is 0."""
    query = {"limit": str(limit)} if limit else {}
    if continue_token:
        query["continue"] = continue_token
    return Request("GET", object_path(kind), f"list {kind.plural}", query)


def list_named(kind: Kind[Any], name: str) -> Request:
    """Read the objects of one name, of all namespaces: what a role may allow for that name alone."""
    return Request("GET", object_path(kind), f"list {kind.plural} {name}", {"fieldSelector": f"metadata.name={name}"})


def watch(kind: Kind[Any], *, since: str, timeout_s: int) -> Request:
    """Follow all objects of a kind from a resource version on; the server ends it after the timeout."""
    query = {
        "watch": "true",
        "resourceVersion": since,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(timeout_s),
    }
    return Request("GET", object_path(kind), f"watch {kind.plural}", query)


def create(kind: Kind[Any], manifest: Manifest, *, dry_run: bool = False) -> Request:
    """Make an object; its namespace and name are the manifest's."""
    metadata = manifest.get("metadata") or {}
    namespace, name = metadata.get("namespace") or "", metadata.get("name") or metadata.get("generateName") or ""
    body = {"apiVersion": kind.api_version, "kind": kind.name, **manifest}
    return _write(
        "POST",
        object_path(kind, namespace=namespace),
        _about("create", kind, name, namespace),
        body,
        query=_query(dry_run=dry_run),
    )


def patch(
    kind: Kind[Any],
    name: str,
    body: Any,
    *,
    namespace: str = "",
    subresource: str = "",
    patch_type: PatchType = PatchType.MERGE,
    force: bool = False,
    dry_run: bool = False,
) -> Request:
    """Change parts of an object. An apply patch makes it if it is not there; `force` takes others' fields over."""
    query = _query(dry_run=dry_run)
    if patch_type is PatchType.APPLY:
        query["force"] = "true" if force else "false"
    path = object_path(kind, name, namespace=namespace, subresource=subresource)
    about = _about("patch", kind, name, namespace) + (f" ({subresource})" if subresource else "")
    return _write("PATCH", path, about, body, query=query, content_type=patch_type)


def at_version(body: Manifest, resource_version: str) -> Manifest:
    """The merge patch, to be refused when the object is at another version than this (if one is given)."""
    if not resource_version:
        return body
    return {**body, "metadata": {**(body.get("metadata") or {}), "resourceVersion": resource_version}}


def delete(
    kind: Kind[Any], name: str, *, namespace: str = "", uid: str = "", grace_period_s: int | None = None
) -> Request:
    """Ask an object to go; with a uid, only if it is that very object."""
    return _write(
        "DELETE",
        object_path(kind, name, namespace=namespace),
        _about("delete", kind, name, namespace),
        _delete_options(uid, grace_period_s),
    )


def evict(name: str, *, namespace: str, uid: str) -> Request:
    """Ask a pod to go, within its PodDisruptionBudgets."""
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}/eviction"
    body: dict[str, Any] = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
    }
    if uid:
        body["deleteOptions"] = {"preconditions": {"uid": uid}}
    return _write("POST", path, f"evict Pod {namespace}/{name}", body, query={})


def token(name: str, *, namespace: str, audience: str, seconds: int) -> Request:
    """Ask for a token of a service account, for an audience."""
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/serviceaccounts/{quote(name, safe='')}/token"
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [audience], "expirationSeconds": seconds},
    }
    return _write("POST", path, f"make a token of ServiceAccount {namespace}/{name}", body, query={})


def _write(
    method: str,
    path: str,
    about: str,
    body: Any,
    *,
    query: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> Request:
    return Request(method, path, about, query or {}, msgspec.json.encode(body), str(content_type))


def _query(*, dry_run: bool) -> dict[str, str]:
    stated = {"fieldManager": FIELD_MANAGER}
    if dry_run:
        stated["dryRun"] = "All"
    return stated


def _delete_options(uid: str, grace_period_s: int | None) -> dict[str, Any]:
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    if uid:
        options["preconditions"] = {"uid": uid}
    if grace_period_s is not None:
        options["gracePeriodSeconds"] = grace_period_s
    return options


def _about(verb: str, kind: Kind[Any], name: str, namespace: str) -> str:
    return f"{verb} {kind.name} {namespace}/{name}" if namespace else f"{verb} {kind.name} {name}"
