"""What a launch asks of EC2 against the peer's requests for the same claims."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import msgspec
import pytest

from nodesmith.adapters.aws.capacity import capacity_of, overhead_of, shape_of
from nodesmith.adapters.aws.catalog import TypeFacts, parse_type
from nodesmith.adapters.aws.errors import AwsAnswer, launch_failure
from nodesmith.adapters.aws.families import family_of
from nodesmith.adapters.aws.machines import Bought, machine_of
from nodesmith.adapters.aws.names import EFA
from nodesmith.adapters.aws.network import SubnetFacts
from nodesmith.adapters.aws.offerings import Market, is_compatible, offerings_of
from nodesmith.adapters.aws.planlaunch import Chosen, Frame, LaunchPlan, choose, plan_launch
from nodesmith.adapters.aws.pricebook import PriceBook
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.aws.subnets import SubnetChoice
from nodesmith.adapters.aws.tags import restricted_tag, selector_filters
from nodesmith.adapters.aws.typelabels import Place, Reservation, requirements_of
from nodesmith.adapters.aws.unavailable import Unavailable
from nodesmith.adapters.aws.userdata.bootstrap import ClusterInfo
from nodesmith.adapters.clock import RealClock
from nodesmith.api.ec2nodeclass import EC2NodeClass, decode_ec2nodeclass
from nodesmith.api.nodeclaim import decode_node_claim
from nodesmith.api.nodeclasshash import node_class_hash
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.labels import MIN_VALUES_RELAXED, ZONE_ID
from nodesmith.model.money import UsdPerHour
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.ports.errors import CapacityUnavailable
from tests.unit.adapters.aws.vectors import amounts, nonzero, vectors

WORLD = vectors("launch")
CASES = {case["case"]: case for case in WORLD["cases"]}
LAUNCHED = [case for case in WORLD["cases"] if case["createFleet"]]
SETTINGS = AwsSettings(cluster_name="test-cluster", region="us-west-2")
_INFO = WORLD["cluster"]
CLUSTER = ClusterInfo(_INFO["name"], _INFO["endpoint"], _INFO["caBundle"], _INFO["dnsIP"], _INFO["cidr"])


@cache
def facts() -> Mapping[str, TypeFacts]:
    rows = [row for row in vectors("instance_types")["types"] if row["source"] == "moto"]
    return {
        row["name"]: parse_type(row["input"]) for row in rows if row["name"].split(".")[0] in WORLD["familiesOffered"]
    }


@cache
def prices() -> PriceBook:
    """The peer's built-in list, which counts as live there; spot costs the same until the history is read."""
    listed = {row["name"]: row["usEast1Price"] for row in vectors("instance_types")["types"] if "usEast1Price" in row}
    return PriceBook(
        on_demand={name: UsdPerHour.of(price) for name, price in listed.items()}, on_demand_at=RealClock().now()
    )


def place_of(node_class: EC2NodeClass) -> Place:
    status = node_class.status
    reservations = [
        Reservation(
            each.id,
            each.instance_type,
            each.availability_zone,
            each.reservation_type,
            each.interruptible,
            each.state,
            available=10,
        )
        for each in status.capacity_reservations
    ]
    return Place("us-west-2", {each.zone: each.zone_id for each in status.subnets}, reservations)


def types_of(node_class: EC2NodeClass, place: Place) -> list[InstanceType]:
    family = family_of(node_class.ami_family)
    shape = shape_of(node_class.spec, family, memory_overhead=0.075, reserved_enis=0)
    market = Market(prices(), Unavailable(RealClock()), frozenset(place.zones))
    made = []
    for each in facts().values():
        capacity = capacity_of(each, shape)
        offerings = offerings_of(
            each, WORLD["zones"], place, market, is_compatible=is_compatible(each, node_class.spec, family.name, "")
        )
        made.append(
            InstanceType(
                each.name,
                requirements_of(each, WORLD["zones"], place, family),
                capacity,
                overhead_of(each, shape, capacity),
                offerings,
            )
        )
    return made


def read(case: Mapping[str, Any]) -> tuple[NodeClaim, EC2NodeClass]:
    given = case["input"]
    claim = given["nodeClaim"]
    metadata = {"name": claim["name"], "labels": claim["labels"], "annotations": claim["annotations"]}
    node_class = {"metadata": {"name": "default"}, "spec": given["nodeClassSpec"], "status": given["nodeClassStatus"]}
    return decode_node_claim({"metadata": metadata, "spec": claim["spec"]}), decode_ec2nodeclass(node_class)


def planned(case: Mapping[str, Any]) -> tuple[NodeClaim, EC2NodeClass, Place, Chosen, LaunchPlan]:
    return _planned(case["case"])


@cache
def _planned(name: str) -> tuple[NodeClaim, EC2NodeClass, Place, Chosen, LaunchPlan]:
    claim, node_class = read(CASES[name])
    place = place_of(node_class)
    chosen = choose(claim, types_of(node_class, place))
    subnets = SubnetChoice(RealClock())
    zones = {each.id: each for each in node_class.status.subnets}
    subnets.learn(
        SubnetFacts(name, zones[name].zone, zones[name].zone_id, free) for name, free in WORLD["freeAddresses"].items()
    )
    picked = subnets.choose(node_class.status.subnets, chosen.addresses)
    return (
        claim,
        node_class,
        place,
        chosen,
        plan_launch(claim, node_class, chosen, Frame(SETTINGS, CLUSTER, place), picked),
    )


def overrides(request: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """The overrides by template, in one order; prices as the peer's floats."""
    return sorted(
        (
            sorted(({**each, "Priority": round(each["Priority"], 12)} for each in config["Overrides"]), key=_text)
            for config in request["LaunchTemplateConfigs"]
        ),
        key=_text,
    )


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


# The peer cuts at 60 types by price and leaves ties at the cut to chance (`instanceTypes` is not fixed there).
TIED = {case["case"] for case in LAUNCHED if not case["fixed"]["instanceTypeSets"]}


@pytest.mark.parametrize("case", LAUNCHED, ids=[case["case"] for case in LAUNCHED])
def test_the_fleet_is_the_peers(case: dict[str, Any]) -> None:
    *_, plan = planned(case)
    (wanted,) = case["createFleet"]
    mine = {key: value for key, value in plan.request.items() if key != "LaunchTemplateConfigs"}
    assert mine == {key: value for key, value in wanted.items() if key != "LaunchTemplateConfigs"}
    assert case["case"] not in TIED
    assert overrides(plan.request) == overrides(wanted)


def templates_by_override(request: Mapping[str, Any], templates: Mapping[str, Any]) -> dict[str, Any]:
    """Each override's launch template: names are opaque, what they stand for is not."""
    return {
        f"{each['InstanceType']} {each['AvailabilityZone']}": templates[
            config["LaunchTemplateSpecification"]["LaunchTemplateName"]
        ]
        for config in request["LaunchTemplateConfigs"]
        for each in config["Overrides"]
    }


def comparable(data: Mapping[str, Any], *, is_encoded: bool) -> dict[str, Any]:
    text = base64.b64decode(data["UserData"]).decode() if is_encoded else data["UserData"]
    # YAML and TOML are compared by value in the user data tests; here only that every line is there.
    lines = sorted(line.strip().replace('"', "'") for line in text.splitlines())
    return {**data, "UserData": lines}


@pytest.mark.parametrize("case", LAUNCHED, ids=[case["case"] for case in LAUNCHED])
def test_each_override_is_launched_from_the_peers_template(case: dict[str, Any]) -> None:
    *_, plan = planned(case)
    mine = {each.name: comparable(each.request()["LaunchTemplateData"], is_encoded=True) for each in plan.templates}
    theirs = {
        each["LaunchTemplateName"]: comparable(each["LaunchTemplateData"], is_encoded=False)
        for each in case["createLaunchTemplate"]
    }
    (wanted,) = case["createFleet"]
    left, right = templates_by_override(plan.request, mine), templates_by_override(wanted, theirs)
    if case["case"] == "Bottlerocket with RAID0":
        for each in (*left.values(), *right.values()):
            each["UserData"] = "compared by value in the user data tests"
    assert left == right
    assert {str(each.request()["TagSpecifications"]) for each in plan.templates} == {
        str(each["TagSpecifications"]) for each in case["createLaunchTemplate"]
    }


MADE = [case for case in LAUNCHED if case.get("nodeClaimOut")]


@pytest.mark.parametrize("case", MADE, ids=[case["case"] for case in MADE])
def test_the_machine_is_the_peers(case: dict[str, Any]) -> None:
    claim, node_class, place, chosen, plan = planned(case)
    wanted = case["nodeClaimOut"]
    name = wanted["labels"]["node.kubernetes.io/instance-type"]
    override = next(each for each in plan.overrides if each.type.name == name)
    bought = Bought(
        "i-1",
        override.offering.zone,
        override.image,
        chosen.capacity_type,
        chosen.tenancy,
        override.offering.reservation_id,
        plan.partition,
        plan.has_efa,
    )
    machine = machine_of(claim, node_class, override.type, bought, place, static_hash=node_class_hash(node_class))
    zone = {ZONE_ID, "topology.kubernetes.io/zone"}
    assert {key: value for key, value in machine.labels.items() if key not in zone} == wanted["labels"]
    assert nonzero(machine.capacity) == amounts(wanted["capacity"])
    assert nonzero(machine.allocatable) == amounts(wanted["allocatable"])
    assert machine.image_id == wanted["imageID"]
    assert (
        machine.annotations["karpenter.k8s.aws/instance-profile-name"]
        == wanted["annotations"]["karpenter.k8s.aws/instance-profile-name"]
    )


def test_counts() -> None:
    assert (len(WORLD["cases"]), len(LAUNCHED), len(MADE), len(TIED)) == (25, 23, 10, 0)


def test_a_type_that_nobody_offers_is_out_of_capacity() -> None:
    claim, node_class = read(CASES["no such type"])
    with pytest.raises(CapacityUnavailable, match="all requested instance types were unavailable during launch"):
        choose(claim, types_of(node_class, place_of(node_class)))


def test_a_fleet_that_is_out_of_capacity_everywhere_says_so() -> None:
    assert CASES["every pool out of capacity"]["errorKinds"]["insufficientCapacity"]
    failure = launch_failure(
        [AwsAnswer("InsufficientInstanceCapacity", ""), AwsAnswer("InsufficientInstanceCapacity", "")]
    )
    assert isinstance(failure, CapacityUnavailable)
    assert str(failure) == "insufficient capacity, with fleet error(s), InsufficientInstanceCapacity: "


def test_a_restricted_tag_is_found() -> None:
    _, node_class = read(CASES["restricted tag"])
    assert restricted_tag(node_class.spec.tags) == "karpenter.sh/nodepool"


def test_any_value_of_a_tag_is_asked_for_by_its_key() -> None:
    assert selector_filters({"team": "*", "app": "web"}) == [
        {"Name": "tag:app", "Values": ["web"]},
        {"Name": "tag-key", "Values": ["team"]},
    ]


def test_efa_is_told_only_of_a_machine_that_was_launched_with_it() -> None:
    claim, node_class, place, chosen, plan = planned(LAUNCHED[0])
    type_ = replace(plan.overrides[0].type, capacity={**plan.overrides[0].type.capacity, EFA: 4})
    told = [
        machine_of(
            claim,
            node_class,
            type_,
            Bought("i-1", "a", "ami-1", chosen.capacity_type, has_efa=has_efa),
            place,
            static_hash="1",
        )
        for has_efa in (False, True)
    ]
    assert [each.capacity.get(EFA) for each in told] == [None, 4]


@pytest.mark.parametrize(("relaxed", "context"), [("false", "cxt-1"), ("true", None)])
def test_the_context_is_left_out_where_min_values_were_relaxed(relaxed: str, context: str | None) -> None:
    claim, node_class, place, chosen, _ = planned(LAUNCHED[0])
    with_context = replace(node_class, spec=msgspec.structs.replace(node_class.spec, context="cxt-1"))
    asked = replace(claim, meta=replace(claim.meta, annotations={MIN_VALUES_RELAXED: relaxed}))
    subnets = {each.zone: each.id for each in node_class.status.subnets}
    plan = plan_launch(asked, with_context, chosen, Frame(SETTINGS, CLUSTER, place), subnets)
    assert plan.request.get("Context") == context


@pytest.mark.parametrize("name", ["more than 60 types, spot", "two architectures"])
def test_what_is_asked_for_is_in_order_of_price(name: str) -> None:
    *_, plan = planned(CASES[name])
    prices = [
        [override["Priority"] for override in config["Overrides"]] for config in plan.request["LaunchTemplateConfigs"]
    ]
    assert len({price for each in prices for price in each}) > 1
    assert [sorted(each) for each in prices] == prices
    assert sorted(each[0] for each in prices) == [each[0] for each in prices]
