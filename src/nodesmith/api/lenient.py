"""Decoding that does not fail on what an API server stored.

A value of the wrong type can only come from a CRD that is not ours. Such a value is left out, so that the field has its
default, and the rest is read; validation reports it.
"""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")

_AT: Final = re.compile(r" - at `\$(?P<path>.*)`$")
_STEP: Final = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")
_ATTEMPTS: Final = 100


def convert(raw: Any, into: type[T]) -> T:
    """The value that `raw` says, without the parts that have the wrong type."""
    try:
        return msgspec.convert(raw, into, strict=False)
    except msgspec.ValidationError as error:
        return _convert_the_rest(deepcopy(raw), into, str(error))


def _convert_the_rest(raw: Any, into: type[T], error: str) -> T:
    for _ in range(_ATTEMPTS):
        if not isinstance(raw, dict) or not _drop(raw, error):
            break
        try:
            return msgspec.convert(raw, into, strict=False)
        except msgspec.ValidationError as next_error:
            error = str(next_error)
    return msgspec.convert({}, into)


def _drop(raw: Any, error: str) -> bool:
    """Whether the part that the error names was there and is gone; a part of a map or list takes its parent along."""
    match = _AT.search(error)
    steps = [m["name"] or m["index"] for m in _STEP.finditer(match["path"])] if match else []
    parent, key = None, None
    here = raw
    for step in steps:
        if isinstance(here, dict) and step in here:
            parent, key, here = here, step, here[step]
        elif isinstance(here, list) and step.isdigit() and int(step) < len(here):
            here = here[int(step)]
        else:
            break
    if not isinstance(parent, dict) or key is None:
        return False
    del parent[key]
    return True
