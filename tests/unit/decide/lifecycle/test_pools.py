from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodesmith.adapters.memory.catalog import catalog
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.kinds import EC2_NODE_CLASS, NODE_CLAIM
from nodesmith.api.nodeclaim import to_manifest
from nodesmith.decide.lifecycle.disruptable import consolidatable, instance_type_drift, pool_drift
from nodesmith.decide.lifecycle.newclaim import any_value, claim_for, claim_from_template, planned_pods
from nodesmith.decide.lifecycle.nodeclass import claim_annotations, is_of_another_version, node_class_annotations
from nodesmith.decide.lifecycle.pool import (
    Registrations,
    claim_hash_annotations,
    hash_annotations,
    health_after,
    node_class_readiness,
    usage,
)
from nodesmith.decide.lifecycle.static_pool import shortfall, surplus
from nodesmith.decide.lifecycle.validation import pool_faults
from nodesmith.model.labels import INSTANCE_TYPE, NODECLASS_HASH, NODECLASS_HASH_VERSION
from nodesmith.model.money import UsdPerHour
from nodesmith.model.requirements import Requirement
from nodesmith.plan.schedule import PlannedClaim, Purchase
from nodesmith.state.snapshot import StateNode
from tests.unit.decide.lifecycle.making import NOW, ago, claim, condition, node, pod, pool

GOING = {"deletionTimestamp": ago(seconds=1)}


@pytest.mark.parametrize(
    ("manifest", "status", "reason"),
    [
        (None, "False", "NodeClassNotFound"),
        ({"metadata": {"name": "default", **GOING}}, "False", "NodeClassTerminating"),
        ({"metadata": {"name": "default"}}, "Unknown", "NodeClassReadinessUnknown"),
        ({"metadata": {"name": "d"}, "status": {"conditions": [condition("Ready")]}}, "True", "NodeClassReady"),
        (
            {"metadata": {"name": "d"}, "status": {"conditions": [condition("Ready", "False", reason="No")]}},
            "False",
            "No",
        ),
    ],
)
def test_a_pool_is_as_ready_as_its_class(manifest: Any, status: str, reason: str) -> None:
    change = node_class_readiness(EC2_NODE_CLASS.decode(manifest) if manifest else None)
    assert (change.status, change.reason) == (status, reason)


def test_usage_counts_what_stays() -> None:
    labels = {"karpenter.sh/nodepool": "default"}
    capacity = {"capacity": {"cpu": "4", "memory": "8Gi"}}
    stays = StateNode(None, claim("a", meta={"labels": labels}, status=capacity))
    goes = StateNode(None, claim("b", meta={"labels": labels, **GOING}, status=capacity))
    amounts = usage("default", [stays, goes])
    assert amounts == {"cpu": 4000, "memory": 8 * 2**30, "ephemeral-storage": 0, "pods": 0, "nodes": 1}


def test_two_failures_of_four_are_unhealthy_and_a_success_heals() -> None:
    one = Registrations().and_then(succeeded=False)
    assert not one.is_unhealthy
    two = one.and_then(succeeded=False)
    assert two.is_unhealthy
    healed = two.and_then(succeeded=True).and_then(succeeded=True).and_then(succeeded=True)
    assert healed.is_healthy
    assert not Registrations().is_healthy
    assert Registrations.remembered(None).outcomes == ()


def test_health_is_written_when_it_changes() -> None:
    launched, unlaunched = (
        claim("a", condition("Launched")),
        claim("a", condition("Launched", "Unknown", reason="NoRoom")),
    )
    bad = Registrations((False,))
    assert health_after(Registrations(), pool(), launched, succeeded=False) is None
    change = health_after(bad, pool(), launched, succeeded=False)
    assert change is not None
    assert (change.status, change.reason) == ("False", "RegistrationFailed")
    change = health_after(bad, pool(), unlaunched, succeeded=False)
    assert change is not None
    assert change.reason == "NoRoom"
    failing = pool(status={"conditions": [condition("NodeRegistrationHealthy", "False")]})
    assert health_after(bad, failing, launched, succeeded=False) is None
    change = health_after(Registrations(), failing, launched, succeeded=True)
    assert change is not None
    assert change.status == "True"


def test_hashes_of_another_version_are_brought_along() -> None:
    wanted = hash_annotations(pool())
    assert set(wanted) == {"karpenter.sh/nodepool-hash", "karpenter.sh/nodepool-hash-version"}
    assert hash_annotations(pool(meta={"annotations": dict(wanted)})) == {}
    old = {"annotations": {"karpenter.sh/nodepool-hash": "1", "karpenter.sh/nodepool-hash-version": "v2"}}
    assert claim_hash_annotations(claim(meta=old), pool()) == wanted
    drifted = claim("a", condition("Drifted"), meta=old)
    assert claim_hash_annotations(drifted, pool()) == {"karpenter.sh/nodepool-hash-version": "v3"}
    comparable = {"annotations": {"karpenter.sh/nodepool-hash": "1", "karpenter.sh/nodepool-hash-version": "v3"}}
    assert claim_hash_annotations(claim(meta=comparable), pool()) == {}, "it alone knows whether the claim has drifted"


def test_a_claim_says_all_that_its_pool_and_its_plan_say() -> None:
    template = pool(
        template_meta={"labels": {"team": "blue"}, "annotations": {"note": "x"}},
        template={
            "requirements": [
                {"key": "example.com/shelf", "operator": "In", "values": ["b", "a"]},
                {"key": "node.kubernetes.io/instance-type", "operator": "Exists", "minValues": 2},
            ],
            "taints": [{"key": "dedicated", "effect": "NoSchedule"}],
            "expireAfter": "24h",
            "terminationGracePeriod": "5m",
        },
    )
    planned = PlannedClaim(
        "default",
        template.requirements,
        ("m5.large", "m5.xlarge"),
        {"cpu": 900},
        ("default/a", "default/b"),
        Purchase("m5.large", "a", "spot", UsdPerHour.of("0.1")),
    )
    made = claim_for(planned, template, name="default-abcde", decision_id="d1", replaces_for="Drifted")
    assert made.labels == {
        "team": "blue",
        "karpenter.sh/nodepool": "default",
        "karpenter.k8s.aws/ec2nodeclass": "default",
        "example.com/shelf": "a",
    }
    assert made.meta.annotations["note"] == "x"
    assert made.meta.annotations["karpenter.sh/nodepool-hash"] == template.static_hash
    assert made.meta.annotations["nodesmith.dev/replaces-for"] == "Drifted"
    types = made.requirements.get("node.kubernetes.io/instance-type")
    assert types.values == {"m5.large", "m5.xlarge"}
    assert types.min_values == 2
    assert "karpenter.k8s.aws/ec2nodeclass" not in made.requirements
    assert made.expire_after == timedelta(hours=24)
    assert planned_pods(made) == {"default/a", "default/b"}
    again = NODE_CLAIM.decode(to_manifest(made))
    assert again.requirements == made.requirements
    assert planned_pods(again) == planned_pods(made)
    launched = replace(again, meta=replace(again.meta, labels={**again.labels, INSTANCE_TYPE: "m5.large"}))
    assert pool_drift(launched, template) is None


def test_a_claim_of_a_static_pool_leaves_the_type_to_the_cloud() -> None:
    made = claim_from_template(pool(), name="fixed-abcde", decision_id="d")
    assert "node.kubernetes.io/instance-type" not in made.requirements
    assert planned_pods(made) == frozenset()


@given(st.sampled_from(["In", "NotIn", "Exists", "Gt", "Lt", "Gte", "Lte"]), st.integers(1, 40))
def test_any_value_is_one_that_is_allowed(operator: str, number: int) -> None:
    requirement = Requirement.of("example.com/n", operator, () if operator == "Exists" else (str(number),))
    value = any_value(requirement)
    assert value is not None
    assert requirement.allows(value)


def test_no_value_satisfies_a_label_that_must_not_be_there() -> None:
    assert any_value(Requirement.of("example.com/n", "DoesNotExist")) is None


@pytest.mark.parametrize(
    ("disruption", "last", "expected"),
    [
        ({"consolidateAfter": "5m"}, ago(minutes=5), (True, None)),
        ({"consolidateAfter": "5m"}, ago(minutes=3), (False, 2)),
        ({"consolidateAfter": "0s"}, "", (True, None)),
        ({"consolidateAfter": "Never"}, ago(hours=5), (False, None)),
        ({"consolidateAfter": "6m"}, "", (False, 1)),
    ],
)
def test_a_claim_may_be_consolidated_when_its_pods_have_been_quiet(disruption: Any, last: str, expected: Any) -> None:
    status = {"lastPodEventTime": last} if last else {}
    asked = claim("a", condition("Initialized"), status=status)
    change, at = consolidatable(asked, pool(spec={"disruption": disruption}), NOW)
    holds, minutes = expected
    assert (change.status == "True") == holds
    assert (at is None) == (minutes is None)
    if at is not None:
        assert at == NOW + timedelta(minutes=minutes)


def test_static_pools_and_nodes_that_are_not_up_are_not_consolidated() -> None:
    up = claim("a", condition("Initialized"))
    assert (
        consolidatable(up, pool(spec={"replicas": 1, "disruption": {"consolidateAfter": "0s"}}), NOW)[0].status is None
    )
    assert consolidatable(claim(), pool(spec={"disruption": {"consolidateAfter": "0s"}}), NOW)[0].status is None


def test_drift_needs_both_hashes_of_one_version() -> None:
    def marked(hash_: str, version: str) -> Any:
        annotations = {"karpenter.sh/nodepool-hash": hash_, "karpenter.sh/nodepool-hash-version": version}
        return claim(meta={"annotations": annotations})

    assert pool_drift(marked("1", "v3"), pool()) == "NodePoolDrifted"
    assert pool_drift(marked("1", "v2"), pool()) is None
    assert pool_drift(marked(pool().static_hash, "v3"), pool()) is None
    assert pool_drift(claim(), pool()) is None
    assert pool_drift(claim(meta={"annotations": {"karpenter.sh/nodepool-hash-version": "v3"}}), pool()) is None


@pytest.mark.parametrize(
    ("requirement", "is_drifted"),
    [
        ({"key": "team", "operator": "In", "values": ["blue"]}, False),
        ({"key": "team", "operator": "In", "values": ["red"]}, True),
        ({"key": "shelf", "operator": "Exists"}, True),
        ({"key": "shelf", "operator": "DoesNotExist"}, False),
        ({"key": "team", "operator": "DoesNotExist"}, True),
        ({"key": "size", "operator": "Gt", "values": ["3"]}, False),
        ({"key": "size", "operator": "Gt", "values": ["4"]}, True),
    ],
)
def test_requirements_that_the_labels_do_not_meet_are_drift(requirement: Any, is_drifted: bool) -> None:  # noqa: FBT001 - a table
    asked = claim(meta={"labels": {"team": "blue", "size": "4"}})
    found = pool_drift(asked, pool(template={"requirements": [requirement]}))
    assert found == ("RequirementsDrifted" if is_drifted else None)


def test_a_type_that_is_no_longer_offered_is_drift_after_an_hour() -> None:
    def of(type_: str, terms: str, age: str) -> Any:
        labels = {
            "node.kubernetes.io/instance-type": type_,
            "karpenter.sh/capacity-type": terms,
            "topology.kubernetes.io/zone": "ap-northeast-2a",
        }
        return claim(meta={"labels": labels, "creationTimestamp": age})

    old = ago(hours=2)
    assert instance_type_drift(of("m7g.large", "spot", old), catalog(), NOW) is None
    assert instance_type_drift(of("m7g.huge", "spot", old), catalog(), NOW) == "InstanceTypeNotFound"
    assert instance_type_drift(of("m7g.huge", "spot", ago(minutes=50)), catalog(), NOW) is None
    assert instance_type_drift(of("m7g.large", "reserved", old), catalog(), NOW) is None


def _fixed(count: int, *, replicas: int, limit: int | None = None) -> tuple[Any, list[StateNode]]:
    spec: dict[str, Any] = {"replicas": replicas}
    if limit is not None:
        spec["limits"] = {"nodes": str(limit)}
    nodes = [
        StateNode(node(f"n{i}", meta={"labels": {"karpenter.sh/nodepool": "default"}}), claim(f"c{i}"))
        for i in range(count)
    ]
    return pool(spec=spec), nodes


@pytest.mark.parametrize(
    ("count", "replicas", "limit", "lacking"), [(1, 3, None, 2), (3, 3, None, 0), (1, 9, 4, 3), (5, 3, 4, 0)]
)
def test_a_static_pool_lacks_nodes_up_to_its_limit(count: int, replicas: int, limit: int | None, lacking: int) -> None:
    assert shortfall(*_fixed(count, replicas=replicas, limit=limit)) == lacking


def test_of_a_static_pool_the_least_costly_go_first() -> None:
    static = pool(spec={"replicas": 1})
    labels = {"labels": {"karpenter.sh/nodepool": "default"}}

    def state(name: str, *pods: Any) -> StateNode:
        return StateNode(node(name, meta=labels), claim(name, meta=labels, status={"providerID": "aws:///a/i"}), pods)

    pinned = pod("pinned", meta={"annotations": {"karpenter.sh/do-not-disrupt": "true"}})
    nodes = [
        state("protected", pinned),
        state("busy", pod("a"), pod("b")),
        state("quiet", pod("c")),
        state("empty"),
        StateNode(None, claim("unlaunched", meta=labels)),
    ]
    assert [each.name for each in surplus(static, nodes, NOW)] == ["unlaunched", "empty", "quiet", "busy"]


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ({}, ""),
        ({"template_meta": {"labels": {"bad key!": "x"}}}, "invalid key name"),
        ({"template_meta": {"labels": {"team": "not a value!"}}}, "invalid value"),
        ({"template_meta": {"labels": {"karpenter.sh/custom": "x"}}}, "restricted"),
        ({"template_meta": {"labels": {"karpenter.sh/nodepool": "x"}}}, "restricted"),
        ({"template": {"taints": [{"key": "a", "effect": "Sometimes"}]}}, "invalid taint effect"),
        (
            {
                "template": {
                    "taints": [{"key": "a", "effect": "NoSchedule"}],
                    "startupTaints": [{"key": "a", "effect": "NoSchedule", "value": "v"}],
                }
            },
            "duplicate taint",
        ),
        ({"template": {"requirements": [{"key": "karpenter.sh/nodepool", "operator": "Exists"}]}}, "restricted"),
        ({"template": {"requirements": [{"key": "kubernetes.io/hostname", "operator": "Exists"}]}}, "restricted"),
        (
            {
                "template": {
                    "requirements": [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["cheap"]}]
                }
            },
            "no valid values",
        ),
        (
            {"template": {"requirements": [{"key": "a", "operator": "In", "values": ["x"], "minValues": 2}]}},
            "minValues",
        ),
    ],
)
def test_faults_that_an_api_server_let_through(parts: Any, fault: str) -> None:
    faults = pool_faults(pool(**parts))
    assert (not faults) if not fault else any(fault in each for each in faults), faults


def test_a_node_class_is_annotated_when_its_hash_changes_and_only_then() -> None:
    def annotated(annotations: dict[str, str]) -> EC2NodeClass:
        return EC2_NODE_CLASS.decode({"metadata": {"name": "default", "annotations": annotations}})

    both = {NODECLASS_HASH: "1", NODECLASS_HASH_VERSION: "v5"}
    assert node_class_annotations(annotated({}), "1") == both
    assert node_class_annotations(annotated(both), "1") == {}
    assert node_class_annotations(annotated(both), "2") == {NODECLASS_HASH: "2"}
    versions = [annotated({}), annotated(both), annotated({NODECLASS_HASH_VERSION: "v4"})]
    assert [is_of_another_version(each) for each in versions] == [True, False, True]


@pytest.mark.parametrize(
    ("version", "is_drifted", "wanted"),
    [
        ("v4", False, {NODECLASS_HASH: "2", NODECLASS_HASH_VERSION: "v5"}),
        ("v4", True, {NODECLASS_HASH_VERSION: "v5"}),
        ("v5", False, {}),
        ("v6", False, {}),
    ],
)
def test_claims_keep_a_hash_that_can_be_compared(version: str, *, is_drifted: bool, wanted: dict[str, str]) -> None:
    meta = {"annotations": {NODECLASS_HASH: "1", NODECLASS_HASH_VERSION: version}}
    status = {"conditions": [condition("Drifted")]} if is_drifted else {}
    assert claim_annotations(claim("a", meta=meta, status=status), "2") == wanted
