"""Versioned objects: what there is, and the recent changes that a watch can still ask for.

One counter numbers all changes of all kinds, as etcd's revision does. A change that has fallen out of the bounded
history is what makes a watch `Expired`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from nodesmith.api.kind import Kind, Manifest
from nodesmith.ports.cluster import ChangeType

T = TypeVar("T")

Resource = tuple[str, str]
"""Group and plural: what an object is stored under."""


class Stored:
    """One version of an object; never changed once it is stored, and decoded at most once a decoder."""

    __slots__ = ("_decoded", "manifest", "revision")

    def __init__(self, manifest: Manifest, revision: int) -> None:
        self.manifest = manifest
        self.revision = revision
        self._decoded: dict[Callable[[Manifest], Any], Any] = {}

    def value(self, kind: Kind[T]) -> T:
        """The object as the kind decodes it."""
        if kind.decode not in self._decoded:
            self._decoded[kind.decode] = kind.decode(self.manifest)
        decoded: T = self._decoded[kind.decode]
        return decoded


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A change: what it was, what the object was before (None: nothing) and after (None: gone)."""

    type: ChangeType
    kind: Kind[Any]
    key: str
    before: Manifest | None
    stored: Stored
    at: datetime

    @property
    def after(self) -> Manifest | None:
        """The object now, or None when it is gone."""
        return None if self.type is ChangeType.DELETED else self.stored.manifest


@dataclass(slots=True)
class Log:
    """The recent changes of one kind; `first` is the number of the oldest, counted from the beginning."""

    changes: deque[Occurrence] = field(default_factory=deque)
    first: int = 0
    forgotten: int = 0
    """The revision of the newest change that is no longer here."""
    waiting: list[asyncio.Future[None]] = field(default_factory=list)

    def position_after(self, revision: int) -> int:
        """The number of the first change after the revision."""
        newer = sum(1 for change in reversed(self.changes) if change.stored.revision > revision)
        return self.first + len(self.changes) - newer

    def forget(self, count: int) -> None:
        """The oldest changes can no longer be asked for."""
        for _ in range(min(count, len(self.changes))):
            self.forgotten = self.changes.popleft().stored.revision
            self.first += 1


class History:
    """Every object by resource and key, and what happened to it."""

    def __init__(self, *, keep: int) -> None:
        self.revision = 0
        self._keep = keep
        self._tables: dict[Resource, dict[str, Stored]] = {}
        self._logs: dict[Resource, Log] = {}
        self._listeners: list[Callable[[Occurrence], None]] = []

    def table(self, kind: Kind[Any]) -> dict[str, Stored]:
        """The objects of a kind by key."""
        return self._tables.setdefault((kind.group, kind.plural), {})

    def log(self, kind: Kind[Any]) -> Log:
        """The recent changes of a kind."""
        return self._logs.setdefault((kind.group, kind.plural), Log())

    def listen(self, listener: Callable[[Occurrence], None]) -> None:
        """Tell the listener of every change, at once and in order."""
        self._listeners.append(listener)

    def record(self, type_: ChangeType, kind: Kind[Any], key: str, stored: Stored, at: datetime) -> None:
        """The change has happened, and whoever waits for one hears of it."""
        table, log = self.table(kind), self.log(kind)
        before = table.get(key)
        if type_ is ChangeType.DELETED:
            del table[key]
        else:
            table[key] = stored
        occurrence = Occurrence(type_, kind, key, before.manifest if before else None, stored, at)
        log.changes.append(occurrence)
        if len(log.changes) > self._keep:
            log.forget(1)
        waiting, log.waiting = log.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        for listener in self._listeners:
            listener(occurrence)
