"""Which types and offerings a launch asks for, filter by filter (spec 7.8, points 2 and 3)."""

from __future__ import annotations

import random
from collections.abc import Iterable

from nodesmith.adapters.aws.names import NVIDIA_GPU
from nodesmith.adapters.aws.selection import MOST_TYPES, Candidate, capacity_type_for, narrowed
from nodesmith.adapters.aws.typelabels import INSTANCE_SIZE
from nodesmith.model.instancetype import InstanceType, Offering, Overhead
from nodesmith.model.labels import CAPACITY_TYPE, INSTANCE_TYPE, ON_DEMAND, RESERVED, SPOT
from nodesmith.model.money import UsdPerHour
from nodesmith.model.requirements import Requirement, Requirements

ANY = Requirements()


def wanting(*terms: str, min_values: int | None = None) -> Requirements:
    made = [Requirement(CAPACITY_TYPE, frozenset(terms))]
    if min_values is not None:
        made.append(Requirement(INSTANCE_TYPE, frozenset(), complement=True, min_values=min_values))
    return Requirements.of(made)


def offering(terms: str, price: str, zone: str = "a", **more: object) -> Offering:
    return Offering(zone=zone, capacity_type=terms, price=UsdPerHour.of(price), is_available=True, **more)  # type: ignore[arg-type]


def reserved(
    id_: str, *, kind: str = "default", interruptible: bool = False, left: int = 1, zone: str = "a"
) -> Offering:
    more = {"reservation_id": id_, "reservation_type": kind, "reservation_interruptible": interruptible}
    return offering(RESERVED, "0.00000001", zone, reservation_capacity=left, **more)


def candidate(name: str, *offerings: Offering, gpus: int = 0) -> Candidate:
    size = Requirements.of([Requirement(INSTANCE_SIZE, frozenset({name.partition(".")[2]}))])
    capacity = {"cpu": 2000, **({NVIDIA_GPU: gpus} if gpus else {})}
    return Candidate(InstanceType(name, size, capacity, Overhead(), offerings), offerings)


def names(candidates: Iterable[Candidate]) -> list[str]:
    return [each.type.name for each in candidates]


def test_at_most_sixty_types_are_asked_for_cheapest_first() -> None:
    many = [candidate(f"m{number}.large", offering(ON_DEMAND, f"0.{number:03}")) for number in range(100, 200)]
    random.Random(1).shuffle(many)
    assert names(narrowed(ANY, many)) == [f"m{number}.large" for number in range(100, 160)]
    assert MOST_TYPES == 60


def test_metal_and_accelerators_are_for_who_has_nothing_else_or_counts_types() -> None:
    plain, metal = candidate("m5.large", offering(ON_DEMAND, "0.2")), candidate("m5.metal", offering(ON_DEMAND, "0.1"))
    metal24 = candidate("c5.metal-24xl", offering(ON_DEMAND, "0.12"))
    gpu = candidate("g5.xlarge", offering(ON_DEMAND, "0.11"), gpus=1)
    assert names(narrowed(ANY, [plain, metal, metal24, gpu])) == ["m5.large"]
    assert names(narrowed(ANY, [metal, gpu])) == ["m5.metal", "g5.xlarge"]
    counted = wanting(ON_DEMAND, min_values=2)
    assert names(narrowed(counted, [plain, metal])) == ["m5.metal", "m5.large"]


def test_spot_that_is_dearer_than_the_cheapest_on_demand_is_left_out() -> None:
    cheap = candidate("m5.large", offering(SPOT, "0.04"), offering(ON_DEMAND, "0.1"))
    equal = candidate("m6.large", offering(SPOT, "0.1"), offering(ON_DEMAND, "0.15"))
    dear = candidate("m7.large", offering(SPOT, "0.11"), offering(ON_DEMAND, "0.2"))
    both = wanting(SPOT, ON_DEMAND)
    kept = {each.type.name: [o.capacity_type for o in each.offerings] for each in narrowed(both, [cheap, equal, dear])}
    assert kept == {"m5.large": [SPOT, ON_DEMAND], "m6.large": [SPOT, ON_DEMAND], "m7.large": [ON_DEMAND]}
    for requirements in (wanting(SPOT), wanting(SPOT, ON_DEMAND, min_values=3)):
        left = narrowed(requirements, [cheap, equal, dear])
        assert all(any(o.capacity_type == SPOT for o in each.offerings) for each in left)


def test_reserved_goes_before_spot_and_spot_before_on_demand() -> None:
    held, plain = candidate("m5.large", reserved("cr-1")), candidate("m6.large", offering(ON_DEMAND, "0.1"))
    spot = candidate("m7.large", offering(SPOT, "0.04"))
    everything = wanting(RESERVED, SPOT, ON_DEMAND)
    assert capacity_type_for(everything, [plain, spot, held]) == RESERVED
    assert capacity_type_for(everything, [plain, spot]) == SPOT
    assert capacity_type_for(everything, [plain]) == ON_DEMAND
    assert capacity_type_for(wanting(ON_DEMAND), [plain, spot, held]) == ON_DEMAND


def test_one_kind_of_reservation_is_asked_for_default_before_block_before_interruptible() -> None:
    default = candidate("m5.large", reserved("cr-1"))
    block = candidate("p4d.large", reserved("cr-2", kind="capacity-block"))
    interruptible = candidate("m6.large", reserved("cr-3", interruptible=True))
    wanted = wanting(RESERVED, ON_DEMAND)
    assert names(narrowed(wanted, [interruptible, block, default])) == ["m5.large"]
    assert names(narrowed(wanted, [interruptible, block])) == ["p4d.large"]
    assert names(narrowed(wanted, [interruptible])) == ["m6.large"]


def test_a_capacity_block_is_asked_for_alone() -> None:
    blocks = [candidate(f"p{number}.large", reserved(f"cr-{number}", kind="capacity-block")) for number in (5, 4)]
    assert names(narrowed(wanting(RESERVED), blocks)) == ["p4.large"]


def test_of_several_reservations_in_a_zone_the_roomiest_is_asked_for_and_nothing_else_beside() -> None:
    listed = (reserved("cr-1", left=2), reserved("cr-2", left=5), reserved("cr-3", zone="b"))
    mixed = candidate("m5.large", *listed, offering(ON_DEMAND, "0.1"))
    other = candidate("m6.large", offering(ON_DEMAND, "0.05"))
    (kept,) = narrowed(wanting(RESERVED, ON_DEMAND), [mixed, other])
    assert [each.reservation_id for each in kept.offerings] == ["cr-2", "cr-3"]
