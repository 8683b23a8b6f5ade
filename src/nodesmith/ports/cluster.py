"""The Kubernetes API, as nodesmith uses it: reads decode to model values, writes are merge patches, never updates."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from nodesmith.api.kind import Kind, Manifest

T = TypeVar("T")


class ChangeType(StrEnum):
    """What a watch reports."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One watch event; a bookmark has no object."""

    type: ChangeType
    value: T | None
    resource_version: str


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """Everything of a kind at one resource version."""

    items: tuple[T, ...]
    resource_version: str


class Cluster(Protocol):
    """An API server. Every method may raise `Throttled`, `Unavailable` or `Refused` besides what it names."""

    async def get(self, kind: Kind[T], name: str, *, namespace: str = "") -> T:
        """The object as it is now.

        Raises:
            NotFound: when there is none.
        """
        ...

    async def list(self, kind: Kind[T]) -> Listing[T]:
        """All objects of the kind, over all namespaces."""
        ...

    def watch(self, kind: Kind[T], *, since: str) -> AsyncGenerator[Change[T]]:
        """Changes after resource version `since`, in order, bookmarks among them; to be closed by who stops early.

        Raises:
            Expired: when `since` is too old.
        """
        ...

    async def create(self, kind: Kind[T], manifest: Manifest) -> T:
        """The object, newly made; `generateName` is honoured.

        Raises:
            AlreadyExists: when the name is taken.
        """
        ...

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
        """The object after a JSON merge patch (`subresource` is empty or `status`).

        With a `resource_version` the patch only applies to that version: lists must be patched that way, since a merge
        patch replaces them whole.

        Raises:
            NotFound: when there is none.
            Conflict: when it is at another version.
        """
        ...

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
        ...

    async def evict(self, name: str, *, namespace: str, uid: str) -> None:
        """The pod is going, within what its PodDisruptionBudgets allow.

        Raises:
            NotFound: when there is none.
            Conflict: when `uid` is another pod's.
            EvictionBlocked: when a budget does not allow it now.
            Refused: when more than one budget selects it.
        """
        ...
