"""Metadata with what the API server assigns: a written cluster keeps its uids and ages."""

from __future__ import annotations

from typing import Any

from nodesmith.api.meta import format_time, meta_to_json
from nodesmith.model.meta import EPOCH, ObjectMeta


def metadata(meta: ObjectMeta) -> dict[str, Any]:
    """The `metadata` object, with uid, generation and times."""
    stated = meta_to_json(meta)
    if meta.uid:
        stated["uid"] = meta.uid
    if meta.generation:
        stated["generation"] = meta.generation
    if meta.created_at != EPOCH:
        stated["creationTimestamp"] = format_time(meta.created_at)
    if meta.deleted_at is not None:
        stated["deletionTimestamp"] = format_time(meta.deleted_at)
    return stated


def head(api_version: str, kind: str, meta: ObjectMeta) -> dict[str, Any]:
    """What every object begins with."""
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata(meta)}


def stated(**fields: Any) -> dict[str, Any]:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {}, ())}
