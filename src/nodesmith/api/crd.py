"""CustomResourceDefinitions, made from the structs: the API server refuses what lint refuses."""

from __future__ import annotations

from typing import Any, Final

from nodesmith.api.schema import Schema, Type, schema_of
from nodesmith.api.served import ALL, Column, Served

API_VERSION: Final = "apiextensions.k8s.io/v1"

_TYPE_META: Final = {
    "apiVersion": "Group and version of the kind.",
    "kind": "The kind.",
}


def all_crds() -> tuple[dict[str, Any], ...]:
    """Every definition, ready to be applied."""
    return tuple(crd(each) for each in ALL)


def crd(served: Served) -> dict[str, Any]:
    """The definition of a kind."""
    kind = served.kind
    names: dict[str, Any] = {
        "categories": [served.category],
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.name.lower(),
    }
    if served.short_names:
        names["shortNames"] = list(served.short_names)
    version: dict[str, Any] = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_column(each) for each in served.columns],
        "schema": {"openAPIV3Schema": _root(schema_of(served.struct))},
        "subresources": _subresources(served),
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "names": names,
            "scope": "Namespaced" if kind.is_namespaced else "Cluster",
            "versions": [version],
        },
    }


def _column(column: Column) -> dict[str, Any]:
    stated: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    return stated | ({"priority": 1} if column.is_wide else {})


def _subresources(served: Served) -> dict[str, Any]:
    stated: dict[str, Any] = {"status": {}}
    if served.scale is not None:
        spec, status = served.scale
        stated["scale"] = {"specReplicasPath": spec, "statusReplicasPath": status}
    return stated


def _root(schema: Schema) -> dict[str, Any]:
    stated = _open_api(schema)
    type_meta = {name: {"type": "string", "description": about} for name, about in _TYPE_META.items()}
    stated["properties"] = {**type_meta, "metadata": {"type": "object"}, **stated["properties"]}
    return stated


def _open_api(schema: Schema) -> dict[str, Any]:
    """The structural schema of a value."""
    limits = schema.limits
    stated: dict[str, Any] = {"description": limits.about} if limits.about else {}
    stated |= _typed(schema)
    bounds: dict[str, Any] = {
        "format": limits.format or None,
        "pattern": limits.pattern or None,
        "enum": [str(each) for each in limits.enum] or None,
        "minimum": limits.minimum,
        "maximum": limits.maximum,
        "minLength": limits.min_length,
        "maxLength": limits.max_length,
        "minItems": limits.min_items,
        "maxItems": limits.max_items,
        "maxProperties": limits.max_properties,
    }
    stated |= {name: bound for name, bound in bounds.items() if bound is not None}
    if schema.has_default:
        stated["default"] = limits.default
    if limits.list_type:
        stated["x-kubernetes-list-type"] = limits.list_type
    if limits.list_type == "map":
        stated["x-kubernetes-list-map-keys"] = ["type"]
    if limits.map_type:
        stated["x-kubernetes-map-type"] = limits.map_type
    rules = [{"rule": each.cel, "message": each.message} for each in schema.rules if each.cel]
    return stated | ({"x-kubernetes-validations": rules} if rules else {})


def _typed(schema: Schema) -> dict[str, Any]:
    match schema.type:
        case Type.OBJECT:
            stated: dict[str, Any] = {
                "type": "object",
                "properties": {name: _open_api(each) for name, each in schema.fields.items()},
            }
            if schema.is_open:
                stated["x-kubernetes-preserve-unknown-fields"] = True
            return stated | ({"required": sorted(schema.required)} if schema.required else {})
        case Type.MAP:
            return {"type": "object", "additionalProperties": _inner(schema)}
        case Type.ARRAY:
            return {"type": "array", "items": _inner(schema)}
        case Type.INT_OR_STRING:
            return {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
        case _:
            return {"type": str(schema.type)}


def _inner(schema: Schema) -> dict[str, Any]:
    return _open_api(schema.items) if schema.items is not None else {"x-kubernetes-preserve-unknown-fields": True}
