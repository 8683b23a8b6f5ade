"""A claim is compared in the hash version that it was launched with, and with what its class stands for now."""

from __future__ import annotations

import pytest

from nodesmith.adapters.aws.drift import SpecHashes, instance_drift, static_drift
from nodesmith.adapters.aws.instances import Instance, parse_instance
from nodesmith.adapters.aws.typelabels import Place, PlacementGroup
from nodesmith.api.ec2nodeclass import EC2NodeClass, decode_ec2nodeclass
from nodesmith.api.nodeclasshash import VERSIONS, node_class_hash
from nodesmith.model.labels import (
    CAPACITY_TYPE,
    NODECLASS_HASH,
    NODECLASS_HASH_VERSION,
    PLACEMENT_GROUP_ID,
    RESERVATION_ID,
    RESERVED,
)
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
    only_version = NodeClaim(ObjectMeta("a", annotations={NODECLASS_HASH_VERSION: VERSIONS[0]}))
    assert static_drift(only_version, node_class(11), CA) is None


def test_a_hash_is_worked_out_once_for_a_node_class_as_it_is() -> None:
    hashes, before, after = SpecHashes(), node_class(10), node_class(11)
    assert hashes.of(before, CA, "v5") is hashes.of(before, CA, "v5")
    assert hashes.of(after, CA, "v5") != hashes.of(before, CA, "v5")
    assert hashes.of(before, "bmV3", "v5") != hashes.of(before, CA, "v5")
    assert static_drift(launched("v5"), after, CA, hashes) == "NodeClassDrift"


STATUS = {
    "subnets": [{"id": "subnet-1", "zone": "a"}],
    "securityGroups": [{"id": "sg-1"}, {"id": "sg-2"}],
    "capacityReservations": [{"id": "cr-1", "instanceType": "m5.large", "availabilityZone": "a"}],
}
RESOLVED = decode_ec2nodeclass({"metadata": {"name": "default"}, "spec": {"role": "r"}, "status": STATUS})
GROUP = Place("r", placement_group=PlacementGroup("pg-1", "cluster"))


def instance(groups: tuple[str, ...] = ("sg-1", "sg-2"), subnet: str = "subnet-1", reservation: str = "") -> Instance:
    listed = [{"GroupId": each} for each in groups]
    return parse_instance(
        {"InstanceId": "i-1", "SubnetId": subnet, "SecurityGroups": listed, "CapacityReservationId": reservation}
    )


def labelled(**labels: str) -> NodeClaim:
    keys = {"terms": CAPACITY_TYPE, "reservation": RESERVATION_ID, "group": PLACEMENT_GROUP_ID}
    return NodeClaim(ObjectMeta("a", labels={keys[name]: value for name, value in labels.items()}))


@pytest.mark.parametrize(
    ("claim", "found", "place", "wanted"),
    [
        (labelled(), instance(), Place("r"), None),
        (labelled(), instance(groups=("sg-1",)), Place("r"), "SecurityGroupDrift"),
        (labelled(), instance(groups=("sg-1", "sg-2", "sg-3")), Place("r"), "SecurityGroupDrift"),
        (labelled(), instance(subnet="subnet-2"), Place("r"), "SubnetDrift"),
        (labelled(terms=RESERVED, reservation="cr-1"), instance(reservation="cr-1"), Place("r"), None),
        (
            labelled(terms=RESERVED, reservation="cr-2"),
            instance(reservation="cr-2"),
            Place("r"),
            "CapacityReservationDrift",
        ),
        (labelled(terms="on-demand"), instance(reservation="cr-2"), Place("r"), None),
        (labelled(group="pg-1"), instance(), GROUP, None),
        (labelled(group="pg-1"), instance(), Place("r"), "PlacementGroupDrift"),
        (labelled(), instance(), GROUP, "PlacementGroupDrift"),
        # In upstream's order: the first that holds is told.
        (labelled(), instance(groups=(), subnet="subnet-2"), GROUP, "SecurityGroupDrift"),
    ],
)
def test_what_is_not_the_classs_any_more_is_told(
    claim: NodeClaim, found: Instance, place: Place, wanted: str | None
) -> None:
    assert instance_drift(claim, RESOLVED, found, place) == wanted
