import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from nodesmith.adapters.kubernetes.reflector import Reflector
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import CONFIG_MAP
from nodesmith.ports.cluster import Change, ChangeType, Cluster, Listing
from nodesmith.ports.errors import Expired, PortError, Refused, Unavailable
from nodesmith.ports.log import NoLog
from tests.unit.adapters.kubernetes.manual import InstantClock, ManualClock

Step = Change[Manifest] | PortError


class Script:
    """A cluster whose every watch plays the next list of steps; after the last it says nothing more."""

    def __init__(self, *watches: Sequence[Step]) -> None:
        self.watches = list(watches)
        self.lists = 0
        self.since: list[str] = []
        self.fails: PortError | None = None

    async def list(self, kind: object) -> Listing[Manifest]:
        if self.fails is not None:
            raise self.fails
        self.lists += 1
        return Listing((named("listed"),), str(100 * self.lists))

    async def watch(self, kind: object, *, since: str) -> AsyncGenerator[Change[Manifest]]:
        self.since.append(since)
        if not self.watches:
            await asyncio.Event().wait()
        for step in self.watches.pop(0):
            if isinstance(step, PortError):
                raise step
            yield step


class Copy:
    def __init__(self) -> None:
        self.replaced = 0
        self.changes: list[str] = []

    def replace(self, items: Sequence[Manifest], resource_version: str) -> None:
        self.replaced += 1

    def apply(self, change: Change[Manifest]) -> None:
        self.changes.append(change.resource_version)


def named(name: str) -> Manifest:
    return {"metadata": {"name": name}}


def modified(version: str) -> Change[Manifest]:
    return Change(ChangeType.MODIFIED, named("a"), version)


def bookmark(version: str) -> Change[Manifest]:
    return Change(ChangeType.BOOKMARK, None, version)


def reflector_on(script: Any, copy: Copy, clock: ManualClock) -> Reflector[Manifest]:
    cluster: Cluster = script
    return Reflector(cluster, CONFIG_MAP, copy, clock, NoLog(), random.Random(1))


async def followed(script: Script, seconds: float = 60.0) -> tuple[Copy, Reflector[Manifest], ManualClock]:
    copy, clock = Copy(), ManualClock()
    reflector = reflector_on(script, copy, clock)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reflector.run())
        await clock.advance(seconds)
        task.cancel()
    return copy, reflector, clock


async def test_a_watch_that_ends_goes_on_where_it_was() -> None:
    script = Script([modified("101"), bookmark("105")], [modified("106")])
    copy, reflector, _ = await followed(script)
    assert script.since == ["100", "105", "106"]
    assert copy.changes == ["101", "106"]
    assert (script.lists, copy.replaced, reflector.is_synced) == (1, 1, True)


async def test_a_watch_that_breaks_goes_on_where_it_was_after_a_while() -> None:
    script = Script([modified("101"), Unavailable("reset")], [])
    _, _, _ = await followed(script)
    assert script.since[:2] == ["100", "101"]
    assert script.lists == 1


async def test_a_version_too_old_is_listed_again() -> None:
    script = Script([modified("101"), Expired("too old")])
    copy, _, _ = await followed(script)
    assert script.since == ["100", "200"]
    assert copy.replaced == 2


async def test_clients_whose_version_is_too_old_do_not_list_again_all_at_once() -> None:
    waits = set()
    for seed in range(5):
        clock, script = InstantClock(), Script([Expired("too old")])
        reflector = reflector_on(script, Copy(), clock)
        reflector.chance = random.Random(seed)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(reflector.run())
            await clock.settle()
            task.cancel()
        assert script.lists == 2
        waits |= set(clock.slept_s)
    assert len(waits) == 5
    assert all(0 < wait <= 0.8 for wait in waits)


async def test_what_was_heard_ends_the_growing_of_waits() -> None:
    script = Script(*([Unavailable("down")] for _ in range(6)), [modified("101"), Unavailable("down")])
    clock = InstantClock()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reflector_on(script, Copy(), clock).run())
        await clock.settle()
        task.cancel()
    assert len(clock.slept_s) == 7
    assert clock.slept_s[-1] <= 0.8


async def test_a_list_is_heard_as_much_as_a_change() -> None:
    _, reflector, _ = await followed(Script(), seconds=30.0)
    assert reflector.silence() == timedelta(seconds=30)


async def test_failures_wait_longer_and_longer_and_never_too_long() -> None:
    script = Script(*[[Unavailable("down")] for _ in range(8)])
    clock = InstantClock()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reflector_on(script, Copy(), clock).run())
        await clock.settle()
        task.cancel()
    times = clock.slept_s
    assert len(times) == 8
    assert all(0 < wait <= min(30.0, 0.8 * 2**tries) for tries, wait in enumerate(times))


async def test_every_so_often_it_lists_anyway() -> None:
    class Slow(Script):
        async def watch(self, kind: object, *, since: str) -> AsyncGenerator[Change[Manifest]]:
            self.since.append(since)
            while True:
                await clock.sleep(timedelta(minutes=1))
                yield bookmark(since)

    clock, script, copy = ManualClock(), Slow(), Copy()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reflector_on(script, copy, clock).run())
        await clock.advance(2.5 * 3600)
        task.cancel()
    assert copy.replaced == 3


async def test_silence_is_how_long_nothing_was_heard() -> None:
    script = Script([modified("101")])
    _, reflector, clock = await followed(script, seconds=40.0)
    assert reflector.silence() == timedelta(seconds=40)
    assert reflector_on(script, Copy(), clock).silence() > timedelta(days=365)


async def test_not_being_allowed_ends_it() -> None:
    script = Script()
    script.fails = Refused("forbidden")
    with pytest.raises(Refused):
        await reflector_on(script, Copy(), ManualClock()).run()


async def test_a_refusal_by_an_api_server_that_has_just_started_passes() -> None:
    script = Script([Refused("forbidden")], [Refused("forbidden")], [modified("101")])
    copy, _, _ = await followed(script)
    assert script.since == ["100", "100", "100", "101"]
    assert (script.lists, copy.changes) == (1, ["101"])


async def test_a_refusal_that_does_not_pass_ends_it() -> None:
    script = Script(*([Refused("forbidden")] for _ in range(1000)))
    with pytest.raises(Refused):
        await reflector_on(script, Copy(), InstantClock()).run()
    assert len(script.since) < 100
