"""Events have the reasons of Karpenter's, each of them is told by somebody, and what is ours is listed."""

import ast
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import nodesmith
from nodesmith.actuate.recorder import Recorder
from nodesmith.adapters.memory.recording import RecordedEvents
from nodesmith.ports.events import NORMAL, Event, ObjectReference
from tests.unit.adapters.kubernetes.manual import ManualClock

PACKAGE = Path(str(nodesmith.__file__)).parent
KARPENTERS = {
    "Nominated",
    "FailedScheduling",
    "NoCompatibleInstanceTypes",
    "DisruptionBlocked",
    "Unconsolidatable",
    "ConsolidationCandidate",
    "ConsolidationRejected",
    "ConsolidationApproved",
    "DisruptionLaunching",
    "DisruptionWaitingReadiness",
    "DisruptionTerminating",
    "Evicted",
    "Disrupted",
    "FailedDraining",
    "AwaitingVolumeDetachment",
    "TerminationGracePeriodExpiring",
    "NodeRepairBlocked",
    "FailedConsistencyCheck",
    "InsufficientCapacityError",
    "UnregisteredTaintMissing",
    "InvalidDoNotDisruptAnnotation",
    "DoNotDisruptUntil",
    "DoNotDisruptGracePeriodElapsed",
    "WaitingOnNodeClaimTermination",
    "SpotInterrupted",
    "CapacityReservationInstanceInterrupted",
    "SpotRebalanceRecommendation",
    "InstanceStopping",
    "InstanceTerminating",
    "InstanceUnhealthy",
    "TerminatingOnInterruption",
    "ZonalShiftActive",
    "ZonalShiftCleared",
}
OURS = {"PlanRefused"}
ABOUT = ObjectReference("v1", "Pod", "a", "default", "uid")


def _strings() -> Iterator[str]:
    for folder in ("controllers", "ports"):
        for path in (PACKAGE / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def _told() -> Iterator[str]:
    """The reasons that are spelled out where an event is made."""
    for path in (PACKAGE / "controllers").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                place = {"Event": 1, "on_both": 0}.get(node.func.id)
                if place is not None and len(node.args) > place and isinstance(node.args[place], ast.Constant):
                    yield str(node.args[place].value)  # type: ignore[attr-defined]  # a constant, as was just asked


def test_every_reason_of_karpenters_is_told_by_somebody() -> None:
    assert set(_strings()) >= KARPENTERS


def test_what_is_told_is_karpenters_or_listed_as_ours() -> None:
    assert set(_told()) - KARPENTERS == OURS


def event(reason: str, *dedupe: str, minutes: int = 2) -> Event:
    return Event(ABOUT, reason, "message", NORMAL, dedupe, timedelta(minutes=minutes))


def test_the_same_event_is_told_once_in_its_time() -> None:
    clock = ManualClock()
    sink = RecordedEvents(clock)
    recorder = Recorder(sink, clock)
    for _ in range(3):
        recorder.publish(event("Evicted", "a"))
        recorder.publish(event("Evicted", "b"))
        recorder.publish(event("FailedScheduling", "a", minutes=5))
    assert sink.reasons() == ["Evicted", "Evicted", "FailedScheduling"]
    clock.freeze(121)
    recorder.publish(event("Evicted", "a"))
    recorder.publish(event("FailedScheduling", "a", minutes=5))
    assert sink.reasons()[3:] == ["Evicted"]


def test_nominations_are_told_ten_at_once_and_five_a_second() -> None:
    clock = ManualClock()
    sink = RecordedEvents(clock)
    recorder = Recorder(sink, clock)
    for number in range(100):
        recorder.publish(event("Nominated", str(number)))
    assert len(sink.told) == 10
    clock.freeze(2)
    for number in range(100, 200):
        recorder.publish(event("Nominated", str(number)))
    assert len(sink.told) == 20
