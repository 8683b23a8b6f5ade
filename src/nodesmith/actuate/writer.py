"""Writes to the cluster, in the one way everybody uses.

What the API server answers is shown to the store at once, so that nobody decides again on what was just changed. Lists
are only ever patched at the version they were read at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from nodesmith.api.kind import Kind, Manifest
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.pod import Pod
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import Conflict, NotFound


class HasMeta(Protocol):
    """Anything that Kubernetes stores."""

    @property
    def meta(self) -> ObjectMeta:
        """Name, identity and bookkeeping."""
        ...


T = TypeVar("T", bound=HasMeta)
Seen = Callable[[Kind[Any], Any], None]


class Writer:
    """Creates, patches, deletes and evicts."""

    def __init__(self, cluster: Cluster, seen: Seen) -> None:
        self._cluster = cluster
        self._seen = seen

    async def create(self, kind: Kind[T], manifest: Manifest) -> T:
        """The object, newly made.

        Raises:
            AlreadyExists: when the name is taken.
        """
        return await self._cluster.create(kind, manifest)

    async def patch(
        self, kind: Kind[T], present: T, patch: Manifest, *, subresource: str = "", is_locked: bool = True
    ) -> T:
        """The object after the merge patch; `is_locked` applies it only to the version that `present` is.

        Raises:
            NotFound: when there is none.
            Conflict: when it has changed since `present` was read.
        """
        meta = present.meta
        patched = await self._cluster.patch(
            kind,
            meta.name,
            patch,
            namespace=meta.namespace,
            subresource=subresource,
            resource_version=meta.resource_version if is_locked else "",
        )
        self._seen(kind, patched)
        return patched

    async def delete(self, kind: Kind[T], present: T, *, grace_s: int | None = None) -> bool:
        """The object is gone or going; False when it was gone, or another one has its name now."""
        meta = present.meta
        try:
            await self._cluster.delete(kind, meta.name, namespace=meta.namespace, uid=meta.uid, grace_period_s=grace_s)
        except (NotFound, Conflict):
            return False
        return True

    async def delete_named(self, kind: Kind[Any], name: str) -> bool:
        """Whatever has the name, which nobody else may take, is gone or going; False when nothing had it."""
        try:
            await self._cluster.delete(kind, name)
        except NotFound:
            return False
        return True

    async def evict(self, pod: Pod) -> bool:
        """The pod is going; False when it was gone, or another one has its name now.

        Raises:
            EvictionBlocked: when a budget does not allow it now.
            Refused: when more than one budget selects it.
        """
        try:
            await self._cluster.evict(pod.meta.name, namespace=pod.meta.namespace, uid=pod.meta.uid)
        except (NotFound, Conflict):
            return False
        return True
