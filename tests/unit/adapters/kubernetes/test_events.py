import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from nodesmith.adapters.kubernetes.events import EventWriter, event_manifest
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import Refused
from nodesmith.ports.events import WARNING, Event, ObjectReference
from nodesmith.ports.log import NoLog
from tests.unit.adapters.kubernetes.manual import ManualClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POD = ObjectReference("v1", "Pod", "p", "web", "u1")
CLAIM = ObjectReference("karpenter.sh/v1", "NodeClaim", "c", uid="u2")


class Written:
    def __init__(self) -> None:
        self.manifests: list[Mapping[str, Any]] = []
        self.refuses = False

    async def create(self, kind: object, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.refuses:
            raise Refused("no")
        self.manifests.append(manifest)
        return manifest


def writer_on(written: Any, clock: ManualClock) -> EventWriter:
    cluster: Cluster = written
    return EventWriter(cluster, clock, NoLog())


async def sent(writer: EventWriter, clock: ManualClock) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(writer.run())
        await clock.settle()
        task.cancel()


def test_an_event_says_about_what_and_from_whom() -> None:
    manifest = event_manifest(Event(POD, "FailedScheduling", "why", WARNING), sequence=1, now=NOW)
    assert manifest["metadata"]["namespace"] == "web"
    assert manifest["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "p",
        "namespace": "web",
        "uid": "u1",
    }
    assert (manifest["reason"], manifest["type"], manifest["count"]) == ("FailedScheduling", "Warning", 1)
    assert manifest["message"] == "why"
    assert manifest["source"] == {"component": "karpenter"}


def test_one_about_a_cluster_scoped_object_goes_to_the_default_namespace() -> None:
    manifest = event_manifest(Event(CLAIM, "r", "m"), sequence=1, now=NOW)
    assert manifest["metadata"]["namespace"] == "default"
    assert "namespace" not in manifest["involvedObject"]


def test_a_message_too_long_is_shortened() -> None:
    manifest = event_manifest(Event(CLAIM, "r", "x" * 5000), sequence=1, now=NOW)
    assert len(manifest["message"]) == 1024
    whole = event_manifest(Event(CLAIM, "r", "x" * 1024), sequence=1, now=NOW)
    assert whole["message"] == "x" * 1024


def test_a_long_name_leaves_room_for_what_tells_two_events_apart() -> None:
    """A name may have 253 letters, in an event as in what it is about."""
    manifest = event_manifest(Event(replace(POD, name="p" * 253), "r", "m"), sequence=2**40, now=NOW)
    assert len(manifest["metadata"]["name"]) <= 253
    assert manifest["involvedObject"]["name"] == "p" * 253


async def test_two_events_in_one_moment_have_names_of_their_own() -> None:
    clock, written = ManualClock(), Written()
    writer = writer_on(written, clock)
    for _ in range(3):
        writer.publish(Event(CLAIM, "r", "m"))
    await sent(writer, clock)
    assert len({manifest["metadata"]["name"] for manifest in written.manifests}) == 3


async def test_a_flood_is_dropped_and_a_refusal_harms_nobody() -> None:
    clock, written = ManualClock(), Written()
    writer = writer_on(written, clock)
    written.refuses = True
    for number in range(1200):
        writer.publish(Event(CLAIM, "r", "m", dedupe=(str(number),)))
    for _ in range(30):
        await sent(writer, clock)
    written.refuses = False
    writer.publish(Event(CLAIM, "last", "m"))
    await sent(writer, clock)
    assert [manifest["reason"] for manifest in written.manifests] == ["last"]
