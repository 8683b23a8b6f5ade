"""Values in the order of their keys, cheap to change and cheap to hand out whole.

The one thing to know: keys and values lie in runs of a few hundred. A change moves a part of one run, however many
values there are, and all of them are handed out by putting the runs together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Final, Generic, TypeVar

V = TypeVar("V")

RUN: Final = 512
"""Keys in a run when it is made; it is cut in two when it has twice as many."""


class Ordered(Generic[V]):
    """A sorted mapping that is read as one tuple of its values."""

    def __init__(self, *, run: int = RUN) -> None:
        self._run = run
        self._lasts: list[str] = []
        self._keys: list[list[str]] = []
        self._values: list[list[V]] = []

    def fill(self, values: Mapping[str, V]) -> None:
        """It has exactly these."""
        keys = sorted(values)
        self._keys = [keys[at : at + self._run] for at in range(0, len(keys), self._run)]
        self._values = [list(map(values.__getitem__, run)) for run in self._keys]
        self._lasts = [run[-1] for run in self._keys]

    def update(self, keys: Iterable[str], values: Mapping[str, V]) -> None:
        """These keys have the values of the mapping, or none where it has none."""
        for key in keys:
            if key in values:
                self._put(key, values[key])
            else:
                self._drop(key)

    def values(self) -> tuple[V, ...]:
        """All values, in the order of their keys."""
        return tuple(chain.from_iterable(self._values))

    def _put(self, key: str, value: V) -> None:
        if not self._keys:
            self._keys, self._values, self._lasts = [[key]], [[value]], [key]
            return
        run = min(bisect_left(self._lasts, key), len(self._lasts) - 1)
        keys, values = self._keys[run], self._values[run]
        at = bisect_left(keys, key)
        if at < len(keys) and keys[at] == key:
            values[at] = value
            return
        keys.insert(at, key)
        values.insert(at, value)
        self._lasts[run] = keys[-1]
        if len(keys) > 2 * self._run:
            self._cut(run)

    def _drop(self, key: str) -> None:
        run = bisect_left(self._lasts, key)
        if run == len(self._lasts):
            return
        keys = self._keys[run]
        at = bisect_left(keys, key)
        if keys[at] != key:
            return
        del keys[at], self._values[run][at]
        if keys:
            self._lasts[run] = keys[-1]
        else:
            del self._lasts[run], self._keys[run], self._values[run]

    def _cut(self, run: int) -> None:
        keys, values = self._keys[run], self._values[run]
        self._keys[run : run + 1] = [keys[: self._run], keys[self._run :]]
        self._values[run : run + 1] = [values[: self._run], values[self._run :]]
        self._lasts[run : run + 1] = [self._keys[run][-1], self._keys[run + 1][-1]]
