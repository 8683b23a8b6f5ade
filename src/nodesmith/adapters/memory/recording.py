"""Events, metrics and scenarios that are kept, for tests and for telling a story afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nodesmith.ports.clock import Clock
from nodesmith.ports.events import Event

Labels = tuple[tuple[str, str], ...]


class RecordedEvents:
    """An `Events` that keeps all it is told, with the time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.told: list[tuple[datetime, Event]] = []

    def publish(self, event: Event) -> None:
        """The event is kept."""
        self.told.append((self._clock.now(), event))

    def reasons(self) -> list[str]:
        """The reasons, in order."""
        return [event.reason for _, event in self.told]


class RecordedMetrics:
    """A `Metrics` that keeps the latest numbers by name and labels."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, Labels]] = Counter()
        self.gauges: dict[tuple[str, Labels], float] = {}
        self.observations: dict[tuple[str, Labels], list[float]] = {}

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """The counter is up by the amount."""
        self.counts[name, _sorted(labels)] += amount  # type: ignore[assignment]  # a Counter adds floats as well

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """The value is kept."""
        self.observations.setdefault((name, _sorted(labels)), []).append(value)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """The gauge stands at the value."""
        self.gauges[name, _sorted(labels)] = value

    def total(self, name: str, **labels: str) -> float:
        """The sum of a counter over all label sets that contain these labels."""
        wanted = set(labels.items())
        return sum(amount for (each, has), amount in self.counts.items() if each == name and wanted <= set(has))


def _sorted(labels: dict[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


class RecordedScenarios:
    """A `Scenarios` that keeps all, by name."""

    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, Mapping[str, Any]]] = {}

    def keep(self, name: str, files: Mapping[str, Mapping[str, Any]], /) -> str:
        """The documents are kept; returns the name."""
        self.kept[name] = files
        return name
