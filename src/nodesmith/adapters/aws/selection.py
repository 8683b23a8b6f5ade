"""Which of a NodeClaim's types and offerings a launch asks for (spec 7.8, points 2 and 3). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from nodesmith.adapters.aws.names import EXOTIC_RESOURCES
from nodesmith.adapters.aws.typelabels import INSTANCE_SIZE
from nodesmith.model.instancetype import InstanceType, Offering
from nodesmith.model.labels import (
    CAPACITY_TYPE,
    INSTANCE_TYPE,
    ON_DEMAND,
    PLACEMENT_GROUP_PARTITION,
    RESERVATION_ID,
    RESERVATION_INTERRUPTIBLE,
    RESERVATION_TYPE,
    RESERVED,
    SPOT,
    ZONE,
    ZONE_ID,
)
from nodesmith.model.money import UsdPerHour
from nodesmith.model.requirements import Requirements
from nodesmith.model.resources import Resources, fits

MOST_TYPES: Final = 60
_DEAREST: Final = UsdPerHour(2**62)
_BLOCK: Final = "capacity-block"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A type that will do, with the offerings that can be had and will do."""

    type: InstanceType
    offerings: tuple[Offering, ...]

    @property
    def cheapest(self) -> UsdPerHour:
        """The lowest price; above every price where none is known."""
        return min((price_of(offering) for offering in self.offerings), default=_DEAREST)


def price_of(offering: Offering) -> UsdPerHour:
    """The price; above every price where it is not known."""
    return _DEAREST if offering.price is None else offering.price


def is_allowed(offering: Offering, requirements: Requirements) -> bool:
    """Whether the requirements allow the offering's zone, terms, reservation and partition."""
    stated = {ZONE: offering.zone, CAPACITY_TYPE: offering.capacity_type}
    if offering.zone_id:
        stated[ZONE_ID] = offering.zone_id
    if offering.partition:
        stated[PLACEMENT_GROUP_PARTITION] = offering.partition
    reserved = {
        RESERVATION_ID: offering.reservation_id,
        RESERVATION_TYPE: offering.reservation_type,
        RESERVATION_INTERRUPTIBLE: str(offering.reservation_interruptible).lower(),
    }
    if offering.is_reserved:
        stated |= reserved
    elif any(key in requirements and not requirements.get(key).is_negative for key in reserved):
        return False
    return all(key not in requirements or requirements.get(key).allows(value) for key, value in stated.items())


def candidates_for(requirements: Requirements, types: Iterable[InstanceType]) -> list[Candidate]:
    """The types that the requirements allow, with their offerings that can be had."""
    names = requirements.get(INSTANCE_TYPE)
    terms: dict[tuple[str, ...], bool] = {}
    found: list[Candidate] = []
    for each in types:
        if not names.allows(each.name) or each.requirements.intersection_conflict(requirements) is not None:
            continue
        offerings = tuple(o for o in each.offerings if o.is_available and _is_allowed(o, requirements, terms))
        if offerings:
            found.append(Candidate(each, offerings))
    return found


def holding(requests: Resources, candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates that are large enough."""
    return [each for each in candidates if fits(requests, each.type.allocatable)]


def _is_allowed(offering: Offering, requirements: Requirements, terms: dict[tuple[str, ...], bool]) -> bool:
    """`is_allowed`, asked once for each place and terms: hundreds of types share a few."""
    if offering.is_reserved:
        return is_allowed(offering, requirements)
    key = (offering.zone, offering.zone_id, offering.capacity_type, offering.partition)
    if key not in terms:
        terms[key] = is_allowed(offering, requirements)
    return terms[key]


def narrowed(requirements: Requirements, candidates: Sequence[Candidate]) -> list[Candidate]:
    """What is left to ask for: one kind of reservation, nothing exotic, no spot that is dearer than on demand.

    At most 60 types, cheapest first.
    """
    has_min_values = any(each.min_values is not None for each in requirements)
    left = list(candidates)
    if requirements.get(CAPACITY_TYPE).allows(RESERVED):
        left = _one_reservation_kind(left)
        left = _one_capacity_block(left)
        left = _one_reservation_a_zone(left)
    if not has_min_values:
        left = _without_exotic(left)
        left = _without_dear_spot(requirements, left)
    return sorted(left, key=lambda each: (each.cheapest, each.type.name))[:MOST_TYPES]


def capacity_type_for(requirements: Requirements, candidates: Iterable[Candidate]) -> str:
    """Reserved before spot before on demand, where there is an offering of it."""
    offered = {offering.capacity_type for each in candidates for offering in each.offerings}
    allowed = requirements.get(CAPACITY_TYPE)
    return next((kind for kind in (RESERVED, SPOT) if kind in offered and allowed.allows(kind)), ON_DEMAND)


def _kept(candidates: Iterable[Candidate], keep: Callable[[Candidate, Offering], bool]) -> list[Candidate]:
    """The candidates with only the offerings that are kept, without those that have none left."""
    trimmed = (Candidate(each.type, tuple(o for o in each.offerings if keep(each, o))) for each in candidates)
    return [each for each in trimmed if each.offerings]


def _kind(offering: Offering) -> int:
    """Default reservations before capacity blocks before interruptible ones."""
    if offering.reservation_type == _BLOCK:
        return 1
    return 2 if offering.reservation_interruptible else 0


def _one_reservation_kind(candidates: list[Candidate]) -> list[Candidate]:
    reserved = [(price_of(o), _kind(o)) for each in candidates for o in each.offerings if o.is_reserved]
    if not reserved:
        return candidates
    _, kind = min(reserved)
    return _kept(candidates, lambda _, o: not o.is_reserved or _kind(o) == kind)


def _one_capacity_block(candidates: list[Candidate]) -> list[Candidate]:
    """A capacity block is asked for alone: the fleet's type of capacity is the block's."""
    blocks = [
        (price_of(o), each.type.name, o.zone, o.reservation_id)
        for each in candidates
        for o in each.offerings
        if o.is_reserved and o.reservation_type == _BLOCK
    ]
    if not blocks:
        return candidates
    _, name, _, reservation = min(blocks)
    return _kept(candidates, lambda each, o: each.type.name == name and o.reservation_id == reservation)


def _one_reservation_a_zone(candidates: list[Candidate]) -> list[Candidate]:
    """A fleet takes each type and zone once, so of several reservations the roomiest is asked for."""
    roomiest: dict[tuple[str, str, str], Offering] = {}
    for each in candidates:
        for offering in each.offerings:
            if not offering.is_reserved:
                continue
            key = (each.type.name, offering.zone, offering.partition)
            present = roomiest.get(key)
            if present is None or _room(offering) > _room(present):
                roomiest[key] = offering
    if not roomiest:
        return candidates
    return _kept(candidates, lambda each, o: roomiest.get((each.type.name, o.zone, o.partition)) is o)


def _room(offering: Offering) -> tuple[int, str]:
    return (offering.reservation_capacity, offering.reservation_id)


def _is_exotic(candidate: Candidate) -> bool:
    sizes = candidate.type.requirements.get(INSTANCE_SIZE).values
    return any("metal" in size for size in sizes) or any(candidate.type.capacity.get(n) for n in EXOTIC_RESOURCES)


def _without_exotic(candidates: list[Candidate]) -> list[Candidate]:
    return [each for each in candidates if not _is_exotic(each)] or candidates


def _without_dear_spot(requirements: Requirements, candidates: list[Candidate]) -> list[Candidate]:
    """Spot that costs more than the cheapest on-demand offering is no bargain."""
    allowed = requirements.get(CAPACITY_TYPE)
    if not (allowed.allows(SPOT) and allowed.allows(ON_DEMAND)):
        return candidates
    regular = [price_of(o) for each in candidates for o in each.offerings if o.capacity_type == ON_DEMAND]
    has_spot = any(o.capacity_type == SPOT for each in candidates for o in each.offerings)
    if not regular or not has_spot:
        return candidates
    limit = min(regular)
    return _kept(candidates, lambda _, o: o.capacity_type != SPOT or price_of(o) <= limit)
