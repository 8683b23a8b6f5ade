"""The linear relaxation of buying machines, solved a few columns and rows at a time.

    minimise    sum of price[c] x[c]
    so that     for each machine kind c:  sum of requests[g] y[c,g] <= room[c] x[c],  y[c,g] <= most[c,g] x[c]
                for each group of pods:   sum over c of y[c,g] >= count[g]

Nodes that are there are columns without a price of which there are so many. The whole problem is large and mostly idle,
so it starts with the machine kinds that suit single groups best and with none of the rows on `most`; what turns out to
be missing is added. A dual solution of the part, scaled down until no kind left out is worth more than it costs, is one
of the whole: so the answer is a bound even where the rounds run out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from nodesmith.decide.schedule.bound.kinds import Columns, FreeRoom, Groups
from nodesmith.decide.schedule.bound.program import Numbers, Program, Solution, Values

_ROUNDS: Final = 30
_ADDED_A_ROUND: Final = 8
_TOLERANCE: Final = 1e-6
_NOTHING: Final = 1e-12


@dataclass(frozen=True, slots=True)
class _Answer:
    """The part's optimum: its cost, what a pod of each group is worth, and what resources are, a row a machine kind."""

    cost: float
    worth: Values
    resources: Values


class Relaxation:
    """The relaxation for some groups, machine kinds and free room."""

    def __init__(self, groups: Groups, columns: Columns, free: FreeRoom) -> None:
        self._groups = groups
        self._columns = columns
        self._free = free
        self._scale = np.maximum(np.concatenate([columns.room, free.room]).max(axis=0, initial=1.0), 1.0)
        self._sizes = groups.requests / self._scale
        self._active = self._starting()
        self._capped = np.zeros(columns.most.shape, np.bool_)

    def bound(self) -> float:
        """Dollars an hour that no plan goes below."""
        best = 0.0
        for _ in range(_ROUNDS):
            answer = self._solve()
            idle = np.setdiff1d(np.arange(len(self._columns)), self._active)
            ratio = self._columns.price[idle] / np.maximum(self._values(idle, answer), _NOTHING)
            best = max(best, answer.cost * min(1.0, float(ratio.min(initial=1.0))))
            doubtful = idle[np.argsort(ratio, kind="stable")][: int((ratio < 1 - _TOLERANCE).sum())]
            bargains = list(islice(self._bargains(doubtful, answer), _ADDED_A_ROUND))
            if not bargains:
                return max(best, answer.cost / (1 + _TOLERANCE))
            self._active = np.union1d(self._active, bargains)
        return best

    def _bargains(self, doubtful: Numbers, answer: _Answer) -> Iterator[int]:
        """Those of the kinds that, filled as is best, are worth more than they cost."""
        for column in doubtful:
            group = np.flatnonzero(self._columns.most[column] > 0)
            program = Program()
            program.add_variables(-answer.worth[group], self._columns.most[column, group])
            program.add_rows(None, self._columns.room[column] / self._scale)
            number, dimension = np.nonzero(self._sizes[group] > 0)
            program.add_entries(dimension, number, self._sizes[group[number], dimension])
            for clique in self._groups.cliques:
                inside = np.flatnonzero(np.isin(group, clique))
                row = program.add_rows(None, np.ones(1))
                program.add_entries(np.full(len(inside), row), inside, 1.0)
            if -program.solve().cost > self._columns.price[column] * (1 + _TOLERANCE):
                yield int(column)

    def _starting(self) -> Numbers:
        """For each group the kind that holds it at the least price a pod, of those without end; and reserved ones."""
        endless = (self._columns.most > 0) & (self._columns.reservation < 0)[:, None]
        with np.errstate(divide="ignore"):
            each = np.where(endless, self._columns.price[:, None] / self._columns.most, np.inf)
        return np.union1d(each.argmin(axis=0)[endless.any(axis=0)], np.flatnonzero(self._columns.reservation >= 0))

    def _solve(self) -> _Answer:
        """The optimum over the active kinds, with those rows on `most` that matter."""
        while True:
            column, group = np.nonzero(self._columns.most[self._active] > 0)
            solution = self._program(column, group).solve()
            machines = solution.values[: len(self._active)]
            pods = solution.values[len(self._active) :][: len(column)]
            most = self._columns.most[self._active[column], group]
            crowded = (pods > most * machines[column] + _TOLERANCE) & ~self._capped[self._active[column], group]
            if not crowded.any():
                return self._answer(solution)
            self._capped[self._active[column[crowded]], group[crowded]] = True

    def _answer(self, solution: Solution) -> _Answer:
        groups, (_, dimensions) = len(self._groups), self._sizes.shape
        resources = -solution.duals[groups:][: len(self._active) * dimensions]
        return _Answer(
            solution.cost, np.maximum(solution.duals[:groups], 0), np.maximum(resources.reshape(-1, dimensions), 0)
        )

    def _program(self, column: Numbers, group: Numbers) -> Program:
        """The part: machines, then pods on machines by their column and group, then pods on free room."""
        program, active = Program(), self._active
        machines = program.add_variables(self._columns.price[active])
        pods = program.add_variables(np.zeros(len(column))) + np.arange(len(column))
        demand = program.add_rows(self._groups.counts, None)
        program.add_entries(demand + group, pods, 1.0)
        room = self._columns.room[active] / self._scale
        self._add_room(program, (column, group, pods), (machines + np.arange(len(active)), room))
        self._add_cliques(program, (column, group, pods), machines)
        self._add_caps(program, (column, group, pods), machines)
        self._add_reservations(program, machines)
        self._add_free_room(program, demand)
        return program

    def _add_room(
        self, program: Program, placed: tuple[Numbers, Numbers, Numbers], machines: tuple[Numbers, Values]
    ) -> None:
        """Pods stay within the room of their machines."""
        column, group, pods = placed
        numbers, room = machines
        count, dimensions = room.shape
        first = program.add_rows(None, np.zeros(count * dimensions))
        pair, dimension = np.nonzero(self._sizes[group] > 0)
        program.add_entries(
            first + column[pair] * dimensions + dimension, pods[pair], self._sizes[group[pair], dimension]
        )
        rows = first + np.arange(count * dimensions)
        program.add_entries(rows, np.repeat(numbers, dimensions), -room.ravel())

    def _add_cliques(self, program: Program, placed: tuple[Numbers, Numbers, Numbers], machines: int) -> None:
        """A machine takes one pod of all that are in one another's way."""
        column, group, pods = placed
        for clique in self._groups.cliques:
            inside = np.flatnonzero(np.isin(group, clique))
            if len(inside):
                kinds, row = np.unique(column[inside], return_inverse=True)
                first = program.add_rows(None, np.zeros(len(kinds)))
                program.add_entries(first + row, pods[inside], 1.0)
                program.add_entries(first + np.arange(len(kinds)), machines + kinds, -1.0)

    def _add_caps(self, program: Program, placed: tuple[Numbers, Numbers, Numbers], machines: int) -> None:
        """A share of a machine holds no more of a group than that share of what a whole one does."""
        column, group, pods = placed
        capped = np.flatnonzero(self._capped[self._active[column], group])
        if len(capped):
            rows = program.add_rows(None, np.zeros(len(capped))) + np.arange(len(capped))
            program.add_entries(rows, pods[capped], 1.0)
            most = self._columns.most[self._active[column[capped]], group[capped]]
            program.add_entries(rows, machines + column[capped], -most)

    def _add_reservations(self, program: Program, machines: int) -> None:
        """No more machines draw on a reservation than it holds; groups that have nothing else may stay behind."""
        reserved = np.flatnonzero(self._columns.reservation[self._active] >= 0)
        if not len(reserved):
            return
        first = program.add_rows(None, self._columns.slots)
        program.add_entries(first + self._columns.reservation[self._active[reserved]], machines + reserved, 1.0)
        bought = (self._columns.most[self._columns.reservation < 0] > 0).any(axis=0)
        stranded = np.flatnonzero(~bought)
        if len(stranded):
            left = program.add_variables(np.zeros(len(stranded))) + np.arange(len(stranded))
            program.add_entries(stranded, left, 1.0)

    def _add_free_room(self, program: Program, demand: int) -> None:
        """Pods may go to nodes that are there, as far as these have room."""
        node, group = np.nonzero(self._free.most > 0)
        if not len(node):
            return
        pods = program.add_variables(np.zeros(len(node)), self._free.most[node, group]) + np.arange(len(node))
        program.add_entries(demand + group, pods, 1.0)
        dimensions = self._free.room.shape[1]
        first = program.add_rows(None, (self._free.room / self._scale).ravel())
        pair, dimension = np.nonzero(self._sizes[group] > 0)
        program.add_entries(
            first + node[pair] * dimensions + dimension, pods[pair], self._sizes[group[pair], dimension]
        )
        for clique in self._groups.cliques:
            inside = np.flatnonzero(np.isin(group, clique))
            if len(inside):
                first = program.add_rows(None, self._free.number)
                program.add_entries(first + node[inside], pods[inside], 1.0)

    def _values(self, idle: Numbers, answer: _Answer) -> Values:
        """At least what a full machine of each idle kind is worth: the best of several knapsacks of one dimension.

        Each weighs the resources in its own way; of pods in one another's way the most valuable counts, without size.
        """
        most, worth = self._columns.most[idle], answer.worth
        value = np.zeros(len(idle))
        single = np.ones(len(self._groups), np.bool_)
        for clique in self._groups.cliques:
            single[clique] = False
            value += np.where(most[:, clique] > 0, worth[clique], 0.0).max(axis=1, initial=0.0)
        room = self._columns.room[idle] / self._scale
        kept = np.flatnonzero(single & (worth > 0))
        ways = np.concatenate([np.eye(self._sizes.shape[1]), answer.resources[answer.resources.any(axis=1)]])
        filled = [_knapsack(worth[kept], self._sizes[kept] @ way, most[:, kept], room @ way) for way in ways]
        return np.asarray(value + np.minimum.reduce(filled))


def _knapsack(worth: Values, sizes: Values, most: Values, room: Values) -> Values:
    """For each row of `most` and `room` the worth of what fits, the best for its size first; pods may be divided."""
    if not len(worth):
        return np.zeros(len(room))
    with np.errstate(divide="ignore"):
        order = np.argsort(-np.where(sizes > 0, worth / sizes, np.inf), kind="stable")
    worth, sizes, most = worth[order], sizes[order], most[:, order]
    wanted = most * sizes
    before = np.cumsum(wanted, axis=1) - wanted
    taken = np.clip(room[:, None] - before, 0, wanted)
    with np.errstate(divide="ignore", invalid="ignore"):
        number: Values = np.where(sizes > 0, taken / sizes, most)
    return np.asarray(number @ worth)
