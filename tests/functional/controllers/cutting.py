"""Ports that stop the process at the n-th effect: before it happens, or after it happened and before anybody hears.

The call never returns, and no other effect begins any more; whoever owns the controllers then cancels them all, as
`kill -9` would, and starts new ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass, field
from typing import Any

from nodesmith.adapters.memory.cloud import MemoryCloud
from nodesmith.adapters.memory.cluster import MemoryCluster
from nodesmith.adapters.memory.queue import MemoryQueue
from nodesmith.api.ec2nodeclass import EC2NodeClass, EC2NodeClassStatus
from nodesmith.api.kind import Kind, Manifest
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.ports.cloud import Machine, RepairPolicy
from nodesmith.ports.cluster import Change, Listing
from nodesmith.ports.errors import PortError
from nodesmith.ports.queue import Interruption


@dataclass
class Scissors:
    """Counts effects and cuts at the one that it was set to; `at` None never cuts."""

    at: int | None = None
    is_after: bool = False
    covers_reads: bool = False
    """Whether reads and what a watch tells count as well: every await on the outside is then a place to be killed at."""
    count: int = 0
    names: list[str] = field(default_factory=list)
    cut: asyncio.Event = field(default_factory=asyncio.Event)

    def effect(self, name: str) -> _Effect:
        """The block is one effect."""
        return _Effect(self, name)

    def read(self, name: str) -> AbstractAsyncContextManager[None]:
        """The block only looks."""
        return _Effect(self, name) if self.covers_reads else nullcontext()

    async def stop(self) -> None:
        """The process ends here."""
        self.cut.set()
        await asyncio.Event().wait()


class _Effect:
    """One effect, which is cut before or after it if it is the one."""

    def __init__(self, scissors: Scissors, name: str) -> None:
        self._scissors = scissors
        self._name = name
        self._number = 0

    async def __aenter__(self) -> None:
        scissors = self._scissors
        if scissors.cut.is_set():
            await scissors.stop()
        scissors.count += 1
        scissors.names.append(self._name)
        self._number = scissors.count
        if self._number == scissors.at and not scissors.is_after:
            await scissors.stop()

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._number == self._scissors.at and self._scissors.is_after and _has_happened(error):
            await self._scissors.stop()


def _has_happened(error: BaseException | None) -> bool:
    """Whether the outside has answered, if only with an error."""
    return error is None or isinstance(error, PortError)


class CutCluster:
    """A cluster whose writes may be cut."""

    def __init__(self, inner: MemoryCluster, scissors: Scissors) -> None:
        self._inner = inner
        self._scissors = scissors

    async def get(self, kind: Kind[Any], name: str, *, namespace: str = "") -> Any:
        async with self._scissors.read(f"get {kind.name}"):
            return await self._inner.get(kind, name, namespace=namespace)

    async def list(self, kind: Kind[Any]) -> Listing[Any]:
        async with self._scissors.read(f"list {kind.name}"):
            return await self._inner.list(kind)

    async def watch(self, kind: Kind[Any], *, since: str) -> AsyncGenerator[Change[Any]]:
        async with aclosing(self._inner.watch(kind, since=since)) as changes:
            async for change in changes:
                async with self._scissors.read(f"watch {kind.name}"):
                    pass
                yield change

    async def create(self, kind: Kind[Any], manifest: Manifest) -> Any:
        async with self._scissors.effect(f"create {kind.name}"):
            return await self._inner.create(kind, manifest)

    async def patch(self, kind: Kind[Any], name: str, patch: Manifest, **options: Any) -> Any:
        async with self._scissors.effect(f"patch {kind.name} {options.get('subresource', '')} {sorted(patch)}"):
            return await self._inner.patch(kind, name, patch, **options)

    async def delete(self, kind: Kind[Any], name: str, **options: Any) -> None:
        async with self._scissors.effect(f"delete {kind.name}"):
            await self._inner.delete(kind, name, **options)

    async def evict(self, name: str, *, namespace: str, uid: str) -> None:
        async with self._scissors.effect("evict Pod"):
            await self._inner.evict(name, namespace=namespace, uid=uid)


class CutCloud:
    """A cloud whose effects may be cut."""

    def __init__(self, inner: MemoryCloud, scissors: Scissors) -> None:
        self._inner = inner
        self._scissors = scissors

    async def create(self, claim: NodeClaim) -> Machine:
        async with self._scissors.effect("create Machine"):
            return await self._inner.create(claim)

    async def delete(self, provider_id: str) -> None:
        async with self._scissors.effect("delete Machine"):
            await self._inner.delete(provider_id)

    async def tag(self, provider_id: str, tags: Mapping[str, str]) -> None:
        async with self._scissors.effect("tag Machine"):
            await self._inner.tag(provider_id, tags)

    async def get(self, provider_id: str) -> Machine:
        async with self._scissors.read("get Machine"):
            return await self._inner.get(provider_id)

    async def list(self) -> Sequence[Machine]:
        async with self._scissors.read("list Machine"):
            return await self._inner.list()

    async def instance_types(self, pool: NodePool) -> Sequence[InstanceType]:
        async with self._scissors.read("list InstanceType"):
            return await self._inner.instance_types(pool)

    async def drift_of(self, claim: NodeClaim) -> str | None:
        async with self._scissors.read("get drift"):
            return await self._inner.drift_of(claim)

    async def resolve(self, node_class: EC2NodeClass) -> EC2NodeClassStatus:
        async with self._scissors.read("resolve EC2NodeClass"):
            return await self._inner.resolve(node_class)

    async def static_hash(self, node_class: EC2NodeClass) -> str:
        async with self._scissors.read("get hash"):
            return await self._inner.static_hash(node_class)

    async def release(self, node_class: EC2NodeClass) -> None:
        async with self._scissors.effect("release EC2NodeClass"):
            await self._inner.release(node_class)

    def mark_unavailable(self, *, instance_type: str, zone: str, capacity_type: str, reservation_id: str = "") -> None:
        self._inner.mark_unavailable(
            instance_type=instance_type, zone=zone, capacity_type=capacity_type, reservation_id=reservation_id
        )

    def repair_policies(self) -> Sequence[RepairPolicy]:
        return self._inner.repair_policies()


class CutQueue:
    """A queue whose effects may be cut: a message that was acted on comes again."""

    def __init__(self, inner: MemoryQueue, scissors: Scissors) -> None:
        self._inner = inner
        self._scissors = scissors

    async def receive(self) -> Sequence[Interruption]:
        async with self._scissors.read("receive messages"):
            return await self._inner.receive()

    async def delete(self, receipts: Sequence[str]) -> None:
        async with self._scissors.effect("delete messages"):
            await self._inner.delete(receipts)
