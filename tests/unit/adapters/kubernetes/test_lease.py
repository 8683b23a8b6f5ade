import asyncio
import random
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.kubernetes.lease import (
    Elector,
    LeaseRecord,
    LeaseTerms,
    Observed,
    parse_record,
    record_spec,
    wanted,
)
from nodesmith.adapters.memory.recording import RecordedMetrics
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import AlreadyExists, Conflict, NotFound, Unavailable
from nodesmith.ports.log import NoLog
from tests.unit.adapters.kubernetes.manual import InstantClock, ManualClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TERMS = LeaseTerms()


class OneLease:
    """The API server, as far as one Lease goes."""

    def __init__(self) -> None:
        self.spec: dict[str, Any] | None = None
        self.version = 0
        self.is_down = False
        self.writers: list[str] = []

    def manifest(self) -> dict[str, Any]:
        return {"metadata": {"name": TERMS.name, "resourceVersion": str(self.version)}, "spec": dict(self.spec or {})}

    def store(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        self.spec = {**(self.spec or {}), **spec}
        self.version += 1
        self.writers.append(spec["holderIdentity"])
        return self.manifest()

    async def get(self, kind: object, name: str, *, namespace: str) -> dict[str, Any]:
        self.check()
        if self.spec is None:
            raise NotFound(name)
        return self.manifest()

    async def create(self, kind: object, manifest: Mapping[str, Any]) -> dict[str, Any]:
        self.check()
        if self.spec is not None:
            raise AlreadyExists(TERMS.name)
        return self.store(manifest["spec"])

    async def patch(
        self, kind: object, name: str, patch: Mapping[str, Any], *, namespace: str, resource_version: str
    ) -> dict[str, Any]:
        self.check()
        if resource_version != str(self.version):
            raise Conflict(name)
        return self.store(patch["spec"])

    def check(self) -> None:
        if self.is_down:
            raise Unavailable("down")


def elector(lease: Any, clock: ManualClock, identity: str) -> Elector:
    cluster: Cluster = lease
    return Elector(cluster, identity, clock, NoLog(), TERMS, random.Random(1))


@asynccontextmanager
async def running(*electors: Elector) -> Any:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each.run()) for each in electors]
        yield tasks
        for task in tasks:
            task.cancel()


def test_a_record_is_written_as_client_go_reads_it() -> None:
    record = LeaseRecord("a_1", 15, NOW, NOW + timedelta(microseconds=5), 3)
    spec = record_spec(record)
    assert spec == {
        "holderIdentity": "a_1",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:00.000005Z",
        "leaseTransitions": 3,
    }
    assert parse_record({"spec": spec}) == record
    assert parse_record({}) == LeaseRecord()


def seen(holder: str, age_s: float) -> Observed:
    return Observed(LeaseRecord(holder, 15, NOW, NOW, 2), "1", seen_at=1000.0 - age_s)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (None, LeaseRecord("me", 15, NOW, NOW, 0)),
        (seen("me", 3.0), LeaseRecord("me", 15, NOW, NOW, 2)),
        (seen("other", 14.9), None),
        (seen("other", 15.0), LeaseRecord("me", 15, NOW, NOW, 3)),
        (seen("", 0.0), LeaseRecord("me", 15, NOW, NOW, 3)),
    ],
)
def test_what_to_write_in_order_to_lead(before: Observed | None, expected: LeaseRecord | None) -> None:
    assert wanted("me", TERMS, before, now=NOW, at=1000.0) == expected


async def test_one_of_two_leads_and_keeps_it() -> None:
    lease, clock = OneLease(), ManualClock()
    first, second = elector(lease, clock, "first"), elector(lease, clock, "second")
    async with running(first, second):
        await clock.advance(120)
        assert (first.is_leading(), second.is_leading()) == (True, False)
        assert second.holder == "first"
        assert set(lease.writers) == {"first"}


async def test_a_leader_that_is_stopped_hands_over_at_once() -> None:
    lease, clock = OneLease(), ManualClock()
    first, second = elector(lease, clock, "first"), elector(lease, clock, "second")
    async with running(first, second) as tasks:
        await clock.advance(5)
        tasks[0].cancel()
        await clock.advance(3)
        assert second.is_leading()
        assert not first.is_leading()
    assert lease.spec is not None
    assert lease.spec["holderIdentity"] == ""


async def test_a_leader_that_dies_is_followed_within_the_lease() -> None:
    lease, clock = OneLease(), ManualClock()
    lease.store(record_spec(LeaseRecord("dead", 15, NOW, NOW)))
    second = elector(lease, clock, "second")
    async with running(second):
        await clock.advance(14.5)
        assert not second.is_leading()
        await clock.advance(4)
        assert second.is_leading()
        assert lease.spec is not None
        assert lease.spec["leaseTransitions"] == 1


async def test_clocks_that_differ_do_not_matter() -> None:
    lease, clock = OneLease(), ManualClock()
    long_ago = NOW - timedelta(days=300)
    lease.store(record_spec(LeaseRecord("alive", 15, long_ago, long_ago)))
    second = elector(lease, clock, "second")
    async with running(second):
        for minute in range(1, 20):
            await clock.advance(5)
            lease.store(record_spec(LeaseRecord("alive", 15, long_ago, long_ago + timedelta(minutes=minute))))
        assert not second.is_leading()


async def test_leadership_survives_a_short_outage_and_ends_with_a_long_one() -> None:
    lease, clock = OneLease(), ManualClock()
    first = elector(lease, clock, "first")
    async with running(first) as tasks:
        await clock.advance(5)
        lease.is_down = True
        await clock.advance(6)
        lease.is_down = False
        await clock.advance(10)
        assert first.is_leading()
        lease.is_down = True
        await clock.advance(11)
        assert not first.is_leading()
        assert tasks[0].done()


async def test_who_was_frozen_does_not_lead_on_waking() -> None:
    lease, clock = OneLease(), ManualClock()
    first = elector(lease, clock, "first")
    async with running(first):
        await clock.advance(5)
        assert first.is_leading()
        clock.freeze(30)
        assert not first.is_leading()


async def test_one_that_was_frozen_writes_nothing_when_it_wakes() -> None:
    lease, clock = OneLease(), ManualClock()
    first = elector(lease, clock, "first")
    async with running(first) as tasks:
        await clock.advance(5)
        written = len(lease.writers)
        clock.freeze(30)
        await clock.advance(5)
        assert tasks[0].done()
        assert len(lease.writers) == written


class SlowLease(OneLease):
    """Every write takes a while on its way."""

    def __init__(self, clock: ManualClock, takes: timedelta) -> None:
        super().__init__()
        self._clock = clock
        self._takes = takes

    async def create(self, kind: object, manifest: Mapping[str, Any]) -> dict[str, Any]:
        await self._clock.sleep(self._takes)
        return await super().create(kind, manifest)


async def test_leadership_counts_from_when_it_was_asked_for_and_not_from_the_answer() -> None:
    """Others count from when they saw the lease, which may have been long before we hear of it."""
    clock = ManualClock()
    lease = SlowLease(clock, timedelta(seconds=4))
    first = elector(lease, clock, "first")
    async with running(first):
        await clock.advance(4)
        assert first.is_leading()
        lease.is_down = True
        await clock.advance(5.9)
        assert first.is_leading()
        await clock.advance(0.2)
        assert not first.is_leading()


class SilentLease(OneLease):
    """It is made, and nothing is ever heard of it again."""

    async def patch(self, *_: object, **__: object) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_server_that_does_not_answer_ends_leadership_as_one_that_is_down() -> None:
    lease: Any = SilentLease()
    terms = replace(TERMS, renew_within=timedelta(seconds=0.4), retry_every=timedelta(seconds=0.05))
    first = Elector(lease, "first", RealClock(), NoLog(), terms, random.Random(1))
    async with asyncio.timeout(30):
        await first.run()
    assert not first.is_leading()


async def test_those_who_wait_do_not_ask_all_at_once() -> None:
    lease, clock = OneLease(), InstantClock()
    lease.store(record_spec(LeaseRecord("other", 15, NOW, NOW)))
    async with running(elector(lease, clock, "second")):
        await clock.settle()
    waits = clock.slept_s[:5]
    assert len(set(waits)) == 5
    assert all(2.0 <= wait <= 2.4 for wait in waits)


async def test_a_write_whose_answer_was_lost_is_not_a_lost_leadership() -> None:
    lease, clock = OneLease(), ManualClock()
    first = elector(lease, clock, "first")
    async with running(first) as tasks:
        await clock.advance(5)
        written = len(lease.writers)
        lease.version += 1
        await clock.advance(2)
        assert len(lease.writers) == written + 1
        await clock.advance(6)
        assert first.is_leading()
        assert not tasks[0].done()


async def test_a_lease_taken_by_another_ends_it_at_once() -> None:
    lease, clock = OneLease(), ManualClock()
    first = elector(lease, clock, "first")
    async with running(first) as tasks:
        await clock.advance(5)
        lease.store(record_spec(LeaseRecord("thief", 15, NOW, NOW)))
        await clock.advance(5)
        assert not first.is_leading()
        assert tasks[0].done()
    assert lease.writers[-1] == "thief"


async def test_who_leads_is_a_number() -> None:
    lease, clock, metrics = OneLease(), ManualClock(), RecordedMetrics()
    one = elector(lease, clock, "a")
    one.metrics = metrics
    key = ("leader_election_master_status", (("name", TERMS.name),))
    async with running(one) as (task,):
        await one.elected.wait()
        assert metrics.gauges[key] == 1
        task.cancel()
    assert metrics.gauges[key] == 0
