"""Buys machines by patterns: what is on each is chosen together with how many there are of it.

For pods that only ask for room, buying is a covering problem: patterns are machines with pods on them, and all pods of
each kind have to be on some. Shares of patterns are bought at first; what a pod of each kind is worth at the best mix
of the patterns known so far tells which other patterns would be a bargain, until there are none. Then whole machines
are bought, and the mix is worked out again for the pods that are left. The last few, of whom no pattern is wanted as a
whole, are left to others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from nodesmith.decide.schedule.bound.program import Program
from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.crowd import Crowd
from nodesmith.decide.schedule.diversity import Diversity
from nodesmith.decide.schedule.knapsack import Counts, Knapsacks
from nodesmith.decide.schedule.market import Shelf
from nodesmith.decide.schedule.packing import Ledger, Packing
from nodesmith.decide.schedule.problem import TimeIsUp
from nodesmith.decide.schedule.universe import Flags
from nodesmith.decide.schedule.world import World
from nodesmith.decide.schedule.worth import Values

MOST_KINDS: Final = 100
"""Kinds of pods for which patterns are looked for; of more it takes too long."""
LEAST_OF_A_KIND: Final = 50
"""Pods there are of each kind, on average: with fewer, the time is better spent on improvement."""
PLAIN_PART: Final = 0.5
"""Patterns are looked for where more than this part of the pods is plain."""
ROUNDS: Final = 24
"""Rounds in which patterns are looked for at first; the last ones save less than a thousandth each."""
MORE_ROUNDS: Final = 2
"""Rounds for the pods that are left after some machines were bought."""
NEARLY: Final = 1.003
"""Where nothing is worth so much more than its price the mix is good enough."""
LEAST_PART: Final = 0.5
"""A pattern of which less than this part is wanted is not bought."""
WHOLE: Final = 1e-6
"""So much may be missing to a whole machine."""
SPUR: Final = 1.05
"""The first patterns are looked for as if pods were worth so much more than they are."""


class Patterns:
    """Buys for the plain pods of a crowd."""

    def __init__(self, crowd: Crowd, packing: Packing) -> None:
        self._crowd = crowd
        self._packing = packing
        self._classes: dict[int, list[PodClass]] = {}
        for each in plain_classes(crowd.world):
            if crowd.market.fits[each.index] and crowd.left[each.index]:
                self._classes.setdefault(int(crowd.kinds.of[each.index]), []).append(each)
        kinds = list(self._classes)
        self._requests = crowd.kinds.requests.T[kinds].astype(np.int64)
        self._groups = crowd.kinds.group[kinds]
        self._columns: dict[tuple[int, bytes], tuple[float, Counts]] = {}
        self._shelves: list[tuple[Flags, Shelf, Knapsacks]] = []

    def buy(self, is_time_up: TimeIsUp | None = None) -> None:
        """Machines are bought and filled, as far as whole ones are bargains and there is time."""
        demand = self._demand()
        if not len(demand):
            return
        self._begin(demand)
        self._look_around(demand, ROUNDS, is_time_up)
        while demand.any() and not (is_time_up is not None and is_time_up()):
            mix, _ = self._mix(demand)
            bought = list(self._whole(mix, demand))
            if not bought:
                return
            for offer, pods, times in bought:
                for _ in range(times):
                    if self._packing.ledger.open_offers() is not None:
                        return
                    self._put(offer, pods)
            demand = self._demand()
            self._look_around(demand, MORE_ROUNDS, is_time_up)

    def _demand(self) -> Counts:
        """How many pods of each kind have no place."""
        left = self._crowd.left
        return np.array([sum(left[each.index] for each in alike) for alike in self._classes.values()], dtype=np.int64)

    def _begin(self, demand: Counts) -> None:
        """There is a pattern with every kind of pod that any machine holds, and some that look good."""
        market = self._crowd.market
        for place in market.places():
            shelf = market.shelf(place)
            mine = market.admits[self._groups, shelf.offers[0]]
            knapsacks = Knapsacks(shelf.rooms, self._requests, demand)
            self._shelves.append((mine, shelf, knapsacks))
            for kind in np.flatnonzero(mine).tolist():
                self._alone(kind, shelf, np.minimum(knapsacks.most[:, kind], demand[kind]))
        worth = np.einsum("kr,kr->k", self._requests, market.units[self._groups])
        self._look(worth * SPUR, demand)

    def _alone(self, kind: int, shelf: Shelf, most: Counts) -> None:
        """There is a pattern with pods of that kind alone, if any fits."""
        able = np.flatnonzero(most > 0)
        if len(able):
            at = able[int(np.argmin(shelf.prices[able] / most[able]))]
            pods = np.zeros(len(self._groups), dtype=np.int64)
            pods[kind] = most[at]
            self._note(int(shelf.offers[at]), float(shelf.prices[at]), pods)

    def _look_around(self, demand: Counts, rounds: int, is_time_up: TimeIsUp | None) -> None:
        """Patterns are known that make the mix for the demand nearly as cheap as it can be, if there is time."""
        for _ in range(rounds):
            if not demand.any() or (is_time_up is not None and is_time_up()):
                return
            if not self._look(self._mix(demand)[1], demand):
                return

    def _look(self, worth: Values, demand: Counts) -> bool:
        """Whether bargains were found that were not known, given what a pod of each kind is worth."""
        known, ratio = len(self._columns), 0.0
        for mine, shelf, knapsacks in self._shelves:
            found = knapsacks.bargains(np.where(mine, worth, 0.0), demand, shelf.prices)
            ratio = max(ratio, found.ratio)
            for machine, pods in zip(found.machines.tolist(), found.pods, strict=True):
                self._note(int(shelf.offers[machine]), float(shelf.prices[machine]), pods)
        return len(self._columns) > known and ratio > NEARLY

    def _note(self, offer: int, price: float, pods: Counts) -> None:
        self._columns.setdefault((offer, pods.tobytes()), (price, pods))

    def _mix(self, demand: Counts) -> tuple[Values, Values]:
        """How many of each pattern are bought at best, shares allowed; what one more pod of each kind costs then."""
        prices = np.array([price for price, _ in self._columns.values()])
        pods = np.array([pods for _, pods in self._columns.values()])
        program = Program()
        first = program.add_variables(prices)
        rows = program.add_rows(demand.astype(np.float64), None)
        column, kind = np.nonzero(pods)
        program.add_entries(rows + kind, first + column, pods[column, kind])
        solution = program.solve()
        return solution.values, np.maximum(solution.duals, 0)

    def _whole(self, mix: Values, demand: Counts) -> Iterator[tuple[int, Counts, int]]:
        """Offers with their pods, and how many of them to buy: the whole ones of a mix, or the one that is nearest."""
        times = np.floor(mix + WHOLE).astype(np.int64)
        if not times.any():
            times[int(np.argmax(mix))] = int(mix.max() >= LEAST_PART)
        left = demand.copy()
        columns = list(self._columns.items())
        for at in np.flatnonzero(times).tolist():
            (offer, _), (_, pods) = columns[at]
            count = min(int(times[at]), int((left[pods > 0] // pods[pods > 0]).min()))
            if count:
                left -= pods * count
                yield offer, pods, count

    def _put(self, offer: int, pods: Counts) -> None:
        """A machine of the offer holds these pods."""
        bin_ = self._packing.open(offer)
        for alike, wanted in zip(self._classes.values(), pods.tolist(), strict=True):
            left = wanted
            for each in alike:
                taken = min(left, int(self._crowd.left[each.index]))
                self._packing.add(each, 0, bin_, taken)
                self._crowd.took(each, taken)
                left -= taken


def suits(world: World) -> bool:
    """Whether patterns are worth looking for: most pods are plain, of few kinds, and only prices decide what to buy."""
    if world.prefers_pools or Diversity(world).matters or Ledger(world, counts_nodes=True).open_offers() is not None:
        return False
    plain = list(plain_classes(world))
    pods = sum(each.count for each in plain)
    kinds = len(np.unique(world.requests[[each.index for each in plain]], axis=0)) if plain else 0
    return pods > PLAIN_PART * len(world.problem.pods) and kinds <= min(MOST_KINDS, pods // LEAST_OF_A_KIND)


def plain_classes(world: World) -> Iterator[PodClass]:
    """Those of which it only matters where there is room, to them and to all others."""
    book = world.rulebook
    for each in world.classes:
        rules = book.rules[each.index]
        bound = len(rules) > 1 or rules[0].says_anything or book.touches[each.index]
        if not bound and not each.spec.host_ports and not each.spec.volumes:
            yield each
