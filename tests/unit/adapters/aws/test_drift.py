"""A claim is compared in the hash version that it was launched with."""

from __future__ import annotations

import pytest

from nodesmith.adapters.aws.drift import SpecHashes, static_drift
from nodesmith.api.ec2nodeclass import EC2NodeClass, decode_ec2nodeclass
from nodesmith.api.nodeclasshash import VERSIONS, node_class_hash
from nodesmith.model.labels import NODECLASS_HASH, NODECLASS_HASH_VERSION
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.nodeclaim import NodeClaim

CA = "Y2E="


def node_class(pods: int) -> EC2NodeClass:
    return decode_ec2nodeclass({"metadata": {"name": "default"}, "spec": {"role": "r", "kubelet": {"maxPods": pods}}})


def launched(version: str) -> NodeClaim:
    made = node_class_hash(node_class(10), ca_bundle=CA, version=version if version in VERSIONS else VERSIONS[0])
    return NodeClaim(ObjectMeta("a", annotations={NODECLASS_HASH: made, NODECLASS_HASH_VERSION: version}))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_change_is_seen_in_either_version(version: str) -> None:
    assert static_drift(launched(version), node_class(10), CA) is None
    assert static_drift(launched(version), node_class(11), CA) == "NodeClassDrift"
    assert static_drift(launched(version), node_class(10), "bmV3") == "NodeClassDrift"


def test_a_version_that_nobody_knows_any_more_says_nothing() -> None:
    assert static_drift(launched("v4"), node_class(11), CA) is None


def test_a_claim_without_a_hash_has_not_drifted() -> None:
    assert static_drift(NodeClaim(ObjectMeta("a")), node_class(11), CA) is None


def test_a_hash_is_worked_out_once_for_a_node_class_as_it_is() -> None:
    hashes, before, after = SpecHashes(), node_class(10), node_class(11)
    assert hashes.of(before, CA, "v5") is hashes.of(before, CA, "v5")
    assert hashes.of(after, CA, "v5") != hashes.of(before, CA, "v5")
    assert hashes.of(before, "bmV3", "v5") != hashes.of(before, CA, "v5")
    assert static_drift(launched("v5"), after, CA, hashes) == "NodeClassDrift"
