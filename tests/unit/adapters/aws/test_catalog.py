"""Labels, capacity, overhead and allocatable of every known type against what the peer computes."""

from __future__ import annotations

from typing import Any

import pytest

from nodesmith.adapters.aws.capacity import NodeShape, capacity_of, overhead_of
from nodesmith.adapters.aws.catalog import TYPE_FILTERS, TypeFacts, parse_offerings, parse_type
from nodesmith.adapters.aws.families import AL2023
from nodesmith.adapters.aws.kubelet import node_shape, settled
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.aws.typelabels import Place, requirements_of
from nodesmith.api.ec2nodeclass import KubeletConfiguration, decode_ec2nodeclass
from nodesmith.model.instancetype import InstanceType
from tests.unit.adapters.aws.vectors import amounts, nonzero, vectors

ZONES = {"ap-northeast-2a": "apne2-az1", "ap-northeast-2b": "apne2-az2", "ap-northeast-2c": "apne2-az3"}
PLACE = Place("ap-northeast-2", ZONES)
PLAIN = NodeShape(AL2023, KubeletConfiguration(), ())


def built(facts: TypeFacts, shape: NodeShape) -> InstanceType:
    capacity = capacity_of(facts, shape)
    requirements = requirements_of(facts, ZONES, PLACE, shape.family)
    return InstanceType(facts.name, requirements, capacity, overhead_of(facts, shape, capacity), ())


def differences(made: InstanceType, wanted: dict[str, Any]) -> list[str]:
    found: list[str] = []
    labels = {key: sorted(each.values) or None for key, each in made.requirements.by_key.items()}
    expected = {key: sorted(values) if values else None for key, values in wanted["requirements"].items()}
    found += [
        f"{key}: {labels.get(key)} is not {expected.get(key)}"
        for key in labels.keys() | expected.keys()
        if labels.get(key) != expected.get(key)
    ]
    pairs = [
        ("capacity", made.capacity, wanted["capacity"]),
        ("allocatable", made.allocatable, wanted["allocatable"]),
        ("kubeReserved", made.overhead.kube_reserved, wanted["overhead"]["kubeReserved"]),
        ("systemReserved", made.overhead.system_reserved, wanted["overhead"]["systemReserved"]),
        ("evictionThreshold", made.overhead.eviction_threshold, wanted["overhead"]["evictionThreshold"]),
    ]
    found += [
        f"{name}: {nonzero(mine)} is not {amounts(theirs)}"
        for name, mine, theirs in pairs
        if nonzero(mine) != amounts(theirs)
    ]
    return [f"{made.name}: {each}" for each in found]


def test_every_type_has_the_labels_and_amounts_that_the_peer_gives_it() -> None:
    rows = vectors("instance_types")["types"]
    listed = [row for row in rows if row["listed"]]
    assert (len(rows), len(listed)) == (1412, 1403)
    wrong = [line for row in listed for line in differences(built(parse_type(row["input"]), PLAIN), row)]
    assert wrong == []


def test_types_that_the_peer_does_not_list_are_not_asked_for() -> None:
    (asked,) = [each["Values"] for each in TYPE_FILTERS if each["Name"] == "processor-info.supported-architecture"]
    rows = vectors("instance_types")["types"]
    architectures = {
        row["name"]: set(row["input"]["ProcessorInfo"]["SupportedArchitectures"]) & set(asked) for row in rows
    }
    assert {name for name, known in architectures.items() if not known} == {
        row["name"] for row in rows if not row["listed"]
    }


VARIANTS = vectors("instance_types_variants")["cases"]


@pytest.mark.parametrize("case", VARIANTS, ids=[case["variant"] for case in VARIANTS])
def test_kubelet_disks_and_family_change_a_type_as_at_the_peer(case: dict[str, Any]) -> None:
    node_class = decode_ec2nodeclass({"spec": case["nodeClassSpec"]})
    settings = AwsSettings(
        "c",
        "ap-northeast-2",
        vm_memory_overhead_percent=case["options"]["vmMemoryOverheadPercent"],
        reserved_enis=case["options"]["reservedENIs"],
        is_cel_enabled=case["options"].get("awsFeatureGates") == "NodeClassCEL=true",
    )
    shape = node_shape(node_class, settings)
    inputs = vectors("instance_types_variants")["inputs"]
    assert len(case["results"]) == 12
    wrong = [
        line
        for name, wanted in case["results"].items()
        for line in differences(built(parse_type(inputs[name]), settled(shape, parse_type(inputs[name]))), wanted)
    ]
    assert wrong == []


def test_all_of_47_variants_are_compared() -> None:
    assert len(VARIANTS) == 47
    assert [case["variant"] for case in VARIANTS if "awsFeatureGates" in case["options"]] == ["celMaxPods gate on"]


def test_offerings_are_zones_by_type() -> None:
    raw = [{"InstanceType": "m5.large", "Location": "a"}, {"InstanceType": "m5.large", "Location": "b"}]
    assert parse_offerings(raw) == {"m5.large": frozenset({"a", "b"})}


def test_memory_learnt_from_a_node_replaces_the_estimate() -> None:
    row = next(row for row in vectors("instance_types")["types"] if row["name"] == "m5.large")
    facts = parse_type(row["input"])
    assert capacity_of(facts, PLAIN, learnt_memory=7_000_000_000)["memory"] == 7_000_000_000
