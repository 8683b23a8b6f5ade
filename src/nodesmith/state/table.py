"""Objects of one kind, by key: kept from watch events, handed out as a sorted tuple.

An event may come twice, late, or after the object has gone: what counts is the resource version, so the table ends the
same whatever the order in which the events of different objects arrive, and however often each is repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Generic, Protocol, TypeVar

from nodesmith.model.meta import ObjectMeta
from nodesmith.state.ordered import Ordered

TOMBSTONES: Final = 10_000
"""How many deletions are remembered, against events that come after them."""
CATCH_UP_AFTER: Final = 1_000
"""Changes after which they are put in order, so that whoever asks for all objects never waits for more."""


class HasMeta(Protocol):
    """Anything that Kubernetes stores."""

    @property
    def meta(self) -> ObjectMeta:
        """Name, identity and bookkeeping."""
        ...


T = TypeVar("T", bound=HasMeta)


class Table(Generic[T]):
    """The objects of one kind."""

    def __init__(self) -> None:
        self.is_listed = False
        self._by_key: dict[str, T] = {}
        self._gone: dict[str, int] = {}
        self._ordered: Ordered[T] = Ordered()
        self._items: tuple[T, ...] = ()
        self._touched: set[str] = set()
        self._is_behind = False

    @property
    def by_key(self) -> Mapping[str, T]:
        """A live view, not a copy."""
        return MappingProxyType(self._by_key)

    def get(self, key: str) -> T | None:
        """The object, or None when there is none."""
        return self._by_key.get(key)

    def put(self, key: str, value: T) -> bool:
        """The object of this key is there; False when that was known, or is no longer true."""
        present = self._by_key.get(key)
        if present is not None and not _is_newer(version_of(value.meta), version_of(present.meta)):
            return False
        if key in self._gone:
            if self.has_gone_since(value.meta):
                return False
            del self._gone[key]
        self._by_key[key] = value
        self._touched.add(key)
        if len(self._touched) >= CATCH_UP_AFTER:
            self._catch_up()
        return True

    def drop(self, meta: ObjectMeta) -> T | None:
        """The object is gone; returns what was there, or None when there was nothing to drop."""
        key, version = meta.key, version_of(meta)
        present = self._by_key.get(key)
        if present is not None and version is not None and version < (version_of(present.meta) or 0):
            return None
        if version is not None:
            self._bury(key, version)
        if present is None:
            return None
        del self._by_key[key]
        self._touched.add(key)
        return present

    def replace(self, values: Iterable[T]) -> tuple[list[T], list[T]]:
        """The objects are exactly these; returns those that left and those that came or changed, by key.

        One that is as it was stays the very same value, which is what decisions tell changes by.
        """
        before = self._by_key
        told = {value.meta.key: value for value in values}
        fresh = {key: before[key] if before.get(key) == value else value for key, value in told.items()}
        left = [before[key] for key in sorted(before.keys() - fresh.keys())]
        came = [value for key, value in sorted(fresh.items()) if before.get(key) is not value]
        self.is_listed = True
        self._by_key = fresh
        self._gone.clear()
        self._touched.clear()
        self._ordered.fill(fresh)
        self._items, self._is_behind = self._ordered.values(), False
        return left, came

    def items(self) -> tuple[T, ...]:
        """All objects, by key."""
        if self._touched:
            self._catch_up()
        if self._is_behind:
            self._items = self._ordered.values()
            self._is_behind = False
        return self._items

    def _catch_up(self) -> None:
        self._ordered.update(self._touched, self._by_key)
        self._touched.clear()
        self._is_behind = True

    def has_gone_since(self, meta: ObjectMeta) -> bool:
        """Whether this version of the object is known to have been deleted."""
        gone, version = self._gone.get(meta.key), version_of(meta)
        return gone is not None and version is not None and version <= gone

    def _bury(self, key: str, version: int) -> None:
        self._gone[key] = max(version, self._gone.pop(key, 0))
        if len(self._gone) > TOMBSTONES:
            del self._gone[next(iter(self._gone))]


def version_of(meta: ObjectMeta) -> int | None:
    """The resource version as a number, or None where there is none to compare."""
    return int(meta.resource_version) if meta.resource_version.isdigit() else None


def _is_newer(version: int | None, present: int | None) -> bool:
    return version is None or present is None or version > present
