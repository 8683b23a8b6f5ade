"""Numbers that change by themselves (queues, waiting pods, work under way), read when Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from nodesmith.adapters.telemetry.catalog import BY_NAME
from nodesmith.adapters.telemetry.exposition import Family
from nodesmith.ports.metrics import Reading


class ReadingsCollector:
    """What `read` gives, as metrics."""

    def __init__(self, read: Callable[[], Iterable[Reading]]) -> None:
        self._read = read
        self._seen: dict[str, list[Reading]] = {}

    def look(self) -> None:
        """The numbers are of now."""
        self._seen = {}
        for reading in self._read():
            self._seen.setdefault(reading.name, []).append(reading)

    def collect(self) -> Iterator[Family]:
        """The numbers of the last look."""
        for name, readings in self._seen.items():
            metric = BY_NAME[name]
            yield Family(
                metric,
                [([each.labels.get(label, "") for label in metric.labels], float(each.value)) for each in readings],
            )
