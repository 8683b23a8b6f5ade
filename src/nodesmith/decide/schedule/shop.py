"""Which machine to buy next for a class of pods.

`PricedShop` takes the machine that gives most worth for its price, counting only what the pods that are still to be
placed can fill. `LargestShop` takes the largest, so that a plan grows as Karpenter's claims do until nothing larger
fits (spec 3.4). `ThriftyShop` spares the pools' limits. What a claim costs is settled afterwards, by what is on it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.crowd import Crowd
from nodesmith.decide.schedule.market import Shelf
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.universe import Flags
from nodesmith.decide.schedule.world import World
from nodesmith.decide.schedule.worth import Values


class Shop(ABC):
    """Chooses offers: the one with the lowest rank, the cheapest among equals."""

    def __init__(self, crowd: Crowd, packing: Packing) -> None:
        self._crowd = crowd
        self._packing = packing
        self._world = crowd.world
        self._market = crowd.market

    def choose(self, each: PodClass, flags: Flags, together: int, most: int) -> list[int]:
        """Offers to buy for a pod of the class among the flagged ones, the best first; none when none holds one.

        Args:
            each: the class that needs a machine.
            flags: the offers that may be bought; where NodePools have weights only those that hold one pod.
            together: how many pods of the class should be on this one machine, if there is any that holds so many.
            most: how many offers at most.
        """
        shelf = self._market.shelf(_best_rank(self._world, flags) if self._world.prefers_pools else flags)
        return self._pick(each, shelf, together, most)

    def _held(self, each: PodClass, shelf: Shelf, together: int) -> Shelf:
        """What of the shelf holds so many pods of the class, or as many as any does; empty where none holds one."""
        return shelf.holding(self._world.asked[each.index], together)

    def _pick(self, each: PodClass, shelf: Shelf, together: int, most: int) -> list[int]:
        """Offers to buy from the shelf, the best first."""
        held = self._held(each, shelf, together)
        if not len(held.offers):
            return []
        best: list[int] = held.offers[np.lexsort((held.prices, self._ranks(each, held, together)))[:most]].tolist()
        return best

    @abstractmethod
    def _ranks(self, each: PodClass, shelf: Shelf, together: int) -> Values:
        """A number for each offer on the shelf; the lowest is bought."""


class PricedShop(Shop):
    """The lowest price for what can be filled of the machine."""

    def _ranks(self, each: PodClass, shelf: Shelf, together: int) -> Values:
        group = self._market.group_of[each.index]
        own = np.maximum(self._market.demand[group], self._world.requests[each.index] * together)
        rooms = shelf.sizes
        filled = np.minimum(rooms, own)
        worth = self._market.worth[group]
        others, units = self._market.company(group)
        value = filled @ worth.units + worth.host + np.minimum(rooms - filled, others) @ units
        ratios: Values = shelf.prices / np.maximum(value, 1e-12)
        return ratios


class LargestShop(Shop):
    """The most room: the largest share of the most there is, in the resource where that share is least."""

    def _ranks(self, each: PodClass, shelf: Shelf, together: int) -> Values:
        del each, together
        rooms = shelf.sizes
        there = rooms.max(axis=0) > 0
        shares: Values = (rooms[:, there] / rooms[:, there].max(axis=0)).min(axis=1)
        return -shares


class ThriftyShop(Shop):
    """The smallest share of what the pool's limits allow."""

    def _ranks(self, each: PodClass, shelf: Shelf, together: int) -> Values:
        del each, together
        template, offering = np.divmod(shelf.offers, len(self._world.universe))
        kinds = self._world.universe.type_of[offering]
        shares = np.zeros(len(shelf.offers))
        for at, index in enumerate(template.tolist()):
            for name, limit in self._world.templates[index].pool.limits.items():
                shares[at] = max(shares[at], self._world.capacity_of(name)[kinds[at]] / max(limit, 1))
        return shares


def _best_rank(world: World, flags: Flags) -> Flags:
    """The flagged offers of the NodePools that come first by weight."""
    ranks = [template.rank for template in world.templates]
    size = len(world.universe)
    for rank in sorted(set(ranks)):
        kept = flags.copy()
        for index, each in enumerate(ranks):
            if each != rank:
                kept[index * size : (index + 1) * size] = False
        if kept.any():
            return kept
    return flags
