"""What a real cluster shows, kept at hand: tests look at it as often as they like and are told of every change.

Objects are the JSON that the API server keeps, by kind and key. The copy is made with the controller's own client.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.kubernetes.reflector import Reflector
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import (
    EC2_NODE_CLASS,
    EVENT,
    NODE,
    NODE_CLAIM,
    NODE_POOL,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    VOLUME_ATTACHMENT,
)
from nodesmith.ports.cluster import Change, ChangeType, Cluster
from nodesmith.ports.log import NoLog

Listener = Callable[[str, str, Manifest | None, Manifest | None], None]
"""Hears of a change: the kind's name, the object's key, how it was, how it is."""

FOLLOWED: Final = (
    NODE_POOL,
    NODE_CLAIM,
    EC2_NODE_CLASS,
    NODE,
    POD,
    EVENT,
    PERSISTENT_VOLUME_CLAIM,
    VOLUME_ATTACHMENT,
)


def as_written(kind: Kind[Any]) -> Kind[Manifest]:
    """The kind with its objects left as JSON, whole."""
    return cast("Kind[Manifest]", replace(kind, decode=lambda manifest: manifest, shape=dict[str, Any]))


def key_of(manifest: Manifest) -> str:
    """Namespace and name, or the name alone."""
    meta = manifest["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else str(meta["name"])


def condition(manifest: Manifest, type_: str) -> Manifest:
    """The condition of this type; empty where there is none."""
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == type_), {})


def is_true(manifest: Manifest, type_: str) -> bool:
    """Whether the condition is there and True."""
    return bool(condition(manifest, type_).get("status") == "True")


@dataclass
class Mirror:
    """The copies. `run` keeps them up to date until it is cancelled."""

    cluster: Cluster
    tables: dict[str, dict[str, Manifest]] = field(default_factory=dict)
    listeners: list[Listener] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Follow."""
        clock, chance = RealClock(), random.Random()
        async with asyncio.TaskGroup() as group:
            for kind in FOLLOWED:
                sink = _Sink(self, kind.name)
                group.create_task(Reflector(self.cluster, as_written(kind), sink, clock, NoLog(), chance).run())

    @property
    def is_complete(self) -> bool:
        """Whether every kind was listed."""
        return set(self.tables) == {kind.name for kind in FOLLOWED}

    def all(self, kind: Kind[Any], *, namespace: str = "", **labels: str) -> list[Manifest]:
        """The objects of the kind, of a namespace or of all, that carry the labels (`karpenter.sh/nodepool` is `nodepool`)."""
        wanted = {_LABELS.get(name, name): value for name, value in labels.items()}
        return [
            each
            for each in self.tables.get(kind.name, {}).values()
            if (not namespace or each["metadata"].get("namespace") == namespace)
            and wanted.items() <= (each["metadata"].get("labels") or {}).items()
        ]

    def get(self, kind: Kind[Any], key: str) -> Manifest | None:
        """The object, or None."""
        return self.tables.get(kind.name, {}).get(key)

    async def until(self, question: Callable[[], object], *, within_s: float, what: str = "") -> float:
        """How many seconds it took until it was so.

        Raises:
            AssertionError: when it was not in time.
        """
        started = asyncio.get_running_loop().time()
        while True:
            self._changed.clear()
            now = asyncio.get_running_loop().time()
            if question():
                return now - started
            if now - started > within_s:
                raise AssertionError(f"not within {within_s:.0f} s: {what or question}")
            try:
                async with asyncio.timeout(0.5):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def note(self, kind: str, key: str, after: Manifest | None) -> None:
        """One object is so now, or gone."""
        table = self.tables.setdefault(kind, {})
        before = table.get(key)
        if after is None:
            table.pop(key, None)
        else:
            table[key] = after
        for listener in self.listeners:
            listener(kind, key, before, after)
        self._changed.set()


_LABELS: Final = {"nodepool": "karpenter.sh/nodepool"}


@dataclass(frozen=True)
class _Sink:
    mirror: Mirror
    kind: str

    def replace(self, items: Sequence[Manifest], resource_version: str) -> None:
        present = {key_of(each): each for each in items}
        for key in set(self.mirror.tables.setdefault(self.kind, {})) - set(present):
            self.mirror.note(self.kind, key, None)
        for key, manifest in present.items():
            self.mirror.note(self.kind, key, manifest)

    def apply(self, change: Change[Manifest]) -> None:
        if change.value is not None:
            is_gone = change.type is ChangeType.DELETED
            self.mirror.note(self.kind, key_of(change.value), None if is_gone else change.value)
