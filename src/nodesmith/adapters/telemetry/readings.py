"""Numbers that change by themselves (queues, waiting pods, work under way), read when Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as PrometheusMetric

from nodesmith.adapters.telemetry.catalog import BY_NAME, MetricType
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

    def collect(self) -> Iterator[PrometheusMetric]:
        """The numbers of the last look."""
        for name, readings in self._seen.items():
            metric = BY_NAME[name]
            make = CounterMetricFamily if metric.type is MetricType.COUNTER else GaugeMetricFamily
            family = make(metric.full_name, metric.about, labels=metric.labels)
            for each in readings:
                family.add_metric([each.labels.get(label, "") for label in metric.labels], each.value)
            yield family
