"""From bins to NodeClaims: everything a planned machine may turn out to be, and the cheapest of it.

A bin was planned as one definite offer. Its claim says no more than its pods need: every type that holds them, at any
offering that their requirements admit and on which no rule between pods would be counted otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from nodesmith.decide.schedule.machines import Template
from nodesmith.decide.schedule.menu import Menu, Positions, menu_of
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.problem import MinValuesPolicy
from nodesmith.decide.schedule.topology import Counter
from nodesmith.decide.schedule.universe import Amounts, Flags, holds
from nodesmith.model.labels import CAPACITY_TYPE, RESERVATION_ID, RESERVED, ZONE
from nodesmith.model.pod import HostPort
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.plan.schedule import PlannedClaim, Purchase

MOST_TYPES: Final = 60
"""Instance types a claim lists; EC2 Fleet is asked for no more (spec 7.8)."""
Identity = tuple[int, frozenset[int], tuple[tuple[str, int], ...], frozenset[HostPort], frozenset[int], int | None]
"""What a machine's reach depends on: its template, what its pods ask, the domains it keeps, their host ports, the
filters that count them not everywhere, and where the last two say anything, its offering."""
_UNRESERVED: Final = Requirements.of((Requirement(CAPACITY_TYPE, frozenset((RESERVED,)), complement=True),))


@dataclass(frozen=True, slots=True)
class Reach:
    """What a bin may turn out to be without a pod of it noticing: its requirements, and the offerings they admit.

    `menu` are those of the offerings that draw on no reservation. Whether the pods fit is not looked at.
    """

    template: Template
    requirements: Requirements
    offerings: Flags
    menu: Menu


@dataclass(frozen=True, slots=True)
class Bounds:
    """What pods of a class at a stance leave open of their machine.

    `asked` is the number of their only alternative, None where there are several; `kept` the labels whose value the
    machine keeps; `choosy` are, by number, the filters that do not count them on every machine.
    """

    asked: int | None
    kept: tuple[str, ...]
    choosy: tuple[tuple[int, Counter], ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """What claims have in common that the same places of a menu hold; `daemons` take so much of each type at least."""

    menu: Menu
    names: tuple[str, ...]
    relaxed: Requirements | None
    daemons: Amounts
    cheapest: Purchase
    has_price_overlay: bool
    has_capacity_overlay: bool


class Claims:
    """Makes the claims of one packing."""

    def __init__(self, packing: Packing) -> None:
        self._packing = packing
        self._world = packing.world
        self._stated: dict[tuple[int, frozenset[int], tuple[tuple[str, int], ...]], tuple[Requirements, Flags]] = {}
        self._alike: dict[tuple[int, frozenset[tuple[tuple[int, int], int]]], PlannedClaim] = {}
        self._reaches: dict[tuple[int, frozenset[tuple[int, int]]], Reach] = {}
        self._known: dict[Identity, Reach] = {}
        self._listings: dict[tuple[int, bytes, Requirements], Listing] = {}
        self._bounds: dict[tuple[int, int], Bounds] = {}
        self._cheapest: dict[tuple[int, bytes], tuple[int, float]] = {}
        self._asked: list[Requirements] = []
        self._numbers: dict[Requirements, int] = {}
        self._number: dict[int, int] = {}

    def claim(self, bin_: int, pods: Iterable[str]) -> PlannedClaim:
        """The claim of a bin."""
        key = (int(self._packing.offer[bin_]), frozenset(self._packing.contents[bin_].items()))
        alike, named = self._alike.get(key), tuple(sorted(pods))
        if alike is not None:
            return replace(alike, pods=named)
        made = self._alike[key] = self._claim(bin_, named)
        return made

    def _claim(self, bin_: int, pods: tuple[str, ...]) -> PlannedClaim:
        """The claim of a bin; but for the pods the same for all bins of that offer with as many of each class."""
        reach, used = self.reach(bin_), self._packing.used(bin_)
        universe, menu, requirements = self._world.universe, reach.menu, reach.requirements
        planned = int(self._packing.offer[bin_]) % len(universe)
        if self._world.is_reserved[planned]:
            menu, requirements = self._draw_on(planned, reach, used)
        elif self._reserves(reach, used):
            requirements = requirements & _UNRESERVED
        listing = self._listing(reach.template, requirements, menu, menu.fitting(used))
        return PlannedClaim(
            pool_name=reach.template.pool.name,
            requirements=listing.relaxed or requirements,
            instance_types=listing.names,
            requests=self._requests(used, listing.daemons),
            pods=pods,
            cheapest=listing.cheapest,
            is_min_values_relaxed=listing.relaxed is not None,
            has_price_overlay=listing.has_price_overlay,
            has_capacity_overlay=listing.has_capacity_overlay,
        )

    def _listing(self, template: Template, requirements: Requirements, menu: Menu, fitting: Positions) -> Listing:
        """What a claim with these requirements lists when these places of the menu hold its pods."""
        key = (id(menu), fitting.tobytes(), requirements)
        known = self._listings.get(key)
        if known is None:
            universe, cheapest = self._world.universe, self._world.universe.offerings[int(menu.offers[fitting[0]])]
            listed, relaxed = self._listed(template, requirements, menu.kinds[fitting].tolist())
            at = fitting[: len(listed)] if len(listed) <= MOST_TYPES else fitting[np.isin(menu.kinds[fitting], listed)]
            name = universe.types[int(menu.kinds[fitting[0]])].name
            known = self._listings[key] = Listing(
                menu=menu,
                names=tuple(universe.types[kind].name for kind in listed),
                relaxed=relaxed,
                daemons=menu.overheads[at].min(axis=0),
                cheapest=Purchase(name, cheapest.zone, cheapest.capacity_type, cheapest.price),
                has_price_overlay=bool(menu.repriced[fitting].any()),
                has_capacity_overlay=bool(menu.resized[at].any()),
            )
        return known

    def cheapest(self, bin_: int) -> tuple[int, float]:
        """The cheapest offer that the machine may turn out to be, with its price; a reserved one stays what it is.

        The price of a spot machine counts its risk: fewer pools that can fill the claim, more of it.
        """
        world, universe = self._world, self._world.universe
        offer = int(self._packing.offer[bin_])
        if world.is_reserved[offer % len(universe)]:
            return offer, float(universe.price[offer % len(universe)])
        reach, used = self.reach(bin_), self._packing.used(bin_)
        key = (id(reach.menu), used.tobytes())
        known = self._cheapest.get(key)
        if known is None:
            fitting = reach.menu.fitting(used)
            best = int(reach.menu.offers[fitting[0]])
            price = float(universe.price[best])
            if universe.is_spot[best]:
                price *= 1 + world.problem.options.spot_risk / int(reach.menu.spots[fitting].sum())
            known = self._cheapest[key] = (reach.template.index * len(universe) + best, price)
        return known

    def reach(self, bin_: int) -> Reach:
        """Everything that the bin may turn out to be, if its pods fit."""
        offer = int(self._packing.offer[bin_])
        index, offering = divmod(offer, len(self._world.universe))
        limited = self._within_limits(self._world.templates[index], offering)
        if limited is not None:
            return self._reach(bin_, limited)
        key = (offer, frozenset(self._packing.contents[bin_]))
        known = self._reaches.get(key)
        if known is None:
            known = self._reaches[key] = self._reach(bin_, None)
        return known

    def _reach(self, bin_: int, limited: Flags | None) -> Reach:
        packing = self._packing
        index, offering = divmod(int(packing.offer[bin_]), len(self._world.universe))
        template = self._world.templates[index]
        asked: set[int] = set()
        kept: dict[str, None] = {}
        choosy: dict[int, Counter] = {}
        for number, level in packing.contents[bin_]:
            bounds = self._bounds.get((number, level)) or self._bounded(number, level)
            alternative = bounds.asked
            if alternative is None:
                stance = self._world.classes[number].stances[level]
                alternative = self._one(self._world.alternative_for(stance, template, offering))
            asked.add(alternative)
            kept.update(dict.fromkeys(bounds.kept))
            choosy.update(bounds.choosy)
        pins = tuple((key, packing.code(key, bin_)) for key in kept)
        ports = frozenset(packing.ports.get(bin_, ())) if template.daemon_ports else frozenset[HostPort]()
        key = (index, frozenset(asked), pins, ports, frozenset(choosy), offering if ports or choosy else None)
        reach = self._known.get(key) if limited is None else None
        if reach is None:
            reach = self._made(key, choosy.values(), limited)
            if limited is None:
                self._known[key] = reach
        return reach

    def _bounded(self, number: int, level: int) -> Bounds:
        """The bounds of a class at a stance."""
        rulebook, each = self._world.rulebook, self._world.classes[number]
        alternatives = each.stances[level].alternatives
        asked = self._one(alternatives[0]) if len(alternatives) == 1 else None
        choosy = tuple({id(counter.filter): counter for counter in rulebook.choosy[number]}.items())
        bounds = self._bounds[number, level] = Bounds(asked, rulebook.rules[number][level].kept, choosy)
        return bounds

    def _made(self, identity: Identity, choosy: Iterable[Counter], limited: Flags | None) -> Reach:
        """The reach of machines of that identity; `choosy` are counters of its filters, one of each."""
        world = self._world
        index, asked, pins, ports, _, offering = identity
        template = world.templates[index]
        stated = self._stated.get((index, asked, pins))
        if stated is None:
            stated = self._state(template, [self._asked[each] for each in sorted(asked)], pins)
            self._stated[index, asked, pins] = stated
        requirements, offerings = stated
        offerings = offerings if limited is None else offerings & limited
        if offering is not None:
            for alike in (_free_ports(template, ports), self._counted_alike(choosy, index, offering)):
                if self._splits_types(offerings, alike):
                    # One type will do here and not there: only the place can tell, so the claim has to name it.
                    planned = world.universe.offerings[offering]
                    place = {ZONE: planned.zone, CAPACITY_TYPE: planned.capacity_type}
                    requirements = requirements & Requirements.from_labels(place)
                    offerings = offerings & world.universe.admitted_by_all(world.known(requirements))
                offerings = offerings & alike
        return Reach(template, requirements, offerings, self._menu(template, offerings))

    def _one(self, asked: Requirements) -> int:
        """A number for the requirements, the same for equal ones."""
        number = self._number.get(id(asked))
        if number is None:
            number = self._number[id(asked)] = self._numbers.setdefault(asked, len(self._asked))
            if number == len(self._asked):
                self._asked.append(asked)
        return number

    def _menu(self, template: Template, offerings: Flags) -> Menu:
        """The menu of those of the offerings that draw on no reservation."""
        world = self._world
        key = (template.index, offerings.tobytes())
        menu = world.goods.menus.get(key)
        if menu is None:
            menu = world.goods.menus[key] = menu_of(world.universe, template, offerings & ~world.is_reserved)
        return menu

    def _reserves(self, reach: Reach, used: Amounts) -> bool:
        """Whether the bin could turn out to draw on a reservation."""
        reserved = self._world.universe.reserved
        reserved = reserved[reach.offerings[reserved]]
        kinds = self._world.universe.type_of[reserved]
        return bool(len(reserved)) and bool(holds(reach.template.room[kinds], used).any())

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
            if self._world.most_of(name) <= spare:
                continue
            amounts = self._world.capacity_of(name)
            most = int(amounts[kinds[offering]]) + spare
            if self._world.most_of(name) > most:
                part = np.asarray(amounts <= most)[kinds]
                flags = part if flags is None else flags & part
        return flags

    def _counted_alike(self, choosy: Iterable[Counter], template: int, offering: int) -> Flags:
        """The template's offerings on which every one of the counters counts pods as on the planned one."""
        size = len(self._world.universe)
        flags: Flags = np.ones(size, dtype=np.bool_)
        for counter in choosy:
            counted = self._world.rulebook.offers_counted(counter)[template * size : (template + 1) * size]
            flags &= counted == counted[offering]
        return flags

    def _draw_on(self, planned: int, reach: Reach, used: Amounts) -> tuple[Menu, Requirements]:
        """What the claim may be where it draws on a reservation: that alone, unless minValues asks for more types.

        Then the claim stays open, but for types on which it could draw on a reservation that others hold.
        """
        universe, template = self._world.universe, reach.template
        fits: Flags = reach.offerings & holds(template.room, used)[universe.type_of]
        drawing, wider, _ = self._packing.diversity.forms(fits, planned)
        if self._packing.diversity.suffices(template, drawing):
            pinned = (
                Requirement(CAPACITY_TYPE, frozenset((RESERVED,))),
                Requirement(RESERVATION_ID, frozenset((universe.offerings[planned].reservation_id,))),
            )
            return menu_of(universe, template, drawing), reach.requirements & Requirements.of(pinned)
        if self._packing.diversity.suffices(template, wider):
            return menu_of(universe, template, wider), reach.requirements
        return reach.menu, reach.requirements & _UNRESERVED

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

    def _requests(self, used: Amounts, daemons: Amounts) -> dict[str, int]:
        """What the pods and the daemons of the machine ask for together, at least."""
        names = zip(self._world.dimensions.names, used.tolist(), daemons.tolist(), strict=True)
        return {name: max(pods, pods + daemon) for name, pods, daemon in names if pods or daemon}


def _free_ports(template: Template, ports: Iterable[HostPort]) -> Flags:
    """The template's offerings on which no daemon takes one of the ports."""
    flags: Flags = np.ones(len(template.buyable), dtype=np.bool_)
    for taken, offers in template.daemon_ports:
        if any(port.conflicts_with(taken) for port in ports):
            flags &= ~offers
    return flags
