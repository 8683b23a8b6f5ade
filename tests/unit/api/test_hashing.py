"""Drift hashes against upstream's: the golden values of its tests, and pairs that were observed."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from nodesmith.api.ec2nodeclass import EC2NodeClass, decode_ec2nodeclass
from nodesmith.api.hashing import GoStruct, Int32, Pointer, hash_of, is_zero
from nodesmith.api.nodeclasshash import node_class_hash
from nodesmith.api.nodepool import node_pool_hash

DATA: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data" / "api" / "hashes.json").read_text())
GOLDEN: dict[str, Any] = {
    "role": "role-1",
    "tags": {"keyTag-1": "valueTag-1", "keyTag-2": "valueTag-2"},
    "context": "fake-context",
    "detailedMonitoring": False,
    "associatePublicIPAddress": False,
    "metadataOptions": {
        "httpEndpoint": "disabled",
        "httpProtocolIPv6": "disabled",
        "httpPutResponseHopLimit": 1,
        "httpTokens": "optional",
    },
    "blockDeviceMappings": [
        {
            "deviceName": "map-device-1",
            "ebs": {
                "deleteOnTermination": False,
                "encrypted": False,
                "iops": 0,
                "kmsKeyID": "fakeKMSKeyID",
                "snapshotID": "fakeSnapshot",
                "throughput": 0,
                "volumeSize": "2G",
                "volumeType": "standard",
            },
        },
        {"deviceName": "map-device-2"},
    ],
    "userData": "userdata-test-1",
}


def node_class(**changes: Any) -> EC2NodeClass:
    return decode_ec2nodeclass({"metadata": {"name": "x"}, "spec": GOLDEN | changes})


def resized(size: str) -> list[Any]:
    mappings = deepcopy(GOLDEN["blockDeviceMappings"])
    mappings[0]["ebs"]["volumeSize"] = size
    return mappings  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "2608468723537941485"),
        ({"blockDeviceMappings": GOLDEN["blockDeviceMappings"][::-1]}, "2608468723537941485"),
        ({"subnetSelectorTerms": [{"id": "subnet-1"}], "ipPrefixCount": 3}, "2608468723537941485"),
        ({"userData": "userdata-test-2"}, "2153344579995979450"),
        ({"context": "context-2"}, "11612053647989098410"),
        ({"detailedMonitoring": True}, "11845605438531206428"),
        ({"associatePublicIPAddress": True}, "6811176403923819181"),
        ({"instanceStorePolicy": "RAID0"}, "6430637013089544585"),
        ({"blockDeviceMappings": resized("10G")}, "3564293065344858862"),
        ({"role": "", "instanceProfile": "test-instance-profile"}, "3585768058063247698"),
        ({"connectionTracking": {"tcpEstablishedTimeout": 300}}, "12177489405137904098"),
        ({"connectionTracking": {"udpStreamTimeout": 120}}, "17567831983996427"),
        ({"connectionTracking": {"udpTimeout": 45}}, "5078825826133662844"),
        ({"cpuOptions": {"nestedVirtualization": "enabled"}}, "17001101224536964682"),
    ],
)
def test_the_golden_values_of_an_ec2nodeclass(changes: dict[str, Any], expected: str) -> None:
    assert node_class_hash(node_class(**changes), ca_bundle="test-ca-bundle") == expected


# Version v5 hashes the kubelet's settings as a struct: lists as sets, and an empty one is something.
OTHERWISE_IN_V5 = {"kubelet list order", "kubelet empty against absent"}


@pytest.mark.parametrize("pair", DATA["nodeClass"]["pairs"], ids=lambda pair: pair["case"])
def test_pairs_of_ec2nodeclasses(pair: dict[str, Any]) -> None:
    found = []
    for side, expected in (("a", "hashA"), ("b", "hashB")):
        spec = DATA["nodeClassBase"] | pair[side]
        each = decode_ec2nodeclass({"metadata": {"name": "x"}, "spec": spec})
        assert node_class_hash(each, version=DATA["nodeClass"]["version"]) == pair[expected]
        found.append(node_class_hash(each))
    assert (found[0] == found[1]) is (pair["equal"] != (pair["case"] in OTHERWISE_IN_V5))


def test_all_20_pairs_of_ec2nodeclasses_are_compared() -> None:
    assert len(DATA["nodeClass"]["pairs"]) == 20


def test_the_kubelet_s_settings_count_but_their_order_does_not() -> None:
    one = node_class(kubelet={"maxPods": 1, "evictionSoftGracePeriod": {"memory.available": "1m"}})
    two = node_class(kubelet={"evictionSoftGracePeriod": {"memory.available": "60s"}, "maxPods": 1})
    assert node_class_hash(one) == node_class_hash(two) != node_class_hash(node_class())


@pytest.mark.parametrize("pair", DATA["nodePool"]["pairs"], ids=lambda pair: pair["case"])
def test_pairs_of_nodepools(pair: dict[str, Any]) -> None:
    for side, expected in (("a", "hashA"), ("b", "hashB")):
        merged = merge(DATA["nodePoolBase"], pair[side])
        assert node_pool_hash(merged["template"]) == pair[expected]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ({}, "6821555240594823858"),
        ({"spec": {"expireAfter": "Never"}}, "17369979337536258260"),
        ({"metadata": {"labels": {"billing-team": "my-team"}}}, "12959609769844967562"),
    ],
)
def test_vectors_of_a_nodepool(template: dict[str, Any], expected: str) -> None:
    assert node_pool_hash(template) == expected


def merge(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    merged = deepcopy(base)
    for key, value in more.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if nested else value
    return merged


def test_what_go_calls_zero() -> None:
    zero: list[object] = [None, "", 0, False, GoStruct("X", (("A", None),))]
    not_zero: list[object] = [Pointer(to=False), Pointer(""), {}, [], GoStruct("X", (("A", 1),))]
    assert all(map(is_zero, zero))
    assert not any(map(is_zero, not_zero))
    assert hash_of("us-west-2default") == 4067990795380418201
    assert hash_of(Int32(1)) != hash_of(1)
