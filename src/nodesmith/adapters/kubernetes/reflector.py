"""Keeps a local copy of all objects of a kind: list, then watch, for ever.

Works through the Cluster port, so it serves the memory cluster too. The copy may lag, but it is never wrong for long:
a broken watch goes on from the last version seen, an expired one lists again, and every so often it lists anyway.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Generic, Protocol, TypeVar

from nodesmith.api.kind import Kind
from nodesmith.ports.clock import Clock
from nodesmith.ports.cluster import Change, ChangeType, Cluster, Listing
from nodesmith.ports.errors import Expired, PortError, Refused
from nodesmith.ports.log import Log

T = TypeVar("T")

FIRST_BACKOFF: Final = timedelta(seconds=0.8)
LONGEST_BACKOFF: Final = timedelta(seconds=30)
RELIST_EVERY: Final = timedelta(hours=1)
_FOR_EVER_S: Final = timedelta.max.total_seconds() / 2
REFUSED_FOR: Final = timedelta(minutes=1)
"""An API server that has just started refuses everybody until it has read its roles: what was allowed once is asked for
again for so long."""


class Sink(Protocol[T]):
    """Where the copy is kept. Both methods are sync: a change is complete before anybody else looks."""

    def replace(self, items: Sequence[T], resource_version: str) -> None:
        """The copy is exactly these objects."""
        ...

    def apply(self, change: Change[T]) -> None:
        """The copy has this change; a bookmark only moves the version."""
        ...


@dataclass(slots=True)
class Reflector(Generic[T]):
    """One kind's copy. `run` is a service: it returns only by being cancelled, and raises only what needs a person."""

    cluster: Cluster
    kind: Kind[T]
    sink: Sink[T]
    clock: Clock
    log: Log
    chance: random.Random = field(default_factory=random.Random)
    relist_every: timedelta = RELIST_EVERY
    is_synced: bool = field(default=False, init=False)
    heard_at: float = field(default=float("-inf"), init=False)
    _version: str = field(default="", init=False)
    _listed_at: float = field(default=float("-inf"), init=False)
    _failures: int = field(default=0, init=False)
    _refused_at: float | None = field(default=None, init=False)

    def silence(self) -> timedelta:
        """For how long nothing was heard: how old the copy may be."""
        return timedelta(seconds=min(self.clock.monotonic() - self.heard_at, _FOR_EVER_S))

    async def run(self) -> None:
        """Follow the kind.

        Raises:
            Refused: when it may not be listed, or not any more: no waiting helps.
        """
        while True:
            try:
                if not self._version or self._is_relist_due():
                    await self._list()
                await self._watch()
            except Expired as error:
                self._version = ""
                await self._wait(error)
            except Refused as error:
                if not self._may_pass():
                    raise
                await self._wait(error)
            except PortError as error:
                await self._wait(error)

    async def _list(self) -> None:
        listing: Listing[T] = await self.cluster.list(self.kind)
        self.sink.replace(listing.items, listing.resource_version)
        self._version = listing.resource_version
        self._listed_at = self.clock.monotonic()
        self.is_synced = True
        self._heard()

    async def _watch(self) -> None:
        async with aclosing(self.cluster.watch(self.kind, since=self._version)) as changes:
            async for change in changes:
                self._heard()
                if change.resource_version:
                    self._version = change.resource_version
                if change.type is not ChangeType.BOOKMARK:
                    self.sink.apply(change)
                elif self._is_relist_due():
                    return

    def _may_pass(self) -> bool:
        """Whether a refusal may be the API server's start."""
        now = self.clock.monotonic()
        if self._refused_at is None:
            self._refused_at = now
        return self.is_synced and now - self._refused_at < REFUSED_FOR.total_seconds()

    def _heard(self) -> None:
        self._refused_at = None
        self.heard_at = self.clock.monotonic()
        self._failures = 0

    def _is_relist_due(self) -> bool:
        return self.clock.monotonic() - self._listed_at >= self.relist_every.total_seconds()

    async def _wait(self, error: PortError) -> None:
        """Full jitter: after an API server's restart all its clients come back, and should not at once."""
        longest = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(self._failures, 10))
        self._failures += 1
        self.log.debug("watch interrupted", kind=self.kind.name, error=str(error), failures=self._failures)
        await self.clock.sleep(longest * self.chance.uniform(0.1, 1.0))
