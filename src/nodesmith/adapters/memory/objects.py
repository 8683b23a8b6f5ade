"""JSON objects as an API server handles them: merge patches, metadata, names. Nothing here changes its arguments."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final

from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import (
    CAPACITY_BUFFER,
    DAEMON_SET,
    DEPLOYMENT,
    EC2_NODE_CLASS,
    JOB,
    NAMESPACE,
    NODE,
    NODE_CLAIM,
    NODE_OVERLAY,
    NODE_POOL,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
    VOLUME_ATTACHMENT,
)

_SUFFIX_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH: Final = 5
_LONGEST_PREFIX: Final = 58
_SERVER_OWNED: Final = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_WITH_STATUS: Final = frozenset(
    (kind.group, kind.plural)
    for kind in (
        CAPACITY_BUFFER,
        DAEMON_SET,
        DEPLOYMENT,
        EC2_NODE_CLASS,
        JOB,
        NAMESPACE,
        NODE,
        NODE_CLAIM,
        NODE_OVERLAY,
        NODE_POOL,
        PERSISTENT_VOLUME,
        PERSISTENT_VOLUME_CLAIM,
        POD,
        POD_DISRUPTION_BUDGET,
        REPLICA_SET,
        REPLICATION_CONTROLLER,
        STATEFUL_SET,
        VOLUME_ATTACHMENT,
    )
)


def same(kind: Kind[Any], other: Kind[Any]) -> bool:
    """Whether both are served under one resource, however each decodes."""
    return (kind.group, kind.plural) == (other.group, other.plural)


def has_status(kind: Kind[Any]) -> bool:
    """Whether the status is written through its own subresource."""
    return (kind.group, kind.plural) in _WITH_STATUS


def merge(target: Any, patch: Any) -> Any:
    """The target after a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def copied(value: Any) -> Any:
    """A copy that shares no container with the original."""
    if isinstance(value, dict):
        return {key: copied(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [copied(each) for each in value]
    return {key: copied(each) for key, each in value.items()} if isinstance(value, Mapping) else value


def copied_patch(patch: Any) -> Any:
    """A copy of a merge patch; in lists, where a null takes nothing away, it is left out as a typed server does."""
    if isinstance(patch, Mapping):
        return {key: copied_patch(each) for key, each in patch.items()}
    return without_nulls(copied(patch))


def without_nulls(value: Any) -> Any:
    """The value without empty fields, as a typed API server stores it."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [without_nulls(each) for each in value]
    return value


def meta(manifest: Manifest) -> Mapping[str, Any]:
    """The metadata, empty when there is none."""
    found: Mapping[str, Any] = manifest.get("metadata") or {}
    return found


def with_meta(manifest: Manifest, **fields: Any) -> dict[str, Any]:
    """The object with these metadata fields; None takes a field away."""
    return {**manifest, "metadata": merge(meta(manifest), fields)}


def key_of(kind: Kind[Any], name: str, namespace: str) -> str:
    """What an object is stored under."""
    return f"{namespace}/{name}" if kind.is_namespaced else name


def generated_name(prefix: str, rng: random.Random) -> str:
    """A name for `generateName`."""
    suffix = "".join(rng.choice(_SUFFIX_ALPHABET) for _ in range(_SUFFIX_LENGTH))
    return f"{prefix[:_LONGEST_PREFIX]}{suffix}"


def new_uid(rng: random.Random) -> str:
    """A random UUID (version 4) from the source."""
    bits = rng.getrandbits(128) & ~(0xF << 76) & ~(0xC << 60) | 4 << 76 | 8 << 60
    text = f"{bits:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def patched(kind: Kind[Any], present: Manifest, patch: Manifest, subresource: str) -> dict[str, Any]:
    """The object after the patch: a patch of one subresource leaves the other, and the server's own fields, alone."""
    changed: dict[str, Any] = merge(present, patch)
    if subresource == "status":
        result = dict(present)
        _take(result, changed, "status")
        return result
    if has_status(kind):
        _take(changed, present, "status")
    own = {field: meta(present)[field] for field in _SERVER_OWNED if field in meta(present)}
    kept = {field: value for field, value in meta(changed).items() if field not in _SERVER_OWNED}
    changed["metadata"] = own | kept
    changed["apiVersion"], changed["kind"] = present["apiVersion"], present["kind"]
    return changed


def spec_differs(kind: Kind[Any], before: Manifest, after: Manifest) -> bool:
    """Whether what the user wants has changed, and the generation with it."""
    ignored = {"metadata", "status"} if has_status(kind) else {"metadata"}
    return {k: v for k, v in before.items() if k not in ignored} != {k: v for k, v in after.items() if k not in ignored}


def owner_uids(manifest: Manifest) -> list[str]:
    """The uids of the owners."""
    return [owner.get("uid", "") for owner in meta(manifest).get("ownerReferences") or ()]


def _take(target: dict[str, Any], source: Mapping[str, Any], field: str) -> None:
    if field in source:
        target[field] = source[field]
    else:
        target.pop(field, None)
