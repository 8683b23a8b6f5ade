"""The Cluster port on a real API server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Final, TypeVar

import msgspec

from nodesmith.adapters.kubernetes import requests
from nodesmith.adapters.kubernetes.frames import ChangeReader, Page, read_object, read_page
from nodesmith.adapters.kubernetes.requests import PatchType, Request
from nodesmith.adapters.kubernetes.transport import Transport
from nodesmith.api.kind import Kind, Manifest
from nodesmith.ports.cluster import Change, Listing
from nodesmith.ports.errors import Expired, Refused

T = TypeVar("T")

# The server ends a watch after a while between these, so that not all come back at once; bookmarks come every minute.
WATCH_SECONDS: Final = (300, 600)
SILENCE_S: Final = 150.0
TOKEN_LIFETIME: Final = timedelta(minutes=10)
"""The shortest that an API server gives."""


class NotLeading(Refused):
    """This replica must not write: it is not, or not any more, the leader."""


def always() -> bool:
    """Nobody else could be writing."""
    return True


class KubernetesCluster:
    """Reads and writes through one transport; `may_write` is asked before every write: a deposed leader must not."""

    def __init__(
        self, transport: Transport, *, may_write: Callable[[], bool] = always, chance: random.Random | None = None
    ) -> None:
        self._transport = transport
        self.may_write = may_write
        self._chance = chance or random.Random()  # noqa: S311 - spreads reconnections; nothing is secret

    async def get(self, kind: Kind[T], name: str, *, namespace: str = "") -> T:
        """The object as it is now.

        Raises:
            NotFound: when there is none.
        """
        return read_object(kind, await self._transport.send(requests.get(kind, name, namespace=namespace)))

    async def list(self, kind: Kind[T]) -> Listing[T]:
        """All objects of the kind, read in pages; in one piece when the pages expire on the way."""
        try:
            return await self._list(kind, requests.PAGE_SIZE)
        except Expired:
            return await self._list(kind, 0)

    async def list_named(self, kind: Kind[T], name: str) -> Sequence[T]:
        """The objects of this name, of all namespaces."""
        return read_page(kind, await self._transport.send(requests.list_named(kind, name))).items

    async def _list(self, kind: Kind[T], limit: int) -> Listing[T]:
        items: list[T] = []
        page = await self._page(kind, "", limit)
        items += page.items
        while page.continue_token:
            page = await self._page(kind, page.continue_token, limit)
            items += page.items
            await asyncio.sleep(0)  # decoding is work; let the lease and the watches have their turn
        return Listing(tuple(items), page.resource_version)

    async def _page(self, kind: Kind[T], continue_token: str, limit: int) -> Page[T]:
        request = requests.list_page(kind, continue_token=continue_token, limit=limit)
        body = await self._transport.send(request, deadline_s=self._transport.limits.list_deadline_s)
        return read_page(kind, body)

    async def watch(self, kind: Kind[T], *, since: str) -> AsyncGenerator[Change[T]]:
        """Changes after `since`, bookmarks among them, until the server ends the watch.

        Raises:
            Expired: when `since` is too old.
            Unavailable: when the connection broke, or was silent for longer than bookmarks are apart.
        """
        request = requests.watch(kind, since=since, timeout_s=self._chance.randint(*WATCH_SECONDS))
        reader = ChangeReader(kind, request.about)
        async with aclosing(self._transport.stream(request, silence_s=SILENCE_S)) as chunks:
            async for chunk in chunks:
                for change in reader.feed(chunk):
                    yield change

    async def create(self, kind: Kind[T], manifest: Manifest, *, dry_run: bool = False) -> T:
        """The object, newly made, or as it would be made when it is a dry run.

        Raises:
            AlreadyExists: when the name is taken.
        """
        return read_object(kind, await self._write(requests.create(kind, manifest, dry_run=dry_run)))

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
        """The object after a JSON merge patch, at that resource version only if one is given.

        Raises:
            NotFound: when there is none.
            Conflict: when it is at another version.
        """
        body = requests.at_version(patch, resource_version)
        request = requests.patch(kind, name, body, namespace=namespace, subresource=subresource)
        return read_object(kind, await self._write(request))

    async def json_patch(self, kind: Kind[T], name: str, operations: Sequence[Manifest], *, namespace: str = "") -> T:
        """The object after a JSON patch; a `test` operation that fails is `Refused`."""
        request = requests.patch(kind, name, operations, namespace=namespace, patch_type=PatchType.JSON)
        return read_object(kind, await self._write(request))

    async def apply(
        self, kind: Kind[T], name: str, manifest: Manifest, *, force: bool = False, dry_run: bool = False
    ) -> T:
        """The object with the manifest's fields owned by us; made if it was not there.

        Raises:
            Conflict: when somebody else owns one of the fields and `force` is not given.
        """
        namespace = (manifest.get("metadata") or {}).get("namespace") or ""
        request = requests.patch(
            kind, name, manifest, namespace=namespace, patch_type=PatchType.APPLY, force=force, dry_run=dry_run
        )
        return read_object(kind, await self._write(request))

    async def delete(
        self,
        kind: Kind[T],
        name: str,
        *,
        namespace: str = "",
        uid: str = "",
        grace_period_s: int | None = None,
    ) -> None:
        """The object is gone, or marked as going where finalizers or grace hold it.

        Raises:
            NotFound: when there is none.
            Conflict: when `uid` is another object's.
        """
        await self._write(requests.delete(kind, name, namespace=namespace, uid=uid, grace_period_s=grace_period_s))

    async def evict(self, name: str, *, namespace: str, uid: str) -> None:
        """The pod is going, within what its PodDisruptionBudgets allow.

        Raises:
            NotFound: when there is none.
            Conflict: when `uid` is another pod's.
            EvictionBlocked: when a budget does not allow it now.
            Refused: when more than one budget selects it.
        """
        await self._write(requests.evict(name, namespace=namespace, uid=uid))

    async def token(self, namespace: str, name: str, audience: str, *, lifetime: timedelta = TOKEN_LIFETIME) -> str:
        """A token of a service account, for an audience; the API server makes it, and stores nothing.

        Raises:
            NotFound: when there is no such service account.
        """
        seconds = int(lifetime.total_seconds())
        request = requests.token(name, namespace=namespace, audience=audience, seconds=seconds)
        answer = msgspec.json.decode(await self._transport.send(request))
        return str(answer["status"]["token"])

    async def version(self) -> str:
        """The API server's minor version, `1.35`."""
        told = msgspec.json.decode(await self._transport.send(requests.version()))
        # Managed control planes put a `+` behind the minor version where they have changed something.
        return f"{told['major']}.{str(told['minor']).rstrip('+')}"

    async def _write(self, request: Request) -> bytes:
        def guard() -> None:
            if not self.may_write():
                raise NotLeading(f"{request.about}: not the leader")

        guard()
        # Asked again when the request leaves: until then it may have waited for its turn, or to be sent once more.
        return await self._transport.send(request, guard=guard)
