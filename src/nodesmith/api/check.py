"""Whether the decoders can read a manifest: the type of every field that they look at, and slips of the pen.

Kubernetes' own kinds have many fields that are not looked at, so an unknown one is a fault only where it misses by a
letter or two one that is: what was meant would be lost without a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec

from nodesmith.api.fault import Path, Problem, Repair, RepairKind, path_text
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.likeness import edit_distance
from nodesmith.api.schema import Schema, Type, schema_of
from nodesmith.api.walk import Walk
from nodesmith.api.wire.cluster import BY_KIND
from nodesmith.model.quantity import QuantityError, parse_resource

_SHORT: Final = 5
_TOP: Final = frozenset({"apiVersion", "kind"})


def check(kind: Kind[Any], manifest: Manifest) -> Iterator[Problem]:
    """Every problem that would keep the decoder of the kind from reading the object, or a part of it."""
    struct = BY_KIND.get(kind.name)
    if struct is None:
        return
    try:
        msgspec.convert(manifest, struct)
    except msgspec.ValidationError:
        yield from Walk(kind.title, minds_unknown=False, minds_empty=False).problems(schema_of(struct), manifest)
    else:
        yield from _slips(schema_of(struct), manifest, (), kind)


def _slips(schema: Schema, value: Any, path: Path, kind: Kind[Any]) -> Iterator[Problem]:
    """Fields that were likely meant to be others, and amounts that are none."""
    if value is None:
        return
    if schema.type is Type.OBJECT:
        yield from _fields(schema, value, path, kind)
    elif schema.type is Type.ARRAY and schema.items is not None:
        for index, inner in enumerate(value):
            yield from _slips(schema.items, inner, (*path, index), kind)
    elif schema.type is Type.MAP and schema.items is not None and schema.items.type is Type.AMOUNT:
        for name, amount in value.items():
            if (told := _no_amount(name, amount)) is not None:
                here = (*path, name)
                yield Problem(here, f"`{path_text(here)}`: {told}")


def _fields(schema: Schema, value: Manifest, path: Path, kind: Kind[Any]) -> Iterator[Problem]:
    for name, inner in value.items():
        known = schema.fields.get(name)
        if known is not None:
            yield from _slips(known, inner, (*path, name), kind)
        elif name not in _TOP and (meant := _meant(name, tuple(schema.fields))) and meant not in value:
            yield _slip((*path, name), meant, kind)


def _slip(path: Path, meant: str, kind: Kind[Any]) -> Problem:
    told = f"`{path_text(path)}` is not a field of {kind.title}"
    return Problem(path, told, f"did you mean `{meant}`?", repair=Repair(RepairKind.RENAME_KEY, meant))


@lru_cache(maxsize=4096)
def _meant(name: str, known: tuple[str, ...]) -> str | None:
    """The known field that the name misses by a letter or two, whatever its case; by one where it is short."""
    most = 1 if len(name) <= _SHORT else 2
    return next((each for each in known if edit_distance(name.lower(), each.lower()) <= most), None)


@lru_cache(maxsize=4096)
def _no_amount(name: str, amount: str | float | None) -> str | None:
    """What is wrong with the amount of a resource, or None."""
    try:
        parse_resource(name, 0 if amount is None else amount)
    except QuantityError as error:
        return str(error)
    return None
