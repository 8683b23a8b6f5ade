from typing import Any

import pytest

from nodesmith.decide.lifecycle.deadlines import Due, Overdue, expiration, liveness
from nodesmith.decide.lifecycle.initialization import initialization, needs_initialization
from nodesmith.decide.lifecycle.launch import GivenUp, Postponed, after_failure, after_launch, needs_launch
from nodesmith.decide.lifecycle.registration import needs_registration, node_patch, registration
from nodesmith.ports.cloud import Machine
from nodesmith.ports.errors import CapacityUnavailable, CreateFailed, NodeClassNotReady, PortError, Unavailable
from tests.unit.decide.lifecycle.making import NOW, ago, claim, condition, later, node

LAUNCHED = condition("Launched")
REGISTERED = condition("Registered")


def test_a_launch_is_due_until_its_outcome_is_known() -> None:
    assert needs_launch(claim())
    assert needs_launch(claim("a", condition("Launched", "Unknown")))
    assert not needs_launch(claim("a", LAUNCHED))
    assert not needs_launch(claim("a", condition("Launched", "False")))


def test_of_two_labels_the_claims_own_wins_and_of_annotations_the_clouds() -> None:
    asked = claim(meta={"labels": {"team": "blue"}, "annotations": {"note": "mine", "kept": "yes"}})
    machine = Machine(
        "aws:///a/i-1", "m5.large", "a", "spot", labels={"team": "red", "zone": "a"}, annotations={"note": "its"}
    )
    launched = after_launch(asked, machine)
    assert launched.labels == {"team": "blue", "zone": "a"}
    assert launched.annotations == {"note": "its", "kept": "yes"}
    assert launched.status["providerID"] == "aws:///a/i-1"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CapacityUnavailable("none left"), GivenUp("insufficient_capacity", "none left", is_told=True)),
        (NodeClassNotReady("not yet"), GivenUp("nodeclass_not_ready", "not yet", is_told=False)),
    ],
)
def test_claims_that_cannot_be_had_are_given_up(error: PortError, expected: GivenUp) -> None:
    assert after_failure(error) == expected


def test_other_failures_are_shown_and_cut_to_length() -> None:
    shown = after_failure(CreateFailed("Unauthorized", "x" * 400))
    assert isinstance(shown, Postponed)
    assert shown.changes[0].reason == "Unauthorized"
    assert shown.changes[0].message == "x" * 300 + "..."
    other = after_failure(Unavailable("lost"))
    assert isinstance(other, Postponed)
    assert (other.changes[0].status, other.changes[0].reason) == ("Unknown", "LaunchFailed")


def test_no_node_is_waited_for_and_two_are_a_fault_for_good() -> None:
    assert registration(claim(), []).changes[0].reason == "NodeNotFound"
    twice = registration(claim(), [node("b"), node("a")])
    assert (twice.changes[0].status, twice.changes[0].reason) == ("False", "MultipleNodesFound")
    assert not needs_registration(claim("a", condition("Registered", "False")))


def _fresh(**spec: Any) -> Any:
    return node(spec={"taints": [{"key": "karpenter.sh/unregistered", "effect": "NoExecute"}], **spec})


def test_a_node_is_taken_over_once() -> None:
    asked = claim(
        meta={"labels": {"team": "blue"}, "annotations": {"note": "x", "nodesmith.dev/command": "secret"}},
        spec={
            "taints": [{"key": "dedicated", "effect": "NoSchedule"}],
            "startupTaints": [{"key": "agent", "effect": "NoSchedule"}],
        },
    )
    step = registration(asked, [_fresh()])
    assert step.is_complete
    assert not step.lacks_taint
    assert step.patch is not None
    assert step.patch["metadata"]["labels"] == {"team": "blue", "karpenter.sh/registered": "true"}
    assert step.patch["metadata"]["annotations"] == {"note": "x"}
    assert step.patch["metadata"]["finalizers"] == ["karpenter.sh/termination"]
    assert step.patch["metadata"]["ownerReferences"][0]["blockOwnerDeletion"]
    assert [taint["key"] for taint in step.patch["spec"]["taints"]] == ["dedicated", "agent"]
    taken = node(
        meta={
            "labels": {"team": "blue", "karpenter.sh/registered": "true"},
            "annotations": {"note": "x"},
            "finalizers": ["karpenter.sh/termination"],
            "ownerReferences": [
                {"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "name": "claim", "uid": "uid-claim"}
            ],
        },
        spec={"taints": step.patch["spec"]["taints"]},
    )
    assert node_patch(taken, asked) is None


def test_other_owners_of_a_node_stay() -> None:
    owned = node(meta={"ownerReferences": [{"apiVersion": "v1", "kind": "Thing", "name": "t", "uid": "u"}]})
    patch = node_patch(owned, claim())
    assert patch is not None
    assert [each["kind"] for each in patch["metadata"]["ownerReferences"]] == ["Thing", "NodeClaim"]


def test_taints_are_not_synced_to_a_node_that_says_so() -> None:
    asked = claim(spec={"taints": [{"key": "dedicated", "effect": "NoSchedule"}]})
    shy = node(
        meta={"labels": {"karpenter.sh/do-not-sync-taints": "true"}},
        spec={"taints": [{"key": "karpenter.sh/unregistered", "effect": "NoExecute"}]},
    )
    patch = node_patch(shy, asked)
    assert patch is not None
    assert patch["spec"] == {"taints": []}


def test_a_node_that_came_up_open_is_noticed() -> None:
    assert registration(claim(), [node()]).lacks_taint
    assert not registration(claim(), [node(meta={"labels": {"karpenter.sh/registered": "true"}})]).lacks_taint


@pytest.mark.parametrize(
    ("status", "spec", "reason"),
    [
        ({"conditions": [condition("Ready", "False")]}, {}, "NodeNotReady"),
        ({}, {"taints": [{"key": "agent", "effect": "NoSchedule"}]}, "StartupTaintsExist"),
        (
            {},
            {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]},
            "KnownEphemeralTaintsExist",
        ),
        ({}, {"taints": [{"key": "readiness.k8s.io/net", "effect": "NoSchedule"}]}, "KnownEphemeralTaintsExist"),
        ({"allocatable": {"cpu": "4", "nvidia.com/gpu": "0"}}, {}, "ResourceNotRegistered"),
        ({"allocatable": {"cpu": "4", "nvidia.com/gpu": "1"}}, {}, "Initialized"),
    ],
)
def test_a_node_is_fit_once_nothing_is_in_the_way(status: Any, spec: Any, reason: str) -> None:
    asked = claim(
        "a",
        LAUNCHED,
        REGISTERED,
        spec={
            "startupTaints": [{"key": "agent", "effect": "NoSchedule"}],
            "resources": {"requests": {"cpu": "1", "nvidia.com/gpu": "1"}},
        },
    )
    change = initialization(
        asked, node(status={"allocatable": {"cpu": "4", "nvidia.com/gpu": "1"}, **status}, spec=spec)
    )
    assert change.reason == reason
    assert (change.status == "True") == (reason == "Initialized")


def test_initialization_waits_for_registration() -> None:
    assert not needs_initialization(claim("a", LAUNCHED))
    assert needs_initialization(claim("a", LAUNCHED, REGISTERED))
    assert initialization(claim(), None).reason == "NodeNotFound"


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([condition("Launched", "Unknown", ago(minutes=4))], Due),
        ([condition("Launched", "Unknown", ago(minutes=5))], "launch_timeout"),
        ([condition("Launched", "Unknown", ago(minutes=1), "LaunchFailed")], Due),
        ([LAUNCHED, condition("Registered", "Unknown", ago(minutes=14))], Due),
        ([LAUNCHED, condition("Registered", "Unknown", ago(minutes=15))], "registration_timeout"),
        ([LAUNCHED, condition("Registered", "False", ago(minutes=16))], "registration_timeout"),
        ([LAUNCHED, condition("Registered", "True", ago(hours=16))], None),
    ],
)
def test_a_claim_comes_up_in_time_or_not_at_all(conditions: Any, expected: Any) -> None:
    answer = liveness(claim("a", *conditions), NOW)
    match expected:
        case None:
            assert answer is None
        case str():
            assert answer == Overdue(expected)
        case _:
            assert isinstance(answer, Due)


def test_a_claim_expires_by_its_own_value() -> None:
    assert expiration(claim(spec={"expireAfter": "10m"}), NOW) == Overdue("expired")
    due = expiration(claim(spec={"expireAfter": "11m"}), NOW)
    assert isinstance(due, Due)
    assert due.at.strftime("%Y-%m-%dT%H:%M:%SZ") == later(minutes=1)
    assert expiration(claim(spec={"expireAfter": "Never"}), NOW) is None
