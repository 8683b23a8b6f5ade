from datetime import UTC, datetime, timedelta

from nodesmith.adapters.telemetry.clusterstate import ClusterStateCollector
from nodesmith.adapters.telemetry.logs import StructuredLog
from nodesmith.adapters.telemetry.metrics import PrometheusMetrics
from nodesmith.model.buffer import CapacityBuffer
from nodesmith.model.labels import CAPACITY_TYPE, INITIALIZED, INSTANCE_TYPE, NODEPOOL, REGISTERED, ZONE
from nodesmith.model.meta import Condition, ObjectMeta, OwnerReference
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.pod import Pod, PodSpec
from nodesmith.state.snapshot import Snapshot, StateNode
from tests.unit.adapters.kubernetes.manual import ManualClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR_AGO = NOW - timedelta(hours=1)
LABELS = {
    NODEPOOL: "web",
    ZONE: "ap-northeast-2a",
    INSTANCE_TYPE: "t4g.small",
    CAPACITY_TYPE: "spot",
    REGISTERED: "true",
    INITIALIZED: "true",
}


def pod(name: str, milli_cpu: int, owner: str = "ReplicaSet") -> Pod:
    owners = (OwnerReference("apps/v1", owner, "o"),)
    meta = ObjectMeta(name, "shop", owners=owners)
    return Pod(meta, PodSpec((("cpu", milli_cpu), ("pods", 1))), node_name="n1", phase="Running", is_ready=True)


def snapshot(*, is_synced: bool = True, now: datetime = NOW) -> Snapshot:
    node = Node(
        ObjectMeta("n1", labels=LABELS, created_at=HOUR_AGO),
        capacity={"cpu": 2000, "pods": 11},
        allocatable={"cpu": 1900, "pods": 11},
    )
    claim = NodeClaim(
        ObjectMeta("c1", labels=LABELS, deleted_at=now - timedelta(seconds=30)),
        provider_id="i-1",
        conditions={"Launched": Condition("Launched", "True", "Launched", changed_at=HOUR_AGO)},
    )
    pods = (pod("a", 500), pod("b", 450), pod("d", 100, "DaemonSet"))
    waiting = Pod(ObjectMeta("w", "shop", created_at=HOUR_AGO), PodSpec((("cpu", 1),)))
    return Snapshot(now, is_synced, nodes=(StateNode(node, claim, pods),), pods=(*pods, waiting))


def lines(*snapshots: Snapshot) -> list[str]:
    metrics = PrometheusMetrics(ManualClock(), StructuredLog(lambda _: None))
    left = list(snapshots)
    metrics.add(ClusterStateCollector(lambda: left.pop(0)))
    for _ in snapshots:
        metrics.look()
    return [line for line in metrics.text()[0].decode().splitlines() if not line.startswith("#")]


def value(text: list[str], metric: str, /, **labels: str) -> float:
    [found] = [
        line
        for line in text
        if line.startswith((metric + "{", metric + " "))
        and all(f'{key}="{each}"' in line for key, each in labels.items())
    ]
    return float(found.rsplit(" ", 1)[1])


def test_a_pod_is_told_with_its_place() -> None:
    text = lines(snapshot())
    place = {"node": "n1", "nodepool": "web", "zone": "ap-northeast-2a", "capacity_type": "spot"}
    doing = {"scheduled": "true", "phase": "Running", "ready": "true", "managed": "true", "instance_type": "t4g.small"}
    assert value(text, "karpenter_pods_state", name="a", **place, **doing) == 1.0
    assert value(text, "karpenter_pods_state", name="w", scheduled="false", node="", managed="false") == 1.0


def test_how_long_pods_wait_is_told_of_those_that_do() -> None:
    text = lines(snapshot())
    assert value(text, "karpenter_pods_unbound_time_seconds", name="w", namespace="shop") == 3600.0
    assert value(text, "karpenter_pods_unstarted_time_seconds") == 3600.0


def test_a_node_is_told_with_what_it_has_and_what_is_asked_of_it() -> None:
    text = lines(snapshot())
    node = {"node_name": "n1", "resource_type": "cpu", "phase": "Deleting", "instance_type": "t4g.small"}
    assert value(text, "karpenter_nodes_allocatable", **node) == 1.9
    assert value(text, "karpenter_nodes_total_pod_requests", **node) == 0.95
    assert value(text, "karpenter_nodes_total_daemon_requests", **node) == 0.1
    assert value(text, "karpenter_nodes_system_overhead", **node) == 0.1
    assert value(text, "karpenter_nodes_current_lifetime_seconds", node_name="n1") == 3600.0
    assert round(value(text, "karpenter_cluster_utilization_percent", resource_type="cpu"), 2) == 55.26


def test_conditions_and_deletions_are_told_by_kind() -> None:
    text = lines(snapshot())
    condition = {"type": "Launched", "status": "True", "name": "c1"}
    assert value(text, "operator_nodeclaim_status_condition_count", **condition) == 1.0
    assert value(text, "operator_nodeclaim_status_condition_current_status_seconds", **condition) == 3600.0
    assert value(text, "operator_nodeclaim_termination_current_time_seconds", name="c1") == 30.0


def test_capacity_buffers_are_told_under_their_namespace() -> None:
    meta = ObjectMeta("room", "shop", deleted_at=NOW - timedelta(seconds=5))
    ready = Condition("ReadyForProvisioning", "True", "Resolved", changed_at=HOUR_AGO)
    buffer = CapacityBuffer(meta, conditions={ready.type: ready})
    metrics = PrometheusMetrics(ManualClock(), StructuredLog(lambda _: None))
    metrics.add(ClusterStateCollector(snapshot, buffers=lambda: (buffer,)))
    metrics.look()
    text = metrics.text()[0].decode().splitlines()
    condition = {"type": "ReadyForProvisioning", "status": "True", "reason": "Resolved"}
    named = {"namespace": "shop", "name": "room"}
    assert value(text, "operator_capacitybuffer_status_condition_count", **condition, **named) == 1.0
    assert value(text, "operator_capacitybuffer_status_condition_current_status_seconds", **named) == 3600.0
    assert value(text, "operator_capacitybuffer_termination_current_time_seconds", **named) == 5.0
    owner = {"group": "autoscaling.x-k8s.io", "kind": "CapacityBuffer"}
    assert value(text, "operator_status_condition_count", **owner, **condition, **named) == 1.0


def test_how_long_the_picture_has_been_incomplete() -> None:
    text = lines(snapshot(), snapshot(is_synced=False, now=NOW + timedelta(seconds=90)))
    assert value(text, "karpenter_cluster_state_synced") == 0.0
    assert value(text, "karpenter_cluster_state_unsynced_time_seconds") == 90.0


def test_what_is_gone_leaves_no_series() -> None:
    text = lines(snapshot(), Snapshot(NOW))
    assert not [line for line in text if "pods_state" in line or "node_name" in line]
    assert value(text, "karpenter_cluster_state_node_count") == 0.0


def test_nothing_is_told_before_the_first_look() -> None:
    metrics = PrometheusMetrics(ManualClock(), StructuredLog(lambda _: None))
    metrics.add(ClusterStateCollector(snapshot))
    assert metrics.text()[0] == b""
