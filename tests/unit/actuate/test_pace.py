from dataclasses import replace
from datetime import timedelta

import pytest

from nodesmith.actuate.pace import TokenBucket
from nodesmith.actuate.recorder import Recorder
from nodesmith.adapters.memory.recording import RecordedEvents
from nodesmith.ports.events import Event, ObjectReference
from nodesmith.sim.clock import VirtualClock, run


def test_a_burst_goes_at_once_and_the_rest_at_the_rate() -> None:
    async def story(clock: VirtualClock) -> None:
        bucket = TokenBucket(clock, per_second=2, burst=3)
        for _ in range(7):
            await bucket.take()
        assert clock.monotonic() == pytest.approx(2.0)

    run(story)


def test_an_idle_bucket_holds_no_more_than_its_burst() -> None:
    async def story(clock: VirtualClock) -> None:
        bucket = TokenBucket(clock, per_second=10, burst=2)
        await clock.sleep(timedelta(hours=1))
        assert [bucket.try_take() for _ in range(3)] == [True, True, False]

    run(story)


def _event(reason: str = "DisruptionBlocked", *dedupe: str, name: str = "a") -> Event:
    return Event(ObjectReference("v1", "Node", name), reason, "why", dedupe=dedupe)


def test_an_event_is_told_once_in_its_time_whatever_object_it_is_about() -> None:
    async def story(clock: VirtualClock) -> None:
        sink = RecordedEvents(clock)
        recorder = Recorder(sink, clock)
        recorder.publish(_event("DisruptionBlocked", "uid"))
        recorder.publish(_event("DisruptionBlocked", "uid", name="b"))
        recorder.publish(_event("DisruptionBlocked", "other"))
        recorder.publish(_event("Unconsolidatable", "uid"))
        assert len(sink.told) == 3
        await clock.sleep(timedelta(seconds=121))
        recorder.publish(_event("DisruptionBlocked", "uid"))
        assert len(sink.told) == 4

    run(story)


def test_an_event_may_be_told_again_as_soon_as_its_own_time_is_over() -> None:
    async def story(clock: VirtualClock) -> None:
        sink = RecordedEvents(clock)
        recorder = Recorder(sink, clock)
        brief = replace(_event("DisruptionBlocked", "uid"), dedupe_for=timedelta(seconds=10))
        for waits, told in ((0, 1), (9, 1), (2, 2), (9, 2)):
            await clock.sleep(timedelta(seconds=waits))
            recorder.publish(brief)
            assert len(sink.told) == told

    run(story)


def test_what_was_told_long_ago_is_not_remembered() -> None:
    async def story(clock: VirtualClock) -> None:
        recorder = Recorder(RecordedEvents(clock), clock)
        for number in range(1000):
            recorder.publish(_event("DisruptionBlocked", f"uid-{number}"))
        assert len(recorder._told) == 1000
        await clock.sleep(timedelta(minutes=5))
        recorder.publish(_event("DisruptionBlocked", "uid"))
        assert len(recorder._told) == 1

    run(story)


def test_without_values_to_go_by_every_event_is_told() -> None:
    async def story(clock: VirtualClock) -> None:
        sink = RecordedEvents(clock)
        recorder = Recorder(sink, clock)
        recorder.publish(_event())
        recorder.publish(_event())
        assert len(sink.told) == 2

    run(story)


def test_nominations_are_held_back_and_others_are_not() -> None:
    async def story(clock: VirtualClock) -> None:
        sink = RecordedEvents(clock)
        recorder = Recorder(sink, clock)
        for number in range(30):
            recorder.publish(_event("Nominated", f"uid-{number}"))
            recorder.publish(_event("FailedScheduling", f"uid-{number}"))
        assert sink.reasons().count("Nominated") == 10
        assert sink.reasons().count("FailedScheduling") == 30
        await clock.sleep(timedelta(seconds=2))
        for number in range(30, 60):
            recorder.publish(_event("Nominated", f"uid-{number}"))
        assert sink.reasons().count("Nominated") == 20

    run(story)
