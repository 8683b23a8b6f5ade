"""Which types nodes of a NodeClass can run on, and which of their offerings are to be had."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nodesmith.adapters.aws.catalog import TypeFacts, parse_type
from nodesmith.adapters.aws.offerings import Market, is_compatible, offerings_of, open_zones
from nodesmith.adapters.aws.pricebook import PriceBook
from nodesmith.adapters.aws.typelabels import Place, PlacementGroup, Reservation
from nodesmith.adapters.aws.unavailable import Unavailable
from nodesmith.adapters.clock import RealClock
from nodesmith.api.ec2nodeclass import Subnet, decode_ec2nodeclass
from nodesmith.model.labels import ON_DEMAND, RESERVED, SPOT
from nodesmith.model.meta import EPOCH
from nodesmith.model.money import UsdPerHour
from tests.unit.adapters.aws.vectors import vectors

TRACKED = {"connectionTracking": {"udpTimeout": 45}}
NESTED = {"cpuOptions": {"nestedVirtualization": "enabled"}}
PLACE = Place("r", {"a": "az1", "b": "az2"})


def facts(name: str) -> TypeFacts:
    return next(
        parse_type(row["input"])
        for row in vectors("instance_types")["types"]
        if row["source"] == "moto" and row["name"] == name
    )


def cards(*pairs: tuple[int, str]) -> dict[str, Any]:
    listed = [
        {"networkCardIndex": card, "deviceIndex": number, "interfaceType": kind}
        for number, (card, kind) in enumerate(pairs)
    ]
    return {"networkInterfaces": listed}


@pytest.mark.parametrize(
    ("name", "spec", "family", "strategy", "wanted"),
    [
        ("m5.large", {}, "AL2023", "", True),
        ("a1.large", {}, "AL2023", "", False),
        ("a1.large", {}, "Bottlerocket", "", True),
        ("m8i.large", NESTED, "AL2023", "", True),
        ("m5.large", NESTED, "AL2023", "", False),
        ("m5.large", {"cpuOptions": {"nestedVirtualization": "disabled"}}, "AL2023", "", True),
        ("m5.large", TRACKED, "AL2023", "", True),
        ("m5.metal", TRACKED, "AL2023", "", False),
        ("t2.micro", TRACKED, "AL2023", "", False),
        ("m5.large", {}, "AL2023", "spread", True),
        ("m5.large", {}, "AL2023", "partition", False),
        ("m5.large", cards((0, "interface")), "AL2023", "", True),
        ("m5.large", cards((0, "interface"), (1, "interface")), "AL2023", "", False),
        ("m5.large", cards((0, "interface"), (0, "efa-only")), "AL2023", "", False),
        ("p4d.24xlarge", cards((0, "interface"), (0, "efa-only"), (1, "efa-only")), "AL2023", "", True),
        ("p5.48xlarge", cards((0, "interface"), (0, "efa-only"), (0, "interface")), "AL2023", "", False),
    ],
)
def test_a_type_that_a_class_cannot_run_on_is_not_to_be_had(
    name: str,
    spec: dict[str, Any],
    family: str,
    strategy: str,
    wanted: bool,  # noqa: FBT001 - a table's cell
) -> None:
    known = replace(facts(name), placement_strategies=frozenset({"spread"}))
    assert is_compatible(known, decode_ec2nodeclass({"spec": spec}).spec, family, strategy) is wanted


def market(unavailable: Unavailable | None = None, zones: tuple[str, ...] = ("a", "b"), **prices: float) -> Market:
    book = PriceBook(
        on_demand={"m5.large": UsdPerHour.of("0.1")}, on_demand_at=EPOCH, spot_at=EPOCH, spot={
            ("m5.large", zone): UsdPerHour.of(str(price)) for zone, price in prices.items()
        }
    )  # fmt: skip
    return Market(book, unavailable or Unavailable(RealClock()), frozenset(zones))


def to_be_had(market: Market, place: Place = PLACE, *, fits: bool = True) -> set[tuple[str, str]]:
    found = offerings_of(facts("m5.large"), ("a", "b"), place, market, is_compatible=fits)
    return {(each.zone, each.capacity_type) for each in found if each.is_available}


def test_an_offering_is_to_be_had_where_it_is_priced_open_compatible_and_not_refused() -> None:
    everywhere = {("a", ON_DEMAND), ("b", ON_DEMAND), ("a", SPOT)}
    assert to_be_had(market(a=0.04)) == everywhere, "spot has a price in one zone"
    assert to_be_had(market(a=0.04, zones=("b",))) == {("b", ON_DEMAND)}
    assert to_be_had(market(a=0.04), fits=False) == set()
    refused = Unavailable(RealClock())
    refused.mark(instance_type="m5.large", zone="a", capacity_type=ON_DEMAND)
    refused.mark(instance_type="m5.xlarge", zone="a", capacity_type=SPOT)
    assert to_be_had(market(refused, a=0.04)) == everywhere - {("a", ON_DEMAND)}
    refused.mark_capacity_type(SPOT)
    assert to_be_had(market(refused, a=0.04)) == {("b", ON_DEMAND)}


def test_a_refusal_in_a_partition_is_of_that_partition() -> None:
    group = replace(PLACE, placement_group=PlacementGroup("pg-1", "partition", 2))
    refused = Unavailable(RealClock())
    refused.mark(instance_type="m5.large", zone="a", capacity_type=ON_DEMAND, group="pg-1", partition="1")
    found = offerings_of(facts("m5.large"), ("a",), group, market(refused), is_compatible=True)
    left = {each.partition: each.is_available for each in found if each.capacity_type == ON_DEMAND}
    assert left == {"1": False, "2": True}
    assert ("a", ON_DEMAND) in to_be_had(market(refused))


@pytest.mark.parametrize(
    ("change", "is_available"),
    [({}, True), ({"available": 0}, False), ({"state": "expiring"}, False), ({"zone": "c"}, False)],
)
def test_a_reservation_is_next_to_free_as_far_as_it_goes(
    change: dict[str, Any],
    is_available: bool,  # noqa: FBT001 - a table's cell
) -> None:
    reservation = replace(Reservation("cr-1", "m5.large", "a", available=2), **change)
    place = replace(PLACE, reservations=(reservation,))
    found = offerings_of(facts("m5.large"), ("a", "b"), place, market(), is_compatible=True)
    (offering,) = [each for each in found if each.capacity_type == RESERVED]
    assert offering.is_available is is_available
    assert offering.price == UsdPerHour.of("0.00000001")
    assert offering.reservation_capacity == reservation.available


def test_a_zone_is_open_with_a_subnet_that_has_addresses_and_no_shift() -> None:
    subnets = [Subnet(id="s-1", zone="a", zone_id="az1"), Subnet(id="s-2", zone="a", zone_id="az1")]
    subnets.append(Subnet(id="s-3", zone="b", zone_id="az2"))
    full = Unavailable(RealClock())
    assert open_zones(PLACE.zones, subnets, full, frozenset()) == {"a", "b"}
    full.mark_subnet("s-1")
    assert open_zones(PLACE.zones, subnets, full, frozenset()) == {"a", "b"}, "the zone has another"
    full.mark_subnet("s-2")
    assert open_zones(PLACE.zones, subnets, full, frozenset()) == {"b"}
    assert open_zones(PLACE.zones, subnets, full, frozenset({"az2"})) == set()
