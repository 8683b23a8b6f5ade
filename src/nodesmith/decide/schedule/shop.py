"""Which machine to buy next for a class of pods.

Two shops: `PricedShop` takes the machine that gives most worth for its price, counting only what the pods that are
still to be placed can fill; `LargestShop` takes the largest, so that a plan grows as Karpenter's claims do until
nothing larger fits (spec 3.4). What a claim costs is settled afterwards, when it is known what ended up on it.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.market import Market, Shelf
from nodesmith.decide.schedule.universe import Flags
from nodesmith.decide.schedule.world import World

NARROWNESS: Final = 0.02
"""How much dearer a spot machine counts whose shape a single pool offers; less as more pools offer it."""


class Shop(Protocol):
    """Chooses offers."""

    def choose(self, each: PodClass, flags: Flags, together: int) -> int | None:
        """The offer to buy for a pod of the class among the flagged ones, or None when none is flagged.

        Args:
            each: the class that needs a machine.
            flags: the offers that may be bought and hold one pod of the class.
            together: how many pods of the class should be on this one machine, if there is any that holds so many.
        """
        ...


class PricedShop:
    """Most worth for the price."""

    def __init__(self, world: World, market: Market) -> None:
        self._world = world
        self._market = market

    def choose(self, each: PodClass, flags: Flags, together: int) -> int | None:
        """The offer with the lowest price for what can be filled of it."""
        flags = _best_rank(self._world, flags)
        shelf = self._market.shelf(flags)
        if not len(shelf.offers):
            return None
        chosen = _holding(self._world, each, shelf, together)
        group = self._market.group_of[each.index]
        own = np.maximum(self._market.demand[group], self._world.requests[each.index] * together)
        rooms = shelf.rooms[chosen].astype(np.float64)
        filled = np.minimum(rooms, own)
        worth = self._market.worth[group]
        value = filled @ worth.units + worth.host
        others, units = self._market.company(group)
        value += np.minimum(rooms - filled, others) @ units
        prices = shelf.prices[chosen]
        ratio = prices / np.maximum(value, 1e-12)
        best = int(np.lexsort((prices, ratio))[0])
        return int(shelf.offers[chosen[best]])


class LargestShop:
    """The largest machine, cheapest first among equals."""

    def __init__(self, world: World, market: Market) -> None:
        self._world = world
        self._market = market

    def choose(self, each: PodClass, flags: Flags, together: int) -> int | None:
        """The offer with the most room, by share of the largest in each resource that the class requests."""
        flags = _best_rank(self._world, flags)
        shelf = self._market.shelf(flags)
        if not len(shelf.offers):
            return None
        chosen = _holding(self._world, each, shelf, together)
        rooms = shelf.rooms[chosen].astype(np.float64)
        asked = rooms.max(axis=0) > 0
        share = (rooms[:, asked] / rooms[:, asked].max(axis=0)).min(axis=1)
        best = int(np.lexsort((shelf.prices[chosen], -share))[0])
        return int(shelf.offers[chosen[best]])


class ThriftyShop:
    """The machine that counts for least against its pool's limits, cheapest first among equals."""

    def __init__(self, world: World, market: Market) -> None:
        self._world = world
        self._market = market

    def choose(self, each: PodClass, flags: Flags, together: int) -> int | None:
        """The offer that uses the smallest share of what the limits allow."""
        flags = _best_rank(self._world, flags)
        shelf = self._market.shelf(flags)
        if not len(shelf.offers):
            return None
        chosen = _holding(self._world, each, shelf, together)
        offers = shelf.offers[chosen]
        template, offering = np.divmod(offers, len(self._world.universe))
        kinds = self._world.universe.type_of[offering]
        share = np.zeros(len(offers))
        for at, index in enumerate(template.tolist()):
            for name, limit in self._world.templates[index].pool.limits.items():
                share[at] = max(share[at], self._world.capacity_of(name)[kinds[at]] / max(limit, 1))
        return int(offers[int(np.lexsort((shelf.prices[chosen], share))[0])])


def _best_rank(world: World, flags: Flags) -> Flags:
    """The flagged offers of the NodePools that come first by weight."""
    ranks = [template.rank for template in world.templates]
    if len(set(ranks)) <= 1:
        return flags
    size = len(world.universe)
    for rank in sorted(set(ranks)):
        kept = flags.copy()
        for index, each in enumerate(ranks):
            if each != rank:
                kept[index * size : (index + 1) * size] = False
        if kept.any():
            return kept
    return flags


def _holding(world: World, each: PodClass, shelf: Shelf, together: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The positions on the shelf that hold so many pods of the class, or as many of them as any does."""
    request = world.requests[each.index]
    used = np.flatnonzero(request)
    counts = (shelf.rooms[:, used] // request[used]).min(axis=1)
    return np.flatnonzero(counts >= max(1, min(together, int(counts.max()))))
