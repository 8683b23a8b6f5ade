"""What the process is and uses: upstream's `build_info`, and the `process_*` that Prometheus clients tell."""

from __future__ import annotations

import platform
from importlib.metadata import version

from prometheus_client import ProcessCollector

from nodesmith.adapters.telemetry.metrics import PrometheusMetrics


def tell_process(metrics: PrometheusMetrics) -> None:
    """The metrics say what is running, and at each scrape how much CPU and memory it has used (on Linux)."""
    metrics.set("build_info", 1, **build_labels())
    ProcessCollector(registry=metrics.registry)


def build_labels() -> dict[str, str]:
    """What is running: upstream's labels, with Python's version where it has Go's."""
    return {
        "version": version("nodesmith"),
        "goversion": f"python{platform.python_version()}",
        "goarch": platform.machine(),
        "commit": "",
    }
