"""What the API server does to objects of our own kinds: defaults are filled in, and what the CRD forbids is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from nodesmith.adapters.memory.objects import meta, same
from nodesmith.api import served
from nodesmith.api.fault import Path, path_text
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.schema import Schema, Type, schema_of
from nodesmith.api.served import Served
from nodesmith.api.walk import Walk
from nodesmith.ports.errors import Refused

_SAME: Final = re.compile(r"self(?:\.(?P<field>\w+))? == oldSelf(?:\.(?P=field))?")
_SAME_PRESENCE: Final = re.compile(r"has\(self\.(?P<field>\w+)\) == has\(oldSelf\.(?P=field)\)")


def admit(kind: Kind[Any], manifest: Manifest, before: Manifest | None) -> Manifest:
    """The object with its defaults; objects of other kinds as they are.

    Raises:
        Refused: when the CRD does not allow it; an old object is judged by its spec only when that changes.
    """
    ours = next((each for each in served.ALL if same(each.kind, kind)), None)
    if ours is None or (before is not None and manifest.get("spec") == before.get("spec")):
        return manifest
    schema = schema_of(ours.struct)
    body = {name: value for name, value in manifest.items() if name in schema.fields}
    filled = with_defaults(schema, body)
    told = [*_problems(ours, schema, filled), *(_broken(schema, before, filled) if before is not None else ())]
    if told:
        name = meta(manifest).get("name", "")
        raise Refused(f'{kind.name}.{kind.group} "{name}" is invalid: {"; ".join(told)}')
    return {**manifest, **filled}


def with_defaults(schema: Schema, value: Any) -> Any:
    """The value, with every default that the schema names for what is missing in it."""
    if schema.type is Type.OBJECT and isinstance(value, Mapping):
        missing = {
            name: inner.limits.default
            for name, inner in schema.fields.items()
            if inner.has_default and name not in value
        }
        both = {**value, **missing}
        return {
            name: with_defaults(schema.fields[name], inner) if name in schema.fields else inner
            for name, inner in both.items()
        }
    if schema.items is not None and isinstance(value, list):
        return [with_defaults(schema.items, each) for each in value]
    if schema.items is not None and schema.type is Type.MAP and isinstance(value, Mapping):
        return {name: with_defaults(schema.items, each) for name, each in value.items()}
    return value


def _problems(ours: Served, schema: Schema, value: Manifest) -> Iterator[str]:
    walk = Walk(ours.kind.title, minds_unknown=False)
    return (problem.message for problem in walk.problems(schema, value) if problem.severity == "error")


def _broken(schema: Schema, before: Any, after: Any, path: Path = ()) -> Iterator[str]:
    """The rules between what was and what is to be that do not hold."""
    if before is None or after is None:
        return
    for rule in schema.rules:
        if rule.broken is None and not _holds(rule.cel, before, after):
            yield f"{path_text(path)}: {rule.message}"
    if schema.type is Type.OBJECT and isinstance(before, Mapping) and isinstance(after, Mapping):
        for name, inner in schema.fields.items():
            yield from _broken(inner, before.get(name), after.get(name), (*path, name))


def _holds(cel: str, before: Any, after: Any) -> bool:
    """Whether a rule of one of the two forms that ours have holds; others are a real API server's alone."""
    if (match := _SAME.fullmatch(cel)) is not None:
        field = match["field"]
        return bool(before == after if field is None else before.get(field) == after.get(field))
    if (match := _SAME_PRESENCE.fullmatch(cel)) is not None:
        return (match["field"] in before) == (match["field"] in after)
    return True
