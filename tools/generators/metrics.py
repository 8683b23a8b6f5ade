"""docs/reference/metrics.md, from the catalog of metrics."""

from collections.abc import Iterable

from nodesmith.adapters.telemetry.catalog import METRICS, Metric

HEAD = """# Metrics

Served on the metrics port (8080) at `/metrics`. Names, types and labels are Karpenter's, so that its dashboards and
alerts work. Generated; do not edit.

"""


def outputs() -> dict[str, str]:
    """The page; a test sees to it that everything on it is recorded."""
    return {"docs/reference/metrics.md": HEAD + _table(METRICS)}


def _table(metrics: Iterable[Metric]) -> str:
    rows = ["| metric | type | labels | what it says |\n|---|---|---|---|\n"]
    for metric in sorted(metrics, key=lambda each: each.full_name):
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.full_name}` | {metric.type.value} | {labels} | {metric.about} |\n")
    return "".join(rows)
