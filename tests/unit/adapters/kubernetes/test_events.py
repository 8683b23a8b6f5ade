import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from nodesmith.adapters.kubernetes.events import EventRecorder, event_manifest
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


def recorder_on(written: Any, clock: ManualClock) -> EventRecorder:
    cluster: Cluster = written
    return EventRecorder(cluster, clock, NoLog())


async def sent(recorder: EventRecorder, clock: ManualClock) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(recorder.run())
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
    assert manifest["source"] == {"component": "karpenter"}


def test_one_about_a_cluster_scoped_object_goes_to_the_default_namespace() -> None:
    manifest = event_manifest(Event(CLAIM, "r", "m"), sequence=1, now=NOW)
    assert manifest["metadata"]["namespace"] == "default"
    assert "namespace" not in manifest["involvedObject"]


def test_a_message_too_long_is_shortened() -> None:
    manifest = event_manifest(Event(CLAIM, "r", "x" * 5000), sequence=1, now=NOW)
    assert len(manifest["message"]) == 1024


async def test_repetitions_are_dropped_for_a_while_whatever_they_are_about() -> None:
    clock, written = ManualClock(), Written()
    recorder = recorder_on(written, clock)
    for about in (CLAIM, POD):
        recorder.publish(Event(about, "DisruptionBlocked", "m", dedupe=("u",)))
    recorder.publish(Event(CLAIM, "DisruptionBlocked", "m", dedupe=("other",)))
    clock.freeze(121)
    recorder.publish(Event(CLAIM, "DisruptionBlocked", "m", dedupe=("u",)))
    await sent(recorder, clock)
    assert len(written.manifests) == 3
    assert len({manifest["metadata"]["name"] for manifest in written.manifests}) == 3


async def test_an_event_may_be_remembered_longer() -> None:
    clock, written = ManualClock(), Written()
    recorder = recorder_on(written, clock)
    for _ in range(3):
        recorder.publish(Event(CLAIM, "Unconsolidatable", "m", dedupe=("u",), dedupe_for=timedelta(minutes=15)))
        clock.freeze(300)
    await sent(recorder, clock)
    assert len(written.manifests) == 1


async def test_nominations_come_in_a_burst_of_ten_and_then_five_a_second() -> None:
    clock, written = ManualClock(), Written()
    recorder = recorder_on(written, clock)
    for number in range(30):
        recorder.publish(Event(POD, "Nominated", "m", dedupe=(str(number),)))
    clock.freeze(1)
    for number in range(30):
        recorder.publish(Event(POD, "Nominated", "m", dedupe=(str(number),)))
    await sent(recorder, clock)
    assert len(written.manifests) == 15


async def test_a_flood_is_dropped_and_a_refusal_harms_nobody() -> None:
    clock, written = ManualClock(), Written()
    recorder = recorder_on(written, clock)
    written.refuses = True
    for number in range(1200):
        recorder.publish(Event(CLAIM, "r", "m", dedupe=(str(number),)))
    for _ in range(30):
        await sent(recorder, clock)
    written.refuses = False
    recorder.publish(Event(CLAIM, "last", "m"))
    await sent(recorder, clock)
    assert [manifest["reason"] for manifest in written.manifests] == ["last"]
