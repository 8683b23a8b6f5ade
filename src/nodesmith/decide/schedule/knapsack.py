"""What a machine of each size should hold when each pod is worth something.

A table over two resources, in whole units, says for every size at once what fits of any number of pods. Machines that
are larger than the table are filled with the pods that are worth most for their size until what is left is in it. What
the table does not know, other resources and how many pods there are, is looked at when its answer is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.universe import Amounts, Flags
from nodesmith.decide.schedule.worth import Values

TABLE: Final = (160, 256)
"""Units of the first and of the second resource up to which the table goes."""
ROUNDING_LOSS: Final = 0.005
"""The part of what pods ask for that may be lost to whole units."""
LEANINGS: Final = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
"""What the first resource's size counts for while large machines are filled; the second's is the rest."""
PART_AT_ONCE: Final = 4
"""Of the pods of one kind that still fit, a large machine takes this part before the others are looked at again."""
TOLERANCE: Final = 1e-4
"""A pattern has to be worth so much more than its machine's price, in parts of it."""
MOST_AT_ONCE: Final = 60
"""Bargains that are looked for at once."""
NOTHING: Final = 1e-12

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bargains:
    """Machines by their number, the best first, with how many pods of each kind are on each, a row each.

    None is worth more than `ratio` times its price, as far as is known.
    """

    machines: Counts
    pods: Counts
    ratio: float


class Knapsacks:
    """The machines of some rooms, a row each, for kinds of pods of some requests, a row each.

    `most` says how many pods of each kind (a column each) a machine holds that holds nothing else.
    """

    def __init__(self, rooms: Amounts, requests: Amounts, counts: Counts) -> None:
        self._rooms = rooms
        self._requests = requests
        self._units = np.array([_unit(amounts, counts) for amounts in requests.T[:2]], dtype=np.int64)
        self._cells = -(-requests[:, :2] // self._units)
        sizes = rooms[:, :2] // self._units
        self._top = np.minimum(sizes.max(axis=0), TABLE)
        self._large = (sizes > self._top).any(axis=1)
        self.most: Counts = _ratio(rooms[:, None], requests).min(axis=2)

    def bargains(self, worth: Values, counts: Counts, prices: Values) -> Bargains:
        """What holds pods worth more than its price.

        Args:
            worth: of a pod of each kind.
            counts: how many pods of each kind there are.
            prices: of each machine.
        """
        kinds = np.flatnonzero((worth > NOTHING) & (counts > 0))
        kinds = kinds[np.argsort(-worth[kinds], kind="stable")]
        if not len(kinds):
            return Bargains(kinds, np.zeros((0, len(worth)), dtype=np.int64), 0.0)
        values, requests = worth[kinds], self._requests[kinds]
        hopeful = np.flatnonzero(self._at_most(values, requests) > prices * (1 + TOLERANCE))
        if not len(hopeful):
            return Bargains(hopeful, np.zeros((0, len(worth)), dtype=np.int64), 1.0)
        table = _table(values, self._cells[kinds], self._top)
        machines, loads = self._begun(hopeful, values, requests, np.minimum(self.most[:, kinds], counts[kinds]))
        promise = (loads.pods @ values + table[*self._corners(loads.free)]) / prices[machines]
        rows = np.lexsort((-promise, machines))
        rows = rows[np.diff(machines[rows], prepend=-1) > 0]
        rows = rows[np.argsort(-promise[rows], kind="stable")]
        ratio = float(promise[rows[0]])
        rows = rows[promise[rows] > 1 + TOLERANCE][:MOST_AT_ONCE]
        loads = loads.take(rows)
        loads.read(table, self._corners(loads.free), values, self._cells[kinds], requests)
        loads.add_in_turn(requests)
        pods = np.zeros((len(rows), len(worth)), dtype=np.int64)
        pods[:, kinds] = loads.pods
        return Bargains(machines[rows], pods, ratio)

    def _corners(self, free: Amounts) -> Counts:
        """Where in the table what is free is found: a row for each of its two sides."""
        corners: Counts = np.minimum(free[:, :2] // self._units, self._top).T
        return corners

    def _at_most(self, values: Values, requests: Amounts) -> Values:
        """What can be on each machine is worth no more than this, were it filled with what is best for its size."""
        sizes = requests[None, :, :2] / np.maximum(self._rooms[:, None, :2], 1)
        asked = np.einsum("mkr,lr->mlk", sizes, np.stack([LEANINGS, 1 - LEANINGS], axis=1))
        most: Values = (values / np.maximum(asked, NOTHING)).max(axis=2).min(axis=1)
        return most

    def _begun(self, machines: Counts, values: Values, requests: Amounts, most: Counts) -> tuple[Counts, Loads]:
        """Some machines, filled until what is free is in the table: large ones in several ways."""
        large = machines[self._large[machines]]
        machines = np.concatenate([machines[~self._large[machines]], np.repeat(large, len(LEANINGS))])
        loads = Loads(self._rooms[machines], np.zeros((len(machines), len(values)), dtype=np.int64), most[machines])
        if len(large):
            part = slice(len(machines) - len(large) * len(LEANINGS), None)
            begun = Loads(loads.free[part], loads.pods[part], loads.most[part])
            begun.add_evenly(values, np.tile(LEANINGS, len(large)), requests, self._top * self._units)
        return machines, loads


@dataclass(slots=True)
class Loads:
    """Machines that are filled on paper, a row each: what is free, the pods of each kind, the most there may be."""

    free: Amounts
    pods: Counts
    most: Counts

    def take(self, rows: Counts) -> Loads:
        """Some of the machines, as others."""
        return Loads(self.free[rows], self.pods[rows], self.most[rows])

    def add_evenly(self, values: Values, leanings: Values, requests: Amounts, enough: Amounts) -> None:
        """Pods worth most for what they ask of what is free were added, until enough of the first two is left.

        Args:
            values: of a pod of each kind.
            leanings: what the first resource counts for, by machine; the second counts for the rest.
            requests: of each kind, a row each.
            enough: of the two resources, how much may be left; more only where nothing fits.
        """
        weights = np.stack([leanings, 1 - leanings], axis=1)
        while True:
            over = np.maximum(self.free[:, :2] - enough, 0)
            rows = np.flatnonzero(over.any(axis=1))
            fits: Flags = (self.free[rows, None] >= requests).all(axis=2) & (self.pods[rows] < self.most[rows])
            rows, fits = rows[fits.any(axis=1)], fits[fits.any(axis=1)]
            if not len(rows):
                return
            sizes = (weights[rows] / np.maximum(self.free[rows, :2], 1)) @ requests[:, :2].T
            kinds = np.where(fits, values / np.maximum(sizes, NOTHING), -1.0).argmax(axis=1)
            fitting = _ratio(self.free[rows], requests[kinds]).min(axis=1)
            wanted = -(-over[rows] // np.maximum(requests[kinds, :2], 1))
            wanted = np.where(requests[kinds, :2] > 0, wanted, 0).max(axis=1)
            part = np.minimum(np.maximum(wanted, 1), 1 + fitting // PART_AT_ONCE)
            self._add(rows, kinds, np.minimum(part, self.most[rows, kinds] - self.pods[rows, kinds]), requests)

    def add_in_turn(self, requests: Amounts) -> None:
        """As many pods as fit were added of one kind after the other."""
        for kind in range(len(requests)):
            fitting = _ratio(self.free, requests[kind]).min(axis=1)
            count = np.minimum(fitting, self.most[:, kind] - self.pods[:, kind])
            self.pods[:, kind] += count
            self.free -= requests[kind] * count[:, None]

    def read(self, table: Values, corners: Counts, values: Values, cells: Counts, requests: Amounts) -> None:
        """What the table puts into what is free was added, as far as there are pods and other resources."""
        first, second = corners
        while True:
            wide, deep = first[:, None] - cells[:, 0], second[:, None] - cells[:, 1]
            fits: Flags = (wide >= 0) & (deep >= 0) & (self.pods < self.most)
            fits &= (self.free[:, None] >= requests).all(axis=2)
            left = np.where(fits, table[np.maximum(wide, 0), np.maximum(deep, 0)] + values, -1.0)
            kinds = left.argmax(axis=1)
            rows = np.flatnonzero(fits.any(axis=1))
            if not len(rows):
                return
            self._add(rows, kinds[rows], np.ones(len(rows), dtype=np.int64), requests)
            first[rows] -= cells[kinds[rows], 0]
            second[rows] -= cells[kinds[rows], 1]

    def _add(self, rows: Counts, kinds: Counts, counts: Counts, requests: Amounts) -> None:
        self.pods[rows, kinds] += counts
        self.free[rows] -= requests[kinds] * counts[:, None]


def _ratio(free: Amounts, requests: Amounts) -> Amounts:
    """How often what is free holds what is asked, resource by resource; more often than matters where none is asked."""
    return np.where(requests > 0, free // np.maximum(requests, 1), np.iinfo(np.int64).max)


def _table(values: Values, cells: Counts, top: Counts) -> Values:
    """By units of both resources what fits of them is worth, of pods of these values and sizes in units."""
    first, second = top.tolist()
    table = np.zeros((first + 1, second + 1), dtype=np.float32)
    for value, (wide, deep) in zip(values.astype(np.float32), cells.tolist(), strict=True):
        if wide > first or deep > second:
            continue
        if wide:
            for start in range(wide, first + 1, wide):
                end = min(start + wide, first + 1)
                part = table[start:end, deep:]
                np.maximum(part, table[start - wide : end - wide, : second + 1 - deep] + value, out=part)
        elif deep:
            for start in range(deep, second + 1, deep):
                end = min(start + deep, second + 1)
                part = table[:, start:end]
                np.maximum(part, table[:, start - deep : end - deep] + value, out=part)
    return table


def _unit(amounts: Counts, counts: Counts) -> int:
    """The largest unit in whole ones of which the amounts can be said, those that lose little where they cannot."""
    unit = max(int(np.gcd.reduce(amounts)), 1)
    total = int((amounts * counts).sum())
    while unit < amounts.max(initial=0):
        wider = 2 * unit
        lost = int(((-(-amounts // wider) * wider - amounts) * counts).sum())
        if lost > ROUNDING_LOSS * total:
            break
        unit = wider
    return unit
