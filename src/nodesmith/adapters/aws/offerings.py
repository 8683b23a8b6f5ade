"""The ways to buy a type: zone by zone, spot, on demand, reserved; the price, and whether it is to be had (7.6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nodesmith.adapters.aws.catalog import TypeFacts
from nodesmith.adapters.aws.pricebook import PriceBook
from nodesmith.adapters.aws.typelabels import Place, Reservation
from nodesmith.adapters.aws.unavailable import Unavailable
from nodesmith.api.ec2nodeclass import EC2NodeClassSpec, Subnet
from nodesmith.model.instancetype import Offering
from nodesmith.model.labels import ON_DEMAND, RESERVED
from nodesmith.model.money import FREE, UsdPerHour

_RESERVED_DISCOUNT = 10_000_000


@dataclass(frozen=True, slots=True)
class Market:
    """What offerings are judged by: prices, refusals, and the zones that can be launched into."""

    prices: PriceBook
    unavailable: Unavailable
    open_zones: frozenset[str] = frozenset()


def offerings_of(
    facts: TypeFacts, offered_in: Iterable[str], place: Place, market: Market, *, is_compatible: bool
) -> tuple[Offering, ...]:
    """All offerings of the type, those that cannot be had included."""
    partitions = (place.placement_group.numbers if place.placement_group else ()) or ("",)
    plain = tuple(
        _plain_offering(facts, zone, capacity_type, place, market, partition=partition, is_compatible=is_compatible)
        for zone in sorted(offered_in)
        for capacity_type in sorted(facts.capacity_types)
        for partition in partitions
    )
    reservations = [each for each in place.reservations if each.instance_type == facts.name]
    if not reservations:
        return plain
    return plain + tuple(
        _reserved(each, place, market, partition=partition, is_compatible=is_compatible)
        for each in reservations
        for partition in partitions
    )


def _plain_offering(
    facts: TypeFacts,
    zone: str,
    capacity_type: str,
    place: Place,
    market: Market,
    *,
    partition: str,
    is_compatible: bool,
) -> Offering:
    quote = market.prices.quote(facts.name, zone, capacity_type)
    group = place.placement_group.id if place.placement_group else ""
    is_available = (
        is_compatible
        and quote is not None
        and zone in market.open_zones
        and market.unavailable.has_offering(
            instance_type=facts.name, zone=zone, capacity_type=capacity_type, group=group, partition=partition
        )
    )
    return Offering(
        zone=zone,
        capacity_type=capacity_type,
        price=None if quote is None else quote.price,
        is_available=is_available,
        zone_id=place.zones.get(zone, ""),
        is_estimate=quote is not None and quote.is_estimate,
        partition=partition,
    )


def _reserved(
    reservation: Reservation, place: Place, market: Market, *, partition: str, is_compatible: bool
) -> Offering:
    """A reservation is paid for already: its price is next to nothing, but keeps the order of on-demand prices."""
    quote = market.prices.quote(reservation.instance_type, reservation.zone, ON_DEMAND)
    return Offering(
        zone=reservation.zone,
        capacity_type=RESERVED,
        price=FREE if quote is None else UsdPerHour(quote.price.picos // _RESERVED_DISCOUNT),
        is_available=(
            is_compatible
            and reservation.available > 0
            and reservation.state != "expiring"
            and reservation.zone in market.open_zones
        ),
        zone_id=place.zones.get(reservation.zone, ""),
        reservation_id=reservation.id,
        reservation_type=reservation.type,
        reservation_interruptible=reservation.interruptible,
        reservation_capacity=reservation.available,
        is_estimate=quote is not None and quote.is_estimate,
        partition=partition,
    )


def open_zones(
    zones: Mapping[str, str], subnets: Iterable[Subnet], unavailable: Unavailable, shifted: frozenset[str]
) -> frozenset[str]:
    """Of the zones (name to id), those with a subnet that has addresses, and that traffic was not moved away from."""
    reachable = {subnet.zone for subnet in subnets if unavailable.has_addresses(subnet.id)}
    return frozenset(zone for zone, zone_id in zones.items() if zone in reachable and zone_id not in shifted)


def is_compatible(facts: TypeFacts, spec: EC2NodeClassSpec, family: str, strategy: str) -> bool:
    """Whether nodes of the NodeClass can run on the type; `strategy` is its placement group's, or empty (7.3)."""
    nested = spec.cpu_options.nested_virtualization if spec.cpu_options else None
    return not (
        (facts.family == "a1" and family == "AL2023")
        or (nested == "enabled" and "nested-virtualization" not in facts.features)
        or (strategy and strategy not in facts.placement_strategies)
        or (spec.connection_tracking is not None and facts.hypervisor != "nitro")
        or not _has_interfaces(facts, spec)
    )


def _has_interfaces(facts: TypeFacts, spec: EC2NodeClassSpec) -> bool:
    if not spec.network_interfaces:
        return True
    cards = dict(facts.card_interfaces)
    by_card: dict[int, int] = {}
    for each in spec.network_interfaces:
        by_card[each.network_card_index] = by_card.get(each.network_card_index, 0) + 1
    efas = sum(each.interface_type == "efa-only" for each in spec.network_interfaces)
    return efas <= facts.max_efas and all(count <= cards.get(card, 0) for card, count in by_card.items())
