"""Chooses a machine by trying what would be on it: the best-looking shapes are filled on paper, side by side.

The trial knows requests, who may go where and how many pods of a class share a host; other rules between pods it leaves
out. Pods that no trial tells apart are one kind; of many kinds it looks at a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.crowd import Crowd
from nodesmith.decide.schedule.filler import GONE, NEARLY_NOTHING, SIZE_SHARE
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
ROUNDING: Final = 1e-9
"""What a quotient may have lost."""


class ForesightShop(PricedShop):
    """The lowest price for what a trial puts on the machine."""

    def __init__(self, crowd: Crowd) -> None:
        super().__init__(crowd)
        self._trials = Trials(crowd)
        self._recent: dict[tuple[int, int, int], tuple[int, int]] = {}

    def _pick(self, each: PodClass, shelf: Shelf, together: int) -> int | None:
        kind = int(self._trials.of[each.index])
        left = int(self._crowd.left.sum())
        key = (kind, id(shelf), together)
        recent = self._recent.get(key)
        if recent is not None and FRESH * recent[1] <= left <= recent[1]:
            return recent[0]
        held = self._held(each, shelf, together)
        ranks = np.lexsort((held.prices, self._ranks(each, held, together)))[:SHAPES]
        if len(ranks) <= 1:
            return int(held.offers[ranks[0]]) if len(ranks) else None
        worth = self._trials.trial(kind, held, ranks)
        host = self._market.worth[self._market.group_of[each.index]].host
        best = int(np.argmin(held.prices[ranks] / np.maximum(worth + host, 1e-12)))
        offer = int(held.offers[ranks[best]])
        self._recent[key] = (offer, left)
        return offer


class Trials:
    """The classes of a crowd by what a trial looks at: kind, and most on one host; `of` is a class's number here."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        index: dict[tuple[int, int], int] = {}
        numbers: list[int] = []
        for kind, ladder in zip(crowd.kinds.of.tolist(), crowd.world.rulebook.rules, strict=True):
            alone = min((rule.limit + 1 for rule in ladder[0].hosts if rule.own), default=ALONE)
            numbers.append(index.setdefault((kind, alone), len(index)))
        self.of = np.array(numbers, dtype=np.int64)
        self._most = np.array([alone for _, alone in index], dtype=np.int64)
        kinds = np.array([kind for kind, _ in index], dtype=np.int64)
        self._group = crowd.kinds.group[kinds]
        self._requests = crowd.kinds.requests[:, kinds]
        self._tier = crowd.kinds.tier[kinds]

    def trial(self, seed: int, held: Shelf, ranks: NDArray[np.int64]) -> Values:
        """What the pods are worth that would be on each of the shapes, with one of the seed's kind first."""
        crowd, market = self._crowd, self._crowd.market
        left: Values = np.bincount(self.of, weights=crowd.left, minlength=len(self._most)).astype(np.float64)
        left[seed] -= 1
        here = np.flatnonzero(left > 0)
        if len(here) > SAMPLE:
            here = here[np.linspace(0, len(here) - 1, SAMPLE).astype(np.int64)]
            left = left * (float(left.sum()) / float(left[here].sum()))
        units, offers = market.units, held.offers[ranks]
        rooms = np.maximum(held.rooms[ranks], 1).astype(np.float64)
        own = self._requests[:, seed]
        paper = Paper(rooms - own, np.full(len(ranks), float(own @ units[self._group[seed]])))
        if not len(here):
            return paper.worth
        requests, balance = self._requests[:, here], market.balance(offers, rooms)
        base = self._tier[here] + 0.5 * SIZE_SHARE * _largest_share(requests, rooms)
        base[~market.admits[:, offers][self._group[here]].T] = GONE
        stock = np.ceil(np.minimum(left[here], self._most[here]))[None].repeat(len(ranks), axis=0)
        paper.fill(requests, (requests * units[self._group[here]].T).sum(axis=0), base, balance, stock)
        return paper.worth


@dataclass(frozen=True, slots=True)
class Paper:
    """Machines that are filled on paper: what is free of each, a row each, and what is on it worth."""

    free: Values
    worth: Values

    def fill(self, requests: Values, each_worth: Values, base: Values, balance: Values, stock: Values) -> None:
        """Nothing more fits.

        Args:
            requests: of each kind, a row a resource.
            each_worth: what a pod of each kind is worth.
            base: by machine and kind what the kind scores there whatever is free; changed.
            balance: by machine what a unit of each resource counts for.
            stock: by machine and kind how many pods it may take; changed.
        """
        free, worth = self.free, self.worth
        suits, by_kind = 0.5 * (balance @ requests), np.ascontiguousarray(requests.T)
        starts = np.arange(len(free)) * len(by_kind)
        while True:
            np.maximum(free, NEARLY_NOTHING, out=free)
            share = _largest_share(requests, free)
            score = share * (free * balance).sum(axis=1)[:, None]
            np.divide(suits, score, out=score)
            score += base
            np.putmask(score, share > 1, GONE)
            best = score.argmax(axis=1)
            at = starts + best  # one kind for each machine, in the arrays laid out flat
            there = stock.take(at)
            taken = np.minimum(there, 1 + np.floor(1 / share.take(at) + ROUNDING) // PART_AT_ONCE)
            taken[score.take(at) == GONE] = 0
            if not taken.any():
                return
            free -= by_kind.take(best, axis=0) * taken[:, None]
            worth += each_worth.take(best) * taken
            there -= taken
            stock.put(at, there)
            base.put(at[there <= 0], GONE)


def _largest_share(requests: Values, rooms: Values) -> Values:
    """Of each room (a row each) the share that each class (a column each) asks of the resource it asks most of."""
    shares: Values = requests[0] / rooms[:, :1]
    for amounts, room in zip(requests[1:], rooms.T[1:], strict=True):
        np.maximum(shares, amounts / room[:, None], out=shares)
    return shares
