"""Makes a packing cheaper: some machines are given up, their pods placed anew, and the better of both stays.

Machines whose pods are worth least for the price come first. What is tried is counted in steps, so that the same
problem has the same answer; whoever has a clock may end it sooner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from nodesmith.decide.schedule.claims import Claims
from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.crowd import Crowd
from nodesmith.decide.schedule.filler import Filler
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.placer import Placer
from nodesmith.decide.schedule.problem import TimeIsUp

SIZES: Final = (2, 3, 1, 4, 6, 2, 8, 3)
"""How many machines are given up in a step, in turn."""
LEAST_SAVING: Final = 1e-9
"""Dollars an hour; less is rounding."""
FATIGUE: Final = 0.5
"""How much less a machine's waste counts after each step that tried it in vain."""
FITS_BUT_ONE_IN: Final = 3
"""Room that is there is looked at first, but for one step in so many."""
ELSEWHERE_ONE_IN: Final = 2
"""The machines given up are of one place, where pods can be exchanged freely, but for one step in so many."""
PATIENCE: Final = 6
"""Steps in vain, one after the other, for each machine there is; then it is left as it is."""
_NODES_BIT: Final = 2**40
_MULTIPLIER: Final = 6364136223846793005
_INCREMENT: Final = 1442695040888963407


class Improver:
    """Improves one packing.

    `prices` are those of its machines, each as the cheapest that holds its pods, with what it risks on spot; `claims`
    knows what they may turn out to be. The
    choice of machines follows a fixed sequence of numbers (Knuth's MMIX generator).
    """

    def __init__(self, packing: Packing, crowd: Crowd, filler: Filler, placer: Placer, claims: Claims) -> None:
        self._packing = packing
        self._world = packing.world
        self._crowd = crowd
        self._filler = filler
        self._placer = placer
        self.claims = claims
        self.prices: dict[int, float] = {}
        self._waste: dict[int, float] = {}
        self._tries: dict[int, int] = {}
        self._state = 1
        for bin_ in packing.planned():
            self._price(bin_)

    @property
    def price(self) -> float:
        """Dollars an hour for all machines, risk counted."""
        return sum(self.prices.values())

    def run(self, orders: Sequence[Sequence[PodClass]], steps: int, is_time_up: TimeIsUp | None = None) -> None:
        """So many steps were tried, or the time is up.

        Args:
            orders: in which the pods are placed anew, in turn.
            steps: how many.
            is_time_up: asked before each.
        """
        in_vain = 0
        for step in range(steps):
            if is_time_up is not None and is_time_up():
                return
            for bin_ in self.prices if not step else ():
                self._weigh(bin_)
            if not self._waste or in_vain > PATIENCE * len(self.prices):
                return
            given_up = self._chosen(SIZES[step % len(SIZES)], in_one_place=bool(step % ELSEWHERE_ONE_IN))
            better = self._step(orders[step % len(orders)], given_up, fits=bool(step % FITS_BUT_ONE_IN))
            in_vain = 0 if better else in_vain + 1

    def _step(self, order: Sequence[PodClass], given_up: list[int], *, fits: bool) -> bool:
        """Whether the machines given up could be done better."""
        packing, crowd = self._packing, self._crowd
        machines = [bin_ for bin_ in given_up if bin_ in self.prices]
        before = sum(self.prices[bin_] for bin_ in machines)
        saved, tables, first = crowd.save(), self._tables(given_up), packing.size
        packing.begin()
        for bin_ in given_up:
            for (index, level), count in list(packing.contents[bin_].items()):
                packing.add(self._world.classes[index], level, bin_, -count)
                crowd.released(self._world.classes[index], level, count)
        for bin_ in machines:
            packing.close(bin_)
        waiting = [each for each in order if crowd.left[each.index]]
        if fits:
            for each in waiting:
                self._placer.fit(each)
        self._filler.build(waiting)
        self._placer.place_all(waiting)
        after = sum(self.claims.cheapest(bin_)[1] for bin_ in range(first, packing.size) if packing.contents[bin_])
        fewer = int(crowd.left.sum()) < int(saved.left.sum())
        cheaper = np.array_equal(crowd.left, saved.left) and after < before - LEAST_SAVING
        if (fewer or cheaper) and self._others_stand(tables):
            for bin_ in machines:
                self._forget(bin_)
            for bin_ in range(first, packing.size):
                self._price(bin_)
                self._weigh(bin_)
            packing.keep()
            return True
        packing.take_back()
        crowd.restore(saved)
        for bin_ in machines:
            self._tries[bin_] = self._tries.get(bin_, 0) + 1
        return False

    def _chosen(self, count: int, *, in_one_place: bool) -> list[int]:
        """The machine that wastes most and some others, more of them wasteful than not; or nodes that took pods."""
        live = sorted(self._waste, key=lambda bin_: (-self._waste[bin_] * FATIGUE ** self._tries.get(bin_, 0), bin_))
        nodes = [bin_ for bin_ in range(len(self._world.nodes)) if self._packing.contents[bin_]]
        chosen = [live[0]]
        if in_one_place:
            live = [bin_ for bin_ in live if self._place(bin_) == self._place(live[0])]
        while len(chosen) < min(count, len(live) + len(nodes)):
            self._state = (self._state * _MULTIPLIER + _INCREMENT) % 2**64
            draw = self._state / 2**64
            candidates = nodes if nodes and self._state & _NODES_BIT else live
            at = int(draw * draw * len(candidates))
            if candidates[at] not in chosen:
                chosen.append(candidates[at])
            elif all(candidate in chosen for candidate in candidates):
                break
        return chosen

    def _place(self, bin_: int) -> tuple[int, str, str]:
        """The planned machine's template, zone and capacity type."""
        template, offering = divmod(int(self._packing.offer[bin_]), len(self._world.universe))
        planned = self._world.universe.offerings[offering]
        return template, planned.zone, planned.capacity_type

    def _tables(self, given_up: Iterable[int]) -> dict[int, list[int]]:
        """The counts, by domain, that pods elsewhere may rely on and that giving up the machines changes."""
        book, tables = self._world.rulebook, self._packing.tally.tables
        classes = {index for bin_ in given_up for index, _ in self._packing.contents[bin_]}
        counters = {counter.index for index in classes for counter in book.touches[index]}
        return {index: list(tables[index]) for index in counters & book.watched.keys()}

    def _others_stand(self, before: Mapping[int, Sequence[int]]) -> bool:
        """Whether every rule that held for pods elsewhere holds as the counts are now."""
        for index, old in before.items():
            new = self._packing.tally.tables[index]
            watched = self._world.rulebook.watched[index]
            if watched.has_company and any(was and not now for was, now in zip(old, new, strict=True)):
                return False
            if any(rule.skew(new) > max(rule.max_skew, rule.skew(old)) for rule in watched.spread):
                return False
            # What others, whom the constraint does not bind, have made uneven may rest on the order of placing.
            if any(rule.skew(new) > rule.max_skew for rule in watched.hard):
                return False
        return True

    def _price(self, bin_: int) -> None:
        """The machine is the cheapest that holds its pods, or is not bought when it has none."""
        packing = self._packing
        if not packing.contents[bin_]:
            packing.close(bin_)
            return
        offer, price = self.claims.cheapest(bin_)
        template = self._world.templates[offer // len(self._world.universe)]
        if offer != packing.offer[bin_] and not packing.diversity.asks(template):
            packing.change_offer(bin_, offer)
        self.prices[bin_] = price

    def _weigh(self, bin_: int) -> None:
        """It is known what the machine wastes, if it is bought and there is another to be had for it."""
        if bin_ in self._waste or bin_ not in self.prices:
            return
        if not self._world.is_reserved[int(self._packing.offer[bin_]) % len(self._world.universe)]:
            self._waste[bin_] = self.prices[bin_] - self._crowd.worth_of(self._packing.contents[bin_])

    def _forget(self, bin_: int) -> None:
        del self.prices[bin_]
        del self._waste[bin_]
        self._tries.pop(bin_, None)
