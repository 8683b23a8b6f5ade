"""What instance types cost under a claim's requirements, each worked out once for all simulations of a decision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nodesmith.model.instancetype import InstanceType, Offering
from nodesmith.model.labels import CAPACITY_TYPE, ON_DEMAND, RESERVATION_ID, RESERVED, SPOT, ZONE, ZONE_ID
from nodesmith.model.money import FREE, UsdPerHour
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.plan.schedule import Purchase

_OFFERING_KEYS: Final = (ZONE, ZONE_ID, CAPACITY_TYPE, RESERVATION_ID)
_CLASSES: Final = (RESERVED, SPOT, ON_DEMAND)
"""Capacity types in the order in which a launch takes them."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What a type costs under some requirements: at its cheapest offering, and at the worst that a launch can do."""

    cheapest: Purchase
    worst: UsdPerHour


class PriceList:
    """Quotes of instance types, each worked out once for each set of requirements that offerings have a say in."""

    def __init__(self) -> None:
        self._quotes: dict[tuple[Requirement, ...], dict[int, Quote | None]] = {}
        self._seen: dict[int, InstanceType] = {}

    def quotes(self, types: Iterable[InstanceType], requirements: Requirements) -> list[tuple[InstanceType, Quote]]:
        """The types that can be bought at all, with their quotes."""
        key = tuple(requirements.get(name) for name in _OFFERING_KEYS)
        known = self._quotes.setdefault(key, {})
        found: list[tuple[InstanceType, Quote]] = []
        for each in types:
            if id(each) not in known:
                self._seen[id(each)] = each
                known[id(each)] = _quote(each, requirements)
            quote = known[id(each)]
            if quote is not None:
                found.append((each, quote))
        return found

    def cheapest(self, types: Iterable[InstanceType], requirements: Requirements) -> Purchase | None:
        """The cheapest offering of any of the types that the requirements allow."""
        purchases = [quote.cheapest for _, quote in self.quotes(types, requirements)]
        return min(purchases, key=_by_price, default=None)


def offerings_allowed(instance_type: InstanceType, requirements: Requirements) -> list[Offering]:
    """The type's available offerings with a known price that the requirements allow."""
    zone, zone_id, capacity_type, reservation = (requirements.get(name) for name in _OFFERING_KEYS)
    return [
        each
        for each in instance_type.offerings
        if each.is_available
        and each.price is not None
        and zone.allows(each.zone)
        and capacity_type.allows(each.capacity_type)
        and (not each.zone_id or zone_id.allows(each.zone_id))
        and (not each.reservation_id or reservation.allows(each.reservation_id))
    ]


def worst_launch_price(offerings: Iterable[Offering]) -> UsdPerHour | None:
    """The most that a launch among these offerings can cost: the dearest of the first capacity type that has any."""
    by_class: dict[str, UsdPerHour] = {}
    for each in offerings:
        if each.price is not None:
            by_class[each.capacity_type] = max(by_class.get(each.capacity_type, FREE), each.price)
    return next((by_class[name] for name in _CLASSES if name in by_class), None)


def _quote(instance_type: InstanceType, requirements: Requirements) -> Quote | None:
    offerings = offerings_allowed(instance_type, requirements)
    worst = worst_launch_price(offerings)
    if worst is None:
        return None
    purchases = [Purchase(instance_type.name, each.zone, each.capacity_type, each.price) for each in offerings]
    return Quote(min(purchases, key=_by_price), worst)


def _by_price(purchase: Purchase) -> tuple[int, str, str, str]:
    picos = purchase.price.picos if purchase.price is not None else 0
    return picos, purchase.instance_type, purchase.zone, purchase.capacity_type
