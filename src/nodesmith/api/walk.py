"""A JSON value against a schema: every problem at once, each with the path to it and what was likely meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from nodesmith.api.fault import Path, Problem, Repair, RepairKind, Severity, path_text
from nodesmith.api.likeness import closest, did_you_mean, is_certain
from nodesmith.api.schema import Schema, Type, schema_of
from nodesmith.api.wire.base import Wire
from nodesmith.api.wire.field import Rule

_PYTHON_TYPES: Final[Mapping[Type, tuple[type, ...]]] = {
    Type.STRING: (str,),
    Type.INTEGER: (int,),
    Type.NUMBER: (int, float),
    Type.BOOLEAN: (bool,),
    Type.OBJECT: (dict,),
    Type.MAP: (dict,),
    Type.ARRAY: (list, tuple),
    Type.INT_OR_STRING: (int, str),
    Type.AMOUNT: (int, float, str),
}
_NAMES: Final[Mapping[Type, str]] = {
    Type.STRING: "text",
    Type.INTEGER: "a whole number",
    Type.NUMBER: "a number",
    Type.BOOLEAN: "true or false",
    Type.OBJECT: "an object",
    Type.MAP: "a map",
    Type.ARRAY: "a list",
    Type.INT_OR_STRING: "a whole number or text",
    Type.AMOUNT: "a number or text",
}
_LONGEST_SHOWN: Final = 60
_MOST_NAMED: Final = 6


@dataclass(frozen=True, slots=True)
class Walk:
    """What an object is called in messages, whether unknown fields are problems, and where known strays belong.

    `strays` is keyed by path without list positions (`spec.requirements`), or by the field's name alone. `root` is the
    whole object's struct, whose fields may have been meant as well. Helm gives empty values a meaning, Kubernetes none.
    """

    kind: str
    minds_unknown: bool = True
    strays: Mapping[str, str] = field(default_factory=dict)
    root: type[Wire] | None = None
    minds_empty: bool = True

    def problems(self, schema: Schema, value: Any, path: Path = ()) -> Iterator[Problem]:
        """Every way in which the value is not what the schema says."""
        if value is None:
            if self.minds_empty:
                yield _empty(schema, path)
        elif not _has_type(schema.type, value):
            yield _wrong_type(schema, value, path)
        else:
            inner = list(self._inside(schema, value, path))
            yield from inner
            if not any(problem.is_misshapen for problem in inner):
                yield from _rules(schema.rules, value, path)

    def _inside(self, schema: Schema, value: Any, path: Path) -> Iterator[Problem]:
        match schema.type:
            case Type.OBJECT:
                yield from self._object(schema, value, path)
            case Type.MAP:
                yield from self._map(schema, value, path)
            case Type.ARRAY:
                yield from self._array(schema, value, path)
            case _:
                yield from _scalar(schema, value, path)

    def _object(self, schema: Schema, value: Mapping[str, Any], path: Path) -> Iterator[Problem]:
        for name, inner in value.items():
            if name in schema.fields:
                yield from self.problems(schema.fields[name], inner, (*path, name))
            elif self.minds_unknown and name in schema.others:
                yield from self.problems(schema.others[name], inner, (*path, name))
            elif self.minds_unknown:
                yield self._unknown(schema, value, (*path, name))
        for name in sorted(schema.required - value.keys()):
            missing = schema.fields[name]
            if not missing.has_default:
                yield Problem((*path, name), f"`{path_text((*path, name))}` is missing", _what_it_takes(missing))

    def _map(self, schema: Schema, value: Mapping[str, Any], path: Path) -> Iterator[Problem]:
        most = schema.limits.max_properties
        if most is not None and len(value) > most:
            yield _too_many(path, len(value), most)
        for name, inner in value.items():
            if inner is None and schema.items is not None and schema.items.type is Type.STRING:
                yield Problem((*path, name), f"`{path_text((*path, name))}` is empty", 'write "" for an empty text')
            elif schema.items is not None:
                yield from self.problems(schema.items, inner, (*path, name))

    def _array(self, schema: Schema, value: list[Any], path: Path) -> Iterator[Problem]:
        least, most = schema.limits.min_items, schema.limits.max_items
        if least is not None and len(value) < least:
            yield Problem(path, f"`{path_text(path)}` is an empty list", schema.limits.hint)
        if most is not None and len(value) > most:
            yield _too_many(path, len(value), most)
        for index, inner in enumerate(value):
            here = (*path, index)
            if inner is None:
                yield Problem(here, f"`{path_text(here)}` is an empty entry", "leave it out", is_misshapen=True)
            elif schema.items is not None:
                yield from self.problems(schema.items, inner, here)
        if schema.limits.list_type == "set":
            for index in _later_ones(value):
                here = (*path, index)
                yield Problem(here, f"`{path_text(here)}`: {shown(value[index])} is there already", "leave it out")

    def _unknown(self, schema: Schema, value: Mapping[str, Any], path: Path) -> Problem:
        name = str(path[-1])
        plain = ".".join(str(step) for step in path if isinstance(step, str))
        message = f"`{path_text(path)}` is not a field of {self.kind}"
        stray = self.strays.get(plain) or self.strays.get(name)
        if stray:
            return Problem(path, message, stray)
        meant = self._meant(schema, name)
        repair = None
        if meant in {*schema.fields, *schema.others} - value.keys() and is_certain(name, meant):
            repair = Repair(RepairKind.RENAME_KEY, meant)
        hint = f"did you mean `{meant}`?" if meant else f"leave it out; there are {_some(schema.fields)}"
        return Problem(path, message, hint, repair=repair)

    def _meant(self, schema: Schema, name: str) -> str | None:
        """The field that was meant: a sibling but for case, the same name elsewhere, a like sibling, a like name."""
        here = (*schema.fields, *schema.others)
        if name.lower() in {each.lower() for each in here}:
            return closest(name, here)
        elsewhere = _paths_by_name(self.root) if self.root is not None else {}
        if name in elsewhere:
            return elsewhere[name]
        like = closest(name, here)
        other = closest(name, elsewhere) if like is None else None
        return elsewhere[other] if other is not None and is_certain(name, other) else like


@lru_cache(maxsize=16)
def _paths_by_name(struct: type[Wire]) -> Mapping[str, str]:
    """Where in `spec` each field is, the shallowest if there are several."""
    paths: dict[str, str] = {}
    schema = schema_of(struct)
    level: list[tuple[str, Schema]] = [("spec", schema.fields["spec"])] if "spec" in schema.fields else []
    while level:
        following: list[tuple[str, Schema]] = []
        for path, each in level:
            for name, child in each.fields.items():
                paths.setdefault(name, f"{path}.{name}")
                inner = child.items if child.type is Type.ARRAY and child.items is not None else child
                following.append((f"{path}.{name}", inner))
        level = following
    return paths


def shown(value: Any) -> str:
    """The value as a message quotes it."""
    text = f'"{value}"' if isinstance(value, str) else str(value)
    if isinstance(value, bool):
        text = text.lower()
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def is_placeholder(value: Any) -> bool:
    """Whether the text is yet to be filled in (`${CLUSTER_NAME}`)."""
    return isinstance(value, str) and "${" in value


def _later_ones(values: list[Any]) -> Iterator[int]:
    """The positions of values that came before."""
    return (index for index, value in enumerate(values) if value in values[:index])


def _has_type(wanted: Type, value: Any) -> bool:
    if wanted is Type.ANY:
        return True
    if isinstance(value, bool) and wanted is not Type.BOOLEAN:
        return False
    if wanted is Type.INTEGER and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _PYTHON_TYPES[wanted])


def _what_it_takes(schema: Schema) -> str:
    """A hint for who gave nothing, or the wrong thing."""
    limits = schema.limits
    if limits.hint:
        return limits.hint
    if limits.enum:
        return f"one of {_listed(limits.enum)}"
    if limits.minimum is not None:
        top = "" if limits.maximum is None else f" to {limits.maximum}"
        return f"a number from {limits.minimum}{top}" if top else f"a number of at least {limits.minimum}"
    if schema.type is Type.OBJECT:
        return f"below it, indented, belong {_some(schema.fields)}"
    if schema.type is Type.MAP:
        return "below it, indented, are entries such as `name: value`"
    return f"it takes {_NAMES[schema.type]}"


def _some(names: Iterable[str]) -> str:
    """The names, or the first of many."""
    listed = list(names)
    more = ", ..." if len(listed) > _MOST_NAMED else ""
    return _listed(listed[:_MOST_NAMED]) + more


def _too_many(path: Path, count: int, most: int) -> Problem:
    hint = f"leave out {count - most} of them"
    return Problem(path, f"`{path_text(path)}` has {count} entries; {most} are allowed", hint)


def _empty(schema: Schema, path: Path) -> Problem:
    """An empty value: the API server drops it, so it says nothing."""
    hint = "leave the line out"
    limits = schema.limits
    if limits.enum or (schema.type is Type.INTEGER and None not in {limits.minimum, limits.maximum}):
        hint += f", or give {_what_it_takes(schema)}"
    drop = Repair(RepairKind.DROP)
    return Problem(path, f"`{path_text(path)}` is empty", hint, Severity.WARNING, drop)


def _wrong_type(schema: Schema, value: Any, path: Path) -> Problem:
    hint, repair = _what_it_takes(schema), None
    if schema.type is Type.STRING and isinstance(value, bool | int | float):
        hint, repair = f'put it in quotes: "{shown(value)}"', Repair(RepairKind.QUOTE)
    elif schema.type in {Type.INTEGER, Type.BOOLEAN, Type.NUMBER} and isinstance(value, str) and value:
        hint = "write it without quotes"
        if (schema.type is Type.INTEGER and value.isdecimal()) or value in {"true", "false"}:
            repair = Repair(RepairKind.REPLACE, value)
    elif schema.type is Type.ARRAY:
        hint = "write it as a list: each entry begins with `- `"
    message = f"`{path_text(path)}` must be {_NAMES[schema.type]}, not {_type_name(value)}"
    return Problem(path, message, hint, repair=repair, is_misshapen=True)


def _type_name(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return shown(value)


def _scalar(schema: Schema, value: Any, path: Path) -> Iterator[Problem]:
    if is_placeholder(value):
        return
    limits, name = schema.limits, path_text(path)
    if limits.enum and value not in limits.enum:
        yield _not_allowed(limits.enum, value, path)
    elif isinstance(value, str):
        yield from _text(schema, value, path)
    elif not isinstance(value, bool) and isinstance(value, int | float):
        if limits.minimum is not None and value < limits.minimum:
            yield Problem(path, f"`{name}`: {value} is below {limits.minimum}", _what_it_takes(schema))
        if limits.maximum is not None and value > limits.maximum:
            yield Problem(path, f"`{name}`: {value} is above {limits.maximum}", _what_it_takes(schema))


def _not_allowed(allowed: tuple[str, ...], value: Any, path: Path) -> Problem:
    meant = closest(str(value), allowed)
    repair = Repair(RepairKind.REPLACE, meant) if meant and is_certain(str(value), meant) else None
    hint = f"did you mean `{meant}`?" if meant else f"one of {_listed(allowed)}"
    return Problem(path, f"`{path_text(path)}`: {shown(value)} is not allowed", hint, repair=repair)


def _text(schema: Schema, value: str, path: Path) -> Iterator[Problem]:
    limits, name = schema.limits, path_text(path)
    if limits.min_length is not None and len(value) < limits.min_length:
        yield Problem(path, f"`{name}` may not be empty text", _what_it_takes(schema))
    elif limits.max_length is not None and len(value) > limits.max_length:
        yield Problem(
            path, f"`{name}` has {len(value)} characters; {limits.max_length} are allowed", _what_it_takes(schema)
        )
    elif limits.pattern and not _pattern(limits.pattern).search(value):
        yield Problem(path, f"`{name}`: {shown(value)} is not valid", _what_it_takes(schema))


def _rules(rules: tuple[Rule, ...], value: Any, path: Path) -> Iterator[Problem]:
    for rule in rules:
        if rule.broken is not None:
            for place in rule.broken(value):
                here = (*path, *place)
                severity = Severity.WARNING if rule.is_warning else Severity.ERROR
                given = value if isinstance(value, str) else place[-1] if place else ""
                hint = did_you_mean(str(given), rule.likely) or rule.hint
                yield Problem(here, f"`{path_text(here)}`: {rule.message}", hint, severity)


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)
