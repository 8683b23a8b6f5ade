"""Metadata and conditions: JSON to values and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import msgspec

from nodesmith.api.kind import Manifest
from nodesmith.api.shapes import Metadata, shaped
from nodesmith.model.meta import EPOCH, Condition, Conditions, ObjectMeta, OwnerReference

_OWNER_FIELDS: Final = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")


def meta_of(manifest: Manifest) -> ObjectMeta:
    """The metadata of an object; what is missing is empty."""
    return parse_meta(manifest.get("metadata") or {})


def parse_meta(raw: Mapping[str, Any] | Metadata) -> ObjectMeta:
    """The value of a `metadata` object."""
    if not isinstance(raw, Metadata):
        raw = shaped(Metadata, raw)
    return ObjectMeta(
        name=raw.name or "",
        namespace=raw.namespace or "",
        uid=raw.uid or "",
        labels=texts_of(raw.labels),
        annotations=texts_of(raw.annotations),
        finalizers=tuple(raw.finalizers) if raw.finalizers else (),
        owners=_owners(raw.owner_references),
        resource_version=raw.resource_version or "",
        generation=raw.generation or 0,
        created_at=parse_time(raw.creation_timestamp) or EPOCH,
        deleted_at=parse_time(raw.deletion_timestamp),
    )


def meta_to_json(meta: ObjectMeta) -> dict[str, Any]:
    """The `metadata` object to create it with: what the server assigns is left out."""
    stated: dict[str, Any] = {"name": meta.name} if meta.name else {}
    if meta.namespace:
        stated["namespace"] = meta.namespace
    for field in ("labels", "annotations"):
        if value := getattr(meta, field):
            stated[field] = dict(value)
    if meta.finalizers:
        stated["finalizers"] = list(meta.finalizers)
    if meta.owners:
        stated["ownerReferences"] = [owner_to_json(owner) for owner in meta.owners]
    return stated


def owner_to_json(owner: OwnerReference) -> dict[str, Any]:
    """One entry of `ownerReferences`."""
    stated: dict[str, Any] = {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
    if owner.controller:
        stated["controller"] = True
    if owner.block_owner_deletion:
        stated["blockOwnerDeletion"] = True
    return stated


def conditions_of(raw: Any) -> Conditions:
    """Conditions by type, in the order they are listed."""
    return {each["type"]: _condition(each) for each in raw or () if each.get("type")}


def condition_to_json(condition: Condition) -> dict[str, Any]:
    """One entry of `status.conditions`."""
    stated: dict[str, Any] = {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": format_time(condition.changed_at),
    }
    if condition.observed_generation:
        stated["observedGeneration"] = condition.observed_generation
    return stated


def conditions_to_json(conditions: Conditions) -> list[dict[str, Any]]:
    """`status.conditions`, in the order that they have."""
    return [condition_to_json(condition) for condition in conditions.values()]


def parse_time(text: Any) -> datetime | None:
    """The moment, or None where there is none (or none that can be read)."""
    if text is None:
        return None
    if isinstance(text, datetime):
        return text if text.tzinfo else text.replace(tzinfo=UTC)
    return _parsed_time(text) if text and isinstance(text, str) else None


@lru_cache(maxsize=65_536)
def _parsed_time(text: str) -> datetime | None:
    """One value for all objects that were made in the same second."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def format_time(moment: datetime) -> str:
    """The moment as Kubernetes writes it, in whole seconds: `2026-01-01T00:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(moment: datetime) -> str:
    """The moment with microseconds, as Lease and Event want it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def texts_of(raw: Any) -> Mapping[str, str]:
    """Labels or annotations; one mapping for all objects whose JSON is the same."""
    return _shared_texts(bytes(raw)) if isinstance(raw, msgspec.Raw) else raw or {}


@lru_cache(maxsize=65_536)
def _shared_texts(text: bytes) -> Mapping[str, str]:
    texts: dict[str, str] = msgspec.json.decode(text) or {}
    return texts


def _owners(raw: Any) -> tuple[OwnerReference, ...]:
    return _shared_owners(bytes(raw)) if isinstance(raw, msgspec.Raw) else tuple(map(_owner, raw or ()))


@lru_cache(maxsize=65_536)
def _shared_owners(text: bytes) -> tuple[OwnerReference, ...]:
    return tuple(map(_owner, msgspec.json.decode(text) or ()))


def _owner(raw: Mapping[str, Any]) -> OwnerReference:
    return _shared_owner(tuple(map(raw.get, _OWNER_FIELDS)))


@lru_cache(maxsize=65_536)
def _shared_owner(fields: tuple[Any, ...]) -> OwnerReference:
    """One value for all that have this owner: replicas come in thousands."""
    api_version, kind, name, uid, controller, blocks = fields
    return OwnerReference(api_version or "", kind or "", name or "", uid or "", bool(controller), bool(blocks))


def _condition(raw: Mapping[str, Any]) -> Condition:
    return Condition(
        type=raw["type"],
        status=str(raw.get("status") or "Unknown"),
        reason=raw.get("reason") or "",
        message=raw.get("message") or "",
        changed_at=parse_time(raw.get("lastTransitionTime")) or EPOCH,
        observed_generation=raw.get("observedGeneration") or 0,
    )


def derived_uid(key: str) -> str:
    """A uid for an object whose manifest has none: a name-based UUID of `namespace/name`, the same every time."""
    return str(uuid5(NAMESPACE_URL, key))
