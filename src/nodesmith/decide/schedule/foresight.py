"""Chooses a machine by trying what would be on it: the best-looking shapes are filled on paper, side by side.

The trial knows requests, who may go where, how many pods that shun one another share a host, and how many more each
zone takes by the rules between pods as they are counted now. Pods that no trial tells apart are one kind; of many kinds
it looks at a sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.crowd import Crowd
from nodesmith.decide.schedule.filler import FRESH, GONE, NEARLY_NOTHING, SIZE_SHARE
from nodesmith.decide.schedule.market import Shelf
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.shop import PricedShop
from nodesmith.decide.schedule.worth import Values

SHAPES: Final = 20
"""Shapes tried for a machine; with 8 plans are up to 4 % dearer, 50 take longer and find 1 % at most."""
SAMPLE: Final = 100
"""Kinds of pods that a trial looks at."""
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
        self._recent: dict[tuple[int, int, int], tuple[list[int], int]] = {}

    def _pick(self, each: PodClass, shelf: Shelf, together: int, most: int) -> list[int]:
        kind = int(self._trials.of[each.index])
        left = int(self._crowd.left.sum())
        key = (kind, id(shelf), together)
        recent = self._recent.get(key)
        if recent is not None and FRESH * recent[1] <= left <= recent[1]:
            return recent[0][:most]
        held = self._held(each, shelf, together)
        ranks = np.lexsort((held.prices, self._ranks(each, held, together)))[:SHAPES]
        if len(ranks) <= 1:
            return [int(held.offers[rank]) for rank in ranks]
        worth = self._trials.trial(kind, held, ranks)
        host = self._market.worth[self._market.group_of[each.index]].host
        best = np.argsort(held.prices[ranks] / np.maximum(worth + host, 1e-12), kind="stable")
        offers: list[int] = held.offers[ranks[best]].tolist()
        self._recent[key] = (offers, left)
        return offers[:most]


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
        worth = np.full(len(ranks), float(own @ units[self._group[seed]]))
        if not len(here):
            return worth
        requests, balance = self._requests[:, here], market.balance(offers, rooms)
        base = self._tier[here] + 0.5 * SIZE_SHARE * _largest_share(requests, rooms)
        counter = self._counter[here]
        # Each kind of the sample stands for several, which shun one another only where they are counted together.
        stock = np.minimum(left, self._room(here, offers))
        stock = np.where(counter == NOBODY, np.ceil(stock * scale), stock)
        stock -= (counter == self._counter[seed]) & (counter != NOBODY)
        stock -= (self._family[here] == self._family[seed]) & (self._family[seed] != NOBODY)
        base[~market.admits[:, offers][self._group[here]].T | (stock <= 0)] = GONE
        paper = Paper(rooms - own, balance, 0.5 * (balance @ requests), base, stock)
        worth += paper.fill(requests, (requests * units[self._group[here]].T).sum(axis=0), _companies(counter))
        return worth

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
        of_offer, places = _places([book.codes_of_offer(offer) for offer in offers.tolist()])
        known: dict[int, list[int]] = {NOBODY: [ALONE] * len(places)}
        columns: list[list[int]] = []
        for index in some[here].tolist():
            rules = book.rules[index][int(crowd.level[index])]
            family = rules.family if rules.keys else NOBODY
            if family not in known:
                known[family] = [rules.room_within(self._packing.tally, codes) for codes in places]
            columns.append(known[family])
        by_place = np.minimum(np.array(columns, dtype=np.float64), self._most[here][:, None]).T
        room: Values = by_place[of_offer]
        return room


def _places(codes: Sequence[Mapping[str, int]]) -> tuple[list[int], list[Mapping[str, int]]]:
    """The number of each one's place, and what it is that the places of these numbers have in common."""
    numbers: dict[tuple[int, ...], int] = {}
    places: list[Mapping[str, int]] = []
    of_each: list[int] = []
    for each in codes:
        of_each.append(numbers.setdefault(tuple(each.values()), len(places)))
        if len(numbers) > len(places):
            places.append(each)
    return of_each, places


def _companies(counter: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each kind the number of its company: those counted together are one, any other is alone."""
    alone = np.arange(len(counter))
    first = np.argmax(counter[:, None] == counter, axis=1)
    return np.where(counter == NOBODY, alone, first)


@dataclass(slots=True)
class Paper:
    """Machines that are filled on paper, a row each.

    `free` is what is left of each; `balance` what a unit of each resource counts for, and `suits` what a pod of each
    kind (a column each) so comes to; `base` what it scores whatever is free; `stock` how many of them may be there.
    """

    free: Values
    balance: Values
    suits: Values
    base: Values
    stock: Values

    def fill(self, requests: Values, each_worth: Values, companies: NDArray[np.int64]) -> Values:
        """What is on each machine worth, once nothing more fits.

        Args:
            requests: of each kind, a row a resource.
            each_worth: what a pod of each kind is worth.
            companies: of each kind, the number of those which it is counted with.
        """
        worth, live = np.zeros(len(self.free)), np.arange(len(self.free))
        by_kind, used = np.ascontiguousarray(requests.T), np.zeros_like(self.stock)
        while True:
            share, score = self._scores(requests)
            at = np.arange(len(live)) * len(by_kind)  # where the kinds of each machine begin in arrays laid out flat
            best = score.argmax(axis=1)
            with_company, at = at + companies.take(best), at + best
            goes_on = score.take(at) > GONE
            busy = np.count_nonzero(goes_on)
            if not busy:
                return worth
            if 2 * busy <= len(live):
                live, used = live[goes_on], used[goes_on]
                self._keep(goes_on)
                continue
            left = self.stock.take(at) - used.take(with_company)
            taken = np.minimum(left, 1 + np.floor((1 / share.take(at) + ROUNDING) / PART_AT_ONCE))
            taken *= goes_on & (left > 0)
            self.free -= by_kind.take(best, axis=0) * taken[:, None]
            worth[live] += each_worth.take(best) * taken
            used.put(with_company, used.take(with_company) + taken)
            self.base.put(at[left <= taken], GONE)

    def _scores(self, requests: Values) -> tuple[Values, Values]:
        """By machine and kind the share that a pod asks of what is free, and what it scores."""
        np.maximum(self.free, NEARLY_NOTHING, out=self.free)
        share = _largest_share(requests, self.free)
        score = share * np.add.reduce(self.free * self.balance, axis=1)[:, None]
        np.divide(self.suits, score, out=score)
        score += self.base
        np.putmask(score, share > 1, GONE)
        return share, score

    def _keep(self, rows: NDArray[np.bool_]) -> None:
        """Only these machines are filled from here on."""
        self.free, self.balance, self.suits = self.free[rows], self.balance[rows], self.suits[rows]
        self.base, self.stock = self.base[rows], self.stock[rows]


def _largest_share(requests: Values, rooms: Values) -> Values:
    """Of each room (a row each) the share that each class (a column each) asks of the resource it asks most of."""
    asked = requests[:, None, :] / np.ascontiguousarray(rooms.T)[:, :, None]
    shares: Values = np.maximum.reduce(asked)
    return shares
