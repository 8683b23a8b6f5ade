"""EC2's filters: names are AND-ed, values OR-ed, `*` and `?` are wildcards, an unknown name is an error."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from moto.ec2.exceptions import EC2ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@lru_cache(maxsize=4096)
def _pattern(value: str) -> re.Pattern[str]:
    text = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in value)
    return re.compile(text, re.DOTALL)


def matches_value(wanted: Sequence[str], found: Sequence[str]) -> bool:
    """Whether any found value is one of the wanted, wildcards included."""
    plain, patterns = _sorted_out(tuple(wanted))
    return any(value in plain or any(each.fullmatch(value) for each in patterns) for value in found)


@lru_cache(maxsize=64)
def _sorted_out(wanted: tuple[str, ...]) -> tuple[frozenset[str], tuple[re.Pattern[str], ...]]:
    """The values that are meant as they are, and those with wildcards: a filter may name two hundred of the former."""
    patterns = [each for each in wanted if "*" in each or "?" in each]
    return frozenset(wanted).difference(patterns), tuple(_pattern(each) for each in patterns)


def matches(
    filters: Mapping[str, Sequence[str]],
    tags: Mapping[str, str],
    lookup: Callable[[str], Sequence[str] | None],
) -> bool:
    """Whether a resource passes all filters; `lookup` gives a field's values, or None for an unknown filter.

    Raises:
        EC2ClientError: a filter name that the resource does not know.
    """
    for name, wanted in filters.items():
        found = tag_values(name, tags)
        if found is None:
            found = lookup(name)
        if found is None:
            raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
        if not matches_value(wanted, found):
            return False
    return True


def tag_values(name: str, tags: Mapping[str, str]) -> Sequence[str] | None:
    """The values of a tag filter, or None where the name is not one."""
    if name.startswith("tag:"):
        value = tags.get(name[4:])
        return () if value is None else (value,)
    if name == "tag-key":
        return tuple(tags)
    if name == "tag-value":
        return tuple(tags.values())
    return None


def from_params(filters: Sequence[Mapping[str, Any]] | None) -> dict[str, list[str]]:
    """The `Filters` parameter as a mapping."""
    return {entry["Name"]: list(entry.get("Values") or []) for entry in filters or ()}
