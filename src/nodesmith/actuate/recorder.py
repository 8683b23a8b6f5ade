"""Tells an event once: repetitions are dropped here, and nowhere else (spec 8.5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from nodesmith.actuate.pace import TokenBucket
from nodesmith.ports.clock import Clock
from nodesmith.ports.events import Event, Events

NOMINATED: Final = "Nominated"
_NOMINATIONS_PER_SECOND: Final = 5
_NOMINATIONS_AT_ONCE: Final = 10
_SWEEP_EVERY: Final = timedelta(minutes=1)


class Recorder:
    """Passes events on, each reason and set of values once in its time; nominations also not too fast."""

    def __init__(self, sink: Events, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._told: dict[str, datetime] = {}
        self._swept_at = clock.now()
        self._nominations = TokenBucket(clock, per_second=_NOMINATIONS_PER_SECOND, burst=_NOMINATIONS_AT_ONCE)

    def publish(self, event: Event) -> None:
        """The event is on its way, or dropped as a repetition or as one too many."""
        now = self._clock.now()
        self._sweep(now)
        key = "-".join((event.reason.lower(), *event.dedupe))
        if event.dedupe:
            until = self._told.get(key)
            if until is not None and now < until:
                return
            self._told[key] = now + event.dedupe_for
        if event.reason == NOMINATED and not self._nominations.try_take():
            return
        self._sink.publish(event)

    def _sweep(self, now: datetime) -> None:
        if now - self._swept_at >= _SWEEP_EVERY:
            self._swept_at = now
            self._told = {key: until for key, until in self._told.items() if until > now}
