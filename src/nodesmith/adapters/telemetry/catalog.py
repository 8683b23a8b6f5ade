"""Every metric there is: upstream's names and labels, in our own words. Dashboards and alerts of today keep working.

Names here are without the prefix; those of `UNPREFIXED` families are served as they are, all others as
`karpenter_NAME`. The reference page is made from this table, and the recorder records nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nodesmith.model.labels import NODEPOOL, WELL_KNOWN

PREFIX: Final = "karpenter_"
UNPREFIXED: Final = ("operator_", "controller_runtime_", "workqueue_", "client_go_", "aws_sdk_go_", "leader_election_")


class MetricType(StrEnum):
    """What a metric is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


def _steps(first: float, last: float, step: float) -> tuple[float, ...]:
    count = round((last - first) / step)
    return tuple(round(first + step * number, 3) for number in range(count + 1))


DURATION_BUCKETS: Final = (
    0.005,
    0.01,
    0.025,
    *_steps(0.05, 1.0, 0.05),
    *_steps(1.25, 2.0, 0.25),
    *_steps(2.5, 5.0, 0.5),
    *_steps(6, 10, 1),
    *(15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 120.0, 150.0, 300.0, 450.0, 600.0),
)
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
LIFETIME_BUCKETS: Final = (
    *(minutes * _MINUTE for minutes in (15, 30, 45)),
    *(hours * _HOUR for hours in (1, 2, 4, 6, 8, 10, 12, 16, 20)),
    *(days * _DAY for days in (1, 2, 3, 5, 10, 15, 20, 25, 30)),
)
SCORE_BUCKETS: Final = (0.1, 0.25, 0.33, 0.5, 1.0, 2.0, 5.0, 10.0)
QUANTILES: Final = (0.0, 0.5, 0.9, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; `buckets` are a histogram's."""

    name: str
    type: MetricType
    labels: tuple[str, ...]
    about: str
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """The name that it is served under."""
        return self.name if self.name.startswith(UNPREFIXED) else PREFIX + self.name


def _counter(name: str, labels: str, about: str) -> Metric:
    return Metric(name, MetricType.COUNTER, tuple(labels.split()), about)


def _gauge(name: str, labels: str, about: str) -> Metric:
    return Metric(name, MetricType.GAUGE, tuple(labels.split()), about)


def _seconds(name: str, labels: str, about: str, buckets: tuple[float, ...] = DURATION_BUCKETS) -> Metric:
    return Metric(name, MetricType.HISTOGRAM, tuple(labels.split()), about, buckets)


def _summary(name: str, labels: str, about: str) -> Metric:
    return Metric(name, MetricType.SUMMARY, tuple(labels.split()), about)


def label_of(key: str) -> str:
    """The metric label of a node label: `karpenter.k8s.aws/instance-cpu` is `instance_cpu`."""
    return key.rpartition("/")[2].replace("-", "_")


NODE_LABEL_KEYS: Final = tuple(sorted(WELL_KNOWN - {NODEPOOL}, key=label_of))
"""Which labels of a node its metrics carry."""

_NODE: Final = " ".join(("node_name", "nodepool", "phase", "managed", *map(label_of, NODE_LABEL_KEYS)))

SCHEDULING: Final = (
    _gauge("build_info", "version goversion goarch commit", "Always 1; the labels say what is running."),
    _seconds("scheduler_scheduling_duration_seconds", "controller", "How long planning took."),
    _gauge("scheduler_queue_depth", "controller scheduling_id", "Pods that wait to be planned."),
    _gauge("scheduler_unfinished_work_seconds", "controller scheduling_id", "How long the planning under way has run."),
    _gauge("scheduler_ignored_pods_count", "", "Pods left alone, because their volumes or claims cannot be read."),
    _counter(
        "scheduler_refused_plans_total",
        "controller outcome",
        "Plans that broke a rule and were not acted on; the outcome says what was done instead.",
    ),
    _gauge("scheduler_unschedulable_pods_count", "controller", "Pods for which the last plan found no place."),
    _gauge("scheduler_pending_pods_by_effective_zone_count", "controller zone", "Planned pods by the zone they need."),
)
CLUSTER_STATE: Final = (
    _gauge("cluster_state_node_count", "", "Nodes known, those on their way included."),
    _gauge("cluster_state_synced", "", "1 when the picture of the cluster is complete, else 0."),
    _gauge("cluster_state_unsynced_time_seconds", "", "How long the picture has been incomplete."),
    _gauge("cluster_utilization_percent", "resource_type", "Share of what nodes offer that pods ask for."),
)
PODS: Final = (
    _gauge(
        "pods_state",
        "name namespace owner node scheduled nodepool zone arch capacity_type instance_type phase ready managed",
        "Always 1; the labels say how the pod is doing.",
    ),
    _summary("pods_startup_duration_seconds", "", "From a pod's creation until it runs."),
    _seconds("pods_scheduling_decision_duration_seconds", "", "From when a pod was first seen until it was planned."),
    _seconds("pods_bound_duration_seconds", "", "From a pod's creation until it was bound."),
    _seconds("pods_provisioning_bound_duration_seconds", "", "From when a pod was first seen until it was bound."),
    _seconds("pods_provisioning_startup_duration_seconds", "", "From when a pod was first seen until it ran."),
    _gauge("pods_unstarted_time_seconds", "name namespace", "How long the pod has not run yet."),
    _gauge("pods_unbound_time_seconds", "name namespace", "How long the pod has not been bound yet."),
    _gauge("pods_provisioning_unbound_time_seconds", "name namespace", "The same, since the pod was first seen."),
    _gauge("pods_provisioning_unstarted_time_seconds", "name namespace", "The same, until it runs."),
    _gauge(
        "pods_provisioning_scheduling_undecided_time_seconds", "name namespace", "How long no plan has had the pod."
    ),
    _counter("pods_eviction_requests_total", "code", "Evictions asked for, by the answer's code."),
    _counter("pods_drained_total", "reason", "Pods evicted from nodes that leave, by why the node leaves."),
)
NODECLAIMS: Final = (
    _counter("nodeclaims_created_total", "reason nodepool min_values_relaxed", "NodeClaims made."),
    _counter("nodeclaims_terminated_total", "nodepool capacity_type zone", "NodeClaims gone."),
    _counter("nodeclaims_disrupted_total", "reason nodepool capacity_type", "NodeClaims asked to go, by why."),
    _seconds(
        "nodeclaims_instance_termination_duration_seconds",
        "nodepool",
        "From asking the instance to go until it was gone.",
    ),
    _seconds("nodeclaims_termination_duration_seconds", "nodepool", "From deleting a NodeClaim until it was gone."),
    _counter(
        "nodeclaims_unhealthy_disrupted_total",
        "condition nodepool capacity_type image_id",
        "NodeClaims asked to go because their node was sick.",
    ),
)
NODES: Final = (
    _counter("nodes_created_total", "nodepool zone", "Nodes that joined."),
    _counter("nodes_terminated_total", "nodepool zone", "Nodes gone."),
    _summary("nodes_termination_duration_seconds", "nodepool", "From deleting a Node until it was gone."),
    _counter("nodes_drained_total", "nodepool", "Nodes that were emptied."),
    _seconds("nodes_lifetime_duration_seconds", "nodepool", "How old nodes were when they went.", LIFETIME_BUCKETS),
    *(
        _gauge(f"nodes_{name}", f"{_NODE} resource_type", about)
        for name, about in (
            ("allocatable", "What pods may use on the node."),
            ("total_pod_requests", "What the node's pods ask for, DaemonSets' left out."),
            ("total_pod_limits", "What the node's pods may use at most, DaemonSets' left out."),
            ("total_daemon_requests", "What the node's DaemonSet pods ask for."),
            ("total_daemon_limits", "What the node's DaemonSet pods may use at most."),
            ("system_overhead", "What the node keeps for itself."),
        )
    ),
    _gauge("nodes_current_lifetime_seconds", _NODE, "How old the node is."),
)
NODEPOOLS: Final = (
    _gauge("nodepools_limit", "resource_type nodepool", "What the pool may have at most."),
    _gauge("nodepools_usage", "resource_type nodepool", "What the pool has."),
    _gauge("nodepools_cost_total", "nodepool", "What the pool costs, in dollars an hour."),
    _counter("nodepools_cost_tracker_errors_total", "", "Nodes whose price was not known when the cost was counted."),
    _gauge("nodepools_allowed_disruptions", "nodepool reason", "How many nodes the budgets let go now."),
    _gauge("nodepools_nodes_consuming_budgets", "nodepool reason", "How many nodes that leave count against them."),
)
DISRUPTION: Final = (
    _seconds(
        "voluntary_disruption_decision_evaluation_duration_seconds",
        "reason consolidation_type",
        "How long deciding which nodes leave took.",
    ),
    _counter("voluntary_disruption_decisions_total", "decision reason consolidation_type", "Decisions carried out."),
    _counter(
        "voluntary_disruption_decisions_by_nodepool_total",
        "decision reason consolidation_type nodepool",
        "The same, counted for each pool that a decision touches.",
    ),
    _gauge("voluntary_disruption_eligible_nodes", "reason", "Nodes that could leave for this reason."),
    _counter("voluntary_disruption_consolidation_timeouts_total", "consolidation_type", "Decisions cut short by time."),
    _counter(
        "voluntary_disruption_failed_validations_total", "consolidation_type", "Decisions that did not hold any more."
    ),
    _counter(
        "voluntary_disruption_queue_failures_total",
        "decision reason consolidation_type",
        "Nodes of decisions that were taken back.",
    ),
    _seconds("consolidation_score", "decision nodepool policy", "Savings over disruption of a move.", SCORE_BUCKETS),
    _counter("consolidation_moves_total", "decision nodepool policy", "Moves weighed."),
)
CLOUD: Final = (
    _seconds("cloudprovider_duration_seconds", "controller method provider", "How long the cloud took."),
    _counter("cloudprovider_errors_total", "controller method provider error", "Errors of the cloud."),
    _gauge("cloudprovider_instance_type_cpu_cores", "instance_type", "Cores of the instance type."),
    _gauge("cloudprovider_instance_type_memory_bytes", "instance_type", "Memory of the instance type."),
    _gauge(
        "cloudprovider_instance_type_offering_available",
        "instance_type capacity_type zone",
        "1 when it can be had, as far as is known, else 0.",
    ),
    _gauge(
        "cloudprovider_instance_type_offering_price_estimate",
        "instance_type capacity_type zone",
        "Its price in dollars an hour.",
    ),
    _counter(
        "cloudprovider_instance_launch_failures_total", "zone zone_id capacity_type reason", "Launches that failed."
    ),
    _counter("cloudprovider_instance_termination_failures_total", "zone zone_id", "Terminations that failed."),
    _seconds("cloudprovider_batcher_batch_time_seconds", "batcher", "How long requests were collected."),
    _seconds(
        "cloudprovider_batcher_batch_size",
        "batcher",
        "How many requests became one.",
        (1, 2, 5, 10, 25, 50, 100, 250, 500),
    ),
    _counter("interruption_received_messages_total", "message_type", "Messages from the interruption queue."),
    _counter("interruption_deleted_messages_total", "", "Messages dealt with."),
    _seconds("interruption_message_queue_duration_seconds", "", "How long messages were on their way."),
    _counter("interruption_instance_status_unhealthy_total", "category", "Instances that EC2 calls unhealthy."),
    _gauge("ec2nodeclasses_userdata_bytes", "nodeclass", "Size of the largest user data made for the class."),
)
MACHINERY: Final = (
    _counter("controller_runtime_reconcile_total", "controller result", "Reconciliations, by how they ended."),
    _counter("controller_runtime_reconcile_errors_total", "controller", "Reconciliations that failed."),
    _seconds("controller_runtime_reconcile_time_seconds", "controller", "How long reconciliations took."),
    _gauge("controller_runtime_active_workers", "controller", "Reconciliations under way."),
    _gauge("controller_runtime_max_concurrent_reconciles", "controller", "Reconciliations at once, at most."),
    _gauge("workqueue_depth", "name", "Keys that wait for a controller."),
    _counter("workqueue_adds_total", "name", "Keys that were marked to be looked at."),
    _counter("workqueue_retries_total", "name", "Keys that were marked again after a failure."),
    _seconds("workqueue_queue_duration_seconds", "name", "How long a key waited for a controller."),
    _seconds("workqueue_work_duration_seconds", "name", "How long looking at a key took."),
    _gauge("workqueue_unfinished_work_seconds", "name", "How long all that is being looked at has taken so far."),
    _gauge("workqueue_longest_running_processor_seconds", "name", "How long the longest of them has."),
    _counter("client_go_request_total", "verb code", "Requests to the API server."),
    _seconds("client_go_request_duration_seconds", "verb", "How long the API server took."),
    _gauge("leader_election_master_status", "name", "1 while this replica leads, else 0."),
    _counter("aws_sdk_go_request_total", "service operation", "Calls to AWS, retries not counted."),
    _counter("aws_sdk_go_request_retry_count", "service operation", "Attempts after the first."),
    _seconds("aws_sdk_go_request_duration_seconds", "service operation", "How long calls to AWS took."),
    _counter("aws_sdk_go_request_attempt_total", "service operation code", "Attempts of calls to AWS."),
    _seconds("aws_sdk_go_request_attempt_duration_seconds", "service operation", "How long an attempt took."),
)
KINDS_WITH_STATUS: Final = ("nodeclaim", "nodepool", "node", "ec2nodeclass", "capacitybuffer")
"""What has status conditions, as the names of its metrics have it; each metric is there without a kind as well."""


def _status_of(kind: str, owner: str) -> tuple[Metric, ...]:
    condition, termination = f"operator_{kind}status_condition", f"operator_{kind}termination"
    each = f"{owner} type status reason namespace name"
    return (
        _gauge(f"{condition}_count", each, "1 for each condition that the object has."),
        _gauge(f"{condition}_current_status_seconds", each, "How long the condition has been so."),
        _seconds(f"{condition}_transition_seconds", f"{owner} type status", "How long conditions were so."),
        _counter(f"{condition}_transitions_total", f"{owner} type status reason", "How often conditions became so."),
        _gauge(f"{termination}_current_time_seconds", f"{owner} namespace name", "How long the object has been going."),
        _seconds(f"{termination}_duration_seconds", owner, "From asking an object to go until it was gone."),
    )


STATUS: Final = (
    *(metric for kind in KINDS_WITH_STATUS for metric in _status_of(f"{kind}_", "")),
    *_status_of("", "group kind"),
)

METRICS: Final = (
    *SCHEDULING,
    *CLUSTER_STATE,
    *PODS,
    *NODECLAIMS,
    *NODES,
    *NODEPOOLS,
    *DISRUPTION,
    *CLOUD,
    *MACHINERY,
    *STATUS,
)
BY_NAME: Final = {metric.name: metric for metric in METRICS}
