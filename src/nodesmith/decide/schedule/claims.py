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
from nodesmith.model.labels import CAPACITY_TYPE, RESERVATION_ID, RESERVED
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.resources import greatest, least, total
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

    def claim(self, bin_: int, pods: Iterable[str]) -> PlannedClaim:
        """The claim of a bin."""
        reach = self.reach(bin_)
        offers = np.flatnonzero(reach.offerings)
        universe = self._world.universe
        offers = offers[np.argsort(universe.price[offers], kind="stable")]
        requirements = reach.requirements
        planned = universe.offerings[int(self._packing.offer[bin_]) % len(universe)]
        if planned.is_reserved:
            offers, requirements = self._draw_on(planned.reservation_id, reach.template, offers, requirements)
        elif any(universe.offerings[index].is_reserved for index in offers.tolist()):
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
        stated = template.requirements
        for class_index, level in packing.contents[bin_]:
            stance = world.classes[class_index].stances[level]
            stated = stated & self._binding(world.alternative_for(stance, template, offering), template)
        alike = np.ones(len(world.universe), dtype=np.bool_)
        for key in packing.keys_that_matter(bin_):
            code = packing.code(key, bin_)
            alike &= world.rulebook.offers_at(key, code)[index * len(alike) : (index + 1) * len(alike)]
            if code >= 0:
                value = world.rulebook.domains[key][code]
                stated = stated & Requirements({key: Requirement(key, frozenset((value,)))})
        offerings = template.buyable & alike & world.universe.admitted_by_all(world.known(stated))
        offerings = offerings & self._within_limits(template, offering) & self._free_ports(bin_, template)
        offerings = offerings & self._counted_alike(bin_, index, offer)
        return Reach(template, stated, offerings)

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

    def _within_limits(self, template: Template, offering: int) -> Flags:
        """No type may count for more against the pool's limits than the one that was planned."""
        universe = self._world.universe
        flags = np.ones(len(universe), dtype=np.bool_)
        for name in template.pool.limits:
            amounts = self._world.capacity_of(name)
            flags &= np.asarray(amounts <= amounts[universe.type_of[offering]])[universe.type_of]
        return flags

    def _free_ports(self, bin_: int, template: Template) -> Flags:
        flags = np.ones(len(self._world.universe), dtype=np.bool_)
        for taken, offers in template.daemon_ports:
            if any(port.conflicts_with(taken) for port in self._packing.ports.get(bin_, ())):
                flags &= ~offers
        return flags

    def _counted_alike(self, bin_: int, template: int, offer: int) -> Flags:
        """The offerings on which every spread constraint counts the bin's pods as on the planned one."""
        book, size = self._world.rulebook, len(self._world.universe)
        flags = np.ones(size, dtype=np.bool_)
        for class_index, _ in self._packing.contents[bin_]:
            for counter in book.touches[class_index]:
                if counter.filter is not None:
                    counted = book.offers_counted(counter)[template * size : (template + 1) * size]
                    flags &= counted == book.counts_offer(counter, offer)
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
        known = self._world.universe.offerings
        kept = np.array([index for index in offers.tolist() if not known[index].is_reserved])
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
        daemons = []
        for kind in listed:
            taken = world.universe.allocatable[kind] - template.room[kind]
            daemons.append({name: int(taken[at]) for at, name in enumerate(world.dimensions.names) if taken[at]})
        return greatest([pods, total([pods, least(daemons)])])
