"""The Cluster port over the API server in memory, with delays and faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from typing import Final, Generic, TypeVar

from nodesmith.adapters.memory.eviction import evict
from nodesmith.adapters.memory.faults import Faults, no_faults
from nodesmith.adapters.memory.history import Occurrence
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import POD
from nodesmith.ports.clock import Clock
from nodesmith.ports.cluster import Change, ChangeType, Listing
from nodesmith.ports.errors import Expired

T = TypeVar("T")

BOOKMARK_EVERY: Final = timedelta(minutes=1)


class MemoryCluster:
    """A `Cluster` in memory; `server` is the same cluster for those who need not wait."""

    def __init__(
        self,
        server: ApiServer,
        clock: Clock,
        *,
        faults: Faults | None = None,
        bookmark_every: timedelta = BOOKMARK_EVERY,
    ) -> None:
        self.server = server
        self.faults = faults or no_faults()
        self._clock = clock
        self._bookmark_every = bookmark_every

    async def get(self, kind: Kind[T], name: str, *, namespace: str = "") -> T:
        """The object as it is now."""
        await self._before("get", kind.name)
        return self.server.stored(kind, name, namespace=namespace).value(kind)

    async def list(self, kind: Kind[T]) -> Listing[T]:
        """All objects of the kind, by key."""
        await self._before("list", kind.name)
        self.server.check_served(kind)
        table = self.server.history.table(kind)
        items = tuple(table[key].value(kind) for key in sorted(table))
        return Listing(items, str(self.server.history.revision))

    async def watch(self, kind: Kind[T], *, since: str) -> AsyncGenerator[Change[T], None]:
        """Changes after `since`; ends when the connection does."""
        changes = _Watch(
            self.server,
            kind,
            since,
            faults=self.faults,
            clock=self._clock,
            bookmark_every=self._bookmark_every,
        )
        async for change in changes:
            yield change

    async def create(self, kind: Kind[T], manifest: Manifest) -> T:
        """The object, newly made."""
        await self._before("create", kind.name)
        made = self.server.create(kind, manifest)
        self.faults.strike("create", kind.name, after=True)
        return kind.decode(made)

    async def patch(
        self,
        kind: Kind[T],
        name: str,
        patch: Manifest,
        *,
        namespace: str = "",
        subresource: str = "",
        resource_version: str = "",
    ) -> T:
        """The object after a JSON merge patch."""
        await self._before("patch", kind.name)
        after = self.server.patch(
            kind,
            name,
            patch,
            namespace=namespace,
            subresource=subresource,
            resource_version=resource_version,
        )
        self.faults.strike("patch", kind.name, after=True)
        return kind.decode(after)

    async def delete(
        self,
        kind: Kind[T],
        name: str,
        *,
        namespace: str = "",
        uid: str = "",
        grace_period_s: int | None = None,
    ) -> None:
        """The object is gone, or marked as going."""
        await self._before("delete", kind.name)
        self.server.delete(kind, name, namespace=namespace, uid=uid, grace_period_s=grace_period_s)
        self.faults.strike("delete", kind.name, after=True)

    async def evict(self, name: str, *, namespace: str, uid: str) -> None:
        """The pod is going, within what its budget allows."""
        await self._before("evict", POD.name)
        evict(self.server, name, namespace=namespace, uid=uid)
        self.faults.strike("evict", POD.name, after=True)

    async def _before(self, verb: str, kind: str) -> None:
        """Let the others run, as a call over a network does; then it may fail."""
        delay = self.faults.delay()
        if delay:
            await self._clock.sleep(delay)
        else:
            await asyncio.sleep(0)
        self.faults.strike(verb, kind)


class _Watch(Generic[T]):
    """Reads one kind's log from a position; nothing is left behind when it is dropped."""

    def __init__(
        self,
        server: ApiServer,
        kind: Kind[T],
        since: str,
        *,
        faults: Faults,
        clock: Clock,
        bookmark_every: timedelta,
    ) -> None:
        self._server = server
        self._kind = kind
        self._since = since
        self._faults = faults
        self._clock = clock
        self._bookmark_every_s = bookmark_every.total_seconds()
        self._position: int | None = None

    def __aiter__(self) -> AsyncIterator[Change[T]]:
        return self

    async def __anext__(self) -> Change[T]:
        if self._position is None:
            self._position = await self._open()
        if self._faults.cuts_watch():
            raise StopAsyncIteration
        self._faults.strike("watch", self._kind.name)
        log = self._server.history.log(self._kind)
        if not await self._something_new(self._position):
            return Change(ChangeType.BOOKMARK, None, str(self._server.history.revision))
        if self._position < log.first:
            raise Expired(f"too old resource version: fell behind the watch of {self._kind.plural}")
        occurrence = log.changes[self._position - log.first]
        await self._lag(occurrence)
        self._position += 1
        return Change(occurrence.type, occurrence.stored.value(self._kind), str(occurrence.stored.revision))

    async def _open(self) -> int:
        delay = self._faults.delay()
        if delay:
            await self._clock.sleep(delay)
        self._server.check_served(self._kind)
        log, since = self._server.history.log(self._kind), int(self._since or "0")
        if since < log.forgotten:
            raise Expired(f"too old resource version: {since} ({log.forgotten})")
        return log.position_after(since)

    async def _something_new(self, position: int) -> bool:
        """Wait for a change, or for the time of the next bookmark."""
        log = self._server.history.log(self._kind)
        try:
            async with asyncio.timeout(self._bookmark_every_s):
                while log.first + len(log.changes) <= position:
                    news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    log.waiting.append(news)
                    await news
        except TimeoutError:
            return False
        return True

    async def _lag(self, occurrence: Occurrence) -> None:
        late = self._clock.now() - occurrence.at
        if late < self._faults.watch_lag:
            await self._clock.sleep(self._faults.watch_lag - late)
