"""Chooses a machine by trying what would be on it: the best-looking shapes are filled on paper, side by side.

The trial knows requests, who may go where, how many pods that shun one another share a host, and how many more each
zone takes by the rules between pods as they are counted now. Pods that no trial tells apart are one kind; of many kinds
it looks at a sample.
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
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.shop import PricedShop
from nodesmith.decide.schedule.worth import Values

SHAPES: Final = 20
"""Shapes tried for a machine; with 8 plans are up to 4 % dearer, 50 take longer and find 1 % at most."""
SAMPLE: Final = 100
"""Kinds of pods that a trial looks at."""
FRESH: Final = 0.97
"""A choice stands for pods of the same kind until less than this part of the pods that were left then is left."""
PART_AT_ONCE: Final = 2
"""As the filler's, coarser: half of what fits changes no choice for the worse and takes half the rounds."""
ALONE: Final = 2**40
"""More pods than a machine takes: how many may share a host where no rule says anything."""
NOBODY: Final = -1
"""Stands for the counter, or the company, of pods that have none."""
ROUNDING: Final = 1e-9
"""What a quotient may have lost."""


class ForesightShop(PricedShop):
    """The lowest price for what a trial puts on the machine."""

    def __init__(self, crowd: Crowd, packing: Packing) -> None:
        super().__init__(crowd, packing)
        self._trials = Trials(crowd, packing)
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
    """The classes of a crowd by what a trial looks at: kind, company, most on one host. `of` is a class's number."""

    def __init__(self, crowd: Crowd, packing: Packing) -> None:
        self._crowd = crowd
        self._packing = packing
        index: dict[tuple[int, int, int, int], int] = {}
        numbers: list[int] = []
        for kind, ladder in zip(crowd.kinds.of.tolist(), crowd.world.rulebook.rules, strict=True):
            hosts = [(rule.limit + 1, rule.counter.index) for rule in ladder[0].hosts if rule.own]
            family = ladder[0].family if ladder[0].keys else NOBODY
            key = (kind, *min(hosts, default=(ALONE, NOBODY)), family)
            numbers.append(index.setdefault(key, len(index)))
        self.of = np.array(numbers, dtype=np.int64)
        kinds, self._most, self._counter, self._family = np.array(list(index), dtype=np.int64).reshape(-1, 4).T
        self._group = crowd.kinds.group[kinds]
        self._requests = crowd.kinds.requests[:, kinds]
        self._tier = crowd.kinds.tier[kinds]

    def trial(self, seed: int, held: Shelf, ranks: NDArray[np.int64]) -> Values:
        """What the pods are worth that would be on each of the shapes, with one of the seed's kind first."""
        market = self._crowd.market
        here, left, scale = self._sample(seed)
        units, offers = market.units, held.offers[ranks]
        rooms = np.maximum(held.rooms[ranks], 1).astype(np.float64)
        own = self._requests[:, seed]
        paper = Paper(rooms - own, np.full(len(ranks), float(own @ units[self._group[seed]])))
        if not len(here):
            return paper.worth
        requests, balance = self._requests[:, here], market.balance(offers, rooms)
        base = self._tier[here] + 0.5 * SIZE_SHARE * _largest_share(requests, rooms)
        counter = self._counter[here]
        # Each kind of the sample stands for several, which shun one another only where they are counted together.
        stock = np.minimum(left, self._room(here, offers))
        stock = np.where(counter == NOBODY, np.ceil(stock * scale), stock)
        stock -= (counter == self._counter[seed]) & (counter != NOBODY)
        stock -= (self._family[here] == self._family[seed]) & (self._family[seed] != NOBODY)
        together = np.where(counter[:, None] == NOBODY, np.eye(len(here)), counter[:, None] == counter)
        base[~market.admits[:, offers][self._group[here]].T | (stock <= 0)] = GONE
        paper.fill(requests, (requests * units[self._group[here]].T).sum(axis=0), base, balance, (stock, together))
        return paper.worth

    def _sample(self, seed: int) -> tuple[NDArray[np.int64], Values, float]:
        """Numbers of classes with pods left beside one of the seed's, how many, and for how many each pod stands."""
        left: Values = np.bincount(self.of, weights=self._crowd.left, minlength=len(self._most)).astype(np.float64)
        left[seed] -= 1
        here = np.flatnonzero(left > 0)
        if len(here) <= SAMPLE:
            return here, left[here], 1.0
        here = here[np.linspace(0, len(here) - 1, SAMPLE).astype(np.int64)]
        return here, left[here], float(left.sum()) / float(left[here].sum())

    def _room(self, here: NDArray[np.int64], offers: NDArray[np.int64]) -> Values:
        """How many pods of each of these (a column each) rules let a new machine of each offer take, as counts are."""
        crowd, book = self._crowd, self._crowd.world.rulebook
        waiting = np.flatnonzero(crowd.left)
        some = np.zeros(len(self._most), dtype=np.int64)
        some[self.of[waiting]] = waiting
        room = self._most[here].astype(np.float64)[None].repeat(len(offers), axis=0)
        places = [book.codes_of_offer(offer) for offer in offers.tolist()]
        known: dict[int, list[int]] = {}
        for at, index in enumerate(some[here].tolist()):
            rules = book.rules[index][int(crowd.level[index])]
            if rules.keys:
                if rules.family not in known:
                    known[rules.family] = [rules.room_within(self._packing.tally, codes) for codes in places]
                room[:, at] = np.minimum(room[:, at], known[rules.family])
        return room


@dataclass(frozen=True, slots=True)
class Paper:
    """Machines that are filled on paper: what is free of each, a row each, and what is on it worth."""

    free: Values
    worth: Values

    def fill(
        self, requests: Values, each_worth: Values, base: Values, balance: Values, stocks: tuple[Values, Values]
    ) -> None:
        """Nothing more fits.

        Args:
            requests: of each kind, a row a resource.
            each_worth: what a pod of each kind is worth.
            base: by machine and kind what the kind scores there whatever is free; changed.
            balance: by machine what a unit of each resource counts for.
            stocks: by machine and kind how many pods it may take, which is changed; and of each kind the kinds of which
                there may then be fewer, a row a kind.
        """
        free, worth = self.free, self.worth
        stock, together = stocks
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
            taken = np.minimum(stock.take(at), 1 + np.floor(1 / share.take(at) + ROUNDING) // PART_AT_ONCE)
            taken[score.take(at) == GONE] = 0
            if not taken.any():
                return
            free -= by_kind.take(best, axis=0) * taken[:, None]
            worth += each_worth.take(best) * taken
            stock -= together.take(best, axis=0) * taken[:, None]
            np.putmask(base, stock <= 0, GONE)


def _largest_share(requests: Values, rooms: Values) -> Values:
    """Of each room (a row each) the share that each class (a column each) asks of the resource it asks most of."""
    shares: Values = requests[0] / rooms[:, :1]
    for amounts, room in zip(requests[1:], rooms.T[1:], strict=True):
        np.maximum(shares, amounts / room[:, None], out=shares)
    return shares
