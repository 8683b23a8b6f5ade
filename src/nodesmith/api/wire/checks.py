"""The rules that CEL states, in Python: each function returns the places at which a value breaks the rule.

A value that has the wrong type is reported by its type, so these look only at what has the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from nodesmith.api.wire.field import Places, Step

Check = Callable[[Any], Places]
Predicate = Callable[[Any], bool]


def whole(is_fine: Predicate, *at: Step) -> Check:
    """The value, or its part `at`, is at fault unless it is fine."""

    def broken(value: Any) -> Places:
        return () if is_fine(value) else (at,)

    return broken


def each(is_fine: Predicate, *at: Step) -> Check:
    """Every element of a list that is not fine is at fault, at its part `at` when it has one."""

    def broken(value: Any) -> Places:
        return [(index, *_there(item, at)) for index, item in enumerate(value) if not is_fine(item)]

    return broken


def each_key(is_fine: Predicate) -> Check:
    """Every key of a map that is not fine is at fault."""

    def broken(value: Any) -> Places:
        return [(key,) for key in value if not is_fine(key)]

    return broken


def each_entry(is_fine: Callable[[str, Any], bool]) -> Check:
    """Every entry of a map that is not fine is at fault."""

    def broken(value: Any) -> Places:
        return [(key,) for key, item in value.items() if not is_fine(key, item)]

    return broken


def repeated(values: Iterable[Any]) -> list[int]:
    """The positions of values that came before; unhashable and None ones aside."""
    seen: set[Any] = set()
    positions = []
    for index, value in enumerate(values):
        if value is None:
            continue
        if value in seen:
            positions.append(index)
        seen.add(value)
    return positions


def items_of(value: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects of a list with their positions; what is no object is passed over."""
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, Mapping):
            yield index, item


def has(value: Any, name: str) -> bool:
    """Whether an object says something for the name: CEL's `has` after empty members are dropped."""
    return isinstance(value, Mapping) and value.get(name) is not None


def counts(value: Any, *names: str) -> int:
    """For how many of the names the object says something."""
    return sum(has(value, name) for name in names)


def _there(item: Any, at: tuple[Step, ...]) -> tuple[Step, ...]:
    return at if at and has(item, str(at[0])) else ()
