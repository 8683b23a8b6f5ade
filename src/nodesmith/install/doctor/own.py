"""The fields that this version's CustomResourceDefinitions know, by definition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from nodesmith.api.crd import all_crds
from nodesmith.install.doctor.clusterfacts import Definition

VERSION: Final = "v1"


def field_paths(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The path of every field of a structural schema, lists and maps looked through."""
    for name, inner in (schema.get("properties") or {}).items():
        here = f"{path}.{name}" if path else name
        yield here
        yield from field_paths(inner, here)
    for inside in ("items", "additionalProperties"):
        if isinstance(schema.get(inside), Mapping):
            yield from field_paths(schema[inside], path)


def definition_of(manifest: Mapping[str, Any]) -> Definition:
    """What a CustomResourceDefinition defines."""
    versions = manifest["spec"].get("versions") or ()
    spoken: Mapping[str, Any] = next((each for each in versions if each["name"] == VERSION), {})
    schema = (spoken.get("schema") or {}).get("openAPIV3Schema") or {}
    top = schema.get("properties") or {}
    fields = [path for part in ("spec", "status") for path in field_paths(top.get(part) or {}, part)]
    return Definition(
        name=manifest["metadata"]["name"],
        served=tuple(each["name"] for each in versions if each.get("served")),
        stored=next((each["name"] for each in versions if each.get("storage")), ""),
        fields=frozenset(fields),
    )


FIELDS: Final = {each.name: each.fields for each in map(definition_of, all_crds())}
