from datetime import timedelta
from typing import Any

import pytest

from nodesmith.decide.lifecycle.consistency import consistency, shape_issues
from nodesmith.decide.lifecycle.garbage import claims_without_machine, machines_without_claim
from nodesmith.decide.lifecycle.pod_events import counts, is_too_soon
from nodesmith.decide.lifecycle.repair import sickness, too_many_sick
from nodesmith.ports.cloud import Machine, RepairPolicy
from nodesmith.state.snapshot import StateNode
from tests.unit.decide.lifecycle.making import NOW, ago, claim, condition, node, pod

DAEMON = {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d"}]}
GOING = {"deletionTimestamp": ago(seconds=1)}
POLICIES = (
    RepairPolicy("Ready", "False", timedelta(minutes=30)),
    RepairPolicy("StorageReady", "False", timedelta(minutes=10)),
)


def _machine(number: int, *, age_s: float = 600, state: str = "running", claim_name: str = "") -> Machine:
    return Machine(
        f"aws:///a/i-{number}",
        "m",
        "a",
        "spot",
        state=state,
        claim_name=claim_name,
        launched_at_s=NOW.timestamp() - age_s,
    )


def test_a_registered_claim_whose_machine_is_gone_is_garbage_unless_its_node_is_ready() -> None:
    registered = condition("Registered")
    lost = claim("lost", registered, status={"providerID": "aws:///a/i-1"})
    ending = claim("ending", registered, status={"providerID": "aws:///a/i-2"})
    fine = claim("fine", registered, status={"providerID": "aws:///a/i-3"})
    claims = [
        lost,
        ending,
        fine,
        claim("unregistered", status={"providerID": "aws:///a/i-4"}),
        claim("leaving", registered, meta=GOING, status={"providerID": "aws:///a/i-5"}),
        claim("answers", registered, status={"providerID": "aws:///a/i-6"}),
    ]
    nodes = [node("a", spec={"providerID": "aws:///a/i-6"})]
    silent = node("b", spec={"providerID": "aws:///a/i-1"}, status={"conditions": [condition("Ready", "Unknown")]})
    machines = [_machine(2, state="shutting-down"), _machine(3)]
    assert claims_without_machine(claims, machines, [*nodes, silent]) == (lost, ending)


def test_a_settled_machine_without_claim_is_garbage() -> None:
    machines = [
        _machine(1),
        _machine(2),
        _machine(3, age_s=20),
        _machine(4, state="shutting-down"),
        _machine(5, claim_name="launching"),
        _machine(6, claim_name="going"),
    ]
    claims = [
        claim("owner", status={"providerID": "aws:///a/i-1"}),
        claim("launching"),
        claim("going", meta=GOING),
    ]
    assert [each.provider_id for each in machines_without_claim(machines, claims, NOW)] == [
        "aws:///a/i-2",
        "aws:///a/i-6",
    ]


def test_the_condition_that_is_due_first_calls_for_repair() -> None:
    healthy = node(status={"conditions": [condition("Ready"), condition("StorageReady")]})
    assert sickness(healthy, POLICIES) is None
    conditions = [condition("Ready", "False", ago(minutes=25)), condition("StorageReady", "False", ago(minutes=1))]
    sick = sickness(node(status={"conditions": conditions}), POLICIES)
    assert sick is not None
    assert sick.condition.type == "Ready"
    assert sick.repair_at == NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("total", "sick", "is_too_many"), [(1, 1, False), (5, 1, False), (5, 2, True), (10, 2, False), (10, 3, True)]
)
def test_repair_stops_where_more_than_a_fifth_is_sick(total: int, sick: int, is_too_many: bool) -> None:  # noqa: FBT001 - a table
    ill = {"conditions": [condition("Ready", "False")]}
    nodes = [
        StateNode(node(f"n{i}", status=ill if i < sick else {}, meta={"labels": {"karpenter.sh/nodepool": "p"}}), None)
        for i in range(total)
    ]
    others = [StateNode(node(f"o{i}", status=ill), None) for i in range(9)]
    answer = too_many_sick([*nodes, *others], "p", POLICIES)
    assert (answer is not None) == is_too_many
    if answer is not None:
        assert str(answer) == f"more than 20% nodes are unhealthy ({sick} of {total})"


def test_a_node_that_is_less_than_promised_is_told_of() -> None:
    asked = claim(
        spec={"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}},
        status={"capacity": {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "1"}},
    )
    small = node(status={"capacity": {"cpu": "3", "memory": "7600Mi"}})
    assert shape_issues(asked, small) == ("expected 4 of resource cpu, but found 3 (75.0% of expected)",)
    assert consistency(shape_issues(asked, small)).reason == "ConsistencyCheckFailed"
    assert consistency(()).status == "True"


UNBOUND = pod(spec={"nodeName": ""}, status={"phase": "Pending"})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, pod(), "node"),
        (UNBOUND, pod(), "node"),
        (pod(), pod(status={"phase": "Succeeded"}), "node"),
        (pod(), pod(meta=GOING), "node"),
        (pod(meta=GOING), None, "node"),
        (pod(), pod(meta={"labels": {"new": "label"}}), None),
        (pod(meta=GOING), pod(meta=GOING, status={"phase": "Failed"}), "node"),
        (None, UNBOUND, None),
        (UNBOUND, None, None),
        (None, pod(meta=DAEMON), None),
        (pod(meta=DAEMON), None, None),
    ],
)
def test_what_is_an_event_to_a_node(before: Any, after: Any, expected: str | None) -> None:
    assert counts(before, after) == expected


def test_events_are_written_every_ten_seconds_at_most() -> None:
    assert not is_too_soon(claim(), NOW)
    assert is_too_soon(claim(status={"lastPodEventTime": ago(seconds=9)}), NOW)
    assert not is_too_soon(claim(status={"lastPodEventTime": ago(seconds=10)}), NOW)
