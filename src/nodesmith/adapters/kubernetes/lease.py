"""Leader election on a Lease, as client-go does it, so that a Karpenter replica and one of ours never lead together.

The pure half, `wanted`, says what to write into a lease; `Elector` does it. A lease is judged by when this process saw
it change, not by the times written in it: clocks of two machines may differ. And leadership is judged by when this
process last renewed, not by a flag: a process that was frozen finds, on waking, that it does not lead any more, before
any task of its own had a chance to tell it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import LEASE
from nodesmith.api.meta import format_micro_time, parse_time
from nodesmith.ports.clock import Clock
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import AlreadyExists, Conflict, NotFound, PortError
from nodesmith.ports.log import Log
from nodesmith.ports.metrics import Metrics

JITTER: Final = 1.2


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """Where the lease is and how long it holds; the defaults are controller-runtime's."""

    name: str = "karpenter-leader-election"
    namespace: str = "kube-system"
    duration: timedelta = timedelta(seconds=15)
    renew_within: timedelta = timedelta(seconds=10)
    retry_every: timedelta = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What a Lease says."""

    holder: str = ""
    duration_s: int = 0
    acquired_at: datetime | None = None
    renewed_at: datetime | None = None
    transitions: int = 0


@dataclass(frozen=True, slots=True)
class Observed:
    """A record as this process knows it: at which version, and when (monotonic seconds) it was first seen so."""

    record: LeaseRecord
    resource_version: str
    seen_at: float

    def is_live(self, now: float) -> bool:
        """Whether its holder may still be leading."""
        return bool(self.record.holder) and now < self.seen_at + self.record.duration_s


def parse_record(manifest: Manifest) -> LeaseRecord:
    """The record in a Lease; what is missing is empty."""
    spec: Mapping[str, Any] = manifest.get("spec") or {}
    return LeaseRecord(
        holder=spec.get("holderIdentity") or "",
        duration_s=int(spec.get("leaseDurationSeconds") or 0),
        acquired_at=parse_time(spec.get("acquireTime")),
        renewed_at=parse_time(spec.get("renewTime")),
        transitions=int(spec.get("leaseTransitions") or 0),
    )


def record_spec(record: LeaseRecord) -> dict[str, Any]:
    """The `spec` that says the record."""
    return {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.duration_s,
        "acquireTime": format_micro_time(record.acquired_at) if record.acquired_at else None,
        "renewTime": format_micro_time(record.renewed_at) if record.renewed_at else None,
        "leaseTransitions": record.transitions,
    }


def wanted(identity: str, terms: LeaseTerms, seen: Observed | None, *, now: datetime, at: float) -> LeaseRecord | None:
    """The record to write in order to lead, or None while somebody else may be leading."""
    duration_s = int(terms.duration.total_seconds())
    if seen is None:
        return LeaseRecord(identity, duration_s, now, now)
    if seen.record.holder == identity:
        return replace(seen.record, duration_s=duration_s, renewed_at=now)
    if seen.is_live(at):
        return None
    return LeaseRecord(identity, duration_s, now, now, seen.record.transitions + 1)


@dataclass(slots=True)
class Elector:
    """One candidate. `run` ends when leadership was had and lost; `is_leading` can be asked at any time.

    Give it a cluster of its own, whose writes are not held back by `is_leading` nor by the pace of others.
    """

    cluster: Cluster
    identity: str
    clock: Clock
    log: Log
    terms: LeaseTerms = field(default_factory=LeaseTerms)
    chance: random.Random = field(default_factory=random.Random)
    metrics: Metrics | None = None
    elected: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: Observed | None = field(default=None, init=False)
    _renewed_at: float = field(default=float("-inf"), init=False)

    def is_leading(self) -> bool:
        """Whether this process holds the lease, by a renewal that nobody can have outlived yet."""
        return self.clock.monotonic() < self._renewed_at + self.terms.renew_within.total_seconds()

    @property
    def holder(self) -> str:
        """Who leads, as far as was last seen; empty when nobody does."""
        return self._seen.record.holder if self._seen is not None else ""

    async def run(self) -> None:
        """Become leader, stay it as long as possible, and give the lease back when cancelled.

        Returns when leadership is lost: the caller stops everything then.
        """
        try:
            await self._acquire()
            self.log.info("became leader", identity=self.identity)
            self.elected.set()
            self._tell_metrics(1)
            await self._keep()
            self.log.error("leader election lost", identity=self.identity)
        finally:
            self.elected.clear()
            self._tell_metrics(0)
            await self._release()

    def _tell_metrics(self, status: float) -> None:
        if self.metrics is not None:
            self.metrics.set("leader_election_master_status", status, name=self.terms.name)

    async def _acquire(self) -> None:
        while not await self._try():
            await self.clock.sleep(self.terms.retry_every * self.chance.uniform(1.0, JITTER))

    async def _keep(self) -> None:
        """Renew until that fails for as long as `renew_within`; another holder's name ends it at once."""
        while self.is_leading():
            await self.clock.sleep(self.terms.retry_every)
            if not self.is_leading():
                return  # the process was frozen meanwhile: the lease may be another's
            if await self._try() or (self._seen is None and self.is_leading() and await self._try()):
                continue  # a write whose answer was lost has made another version: that is seen, and renewed, at once
            if self.holder not in {"", self.identity}:
                self._renewed_at = float("-inf")

    async def _try(self) -> bool:
        """Whether the lease is held now. A failure is no answer: the next try, or the deadline, decides."""
        started = self.clock.monotonic()
        try:
            async with asyncio.timeout(self.terms.renew_within.total_seconds() / 2):
                held = await self._take()
        except (PortError, TimeoutError) as error:
            self.log.debug("lease not written", error=str(error))
            self._forget(error)
            return False
        if held:
            self._renewed_at = started
        return held

    async def _take(self) -> bool:
        if self._seen is None or self._seen.record.holder != self.identity:
            await self._look()
        now, at = self.clock.now(), self.clock.monotonic()
        record = wanted(self.identity, self.terms, self._seen, now=now, at=at)
        if record is None:
            return False
        spec = record_spec(record)
        if self._seen is None:
            metadata = {"name": self.terms.name, "namespace": self.terms.namespace}
            self._observe(await self.cluster.create(LEASE, {"metadata": metadata, "spec": spec}))
        else:
            await self._write(spec)
        return True

    async def _write(self, spec: Manifest) -> None:
        assert self._seen is not None  # noqa: S101 - for the type checker: callers have looked
        self._observe(
            await self.cluster.patch(
                LEASE,
                self.terms.name,
                {"spec": spec},
                namespace=self.terms.namespace,
                resource_version=self._seen.resource_version,
            )
        )

    async def _look(self) -> None:
        try:
            self._observe(await self.cluster.get(LEASE, self.terms.name, namespace=self.terms.namespace))
        except NotFound:
            self._seen = None

    def _observe(self, manifest: Manifest) -> None:
        """Remember the lease; an unchanged one keeps the time at which it was first seen so."""
        version = manifest["metadata"].get("resourceVersion") or ""
        if self._seen is None or self._seen.resource_version != version:
            self._seen = Observed(parse_record(manifest), version, self.clock.monotonic())

    def _forget(self, error: BaseException) -> None:
        """After a conflict what we know of our own lease is wrong: look before the next try."""
        if isinstance(error, (AlreadyExists, Conflict, NotFound)) and self.holder == self.identity:
            self._seen = None

    async def _release(self) -> None:
        """Nobody has to wait for the lease to run out after we stopped; one that was lost is not touched."""
        if self._seen is None or self.holder != self.identity or not self.is_leading():
            return
        now = self.clock.now()
        gone = LeaseRecord("", 1, now, now, self._seen.record.transitions)
        self._renewed_at = float("-inf")
        try:
            async with asyncio.timeout(self.terms.retry_every.total_seconds()):
                await self._write(record_spec(gone))
        except (PortError, TimeoutError) as error:
            self.log.info("lease not released, it will run out", error=str(error))
