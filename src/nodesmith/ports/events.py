"""Events for people: `kubectl describe` shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

NORMAL: Final = "Normal"
WARNING: Final = "Warning"


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """What an event is about."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling. Events of the same reason and `dedupe` values are told once in `dedupe_for`."""

    about: ObjectReference
    reason: str
    message: str
    type: str = NORMAL
    dedupe: tuple[str, ...] = ()
    dedupe_for: timedelta = field(default=timedelta(minutes=2))


class Events(Protocol):
    """Where events go. Publishing never fails and never waits."""

    def publish(self, event: Event) -> None:
        """The event is on its way, or dropped as a repetition."""
        ...
