"""What is skipped while JSON is read must be nothing that a decoder looks at."""

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints, is_typeddict

import msgspec
import pytest
from msgspec.inspect import is_struct_type
from msgspec.structs import fields

from nodesmith.api.core import decode_pod
from nodesmith.api.kind import Kind
from nodesmith.api.kinds import NODE, NODE_CLAIM, POD
from nodesmith.api.podspec import PodSpecs
from nodesmith.api.shapes import PodShape, PodSpecShape

METADATA = {
    "name": "a",
    "namespace": "shop",
    "uid": "1",
    "labels": {"app": "a"},
    "annotations": {"karpenter.sh/do-not-disrupt": "true"},
    "finalizers": ["karpenter.sh/termination"],
    "ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "2", "controller": True},
    ],
    "resourceVersion": "7",
    "generation": 3,
    "creationTimestamp": "2026-11-01T00:00:00Z",
    "deletionTimestamp": "2026-11-02T00:00:00Z",
    "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
CONTAINER = {
    "name": "app",
    "image": "a",
    "env": [{"name": "x", "value": "y"}],
    "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
    "ports": [{"containerPort": 80, "hostPort": 8080}],
    "restartPolicy": "Always",
}
TERM = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "a"}}, "matchLabelKeys": ["app"]}
AFFINITY = {
    "nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}},
    "podAntiAffinity": {REQUIRED: [TERM]},
}
POD_JSON: dict[str, Any] = {
    "metadata": METADATA,
    "spec": {
        "nodeName": "n",
        "schedulingGates": [{"name": "g"}],
        "containers": [CONTAINER],
        "initContainers": [CONTAINER],
        "volumes": [
            {"name": "v", "persistentVolumeClaim": {"claimName": "c"}},
            {"name": "w", "ephemeral": {"volumeClaimTemplate": {"spec": {"storageClassName": "s"}}}},
            {"name": "x", "configMap": {"name": "m"}},
        ],
        "nodeSelector": {"a": "b"},
        "affinity": AFFINITY,
        "topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1, "matchLabelKeys": ["app"]}],
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "overhead": {"cpu": "10m"},
        "resources": {"requests": {"cpu": "3"}},
        "hostNetwork": True,
        "priority": 5,
        "priorityClassName": "p",
        "resourceClaims": [{"name": "r"}],
        "terminationGracePeriodSeconds": 7,
        "serviceAccountName": "default",
    },
    "status": {
        "phase": "Running",
        "conditions": [
            {"type": "Ready", "status": "True", "message": "fine"},
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"},
        ],
        "containerStatuses": [{"name": "app", "allocatedResources": {"cpu": "2"}, "imageID": "i"}],
        "nominatedNodeName": "m",
        "startTime": "2026-11-01T00:00:01Z",
        "podIP": "10.0.0.1",
    },
}
NODE_JSON = {
    "metadata": METADATA,
    "spec": {"providerID": "aws:///a/i-1", "taints": [{"key": "k", "effect": "NoExecute"}], "unschedulable": True},
    "status": {
        "capacity": {"cpu": "4"},
        "allocatable": {"cpu": "3"},
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "r", "lastTransitionTime": "2026-11-01T00:00:00Z"}
        ],
        "images": [{"names": ["a"], "sizeBytes": 1}],
    },
}
CLAIM_JSON = {
    "metadata": METADATA,
    "spec": {
        "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "c"},
        "requirements": [{"key": "a", "operator": "In", "values": ["b"]}],
        "taints": [{"key": "k", "effect": "NoSchedule"}],
        "expireAfter": "720h",
    },
    "status": {"providerID": "aws:///a/i-1", "nodeName": "n", "capacity": {"cpu": "4"}},
}

every_kind = pytest.mark.parametrize(
    ("kind", "whole"), [(POD, POD_JSON), (NODE, NODE_JSON), (NODE_CLAIM, CLAIM_JSON)], ids=["pod", "node", "claim"]
)


@every_kind
def test_an_object_decodes_to_the_same_with_and_without_what_is_skipped(kind: Kind[Any], whole: dict[str, Any]) -> None:
    pruned = msgspec.json.decode(msgspec.json.encode(whole), type=kind.shape)
    assert b"managedFields" not in msgspec.json.encode(pruned)
    assert kind.decode(pruned) == kind.decode(whole)


@every_kind
def test_the_samples_have_every_part_that_is_read(kind: Kind[Any], whole: dict[str, Any]) -> None:
    assert set(missing(kind.shape, [whole])) == set()


@every_kind
def test_a_decoder_asks_for_nothing_else(kind: Kind[Any], whole: dict[str, Any]) -> None:
    kind.decode(watched(kind.shape, whole))


def raw(manifest: dict[str, Any]) -> Any:
    """The pod as a watch reads it."""
    return msgspec.json.decode(msgspec.json.encode(manifest), type=PodShape)


def test_a_spec_that_was_seen_before_is_not_read_again() -> None:
    specs = PodSpecs()
    first = specs.whole_of(raw(POD_JSON).spec)
    assert specs.whole_of(raw({**POD_JSON, "status": {"phase": "Failed"}}).spec) is first
    elsewhere = {**POD_JSON, "spec": {**POD_JSON["spec"], "nodeName": "elsewhere"}}
    again = specs.whole_of(raw(elsewhere).spec)
    assert (again.node_name, again.entry, again.requests) == ("elsewhere", first.entry, first.requests)


def test_what_a_container_holds_while_it_is_resized_counts_in_a_watch_too() -> None:
    container = {"name": "main", "resources": {"requests": {"cpu": "1"}}}
    manifest = {"metadata": {"name": "a"}, "spec": {"containers": [container]}}
    for held, expected in (("1", 1000), ("3", 3000)):
        status = {"containerStatuses": [{"name": "main", "allocatedResources": {"cpu": held}}]}
        assert decode_pod(raw({**manifest, "status": status})).requests["cpu"] == expected


def test_a_part_of_an_unexpected_type_is_no_reason_to_fail() -> None:
    assert decode_pod(raw({"metadata": {"name": "a"}, "spec": {"hostNetwork": "yes"}})).meta.name == "a"
    assert decode_pod(raw({"metadata": {"name": "a"}, "spec": None, "status": {}})).meta.name == "a"
    assert decode_pod({"metadata": {"name": "a"}, "spec": {"containers": None}, "status": {}}).meta.name == "a"


def parts(shape: Any) -> dict[str, Any]:
    opened: dict[str, Any] = {"spec": PodSpecShape} if shape is PodShape else {}
    if is_typeddict(shape):
        return get_type_hints(shape)
    return {**{each.encode_name: each.type for each in fields(shape)}, **opened}


def inner(shape: Any) -> Any:
    """The typed dictionary or struct in `X`, `list[X] | None` or the like, or None."""
    candidates = [shape, *get_args(shape), *(each for arm in get_args(shape) for each in get_args(arm))]
    return next((each for each in candidates if is_typeddict(each) or is_struct_type(each)), None)


def missing(shape: Any, objects: list[Any]) -> Iterator[str]:
    for name, type_ in parts(shape).items():
        values = [each[name] for each in objects if name in each]
        if not values:
            yield name
        elif (below := inner(type_)) is not None:
            yield from missing(
                below, [each for value in values for each in (value if isinstance(value, list) else [value])]
            )


class Watched(dict[str, Any]):
    """Refuses to be asked for what its shape does not name."""

    def __init__(self, shape: Any, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.allowed = parts(shape).keys()

    def get(self, key: str, default: Any = None) -> Any:
        assert key in self.allowed, key
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        assert key in self.allowed, key
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        assert key in self.allowed, key
        return super().__contains__(key)


def watched(shape: Any, values: Any) -> Any:
    if isinstance(values, list):
        return [watched(shape, each) for each in values]
    hints = parts(shape)
    below = {name: inner(hints[name]) if name in hints else None for name in values}
    return Watched(shape, {n: watched(below[n], each) if below[n] else each for n, each in values.items()})
