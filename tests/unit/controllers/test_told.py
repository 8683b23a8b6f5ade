"""Numbers that an eventful hour seldom needs, by what tells them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from nodesmith.adapters.memory.catalog import catalog
from nodesmith.adapters.memory.recording import RecordedMetrics
from nodesmith.api.ec2nodeclass import EC2NodeClass, decode_ec2nodeclass
from nodesmith.api.kinds import CAPACITY_BUFFER, EC2_NODE_CLASS, NODE_POOL
from nodesmith.controllers.disruption.prices import Prices
from nodesmith.controllers.feed import Feed
from nodesmith.controllers.provisioning.bookkeeping import PodTimes, PodZones
from nodesmith.controllers.transitions import Transitions
from nodesmith.decide.schedule.zones import effective_zone
from nodesmith.model.buffer import CapacityBuffer
from nodesmith.model.labels import INSTANCE_TYPE, NODEPOOL, REGISTERED, ZONE
from nodesmith.model.meta import Condition, ObjectMeta
from nodesmith.model.node import Node
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod, PodSpec, PodVolume
from nodesmith.model.requirements import Requirement
from nodesmith.model.storage import PersistentVolume, PersistentVolumeClaim
from nodesmith.ports.metrics import Reading
from nodesmith.state.snapshot import Snapshot, StateNode, Storage
from nodesmith.state.store import Store
from tests.unit.adapters.kubernetes.manual import ManualClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = timedelta(seconds=1)


def node_class(status: str, at: str, version: str) -> EC2NodeClass:
    condition = {"type": "AMIsReady", "status": status, "reason": "AMIsReady", "lastTransitionTime": at}
    return decode_ec2nodeclass(
        {"metadata": {"name": "c", "resourceVersion": version}, "spec": {}, "status": {"conditions": [condition]}}
    )


def test_a_condition_that_changes_tells_how_long_it_had_been_so() -> None:
    feed, metrics = Feed(Store(), {EC2_NODE_CLASS: EC2NodeClass}), RecordedMetrics()
    Transitions(feed, metrics, ManualClock())
    feed.apply(EC2_NODE_CLASS, node_class("False", "2026-01-01T00:00:00Z", "1"))
    feed.apply(EC2_NODE_CLASS, node_class("False", "2026-01-01T00:00:00Z", "2"))
    assert not metrics.counts
    feed.apply(EC2_NODE_CLASS, node_class("True", "2026-01-01T00:01:30Z", "3"))
    became = {"type": "AMIsReady", "status": "True", "reason": "AMIsReady"}
    assert metrics.total("operator_ec2nodeclass_status_condition_transitions_total", **became) == 1
    assert metrics.total("operator_status_condition_transitions_total", kind="EC2NodeClass", **became) == 1
    was = (("status", "False"), ("type", "AMIsReady"))
    assert metrics.observations["operator_ec2nodeclass_status_condition_transition_seconds", was] == [90.0]


def test_an_object_that_goes_tells_how_long_that_took() -> None:
    feed, metrics, clock = Feed(Store(), {NODE_POOL: NodePool}), RecordedMetrics(), ManualClock()
    Transitions(feed, metrics, clock)
    pool = NodePool(meta=ObjectMeta("p", resource_version="1", deleted_at=clock.now() - 12 * SECONDS))
    feed.apply(NODE_POOL, pool)
    feed.apply(NODE_POOL, pool, is_deleted=True)
    assert metrics.observations["operator_nodepool_termination_duration_seconds", ()] == [12.0]


def test_a_capacity_buffer_tells_the_same_of_itself() -> None:
    def buffer(status: str, minute: int, version: str) -> CapacityBuffer:
        meta = ObjectMeta("room", "shop", resource_version=version, deleted_at=clock.now() - 7 * SECONDS)
        condition = Condition("Provisioning", status, "why", changed_at=NOW + timedelta(minutes=minute))
        return CapacityBuffer(meta, conditions={condition.type: condition})

    feed, metrics, clock = Feed(Store(), {CAPACITY_BUFFER: CapacityBuffer}), RecordedMetrics(), ManualClock()
    Transitions(feed, metrics, clock)
    feed.apply(CAPACITY_BUFFER, buffer("False", 0, "1"))
    feed.apply(CAPACITY_BUFFER, buffer("True", 2, "2"))
    feed.apply(CAPACITY_BUFFER, buffer("True", 2, "2"), is_deleted=True)
    was = (("status", "False"), ("type", "Provisioning"))
    assert metrics.observations["operator_capacitybuffer_status_condition_transition_seconds", was] == [120.0]
    assert metrics.total("operator_capacitybuffer_status_condition_transitions_total", status="True") == 1
    assert metrics.observations["operator_capacitybuffer_termination_duration_seconds", ()] == [7.0]


def waiting_pod(name: str = "a") -> Pod:
    return Pod(ObjectMeta(name, "shop", f"uid-{name}"), PodSpec(), is_unschedulable=True)


def names(readings: Iterator[Reading]) -> set[str]:
    return {each.name for each in readings}


def test_a_pod_waits_for_a_decision_then_for_a_node_then_for_its_start() -> None:
    clock, metrics = ManualClock(), RecordedMetrics()
    times, pod = PodTimes(clock, metrics), waiting_pod()
    times.changed(None, pod)
    clock.freeze(3)
    undecided = "pods_provisioning_scheduling_undecided_time_seconds"
    unbound, unstarted = "pods_provisioning_unbound_time_seconds", "pods_provisioning_unstarted_time_seconds"
    [reading] = [each for each in times.readings() if each.name == undecided]
    assert (reading.value, reading.labels) == (3.0, {"name": "a", "namespace": "shop"})
    times.decided([pod])
    assert names(times.readings()) == {unbound, unstarted}
    bound = replace(pod, node_name="n", is_unschedulable=False)
    times.changed(pod, bound)
    assert names(times.readings()) == {unstarted}
    times.changed(bound, replace(bound, phase="Running"))
    assert names(times.readings()) == set()


def test_a_zone_that_nobody_needs_any_more_is_told_as_none() -> None:
    metrics = RecordedMetrics()
    zones = PodZones(metrics)
    zones.tell({"a": 2})
    zones.tell({"b": 1})
    gauge = {dict(labels)["zone"]: value for (_, labels), value in metrics.gauges.items()}
    assert gauge == {"a": 0, "b": 1}


def test_the_zone_a_pod_needs_is_what_it_says_and_what_its_volumes_say() -> None:
    def in_zones(*zones: str) -> PodSpec:
        return PodSpec(required_node_terms=((Requirement(ZONE, frozenset(zones)),),), volumes=(PodVolume("c"),))

    meta = ObjectMeta("a", "shop")
    claim = PersistentVolumeClaim(ObjectMeta("c", "shop"), volume_name="v", is_bind_completed=True)
    volume = PersistentVolume(ObjectMeta("v"), terms=((Requirement(ZONE, frozenset({"b"})),),))
    storage = Storage(volumes={"v": volume}, claims={"shop/c": claim})
    offered = {"a", "b", "c"}
    assert effective_zone(Pod(meta, in_zones("a", "b")), storage, offered) == "b"
    assert effective_zone(Pod(meta, in_zones("a")), storage, offered) == "none"
    assert effective_zone(Pod(meta, in_zones("b")), Storage(), offered) == "none", "its claim is not there"
    assert effective_zone(Pod(meta, PodSpec()), storage, offered) == "flexible"
    assert effective_zone(Pod(meta, PodSpec(node_selector=((ZONE, "c"),))), storage, offered) == "c"


def test_a_node_without_a_price_is_an_error_of_the_cost() -> None:
    metrics = RecordedMetrics()
    labels = {NODEPOOL: "default", INSTANCE_TYPE: "x1.nowhere", REGISTERED: "true"}
    node = StateNode(Node(ObjectMeta("n", labels=labels)), None)
    Prices(metrics).tell(Snapshot(NOW, nodes=(node,)), {"default": catalog()})
    assert metrics.total("nodepools_cost_tracker_errors_total") == 1
