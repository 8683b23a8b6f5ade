"""The structs of `api.wire` as schemas: what checks a manifest, and what CRDs and reference pages are made from."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Final

import msgspec

from nodesmith.api.wire.base import Wire
from nodesmith.api.wire.field import UNSET, Field, Rule


class Type(StrEnum):
    """The JSON type of a value."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    OBJECT = "object"
    MAP = "map"
    ARRAY = "array"
    INT_OR_STRING = "int-or-string"
    AMOUNT = "amount"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Schema:
    """A value's type, what its field says of it (`limits`), and an object's `fields` or a list's or map's `items`.

    An object that `is_open` keeps fields that are not among its `fields`; `others` are those that lint knows of.
    """

    type: Type
    limits: Field = field(default_factory=Field)
    fields: Mapping[str, Schema] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    items: Schema | None = None
    rules: tuple[Rule, ...] = ()
    others: Mapping[str, Schema] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether the API server keeps fields that the schema does not state."""
        return bool(self.others)

    @property
    def about(self) -> str:
        """What it is for, in a sentence or two."""
        return self.limits.about

    @property
    def has_default(self) -> bool:
        """Whether the API server sets it where it is missing."""
        return self.limits.default is not UNSET


_SCALARS: Final[Mapping[Any, Type]] = {
    str: Type.STRING,
    int: Type.INTEGER,
    float: Type.NUMBER,
    bool: Type.BOOLEAN,
    Any: Type.ANY,
}


@cache
def schema_of(struct: type[Wire]) -> Schema:
    """The schema of a struct: its fields in order, its docstring, its `RULES`, and its `OTHERS` where it is open."""
    hints = typing.get_type_hints(struct, include_extras=True)
    fields = {each.encode_name: _schema(hints[each.name]) for each in msgspec.structs.fields(struct)}
    required = {
        each.encode_name
        for each in msgspec.structs.fields(struct)
        if each.required or fields[each.encode_name].limits.is_required
    }
    return Schema(
        type=Type.OBJECT,
        limits=Field(about=" ".join((struct.__doc__ or "").split())),
        fields=fields,
        required=frozenset(required),
        rules=getattr(struct, "RULES", ()),
        others={name: _schema(hint) for name, hint in getattr(struct, "OTHERS", {}).items()},
    )


def _schema(hint: Any, constraints: Field | None = None) -> Schema:
    origin = typing.get_origin(hint)
    if origin is Annotated:
        inner, *notes = typing.get_args(hint)
        return _schema(inner, next((note for note in notes if isinstance(note, Field)), constraints))
    if origin in {typing.Union, types.UnionType}:
        return _union([each for each in typing.get_args(hint) if each is not types.NoneType], constraints)
    if isinstance(hint, type) and issubclass(hint, Wire):
        return _with(schema_of(hint), constraints)
    if isinstance(hint, Mapping):
        return Schema(Type.OBJECT, fields={name: _schema(inner) for name, inner in hint.items()})
    given = constraints or Field()
    if given.struct is not None:
        return _with(schema_of(given.struct), given)
    if origin is tuple:
        return Schema(Type.ARRAY, given, items=_schema(typing.get_args(hint)[0]), rules=given.rules)
    if origin is not None:
        return Schema(Type.MAP, given, items=_schema(typing.get_args(hint)[1]), rules=given.rules)
    return Schema(_SCALARS[hint], given, rules=given.rules)


def _union(members: list[Any], constraints: Field | None) -> Schema:
    if len(members) == 1:
        return _schema(members[0], constraints)
    given = constraints or Field()
    return Schema(Type.AMOUNT if float in members else Type.INT_OR_STRING, given, rules=given.rules)


def _with(schema: Schema, constraints: Field | None) -> Schema:
    """An object's schema where a field of its type has something to say itself."""
    if constraints is None:
        return schema
    about = constraints.about or schema.about
    return replace(schema, limits=replace(constraints, about=about), rules=(*schema.rules, *constraints.rules))
