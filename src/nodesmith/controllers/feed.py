"""From watches to keys: changes go into the store, and whoever listens to the kind may mark its keys.

Listeners get what the object was and what it is, to find the keys that it touches; they must not act on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from nodesmith.actuate.writer import HasMeta
from nodesmith.api.kind import Kind
from nodesmith.state.store import Store

T = TypeVar("T", bound=HasMeta)
Listener = Callable[[T | None, T | None], None]


class Feed:
    """The one way into the store. `types` say which model type a kind is kept as."""

    def __init__(self, store: Store, types: dict[Kind[Any], type[Any]]) -> None:
        self._store = store
        self._types = {kind.name: type_ for kind, type_ in types.items()}
        self._listeners: dict[str, list[Listener[Any]]] = {}

    def listen(self, kind: Kind[T], listener: Listener[T]) -> None:
        """The listener hears of every change to an object of the kind."""
        self._listeners.setdefault(kind.name, []).append(listener)

    def apply(self, kind: Kind[T], value: T, *, is_deleted: bool = False) -> None:
        """The object is this now, or gone."""
        changed, before = self._store.exchange(self._types[kind.name], value, is_deleted=is_deleted)
        if changed:
            self._tell(kind, before, None if is_deleted else value)

    def replace(self, kind: Kind[T], values: Iterable[T]) -> None:
        """The objects of the kind are exactly these now."""
        type_ = self._types[kind.name]
        before = {value.meta.key: value for value in self._store.all(type_)}
        for key in sorted(self._store.replace(type_, values)):
            self._tell(kind, before.get(key), self._store.get(type_, key))

    def _tell(self, kind: Kind[T], before: T | None, after: T | None) -> None:
        for listener in self._listeners.get(kind.name, ()):
            listener(before, after)
