"""Nodes, NodePools, NodeClaims, NodeClasses, storage: JSON to values and back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nodesmith.api import kinds, nodeclaim
from nodesmith.api.ec2nodeclass import decode_ec2nodeclass, kubelet_of, kubelet_passed_on
from nodesmith.api.meta import (
    condition_to_json,
    conditions_of,
    format_micro_time,
    format_time,
    meta_to_json,
    parse_meta,
    parse_time,
)
from nodesmith.api.nodepool import decode_node_pool
from nodesmith.api.scalars import DurationError, duration_or_never, format_duration, parse_duration, selector_of
from nodesmith.model.meta import EPOCH
from nodesmith.model.nodeclaim import NodeClassReference
from nodesmith.model.nodepool import Budget, ConsolidationPolicy, Disruption, DisruptionReason
from nodesmith.model.requirements import Requirement
from nodesmith.model.taints import Taint

NODE_CLASS = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}


def node_pool(spec: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "default"}, "spec": spec}


def test_a_nodepool_has_the_server_s_defaults() -> None:
    pool = decode_node_pool(node_pool({}))
    assert pool.disruption == Disruption(
        timedelta(0), ConsolidationPolicy.WHEN_EMPTY_OR_UNDERUTILIZED, (Budget("10%"),)
    )
    assert pool.expire_after == timedelta(hours=720)
    assert (pool.weight, pool.replicas, pool.limits) == (0, None, {})
    assert not pool.is_static


def test_a_nodepool_says_everything() -> None:
    pool = decode_node_pool(
        node_pool(
            {
                "weight": 7,
                "replicas": 0,
                "limits": {"cpu": 20, "memory": "80Gi", "nodes": 3},
                "disruption": {
                    "consolidateAfter": "Never",
                    "consolidationPolicy": "WhenEmpty",
                    "budgets": [
                        {"nodes": "0", "schedule": "@daily", "duration": "1h30m", "reasons": ["Empty", "Unknown"]}
                    ],
                },
                "template": {
                    "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
                    "spec": {
                        "nodeClassRef": {**NODE_CLASS, "name": "x"},
                        "expireAfter": "Never",
                        "terminationGracePeriod": "10m",
                        "taints": [{"key": "t", "effect": "NoSchedule", "value": "v"}],
                        "startupTaints": [{"key": "s", "effect": "NoExecute"}],
                        "requirements": [{"key": "k", "operator": "In", "values": ["v"], "minValues": 1}],
                    },
                },
            }
        )
    )
    assert pool.is_static
    assert pool.limits == {"cpu": 20_000, "memory": 80 * 2**30, "nodes": 3}
    assert pool.disruption.consolidate_after is None
    assert pool.disruption.budgets == (
        Budget("0", frozenset({DisruptionReason.EMPTY}), "@daily", timedelta(minutes=90)),
    )
    assert pool.expire_after is None
    assert pool.termination_grace_period == timedelta(minutes=10)
    assert pool.node_class == NodeClassReference("karpenter.k8s.aws", "EC2NodeClass", "x")
    assert pool.taints == (Taint("t", "NoSchedule", "v"),)
    assert pool.startup_taints == (Taint("s", "NoExecute"),)
    assert pool.requirements.get("k") == Requirement.of("k", "In", ["v"], min_values=1)
    assert (pool.labels, pool.annotations) == ({"a": "b"}, {"c": "d"})


def test_a_requirement_that_cannot_be_read_does_not_widen_the_pool() -> None:
    raw = [{"key": "k", "operator": "Around", "values": ["4"]}]
    pool = decode_node_pool(node_pool({"template": {"spec": {"requirements": raw}}}))
    assert not any(pool.requirements.get("k").allows(value) for value in ("3", "4", "5", "x"))


CLAIM: dict[str, Any] = {
    "apiVersion": "karpenter.sh/v1",
    "kind": "NodeClaim",
    "metadata": {
        "name": "default-x",
        "labels": {"karpenter.sh/nodepool": "default"},
        "finalizers": ["karpenter.sh/termination"],
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "NodePool", "name": "default", "uid": "u", "blockOwnerDeletion": True}
        ],
    },
    "spec": {
        "requirements": [{"key": "k", "operator": "In", "values": ["a", "b"]}],
        "nodeClassRef": NODE_CLASS,
        "expireAfter": "1h30m",
        "resources": {"requests": {"cpu": "1500m", "memory": "1Gi", "pods": "3"}},
        "taints": [{"key": "t", "effect": "NoSchedule", "value": "v"}],
        "startupTaints": [{"key": "s", "effect": "NoExecute"}],
        "terminationGracePeriod": "10m",
    },
}


def test_a_nodeclaim_is_created_as_it_was_read() -> None:
    assert nodeclaim.to_manifest(kinds.NODE_CLAIM.decode(CLAIM)) == CLAIM
    made = nodeclaim.to_manifest(kinds.NODE_CLAIM.decode(CLAIM), generate_name="default-")
    assert made["metadata"]["generateName"] == "default-"
    assert "name" not in made["metadata"]


def test_a_nodeclaim_s_status_is_written_as_it_was_read() -> None:
    status = {
        "nodeName": "n",
        "providerID": "aws:///a/i-1",
        "imageID": "ami-1",
        "capacity": {"cpu": "2", "memory": "4Gi"},
        "allocatable": {"cpu": "1930m", "memory": "3Gi"},
        "conditions": [
            {
                "type": "Launched",
                "status": "True",
                "reason": "Launched",
                "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
                "observedGeneration": 1,
            }
        ],
        "lastPodEventTime": "2026-01-01T01:00:00Z",
    }
    claim = kinds.NODE_CLAIM.decode(CLAIM | {"status": status})
    assert nodeclaim.status_to_json(claim) == status
    assert claim.has("Launched")
    assert claim.last_pod_event_at == datetime(2026, 1, 1, 1, tzinfo=UTC)
    assert nodeclaim.status_to_json(kinds.NODE_CLAIM.decode(CLAIM)) == {}


def test_the_expiry_of_a_claim_is_as_long_as_it_says() -> None:
    for text, expected in ((None, timedelta(hours=720)), ("Never", None), ("720h0m0s", timedelta(hours=720))):
        spec = {} if text is None else {"expireAfter": text}
        assert kinds.NODE_CLAIM.decode({"metadata": {}, "spec": spec}).expire_after == expected


def test_metadata_survives() -> None:
    raw = {"name": "x", "namespace": "y", "labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["f"]}
    assert meta_to_json(parse_meta(raw)) == raw
    bare = parse_meta({"labels": None, "ownerReferences": None, "creationTimestamp": None})
    assert bare.created_at == EPOCH
    assert not bare.is_deleting
    assert parse_meta({"deletionTimestamp": "2026-01-01T00:00:00Z"}).is_deleting


def test_times_are_utc_whatever_the_text() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for text in (
        "2026-01-01T12:00:00Z",
        "2026-01-01T12:00:00.000000Z",
        "2026-01-01T13:00:00+01:00",
        "2026-01-01T12:00:00",
    ):
        assert parse_time(text) == noon
    assert format_time(noon) == "2026-01-01T12:00:00Z"
    assert format_micro_time(noon) == "2026-01-01T12:00:00.000000Z"
    assert parse_time("yesterday") is None
    assert parse_time(None) is None


def test_conditions_survive_and_lack_nothing() -> None:
    [condition] = conditions_of([{"type": "Ready", "status": "False"}, {"status": "True"}]).values()
    assert condition.is_false
    assert condition_to_json(condition) == {
        "type": "Ready",
        "status": "False",
        "reason": "",
        "message": "",
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("90s", 90), ("1h30m", 5400), ("1.5h", 5400), ("500ms", 0.5), ("2m0s", 120)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "1d", "h", "1h 30m", "-1s", "1h30"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(DurationError):
        parse_duration(text)
    assert duration_or_never(text, timedelta(1)) == timedelta(1)


def test_durations_are_written_in_the_largest_units() -> None:
    assert [format_duration(timedelta(seconds=each)) for each in (0, 90, 5400, 720 * 3600)] == [
        "0s",
        "1m30s",
        "1h30m",
        "720h",
    ]
    assert parse_duration("99999999999999999h") > timedelta(days=100_000)


def test_a_node_is_read() -> None:
    node = kinds.NODE.decode(
        {
            "metadata": {"name": "n"},
            "spec": {
                "providerID": "aws:///a/i-1",
                "unschedulable": True,
                "taints": [{"key": "t", "effect": "NoSchedule"}],
            },
            "status": {"capacity": {"cpu": "2"}, "allocatable": {"cpu": "1930m", "broken": "x"}},
        }
    )
    assert node.is_cordoned
    assert node.taints == (Taint("t", "NoSchedule"),)
    assert node.allocatable == {"cpu": 1930}


def test_a_budget_for_evictions_is_read() -> None:
    budget = kinds.POD_DISRUPTION_BUDGET.decode(
        {
            "metadata": {"name": "x"},
            "spec": {"minAvailable": 1, "maxUnavailable": "25%", "unhealthyPodEvictionPolicy": "AlwaysAllow"},
            "status": {"disruptionsAllowed": 0},
        }
    )
    assert (budget.min_available, budget.max_unavailable, budget.disruptions_allowed) == ("1", "25%", 0)
    assert budget.evicts_unready_always
    assert budget.selector is None
    assert selector_of({}) is not None


def test_storage_is_read() -> None:
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    volume = kinds.PERSISTENT_VOLUME.decode(
        {
            "metadata": {"name": "v"},
            "spec": {
                "awsElasticBlockStore": {"volumeID": "x"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
            },
        }
    )
    assert volume.driver == "ebs.csi.aws.com"
    assert volume.terms == ((Requirement.of("zone", "In", ["a"]),),)
    assert kinds.PERSISTENT_VOLUME.decode({"metadata": {"name": "v"}, "spec": {"hostPath": {"path": "/"}}}).is_local
    claim = kinds.PERSISTENT_VOLUME_CLAIM.decode(
        {
            "metadata": {"name": "c", "annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
            "spec": {"volumeName": "v"},
        }
    )
    assert claim.is_bind_completed
    assert claim.storage_class is None
    topology = {"matchLabelExpressions": [{"key": "zone", "values": ["a", "b"]}]}
    fast = kinds.STORAGE_CLASS.decode(
        {
            "metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "kubernetes.io/aws-ebs",
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowedTopologies": [topology],
        }
    )
    assert (fast.provisioner, fast.binds_immediately, fast.is_default) == ("ebs.csi.aws.com", False, True)
    assert kinds.STORAGE_CLASS.decode({"metadata": {"name": "x"}}).binds_immediately
    drivers = [{"name": "a", "allocatable": {"count": 25}}, {"name": "b"}]
    assert kinds.CSI_NODE.decode({"metadata": {"name": "n"}, "spec": {"drivers": drivers}}).limits == {
        "a": 25,
        "b": None,
    }
    attachment = kinds.VOLUME_ATTACHMENT.decode(
        {"metadata": {"name": "x"}, "spec": {"nodeName": "n", "source": {"persistentVolumeName": "v"}}}
    )
    assert (attachment.node_name, attachment.volume_name) == ("n", "v")


def test_an_ec2nodeclass_keeps_what_it_can_read() -> None:
    decoded = decode_ec2nodeclass(
        {
            "metadata": {"name": "x"},
            "spec": {
                "role": "r",
                "futureField": {"a": 1},
                "kubelet": {"maxPods": [], "cpuCFSQuota": True, "registryPullQPS": 7},
                "blockDeviceMappings": [{"ebs": {"kmsKeyID": "k", "iops": []}}],
            },
            "status": {
                "amis": [{"id": "ami-1", "requirements": []}],
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }
    )
    kubelet = kubelet_of(decoded.spec)
    assert kubelet_passed_on(decoded.spec) == {"registryPullQPS": 7}
    assert (kubelet.max_pods, kubelet.cpu_cfs_quota) == (None, True)
    ebs = decoded.spec.block_device_mappings[0].ebs
    assert ebs is not None
    assert (ebs.kms_key_id, ebs.iops) == ("k", None)
    assert decoded.is_ready
    assert decoded.status.amis[0].id == "ami-1"


@pytest.mark.parametrize(
    ("spec", "family"),
    [
        ({"amiSelectorTerms": [{"alias": "bottlerocket@latest"}]}, "Bottlerocket"),
        ({"amiSelectorTerms": [{"alias": "al2023@latest"}], "amiFamily": "Custom"}, "Custom"),
        ({"amiSelectorTerms": [{"id": "ami-1"}], "amiFamily": "AL2"}, "AL2"),
        ({"amiSelectorTerms": [{"id": "ami-1"}]}, "Custom"),
    ],
)
def test_the_ami_family_that_counts(spec: dict[str, Any], family: str) -> None:
    assert decode_ec2nodeclass({"metadata": {"name": "x"}, "spec": spec}).ami_family == family


def test_kinds_are_found_by_api_version_and_name() -> None:
    assert kinds.kind_of({"apiVersion": "karpenter.sh/v1", "kind": "NodePool"}) is kinds.NODE_POOL
    assert kinds.kind_of({"apiVersion": "v1", "kind": "Pod"}) is kinds.POD
    assert kinds.kind_of({"apiVersion": "karpenter.sh/v1beta1", "kind": "NodePool"}) is None
    assert str(kinds.POD) == "Pod"
    assert kinds.DEPLOYMENT.decode({"kind": "Deployment"}) == {"kind": "Deployment"}
