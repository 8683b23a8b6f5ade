"""Numbers as Prometheus reads them, written straight away.

Why not by the client library: it makes an object of each number first, and 1,000 nodes with 20,000 pods are 100,000
numbers, some with forty labels. That took seconds in which the lease could not be renewed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from nodesmith.adapters.telemetry.catalog import Metric, MetricType


@dataclass(frozen=True, slots=True)
class Family:
    """All numbers of one gauge or counter: the values of its labels, in order, and the number."""

    metric: Metric
    numbers: Iterable[tuple[Sequence[str], float]]


def written(families: Iterable[Family], *, is_openmetrics: bool = False) -> Iterator[str]:
    """The lines of the families, each with its end."""
    for family in families:
        metric = family.metric
        name = metric.full_name
        # OpenMetrics has a counter's name without its suffix where it is described.
        told = name.removesuffix("_total") if is_openmetrics and metric.type is MetricType.COUNTER else name
        yield f"# HELP {told} {metric.about}\n# TYPE {told} {metric.type.value}\n"
        heads = [f'{label}="' for label in metric.labels]
        for values, number in family.numbers:
            labels = ",".join([f'{head}{_escaped(value)}"' for head, value in zip(heads, values, strict=True)])
            yield f"{name}{{{labels}}} {number!r}\n" if labels else f"{name} {number!r}\n"


def _escaped(value: str) -> str:
    if '"' in value or "\\" in value or "\n" in value:
        return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return value
