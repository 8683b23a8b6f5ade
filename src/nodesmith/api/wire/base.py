"""What all wire structs share: names as in the manifests, and constraints that an OpenAPI schema can state.

A struct's fields are the manifest's, in snake_case; `manifest_name` gives the spelling of the manifest. Unknown fields
are ignored when an object is decoded: only `lint` minds them.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

_ACRONYMS: Final = {
    "id": "ID",
    "ip": "IP",
    "ipv6": "IPv6",
    "dns": "DNS",
    "cfs": "CFS",
    "gc": "GC",
    "uid": "UID",
}


def manifest_name(field: str) -> str:
    """The manifest's spelling of a field: `kms_key_id` is `kmsKeyID`."""
    first, *rest = field.rstrip("_").split("_")
    return first + "".join(_ACRONYMS.get(word, word.capitalize()) for word in rest)


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename=manifest_name):
    """A JSON object of a manifest."""


def to_json(value: Wire) -> dict[str, Any]:
    """The JSON that the struct was, or would be, read from; unset fields left out."""
    built: dict[str, Any] = msgspec.to_builtins(value)
    return built
