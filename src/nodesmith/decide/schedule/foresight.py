"""Chooses a machine by trying what would be on it: the best-looking shapes are filled on paper, side by side.

The trial knows requests, who may go where and how many pods of a class share a host; other rules between pods it leaves
out. Pods that no trial tells apart are one kind; of many kinds it looks at a sample.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.crowd import Crowd
from nodesmith.decide.schedule.filler import SIZE_SHARE
from nodesmith.decide.schedule.market import Shelf
from nodesmith.decide.schedule.shop import PricedShop
from nodesmith.decide.schedule.worth import Values

SHAPES: Final = 8
"""Shapes tried for a machine; more found nothing cheaper on any input."""
SAMPLE: Final = 100
"""Kinds of pods that a trial looks at."""
FRESH: Final = 0.92
"""A choice stands for pods of the same kind until less than this part of the pods that were left then is left."""
PART_AT_ONCE: Final = 2
"""As the filler's, coarser: half of what fits changes no choice for the worse and takes half the rounds."""
ALONE: Final = 2**40


class ForesightShop(PricedShop):
    """The lowest price for what a trial puts on the machine."""

    def __init__(self, crowd: Crowd) -> None:
        super().__init__(crowd)
        self._kinds = Kinds(crowd)
        self._recent: dict[tuple[int, int, int], tuple[int, int]] = {}

    def _pick(self, each: PodClass, shelf: Shelf, together: int) -> int:
        kind = int(self._kinds.of[each.index])
        left = int(self._crowd.left.sum())
        key = (kind, id(shelf), together)
        recent = self._recent.get(key)
        if recent is not None and FRESH * recent[1] <= left <= recent[1]:
            return recent[0]
        held = self._held(each, shelf, together)
        ranks = np.lexsort((held.prices, self._ranks(each, held, together)))[:SHAPES]
        if len(ranks) == 1:
            return int(held.offers[ranks[0]])
        worth = self._kinds.trial(kind, held, ranks)
        host = self._market.worth[self._market.group_of[each.index]].host
        best = int(np.argmin(held.prices[ranks] / np.maximum(worth + host, 1e-12)))
        offer = int(held.offers[ranks[best]])
        self._recent[key] = (offer, left)
        return offer


class Kinds:
    """The classes of a crowd by what a trial looks at: group, requests, most on one host; `of` is a class's kind."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        market, world = crowd.market, crowd.world
        index: dict[tuple[int, bytes, int], int] = {}
        firsts: list[int] = []
        most: list[int] = []
        kinds: list[int] = []
        for each in world.classes:
            rules = world.rulebook.rules[each.index][0]
            alone = min((rule.limit + 1 for rule in rules.hosts if rule.own), default=ALONE)
            key = (market.group_of[each.index], world.requests[each.index].tobytes(), alone)
            kind = index.setdefault(key, len(index))
            if kind == len(firsts):
                firsts.append(each.index)
                most.append(alone)
            kinds.append(kind)
        self.of = np.array(kinds, dtype=np.int64)
        self._first = np.array(firsts, dtype=np.int64)
        self._most = np.array(most, dtype=np.int64)
        self._group = np.array(market.group_of, dtype=np.int64)[self._first]
        self._requests = crowd.requests[:, self._first]
        self._tier = crowd.tier[self._first]

    def trial(self, seed: int, held: Shelf, ranks: NDArray[np.int64]) -> Values:
        """What the pods are worth that would be on each of the shapes, with one of the seed's kind first."""
        crowd, market = self._crowd, self._crowd.market
        left: Values = np.bincount(self.of, weights=crowd.left, minlength=len(self._first)).astype(np.float64)
        left[seed] -= 1
        here = np.flatnonzero(left > 0)
        if len(here) > SAMPLE:
            here = here[np.linspace(0, len(here) - 1, SAMPLE).astype(np.int64)]
            left = left * (float(left.sum()) / float(left[here].sum()))
        units = market.units
        rooms = np.maximum(held.rooms[ranks], 1).astype(np.float64)
        free = rooms - self._requests[:, seed]
        worth = np.full(len(ranks), float(self._requests[:, seed] @ units[self._group[seed]]))
        if not len(here):
            return worth
        offers = held.offers[ranks]
        admits = market.admits[:, offers][self._group[here]].T
        requests = self._requests[:, here]
        each_worth = (requests * units[self._group[here]].T).sum(axis=0)
        balance = market.balance(offers, rooms)
        base = self._tier[here] + 0.5 * SIZE_SHARE * _largest_share(requests, rooms)
        suits = 0.5 * (balance @ requests)
        stock = np.minimum(left[here], self._most[here])[None].repeat(len(ranks), axis=0)
        shapes = np.arange(len(ranks))
        while True:
            may = admits & (stock > 0)
            for amounts, left_free in zip(requests, free.T, strict=True):
                may &= amounts <= left_free[:, None]
            busy = may.any(axis=1)
            if not busy.any():
                return worth
            room = np.maximum(free, 1)
            share = _largest_share(requests, room)
            score = np.where(may, base + suits / share / (room * balance).sum(axis=1)[:, None], -1)
            best = score.argmax(axis=1)
            fit = np.floor((room / np.maximum(requests[:, best].T, 1e-9)).min(axis=1))
            taken = np.minimum(np.ceil(stock[shapes, best]), 1 + fit // PART_AT_ONCE) * busy
            free -= requests[:, best].T * taken[:, None]
            stock[shapes, best] -= taken
            worth += each_worth[best] * taken


def _largest_share(requests: Values, rooms: Values) -> Values:
    """Of each room (a row each) the share that each class (a column each) asks of the resource it asks most of."""
    shares: Values = requests[0] / rooms[:, :1]
    for amounts, room in zip(requests[1:], rooms.T[1:], strict=True):
        np.maximum(shares, amounts / room[:, None], out=shares)
    return shares
