"""docs/reference/metrics.md, from the catalog of metrics."""

from nodesmith.adapters.telemetry.catalog import METRICS, MetricType

HEAD = """# Metrics

Served on the metrics port (8080) at `/metrics`. Names, types and labels are Karpenter's. Generated; do not edit.

| metric | type | labels | what it says |
|---|---|---|---|
"""


def outputs() -> dict[str, str]:
    """The page."""
    rows = []
    for metric in sorted(METRICS, key=lambda each: each.full_name):
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.full_name}` | {MetricType(metric.type).value} | {labels} | {metric.about} |\n")
    return {"docs/reference/metrics.md": HEAD + "".join(rows)}
