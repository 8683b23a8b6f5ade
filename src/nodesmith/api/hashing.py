"""Static drift hashes: the numbers in `karpenter.sh/nodepool-hash` and `karpenter.k8s.aws/ec2nodeclass-hash`.

They are those of Go's hashstructure v2 with SlicesAsSets, IgnoreZeroValue and ZeroNil over upstream's Go structs, so
that taking over a cluster drifts nothing. Type names, field names and their order below are therefore Go's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import Any, Final

_OFFSET: Final = 14695981039346656037
_PRIME: Final = 1099511628211
_MASK: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class GoStruct:
    """A Go struct: its type name and its fields in order of declaration; None is a nil pointer."""

    name: str
    fields: tuple[tuple[str, Any], ...]

    def is_zero(self) -> bool:
        """Whether every field has its zero value."""
        return all(is_zero(value) for _, value in self.fields)


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer that is not nil: hashed as what it points to, but never a zero value."""

    to: Any


class Int32(int):
    """A Go int32; plain ints are int64."""


def hash_of(value: Any) -> int:
    """The 64-bit hash of a value made of strings, ints, bools, mappings, lists, `GoStruct` and `Pointer`."""
    match value:
        case Pointer(to=inner):
            return hash_of(inner)
        case bool():
            return _fnv(b"\x01" if value else b"\x00")
        case Int32():
            return _fnv(struct.pack("<i", value))
        case int():
            return _fnv(struct.pack("<q", value))
        case str():
            return _fnv(value.encode())
        case GoStruct():
            return _struct_hash(value)
        case Mapping():
            return _finished(_xor(_pair(hash_of(key), hash_of(each)) for key, each in value.items()))
        case _:
            return _xor(hash_of(each) for each in value)


def is_zero(value: Any) -> bool:
    """Whether Go calls the value zero; an empty map or list that is not nil is not."""
    match value:
        case None | "":
            return True
        case Pointer():
            return False
        case GoStruct():
            return value.is_zero()
        case bool() | int():
            return not value
        case _:
            return False


def pointer(value: Any) -> Pointer | None:
    """A pointer to the value, nil where there is none."""
    return None if value is None else Pointer(value)


def _struct_hash(value: GoStruct) -> int:
    total = _fnv(value.name.encode())
    for name, field in value.fields:
        if not is_zero(field):
            total = _finished(total ^ _pair(_fnv(name.encode()), hash_of(field)))
    return total


def _fnv(data: bytes) -> int:
    total = _OFFSET
    for byte in data:
        total = (total * _PRIME & _MASK) ^ byte
    return total


def _pair(left: int, right: int) -> int:
    return _fnv(struct.pack("<QQ", left, right))


def _finished(total: int) -> int:
    return _fnv(struct.pack("<Q", total))


def _xor(hashes: Iterable[int]) -> int:
    return reduce(xor, hashes, 0)
