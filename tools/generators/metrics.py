"""docs/reference/metrics.md, from the catalog of metrics and from what the sources record."""

from collections.abc import Iterable
from pathlib import Path

from nodesmith.adapters.telemetry.catalog import METRICS, STATUS, Metric

SOURCE = Path(__file__).parents[2] / "src" / "nodesmith"
CATALOG = SOURCE / "adapters" / "telemetry" / "catalog.py"

HEAD = """# Metrics

Served on the metrics port (8080) at `/metrics`. Names, types and labels are Karpenter's, so that its dashboards and
alerts work. Generated; do not edit.

"""
UNRECORDED = """
## Not recorded

Karpenter has these too. nodesmith knows their names and does not record them.

"""


def outputs() -> dict[str, str]:
    """The page."""
    texts = [path.read_text("utf-8") for path in SOURCE.rglob("*.py") if path != CATALOG]
    names = {metric for metric in METRICS if any(f'"{metric.name}"' in text for text in texts)}
    recorded = names | set(STATUS)
    page = HEAD + _table(recorded) + UNRECORDED + _table(set(METRICS) - recorded)
    return {"docs/reference/metrics.md": page}


def _table(metrics: Iterable[Metric]) -> str:
    rows = ["| metric | type | labels | what it says |\n|---|---|---|---|\n"]
    for metric in sorted(metrics, key=lambda each: each.full_name):
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.full_name}` | {metric.type.value} | {labels} | {metric.about} |\n")
    return "".join(rows)
