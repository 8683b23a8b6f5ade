"""The metrics that Karpenter documents, and the families of the libraries it is made of."""

from pathlib import Path

import pytest

from nodesmith.adapters.telemetry.catalog import BY_NAME, METRICS, NODE_LABEL_KEYS, PREFIX, MetricType, label_of

LISTED = Path(__file__).parents[3] / "data" / "telemetry" / "metrics.txt"
TYPES = {
    "G": MetricType.GAUGE,
    "C": MetricType.COUNTER,
    "H": MetricType.HISTOGRAM,
    "S": MetricType.SUMMARY,
}
ROWS = [line.split() for line in LISTED.read_text().splitlines() if not line.startswith("#")]
STATUS = ("count", "current_status_seconds", "transition_seconds", "transitions_total")
FAMILIES = (
    *(
        f"operator_{kind}_status_condition_{each}"
        for kind in ("nodeclaim", "nodepool", "node", "ec2nodeclass", "capacitybuffer")
        for each in STATUS
    ),
    *(f"operator_status_condition_{each}" for each in STATUS),
    *(
        f"operator_{kind}termination_{each}"
        for kind in ("nodeclaim_", "nodepool_", "node_", "ec2nodeclass_", "capacitybuffer_", "")
        for each in ("current_time_seconds", "duration_seconds")
    ),
    "controller_runtime_reconcile_total",
    "workqueue_depth",
    "workqueue_adds_total",
    "workqueue_retries_total",
    "workqueue_queue_duration_seconds",
    "workqueue_work_duration_seconds",
    "workqueue_unfinished_work_seconds",
    "workqueue_longest_running_processor_seconds",
    "client_go_request_total",
    "client_go_request_duration_seconds",
    "aws_sdk_go_request_total",
    "aws_sdk_go_request_retry_count",
    "aws_sdk_go_request_duration_seconds",
    "aws_sdk_go_request_attempt_total",
    "aws_sdk_go_request_attempt_duration_seconds",
    "leader_election_master_status",
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_a_metric_has_upstreams_name_type_and_labels(row: list[str]) -> None:
    kind, name, *labels = row
    metric = BY_NAME[name]
    assert metric.full_name == f"karpenter_{name}"
    assert metric.type is TYPES[kind]
    node_labels = {label_of(key) for key in NODE_LABEL_KEYS} if "NODE" in labels else set()
    assert set(metric.labels) == set(labels) - {"NODE"} | node_labels


@pytest.mark.parametrize("name", FAMILIES)
def test_families_of_libraries_keep_their_own_names(name: str) -> None:
    assert BY_NAME[name].full_name == name


def test_what_is_not_upstreams_is_ours_to_explain() -> None:
    listed = {row[1] for row in ROWS}
    ours = {metric.name for metric in METRICS if metric.full_name.startswith(PREFIX)} - listed
    assert ours == {"scheduler_refused_plans_total"}
