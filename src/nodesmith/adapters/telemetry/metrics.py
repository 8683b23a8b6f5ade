"""The Metrics port on Prometheus: a registry of its own, made from the catalog.

Recording never fails: what the catalog does not know is left out and logged once. A test records what the controllers
record and finds nothing left out.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import SummaryMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from nodesmith.adapters.telemetry.catalog import BY_NAME, QUANTILES, Metric, MetricType
from nodesmith.adapters.telemetry.exposition import Family, written
from nodesmith.ports.clock import Clock
from nodesmith.ports.log import Log

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_END: Final = b"# EOF\n"
WINDOW_S: Final = 600.0
KEPT: Final = 2000

Labels = tuple[str, ...]


class Quantiles(Collector):
    """A summary with quantiles over the last ten minutes, which the client library has not."""

    def __init__(self, metric: Metric, clock: Clock) -> None:
        self._metric = metric
        self._clock = clock
        self._recent: dict[Labels, deque[tuple[float, float]]] = {}
        self._totals: dict[Labels, tuple[int, float]] = {}

    def observe(self, labels: Labels, value: float) -> None:
        """There is one more value."""
        count, total = self._totals.get(labels, (0, 0.0))
        self._totals[labels] = (count + 1, total + value)
        self._recent.setdefault(labels, deque(maxlen=KEPT)).append((self._clock.monotonic(), value))

    def collect(self) -> Iterable[SummaryMetricFamily]:
        """The summary as it stands."""
        name = self._metric.full_name
        family = SummaryMetricFamily(name, self._metric.about, labels=self._metric.labels)
        since = self._clock.monotonic() - WINDOW_S
        for labels, (count, total) in self._totals.items():
            named = dict(zip(self._metric.labels, labels, strict=True))
            values = sorted(value for at, value in self._recent[labels] if at >= since)
            for quantile in QUANTILES:
                value = _quantile(values, quantile)
                family.samples.append(Sample(name, {**named, "quantile": f"{quantile:g}"}, value))
            family.add_metric(labels, count_value=count, sum_value=total)
        yield family


class Looking(Protocol):
    """A collector whose numbers are read off something when asked."""

    def look(self) -> None:
        """Take what `collect` will tell; called where the something may be looked at."""
        ...

    def collect(self) -> Iterable[Family]:
        """The numbers as they were at the last look; called in another thread."""
        ...


class PrometheusMetrics:
    """Everything recorded since the start, and what the added collectors see."""

    def __init__(self, clock: Clock, log: Log) -> None:
        self.registry = CollectorRegistry()
        self._looking: list[Looking] = []
        self._log = log
        self._unknown: set[str] = set()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._summaries: dict[str, Quantiles] = {}
        self._clock = clock

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """The counter is up by the amount."""
        if (metric := self._metric(name, labels, MetricType.COUNTER)) is None:
            return
        counter = self._counters.get(name)
        if counter is None:
            counter = Counter(metric.full_name, metric.about, metric.labels, registry=self.registry)
            self._counters[name] = counter
        (counter.labels(*_values(metric, labels)) if metric.labels else counter).inc(amount)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """The histogram or summary has one more value."""
        if (metric := self._metric(name, labels, MetricType.HISTOGRAM, MetricType.SUMMARY)) is None:
            return
        if metric.type is MetricType.SUMMARY:
            self._summary(metric).observe(_values(metric, labels), value)
            return
        histogram = self._histograms.get(name)
        if histogram is None:
            histogram = Histogram(
                metric.full_name, metric.about, metric.labels, buckets=metric.buckets, registry=self.registry
            )
            self._histograms[name] = histogram
        (histogram.labels(*_values(metric, labels)) if metric.labels else histogram).observe(value)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """The gauge stands at the value."""
        if (metric := self._metric(name, labels, MetricType.GAUGE)) is None:
            return
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = Gauge(metric.full_name, metric.about, metric.labels, registry=self.registry)
            self._gauges[name] = gauge
        (gauge.labels(*_values(metric, labels)) if metric.labels else gauge).set(value)

    def add(self, collector: Looking) -> None:
        """The collector's numbers are told too."""
        self._looking.append(collector)

    def look(self) -> None:
        """All collectors have looked."""
        for collector in self._looking:
            collector.look()

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """All numbers as Prometheus reads them, and the content type of that."""
        families = (family for collector in self._looking for family in collector.collect())
        if "application/openmetrics-text" in accept:
            recorded: bytes = generate_openmetrics(self.registry)  # type: ignore[no-untyped-call]  # the library's own omission
            seen = "".join(written(families, is_openmetrics=True)).encode()
            return recorded.removesuffix(_END) + seen + _END, OPENMETRICS
        return generate_latest(self.registry) + "".join(written(families)).encode(), TEXT

    def _summary(self, metric: Metric) -> Quantiles:
        summary = self._summaries.get(metric.name)
        if summary is None:
            summary = self._summaries[metric.name] = Quantiles(metric, self._clock)
            self.registry.register(summary)
        return summary

    def _metric(self, name: str, labels: Mapping[str, str], *types: MetricType) -> Metric | None:
        """The catalog's entry, when it is of the type and has the labels."""
        metric = BY_NAME.get(name)
        if metric is not None and metric.type in types and labels.keys() <= set(metric.labels):
            return metric
        if name not in self._unknown:
            self._unknown.add(name)
            self._log.error("metric left out", metric=name, labels=sorted(labels))
        return None


def _values(metric: Metric, labels: Mapping[str, str]) -> Labels:
    return tuple(labels.get(name, "") for name in metric.labels)


def _quantile(ordered: list[float], quantile: float) -> float:
    if not ordered:
        return float("nan")
    ranks = [(rank + 1) / len(ordered) for rank in range(len(ordered))]
    return ordered[min(bisect.bisect_left(ranks, quantile), len(ordered) - 1)]
