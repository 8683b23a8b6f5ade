"""Who competes for which machines: classes in groups that may go to the same offers, what they demand, its worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.universe import Amounts, Flags
from nodesmith.decide.schedule.world import World
from nodesmith.decide.schedule.worth import Values, Worth, worth_of, worth_together

EVEN_PART: Final = 0.3
"""The part of a machine's worth that is divided evenly among its resources when pods are chosen for it."""

BLOCK: Final = 32
"""So many rows are held against all that are left at once: the cheapest beat most of them."""


@dataclass(slots=True)
class Shelf:
    """The offers worth looking at: for each machine shape the cheapest offer, none beaten by a cheaper larger one.

    `sizes` are the rooms as floats.
    """

    offers: NDArray[np.int64]
    rooms: Amounts
    prices: Values
    sizes: Values = field(init=False)
    _held: dict[tuple[tuple[tuple[int, int], ...], int], Shelf] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sizes = self.rooms.astype(np.float64)

    def holding(self, asked: Sequence[tuple[int, int]], together: int) -> Shelf:
        """What holds so many pods, or as many as anything does, that ask for amounts by dimension; empty for none."""
        key = (tuple(asked), together)
        held = self._held.get(key)
        if held is None:
            counts = np.minimum.reduce([self.rooms[:, at] // amount for at, amount in asked])
            chosen = np.flatnonzero(counts >= max(1, min(together, int(counts.max(initial=0)))))
            held = self._held[key] = Shelf(self.offers[chosen], self.rooms[chosen], self.prices[chosen])
        return held


class Market:
    """The groups of a world, each known by the offers that its classes admit without their preferences.

    `admits` says so, a row a group; `worth` is what it is worth to have machines for them, `units` its prices, a row a
    group: of each by itself, or (`together`) of all that share machines. It is worked out for the strategies that ask.
    What is settled is taken off `demand` when it is asked for. `fits` are the classes that some machine holds.
    """

    def __init__(self, world: World, *, together: bool = False) -> None:
        self._world = world
        self._shelves: dict[bytes, Shelf] = world.goods.shelves
        self.group_of: list[int] = []
        masks: dict[bytes, int] = {}
        packed: list[Flags] = []
        for each in world.classes:
            last = each.stances[-1]
            flags = world.admitted_offers((last.alternatives, last.tolerations, each.spec.host_ports))
            bits = np.packbits(flags)
            group = masks.setdefault(bits.tobytes(), len(masks))
            if group == len(packed):
                packed.append(flags)
            self.group_of.append(group)
        self.masks = packed
        self._demand = np.zeros((len(packed), len(world.dimensions.names)))
        self._due: list[tuple[int, int]] = []
        self.hosts = np.zeros(len(packed))
        self._groups: NDArray[np.int64] = np.array(self.group_of, dtype=np.int64)
        self.fits: Flags = np.zeros(len(world.classes), dtype=np.bool_)
        self._count_demand()
        self.start = self._demand.copy()
        self.admits = np.array(packed, dtype=np.bool_).reshape(len(packed), len(world.offer_price))
        self._together = together

    @cached_property
    def worth(self) -> list[Worth]:
        """What machines are worth to each group while none of its pods has a place."""
        return self._worth_together() if self._together else [self._worth(group) for group in range(len(self.masks))]

    @cached_property
    def units(self) -> Values:
        """What a unit of each resource is worth, a row a group."""
        return np.array([each.units for each in self.worth]).reshape(self.start.shape)

    @cached_property
    def tiers(self) -> NDArray[np.int64]:
        """The groups' ranks, dearest highest."""
        levels = [round(self.unit_price(group), 9) for group in range(len(self.worth))]
        ranks = {level: rank for rank, level in enumerate(sorted(set(levels)))}
        return np.array([ranks[level] for level in levels], dtype=np.int64)

    def shelf(self, flags: Flags) -> Shelf:
        """The offers among the flagged ones that no other flagged offer makes pointless."""
        key = np.packbits(flags).tobytes()
        shelf = self._shelves.get(key)
        if shelf is None:
            shelf = self._shelves[key] = self._stock(flags)
        return shelf

    def settle(self, each: PodClass, count: int) -> None:
        """So many pods of the class are placed: they demand no more."""
        self._due.append((each.index, count))

    @property
    def demand(self) -> Values:
        """What the pods of each group without a place ask for, a row a group; those that fit nowhere ask for none."""
        if self._due:
            classes, counts = np.array(self._due, dtype=np.int64).T
            self._due = []
            amounts = self._world.requests[classes] * (counts * self.fits[classes])[:, None]
            np.subtract.at(self._demand, self._groups[classes], amounts)
        return self._demand

    @demand.setter
    def demand(self, demand: Values) -> None:
        self._demand, self._due = demand, []

    def places(self) -> Iterator[Flags]:
        """The offers in sets that the same groups may go to, but for those that are open to none."""
        _, first, place_of = np.unique(self.admits, axis=1, return_index=True, return_inverse=True)
        place_of = place_of.reshape(-1)
        for at in np.flatnonzero(self.admits[:, first].any(axis=0)).tolist():
            yield place_of == at

    def company(self, group: int) -> tuple[Values, Values]:
        """What pods that could also go wherever the group can still demand, and what a unit is worth to them."""
        wider = self._wider[group]
        if not len(wider):
            return np.zeros(self._demand.shape[1]), np.zeros(self._demand.shape[1])
        demand = self.demand[wider].sum(axis=0)
        units = np.min([self.worth[each].units for each in wider], axis=0)
        return demand, units

    def unit_price(self, group: int) -> float:
        """How much dearer than wherever it is cheapest the group's demand is to buy for."""
        demand, hosts = self.start[group], float(self.hosts[group])
        costs = [float(each.units @ demand) + each.host * hosts for each in self.worth]
        return costs[group] / min((cost for cost in costs if cost > 0), default=1.0)

    def balance(self, offers: NDArray[np.int64], rooms: Values) -> Values:
        """What a unit of each resource counts for on machines of those rooms (a row each); a whole one counts for one.

        A part is the same for every resource, so that none is let run out; the rest goes by what it is worth to those
        who still want machines of the offer.
        """
        spent = np.maximum((self.demand * self.units).sum(axis=1), 0)
        parts = (self.admits[:, offers].T * spent) @ self.units * rooms
        whole = parts.sum(axis=1, keepdims=True)
        shares = np.divide(parts, whole, out=np.full(rooms.shape, 1 / rooms.shape[1]), where=whole > 0)
        balanced: Values = (EVEN_PART / rooms.shape[1] + (1 - EVEN_PART) * shares) / rooms
        return balanced

    def _count_demand(self) -> None:
        world, groups = self._world, self._groups
        counts = np.array([each.count for each in world.classes], dtype=np.int64)
        for group, flags in enumerate(self.masks):
            mine, rooms = np.flatnonzero(groups == group), self.shelf(flags).rooms
            requests = world.requests[mine]
            # Whoever fits into no machine will demand none.
            holding = np.logical_and.reduce(rooms[None] >= requests[:, None], axis=2)
            fits: Flags = np.logical_or.reduce(holding, axis=1)
            self.fits[mine[fits]] = True
            self._demand[group] = (requests[fits] * counts[mine[fits], None]).sum(axis=0)
        forced: dict[tuple[int, int], float] = {}
        for each, group, demands in zip(world.classes, self.group_of, self.fits.tolist(), strict=True):
            for rule in world.rulebook.rules[each.index][0].hosts if demands else ():
                if rule.own:
                    key = (group, rule.counter.index)
                    forced[key] = forced.get(key, 0.0) + each.count / (rule.limit + 1)
        for (group, _), hosts in forced.items():
            self.hosts[group] = max(self.hosts[group], hosts)

    @cached_property
    def _wider(self) -> list[list[int]]:
        """For each group the others whose pods could go wherever its own can."""
        bits = np.array([np.packbits(flags) for flags in self.masks])
        wider: list[list[int]] = []
        for group in range(len(self.masks)):
            contains = ((bits & bits[group]) == bits[group]).all(axis=1)
            contains[group] = False
            wider.append(np.flatnonzero(contains).tolist())
        return wider

    def _worth(self, group: int) -> Worth:
        shelf = self.shelf(self.masks[group])
        if not len(shelf.offers):
            return Worth(np.zeros(self.start.shape[1]), 0.0, 0.0)
        return worth_of(self.start[group], self.hosts[group], shelf.rooms, shelf.prices)

    def _worth_together(self) -> list[Worth]:
        """The dual prices of all groups at once, over what is worth looking at of each set of offers they share."""
        shelves = [self.shelf(place) for place in self.places()]
        if not shelves:
            return [self._worth(group) for group in range(len(self.masks))]
        offers = np.concatenate([shelf.offers for shelf in shelves])
        rooms = np.concatenate([shelf.rooms for shelf in shelves])
        prices = np.concatenate([shelf.prices for shelf in shelves])
        return worth_together(self.start, self.hosts, self.admits[:, offers], rooms, prices)

    def _stock(self, flags: Flags) -> Shelf:
        world = self._world
        offers = np.flatnonzero(flags)
        offers = offers[np.argsort(world.offer_price[offers], kind="stable")]
        template, offering = np.divmod(offers, max(len(world.universe), 1))
        shape = template * len(world.universe.types) + world.universe.type_of[offering]
        _, first = np.unique(shape, return_index=True)
        offers = offers[np.sort(first)]
        template, offering = np.divmod(offers, max(len(world.universe), 1))
        kinds = world.universe.type_of[offering]
        rooms = np.zeros((len(offers), len(world.dimensions.names)), dtype=np.int64)
        for index, each in enumerate(world.templates):
            rooms[template == index] = each.room[kinds[template == index]]
        kept = _not_beaten(rooms)
        return Shelf(offers[kept], rooms[kept], world.offer_price[offers[kept]])


def _not_beaten(rooms: Amounts) -> NDArray[np.int64]:
    """The rows (in price order) that no earlier, so no dearer, row equals or exceeds in every dimension."""
    kept: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    left, amounts = np.arange(len(rooms)), np.ascontiguousarray(rooms.T)
    while len(left):
        first = amounts[:, :BLOCK]
        stays = ~np.logical_or.reduce(np.triu(_covers(first, first), k=1))
        kept.append(left[:BLOCK][stays])
        left, amounts = left[BLOCK:], amounts[:, BLOCK:]
        beyond = ~np.logical_or.reduce(_covers(first[:, stays], amounts))
        left, amounts = left[beyond], amounts[:, beyond]
    return np.concatenate(kept)


def _covers(rooms: Amounts, others: Amounts) -> Flags:
    """Whether each of the rooms (a row each) is at least as large as each of the others (a column each).

    Both are given with a row a resource.
    """
    covers: Flags = rooms[0][:, None] >= others[0]
    for room, other in zip(rooms[1:], others[1:], strict=True):
        covers &= room[:, None] >= other
    return covers
