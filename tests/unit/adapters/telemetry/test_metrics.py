import math
import re
from pathlib import Path

import pytest

from nodesmith.adapters.telemetry.catalog import BY_NAME, DURATION_BUCKETS, METRICS, MetricType
from nodesmith.adapters.telemetry.logs import StructuredLog
from nodesmith.adapters.telemetry.metrics import PrometheusMetrics
from tests.unit.adapters.kubernetes.manual import ManualClock

SOURCE = Path(__file__).parents[4] / "src" / "nodesmith"
RECORDED = re.compile(r"\.(count|observe|set)\(\s*\"([a-z_]+)\"")


@pytest.fixture
def told() -> list[dict[str, object]]:
    return []


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metrics(clock: ManualClock, told: list[dict[str, object]]) -> PrometheusMetrics:
    return PrometheusMetrics(clock, StructuredLog(told.append))


def lines(metrics: PrometheusMetrics) -> list[str]:
    return [line for line in metrics.text()[0].decode().splitlines() if not line.startswith("#")]


def test_names_are_served_with_upstreams_prefix(metrics: PrometheusMetrics) -> None:
    metrics.count("nodeclaims_created_total", reason="provisioned", nodepool="a", min_values_relaxed="false")
    metrics.count("controller_runtime_reconcile_total", controller="c", result="success")
    metrics.set("cluster_state_node_count", 7)
    text = lines(metrics)
    assert (
        'karpenter_nodeclaims_created_total{min_values_relaxed="false",nodepool="a",reason="provisioned"} 1.0' in text
    )
    assert 'controller_runtime_reconcile_total{controller="c",result="success"} 1.0' in text
    assert "karpenter_cluster_state_node_count 7.0" in text


def test_a_label_that_is_not_given_is_empty(metrics: PrometheusMetrics) -> None:
    metrics.count("nodeclaims_disrupted_total", 2, reason="empty")
    assert 'karpenter_nodeclaims_disrupted_total{capacity_type="",nodepool="",reason="empty"} 2.0' in lines(metrics)


def test_histograms_have_upstreams_buckets(metrics: PrometheusMetrics) -> None:
    metrics.observe("scheduler_scheduling_duration_seconds", 0.3, controller="provisioner")
    buckets = re.findall(r'scheduling_duration_seconds_bucket\{.*le="([^"]+)"\}', "\n".join(lines(metrics)))
    assert [float(each) for each in buckets] == [*DURATION_BUCKETS, math.inf]
    assert (DURATION_BUCKETS[0], DURATION_BUCKETS[3:6], DURATION_BUCKETS[-1]) == (0.005, (0.05, 0.1, 0.15), 600.0)


def test_summaries_tell_quantiles_of_the_last_ten_minutes(metrics: PrometheusMetrics, clock: ManualClock) -> None:
    for value in range(1, 101):
        metrics.observe("pods_startup_duration_seconds", value)
    text = lines(metrics)
    for quantile, value in (("0", 1), ("0.5", 50), ("0.9", 90), ("0.99", 99), ("1", 100)):
        assert f'karpenter_pods_startup_duration_seconds{{quantile="{quantile}"}} {value}.0' in text
    assert "karpenter_pods_startup_duration_seconds_count 100.0" in text
    clock.freeze(601)
    text = lines(metrics)
    assert 'karpenter_pods_startup_duration_seconds{quantile="0.5"} NaN' in text
    assert "karpenter_pods_startup_duration_seconds_sum 5050.0" in text


def test_what_is_not_in_the_catalog_is_left_out_and_told_once(
    metrics: PrometheusMetrics, told: list[dict[str, object]]
) -> None:
    for _ in range(3):
        metrics.count("no_such_metric_total")
    metrics.count("nodes_drained_total", colour="red")
    metrics.set("nodes_created_total", 3)
    assert [line["metric"] for line in told] == ["no_such_metric_total", "nodes_drained_total", "nodes_created_total"]
    assert lines(metrics) == []


def test_prometheus_may_ask_in_its_newer_language(metrics: PrometheusMetrics) -> None:
    metrics.set("cluster_state_synced", 1)
    body, content_type = metrics.text("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")
    assert content_type.startswith("application/openmetrics-text")


def test_no_name_is_there_twice() -> None:
    assert len(BY_NAME) == len(METRICS)


def test_everything_that_is_recorded_is_in_the_catalog() -> None:
    types = {
        "count": {MetricType.COUNTER},
        "observe": {MetricType.HISTOGRAM, MetricType.SUMMARY},
        "set": {MetricType.GAUGE},
    }
    recorded = {
        (verb, name)
        for path in (SOURCE / "controllers").rglob("*.py")
        for verb, name in RECORDED.findall(path.read_text("utf-8"))
    }
    assert len(recorded) > 10
    assert [(v, n) for v, n in sorted(recorded) if n not in BY_NAME or BY_NAME[n].type not in types[v]] == []
