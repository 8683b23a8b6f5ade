"""The pods that still want a place while one plan is made: how many of each class, and what each insists on now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.market import Market
from nodesmith.decide.schedule.topology import Rules
from nodesmith.decide.schedule.universe import Flags
from nodesmith.decide.schedule.world import World
from nodesmith.decide.schedule.worth import Values

Counts = NDArray[np.int64]
MANY: Final = 2**15
"""Fewer kinds are sorted much faster, as short numbers."""


class Kinds:
    """The classes of a crowd by group and requests, which is all that decides how well they suit a machine.

    `of` is the kind of a class; the other arrays are by kind, `requests` with a row a resource.
    """

    def __init__(self, world: World, market: Market) -> None:
        index: dict[tuple[int, tuple[int, ...]], int] = {}
        rows = map(tuple, world.requests.tolist())
        kinds = [index.setdefault(key, len(index)) for key in zip(market.group_of, rows, strict=True)]
        self.of = np.array(kinds, dtype=np.int16 if len(index) < MANY else np.int64)
        self.group: Counts = np.array([group for group, _ in index], dtype=np.int64)
        amounts = np.array([row for _, row in index], dtype=np.float64)
        self.requests: Values = np.ascontiguousarray(amounts.reshape(len(index), world.requests.shape[1]).T)
        self._market = market

    @cached_property
    def tier(self) -> Values:
        """How dear the machines are that each kind may go to: its group's rank."""
        return self._market.tiers[self.group].astype(np.float64)


@dataclass(frozen=True, slots=True)
class Saved:
    """A crowd's state at one moment."""

    left: Counts
    level: Counts
    family: Counts
    mask: Counts
    demand: Values


class Crowd:
    """Counts by class.

    `left` are the pods without a place; `level` says which stance a class insists on; `tier` ranks classes by how dear
    the machines are that they may go to.
    """

    def __init__(self, world: World, market: Market) -> None:
        self.world = world
        self.market = market
        self.left: Counts = np.array([each.count for each in world.classes], dtype=np.int64)
        self.level: Counts = np.zeros(len(world.classes), dtype=np.int64)
        self.kinds = Kinds(world, market)
        self.family: Counts = np.zeros(len(world.classes), dtype=np.int64)
        self._mask: Counts = np.zeros(len(world.classes), dtype=np.int64)
        self._masks: list[Flags] = []
        self._mask_index: dict[int, int] = {}
        for each in world.classes:
            self._stand(each, 0)

    @cached_property
    def tier(self) -> Values:
        """The rank of each class's group, dearest highest."""
        return self.market.tiers[self.market.group_of].astype(np.float64)

    def rules(self, each: PodClass) -> Rules:
        """What other pods say about where the class may go at its present stance."""
        return self.world.rulebook.rules[each.index][int(self.level[each.index])]

    def took(self, each: PodClass, count: int) -> None:
        """So many pods of the class have a place."""
        self.left[each.index] -= count
        self.market.settle(each, count)

    def released(self, each: PodClass, level: int, count: int) -> None:
        """So many pods of the class, placed at that stance, want a place again."""
        if not self.left[each.index] or level < self.level[each.index]:
            self._stand(each, level)
        self.left[each.index] += count
        self.market.settle(each, -count)

    def give_up(self, each: PodClass) -> bool:
        """Whether the class had a preference left to give up; it insists on one less now."""
        level = int(self.level[each.index]) + 1
        if level == len(each.stances):
            return False
        self._stand(each, level)
        return True

    def queues(self, offer: int) -> tuple[Counts, list[list[int]]]:
        """The kinds with pods left that a machine of the offer admits, whatever it holds, and the classes of each.

        The class whose turn it is first comes last.
        """
        here = np.flatnonzero(self.left)[::-1]
        admits = np.array([flags[offer] for flags in self._masks], dtype=np.bool_)
        here = here[admits[self._mask[here]]]
        kinds = self.kinds.of[here]
        order = np.argsort(kinds, kind="stable")
        kinds, listed = kinds[order], here[order].tolist()
        firsts = np.flatnonzero(np.diff(kinds, prepend=-1))
        ends = [*firsts.tolist()[1:], len(listed)]
        distinct: Counts = kinds[firsts].astype(np.int64)
        return distinct, [listed[first:end] for first, end in zip(firsts.tolist(), ends, strict=False)]

    def save(self) -> Saved:
        """What `restore` needs to make all as it is now."""
        return Saved(
            self.left.copy(), self.level.copy(), self.family.copy(), self._mask.copy(), self.market.demand.copy()
        )

    def restore(self, saved: Saved) -> None:
        """All is as it was when saved."""
        self.left, self.level, self.family, self._mask = saved.left, saved.level, saved.family, saved.mask
        self.market.demand = saved.demand

    def leftover(self) -> dict[int, int]:
        """How many pods of each class have no place, by class index."""
        return {index: int(self.left[index]) for index in np.flatnonzero(self.left).tolist()}

    def worth_of(self, held: Mapping[tuple[int, int], int]) -> float:
        """What pods on one machine are worth, by class and stance, with what it is worth to have a host for them."""
        market = self.market
        groups = [market.worth[market.group_of[index]] for index, _ in held]
        pods = sum(
            worth.of(self.world.requests[index]) * count
            for worth, ((index, _), count) in zip(groups, held.items(), strict=True)
        )
        return pods + max(worth.host for worth in groups)

    def _stand(self, each: PodClass, level: int) -> None:
        self.level[each.index] = level
        self.family[each.index] = self.world.rulebook.rules[each.index][level].family
        flags = self.world.stance_flags(each, each.stances[level])
        known = self._mask_index.get(id(flags))
        if known is None:
            known = self._mask_index[id(flags)] = len(self._masks)
            self._masks.append(flags)
        self._mask[each.index] = known
