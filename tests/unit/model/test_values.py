"""Taints, selectors, money, ports, pods, nodes, types: each value's own arithmetic."""

import pytest

from nodesmith.model.instancetype import InstanceType, Offering, Overhead
from nodesmith.model.labels import HOSTNAME, INITIALIZED, NODEPOOL, REGISTERED
from nodesmith.model.meta import EPOCH, Condition, ObjectMeta, OwnerReference
from nodesmith.model.money import FREE, UsdPerHour, total_price
from nodesmith.model.node import Node
from nodesmith.model.pod import HostPort, Pod, PodSpec
from nodesmith.model.requirements import Requirements
from nodesmith.model.selector import EVERYTHING, Expression, LabelSelector
from nodesmith.model.taints import (
    DISRUPTED,
    TOLERATE_PREFER_NO_SCHEDULE,
    UNREGISTERED,
    Taint,
    Toleration,
    is_ephemeral,
    merge,
    untolerated,
)

GPU = Taint("gpu", "NoSchedule", "yes")


@pytest.mark.parametrize(
    ("toleration", "answer"),
    [
        (Toleration(operator="Exists"), True),
        (Toleration("gpu", "Exists"), True),
        (Toleration("gpu", "Equal", "yes"), True),
        (Toleration("gpu", "Equal", "yes", "NoSchedule"), True),
        (Toleration("gpu", "Equal", "no"), False),
        (Toleration("gpu", "Equal", "yes", "NoExecute"), False),
        (Toleration("other", "Exists"), False),
        (Toleration("", "Equal", "yes"), False),
        (TOLERATE_PREFER_NO_SCHEDULE, False),
    ],
)
def test_tolerations(toleration: Toleration, answer: bool) -> None:  # noqa: FBT001 - a parameter
    assert toleration.tolerates(GPU) is answer


def test_taints_merge_by_key_and_effect() -> None:
    other = Taint("gpu", "NoSchedule", "other")
    assert merge([GPU], [other, DISRUPTED]) == (GPU, DISRUPTED)
    assert untolerated([DISRUPTED, GPU], [Toleration("karpenter.sh/disrupted", "Exists")]) == GPU
    assert untolerated([GPU], [Toleration("gpu", "Exists")]) is None
    assert str(GPU) == "gpu=yes:NoSchedule"
    assert str(DISRUPTED) == "karpenter.sh/disrupted:NoSchedule"


def test_which_taints_go_away_by_themselves() -> None:
    assert is_ephemeral(UNREGISTERED)
    assert is_ephemeral(Taint("readiness.k8s.io/cni", "NoSchedule"))
    assert is_ephemeral(Taint("node.kubernetes.io/not-ready", "NoExecute"))
    assert not is_ephemeral(Taint("node.cloudprovider.kubernetes.io/uninitialized", "NoSchedule"))
    assert not is_ephemeral(GPU)


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        (Expression("app", "In", ("web",)), True),
        (Expression("app", "In", ("db",)), False),
        (Expression("app", "NotIn", ("db",)), True),
        (Expression("tier", "NotIn", ("db",)), True),
        (Expression("tier", "In", ("db",)), False),
        (Expression("app", "Exists"), True),
        (Expression("app", "DoesNotExist"), False),
        (Expression("tier", "DoesNotExist"), True),
        (Expression("app", "Equals", ("web",)), False),
    ],
)
def test_selectors(expression: Expression, answer: bool) -> None:  # noqa: FBT001 - a parameter
    assert LabelSelector((expression,)).matches({"app": "web"}) is answer
    assert EVERYTHING.matches({})


def test_equal_selectors_are_equal_whatever_the_order() -> None:
    one, two = Expression("a", "Exists"), Expression("b", "Exists")
    assert EVERYTHING.also(one, two) == EVERYTHING.also(two).also(one, two)


def test_prices_are_exact() -> None:
    third = UsdPerHour.of("0.000001")
    assert total_price([third] * 3) == UsdPerHour.of(0.000003)
    assert UsdPerHour.of(0.3) - UsdPerHour.of(0.1) == UsdPerHour.of(0.2)
    assert total_price([]) == FREE
    assert str(UsdPerHour.of(0.0125)) == "$0.0125/h"


def test_host_ports_conflict_on_the_same_address_or_any() -> None:
    any_ip, one_ip = HostPort(80), HostPort(80, ip="10.0.0.1")
    assert any_ip.conflicts_with(one_ip)
    assert one_ip.conflicts_with(HostPort(80, ip="::"))
    assert not one_ip.conflicts_with(HostPort(80, ip="10.0.0.2"))
    assert not any_ip.conflicts_with(HostPort(80, "UDP"))
    assert not any_ip.conflicts_with(HostPort(81))


def pod(owner: str = "ReplicaSet", **fields: object) -> Pod:
    meta = ObjectMeta("web-0", "default", owners=(OwnerReference("apps/v1", owner, "web"),))
    return Pod(meta, PodSpec(), **({"is_unschedulable": True} | fields))  # type: ignore[arg-type]


def test_which_pods_a_node_may_be_bought_for() -> None:
    assert pod().is_provisionable
    for other in (
        pod(is_unschedulable=False),
        pod(node_name="n"),
        pod(nominated_node_name="n"),
        pod(has_scheduling_gates=True),
        pod(phase="Succeeded"),
        pod("DaemonSet"),
        pod("Node"),
    ):
        assert not other.is_provisionable


def test_which_pods_need_another_node_when_theirs_goes() -> None:
    gone = ObjectMeta("x", "default", owners=(OwnerReference("apps/v1", "StatefulSet", "x"),), deleted_at=EPOCH)
    assert pod(node_name="n").is_reschedulable
    assert Pod(gone, PodSpec(), node_name="n").is_reschedulable
    assert not pod("DaemonSet", node_name="n").is_reschedulable
    assert not pod(phase="Failed").is_reschedulable


def node(labels: dict[str, str], *conditions: Condition) -> Node:
    return Node(ObjectMeta("n", labels=labels), conditions={each.type: each for each in conditions})


def test_a_node_s_state_by_labels_and_conditions() -> None:
    plain, ours = node({}), node({NODEPOOL: "default"})
    assert plain.is_ready
    assert plain.is_registered
    assert plain.is_initialized
    assert plain.labels[HOSTNAME] == "n"
    assert not ours.is_registered
    assert node({NODEPOOL: "x", REGISTERED: "true", INITIALIZED: "true"}).is_initialized
    assert not node({}, Condition("Ready", "Unknown")).is_ready
    assert not node({}, Condition("MemoryPressure", "False")).is_ready
    assert node({}, Condition("Ready", "True")).is_ready


def test_allocatable_is_capacity_less_overhead_and_huge_pages() -> None:
    overhead = Overhead({"cpu": 100}, {"memory": 10}, {"memory": 5, "nodefs": 3})
    kind = InstanceType("m", Requirements(), {"cpu": 2000, "memory": 100, "hugepages-2Mi": 20}, overhead, ())
    assert kind.allocatable == {"cpu": 1900, "memory": 65, "hugepages-2Mi": 20}
    assert Offering("a", "reserved", FREE).is_reserved
