"""From bins to NodeClaims: everything a planned machine may turn out to be, and the cheapest of it.

A bin was planned as one definite offer. Its claim says no more than its pods need: every type that holds them, at any
offering that their requirements admit and on which no rule between pods would be counted otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from nodesmith.decide.schedule.machines import Template
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.problem import MinValuesPolicy
from nodesmith.decide.schedule.universe import Amounts, Flags, holds
from nodesmith.model.labels import CAPACITY_TYPE, RESERVATION_ID, RESERVED, ZONE
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.resources import greatest, total
from nodesmith.plan.schedule import PlannedClaim, Purchase

MOST_TYPES: Final = 60
"""Instance types a claim lists; EC2 Fleet is asked for no more (spec 7.8)."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a bin may turn out to be: its requirements, and the offerings that they and its contents admit."""

    template: Template
    requirements: Requirements
    offerings: Flags


class Claims:
    """Makes the claims of one packing."""

    def __init__(self, packing: Packing) -> None:
        self._packing = packing
        self._world = packing.world
        self._stated: dict[tuple[int, frozenset[int], tuple[tuple[str, int], ...]], tuple[Requirements, Flags]] = {}

    def claim(self, bin_: int, pods: Iterable[str]) -> PlannedClaim:
        """The claim of a bin."""
        reach = self.reach(bin_)
        universe = self._world.universe
        offers = universe.by_price[reach.offerings[universe.by_price]]
        requirements = reach.requirements
        planned = universe.offerings[int(self._packing.offer[bin_]) % len(universe)]
        if planned.is_reserved:
            offers, requirements = self._draw_on(planned.reservation_id, reach.template, offers, requirements)
        elif self._world.is_reserved[offers].any():
            offers, requirements = self._leave_reservations(offers, requirements)
        cheapest = universe.offerings[int(offers[0])]
        kinds = universe.type_of[offers]
        _, first = np.unique(kinds, return_index=True)
        ordered = kinds[np.sort(first)]
        listed, relaxed = self._listed(reach.template, requirements, ordered.tolist())
        price = cheapest.price
        return PlannedClaim(
            pool_name=reach.template.pool.name,
            requirements=relaxed or requirements,
            instance_types=tuple(universe.types[kind].name for kind in listed),
            requests=self._requests(bin_, reach.template, listed),
            pods=tuple(sorted(pods)),
            cheapest=Purchase(universe.types[int(kinds[0])].name, cheapest.zone, cheapest.capacity_type, price),
            is_min_values_relaxed=relaxed is not None,
            has_price_overlay=bool(universe.is_overlaid[offers].any()),
            has_capacity_overlay=any(universe.types[kind].is_overlaid for kind in listed),
        )

    def reach(self, bin_: int) -> Reach:
        """Everything that the bin may turn out to be without a pod of it noticing, and that holds its pods."""
        reach = self.admitted(bin_)
        fits = holds(reach.template.room, self._packing.used(bin_))[self._world.universe.type_of]
        return Reach(reach.template, reach.requirements, reach.offerings & fits)

    def admitted(self, bin_: int) -> Reach:
        """As `reach`, whether the pods fit or not."""
        world, packing = self._world, self._packing
        offer = int(packing.offer[bin_])
        index, offering = divmod(offer, len(world.universe))
        template = world.templates[index]
        stances = [world.classes[class_index].stances[level] for class_index, level in packing.contents[bin_]]
        alternatives = {id(each): each for each in (world.alternative_for(one, template, offering) for one in stances)}
        pins = tuple((key, packing.code(key, bin_)) for key in packing.keys_that_matter(bin_))
        key = (index, frozenset(alternatives), pins)
        stated = self._stated.get(key)
        if stated is None:
            stated = self._stated[key] = self._state(template, alternatives.values(), pins)
        requirements, offerings = stated
        limited = self._within_limits(template, offering)
        offerings = offerings if limited is None else offerings & limited
        for alike in (self._free_ports(bin_, template), self._counted_alike(bin_, index, offer)):
            if alike is None:
                continue
            if self._splits_types(offerings, alike):
                # One type will do here and not there: only the place can tell, so the claim has to name it.
                planned = world.universe.offerings[offering]
                place = {ZONE: planned.zone, CAPACITY_TYPE: planned.capacity_type}
                requirements = requirements & Requirements.from_labels(place)
                offerings = offerings & world.universe.admitted_by_all(world.known(requirements))
            offerings = offerings & alike
        return Reach(template, requirements, offerings)

    def _state(
        self, template: Template, alternatives: Iterable[Requirements], pins: Iterable[tuple[str, int]]
    ) -> tuple[Requirements, Flags]:
        """What a claim states that must satisfy the alternatives and keep the domains, and the offerings it admits."""
        stated = template.requirements
        for alternative in alternatives:
            stated = stated & self._binding(alternative, template)
        size = len(self._world.universe)
        part = slice(template.index * size, (template.index + 1) * size)
        alike: Flags = np.ones(size, dtype=np.bool_)
        for key, code in pins:
            alike &= self._world.rulebook.offers_at(key, code)[part]
            if code >= 0:
                value = self._world.rulebook.domains[key][code]
                stated = stated & Requirements({key: Requirement(key, frozenset((value,)))})
        offerings = template.buyable & alike & self._world.universe.admitted_by_all(self._world.known(stated))
        return stated, offerings

    def _splits_types(self, offerings: Flags, alike: Flags) -> bool:
        """Whether some type has offerings that are like the planned one and others that are not."""
        kinds = self._world.universe.type_of
        both: Flags = np.isin(kinds[offerings & alike], kinds[offerings & ~alike])
        return bool(both.any())

    def _binding(self, asked: Requirements, template: Template) -> Requirements:
        """What the claim has to state of it: a label that the node will not carry need not be forbidden a value.

        To state it would give the node the label: claims get a value for every custom label that they speak of.
        """
        known = self._world.known(asked)
        unsaid = [
            each.key
            for each in asked
            if each.is_negative and each.key not in template.requirements and each.key not in known
        ]
        return asked.without(unsaid)

    def _within_limits(self, template: Template, offering: int) -> Flags | None:
        """The types that count for no more than the one planned and the machine's share of what the limits leave."""
        flags: Flags | None = None
        kinds = self._world.universe.type_of
        for name, spare in self._packing.ledger.share(template).items():
            amounts = self._world.capacity_of(name)
            most = int(amounts[kinds[offering]]) + spare
            if amounts.max(initial=0) > most:
                part = np.asarray(amounts <= most)[kinds]
                flags = part if flags is None else flags & part
        return flags

    def _free_ports(self, bin_: int, template: Template) -> Flags | None:
        flags: Flags | None = None
        ports = self._packing.ports.get(bin_, ())
        for taken, offers in template.daemon_ports if ports else ():
            if any(port.conflicts_with(taken) for port in ports):
                flags = ~offers if flags is None else flags & ~offers
        return flags

    def _counted_alike(self, bin_: int, template: int, offer: int) -> Flags | None:
        """The offerings on which every spread constraint counts the bin's pods as on the planned one."""
        book, size = self._world.rulebook, len(self._world.universe)
        flags: Flags | None = None
        counters = {
            counter.index: counter
            for class_index, _ in self._packing.contents[bin_]
            for counter in book.choosy[class_index]
        }
        for counter in counters.values():
            counted = book.offers_counted(counter)[template * size : (template + 1) * size]
            part = counted == book.counts_offer(counter, offer)
            flags = part if flags is None else flags & part
        return flags

    def _draw_on(
        self, reservation: str, template: Template, offers: Amounts, requirements: Requirements
    ) -> tuple[Amounts, Requirements]:
        """The claim's offerings where it draws on a reservation: that alone, unless minValues asks for more types.

        Then the claim stays open, but for types on which it could draw on a reservation that others hold.
        """
        pinned = self._pin_reservation(offers, requirements, reservation)
        if self._suffices(template, pinned[0]):
            return pinned
        universe = self._world.universe
        others = [index for index in universe.reserved if universe.offerings[index].reservation_id != reservation]
        wider = offers[~np.isin(universe.type_of[offers], universe.type_of[others])]
        if self._suffices(template, wider):
            return wider, requirements
        return self._leave_reservations(offers, requirements)

    def _suffices(self, template: Template, offers: Amounts) -> bool:
        flags = np.zeros(len(self._world.universe), dtype=np.bool_)
        flags[offers] = True
        return self._packing.diversity.suffices(template, flags)

    def _pin_reservation(
        self, offers: Amounts, requirements: Requirements, reservation: str
    ) -> tuple[Amounts, Requirements]:
        known = self._world.universe.offerings
        kept = np.array([index for index in offers.tolist() if known[index].reservation_id == reservation])
        pinned = (
            Requirement(CAPACITY_TYPE, frozenset((RESERVED,))),
            Requirement(RESERVATION_ID, frozenset((reservation,))),
        )
        return kept, requirements & Requirements.of(pinned)

    def _leave_reservations(self, offers: Amounts, requirements: Requirements) -> tuple[Amounts, Requirements]:
        kept = offers[~self._world.is_reserved[offers]]
        without = Requirement(CAPACITY_TYPE, frozenset((RESERVED,)), complement=True)
        return kept, requirements & Requirements.of((without,))

    def _listed(
        self, template: Template, requirements: Requirements, ordered: list[int]
    ) -> tuple[list[int], Requirements | None]:
        """The types to list: the cheapest, and as many more as minValues asks for; requirements if relaxed."""
        kinds = self._world.universe.types
        wanted = {each.key: each.min_values for each in template.pool.requirements if each.min_values}
        listed = list(ordered[:MOST_TYPES])
        relaxed = requirements
        for key, needed in wanted.items():
            seen = {value for kind in listed for value in kinds[kind].requirements.get(key).values}
            for kind in ordered[MOST_TYPES:]:
                more = kinds[kind].requirements.get(key).values - seen
                if len(seen) < needed and more:
                    listed.append(kind)
                    seen |= more
            if len(seen) < needed and self._world.problem.options.min_values is MinValuesPolicy.BEST_EFFORT:
                stated = relaxed.get(key)
                lowered = Requirement(key, stated.values, stated.complement, stated.gte, stated.lte, len(seen))
                relaxed = Requirements({**relaxed.by_key, key: lowered})
        return listed, relaxed if relaxed is not requirements else None

    def _requests(self, bin_: int, template: Template, listed: list[int]) -> dict[str, int]:
        world = self._world
        pods = total(
            {name: amount * count for name, amount in world.classes[index].spec.requests}
            for (index, _), count in self._packing.contents[bin_].items()
        )
        taken = world.universe.allocatable[listed] - template.room[listed]
        names = zip(world.dimensions.names, taken.min(axis=0).tolist(), strict=True)
        daemons = {name: amount for name, amount in names if amount}
        return greatest([pods, total([pods, daemons])])
