"""Fills machines one after the other: each with the pods that suit what is still free of it.

The placer asks where a class goes; the filler asks what goes into a machine. Pods that are dearest to buy for come
first, so that the others only get the room those leave. Among equals it takes those worth most for the share of the
free room that they take in the resource where that share is largest: pods in the direction of what is free, so that
no resource runs out while another is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np

from nodesmith.decide.schedule.buyer import Buyer
from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.crowd import Crowd
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.placer import Placer
from nodesmith.decide.schedule.problem import TimeIsUp

PART_AT_ONCE: Final = 4
"""Of the pods of one class that still fit, a machine takes this part before the other classes are looked at again."""
SIZE_SHARE: Final = 0.3
"""What a pod as large as the machine scores for its size, when one that suits it perfectly scores 1: large pods fit
less well later. Between 0.1 and 3 plans differ by 3 %, without a trend over all inputs."""
NEARLY_NOTHING: Final = 1e-9
"""Stands for nothing where shares are asked of it: whoever asks for any asks for more."""
FRESH: Final = 0.97
"""A choice stands for pods of the same kind until less than this part of the pods that were left then is left."""
TRIED: Final = 3
"""Machines that are tried for each that is bought where there is somebody to judge them."""
GONE: Final = -np.inf
"""The score of a class that may not go to a machine."""


Judge = Callable[[int], float]
"""How dear a machine is for what is on it."""


class Filler:
    """Opens and fills the machines of one packing."""

    def __init__(self, packing: Packing, crowd: Crowd, buyer: Buyer, placer: Placer) -> None:
        self._world = packing.world
        self._packing = packing
        self._crowd = crowd
        self._buyer = buyer
        self._placer = placer
        self._recent: dict[tuple[int, ...], tuple[int, int]] = {}

    def build(self, order: Sequence[PodClass], is_time_up: TimeIsUp | None = None, judge: Judge | None = None) -> None:
        """Every pod of these classes that a machine can be bought for is on one, or the time is up.

        With a `judge` several machines are tried for each that is bought, and the one that it finds cheapest is taken.
        """
        for each in order:
            while self._crowd.left[each.index]:
                if is_time_up is not None and is_time_up():
                    return
                if not self._seed(each, judge):
                    if not self._crowd.give_up(each):
                        break
                    self._placer.fit(each)

    def _seed(self, each: PodClass, judge: Judge | None) -> bool:
        """Whether a machine could be opened for the class; it is filled then."""
        crowd, packing = self._crowd, self._packing
        rules = crowd.rules(each)
        if any(company.is_first(packing.tally) for company in rules.host_affinity):
            return False
        level = int(crowd.level[each.index])
        allowed = {key: rules.allowed(packing.tally, key) for key in rules.keys}
        count, most = int(crowd.left[each.index]), 1 if judge is None else TRIED
        offers = self._buyer.choices(each, level, rules, allowed, count, most=most)
        if judge is not None and len(offers) > 1:
            offers = [self._judged(each, judge, offers)]
        if not offers or (bin_ := self._start(each, offers[0])) is None:
            return False
        if list(packing.contents[bin_]) == [(each.index, level)] and not rules.keys:
            self._placer.repeat(each, level, bin_)
        return True

    def _start(self, each: PodClass, offer: int) -> int | None:
        """A machine of the offer, filled with a pod of the class and others; None where it does not take one."""
        bin_ = self._packing.open(offer)
        rules, stance = self._crowd.rules(each), each.stances[int(self._crowd.level[each.index])]
        if not self._packing.room_in(each, stance, rules, bin_):
            return None
        self._take(each, bin_, 1)
        self.fill(bin_)
        return bin_

    def _judged(self, each: PodClass, judge: Judge, offers: Sequence[int]) -> int:
        """The offer that is cheapest for what would be on it, as far as that has been looked at lately."""
        left, key = int(self._crowd.left.sum()), (int(self._crowd.kinds.of[each.index]), *offers)
        known = self._recent.get(key)
        if known is None or not FRESH * known[1] <= left <= known[1]:
            known = self._recent[key] = (min(offers, key=partial(self._tried, each, judge)), left)
        return known[0]

    def _tried(self, each: PodClass, judge: Judge, offer: int) -> float:
        """How dear a machine of the offer would be for what would be on it; all is as before."""
        saved = self._crowd.save()
        self._packing.begin()
        bin_ = self._start(each, offer)
        found = np.inf if bin_ is None else judge(bin_)
        self._packing.take_back()
        self._crowd.restore(saved)
        return found

    def fill(self, bin_: int) -> None:
        """The planned machine takes no more pods of the crowd."""
        packing, crowd = self._packing, self._crowd
        offer = int(packing.offer[bin_])
        kinds, queues = crowd.queues(offer)
        room = np.maximum(packing.room(offer), 1).astype(np.float64)[:, None]
        requests = crowd.kinds.requests[:, kinds]
        units = crowd.market.balance(np.array([offer]), room.T)[0]
        base = crowd.kinds.tier[kinds] + 0.5 * SIZE_SHARE * np.maximum.reduce(requests / room)
        worth = 0.5 * (units @ requests)
        shut: set[int] = set()
        while queues:
            free = np.maximum(packing.free[bin_], NEARLY_NOTHING)
            share = np.maximum.reduce(requests / free[:, None])
            fits = share <= 1
            if 2 * np.count_nonzero(fits) <= len(queues):
                # What has grown too large for the machine stays so: only the others are scored from here on.
                kept = fits.nonzero()[0]
                requests, base, worth, share = requests[:, kept], base[kept], worth[kept], share[kept]
                queues, fits = [queues[at] for at in kept.tolist()], fits[kept]
                if not queues:
                    break
            share *= float(free @ units)
            np.divide(worth, share, out=share)
            share += base
            score = np.where(fits, share, GONE)
            at = int(score.argmax())
            if score[at] == GONE:
                break
            if not self._serve(queues[at], shut, bin_):
                base[at] = GONE

    def _serve(self, queue: list[int], shut: set[int], bin_: int) -> bool:
        """Whether there may be more from the queue, from whose end classes go, once one of it was given room.

        The families in `shut` are given none.
        """
        family, left = self._crowd.family, self._crowd.left
        while queue:
            index = queue[-1]
            own = int(family[index])
            taken, is_last = (0, True) if own in shut else self._offer_room(index, bin_)
            if is_last:
                shut.add(own)
            if is_last or not taken or not left[index]:
                queue.pop()
            if taken:
                break
        return bool(queue)

    def _offer_room(self, index: int, bin_: int) -> tuple[int, bool]:
        """How many pods of the class the machine took, and whether rules let none of its family go there any more."""
        packing, crowd = self._packing, self._crowd
        each = self._world.classes[index]
        rules = crowd.rules(each)
        by_host = room = rules.room_on(packing.tally, bin_)
        if room and rules.keys:
            room = min(room, rules.room_within(packing.tally, packing.codes_of(bin_)))
        if not room:
            return 0, True
        room = packing.room_among(each, each.stances[crowd.level[index]], rules, bin_, room)
        taken = min(int(crowd.left[index]), room, 1 + room // PART_AT_ONCE)
        if taken:
            self._take(each, bin_, taken)
        return taken, taken == by_host

    def _take(self, each: PodClass, bin_: int, count: int) -> None:
        self._packing.add(each, int(self._crowd.level[each.index]), bin_, count)
        self._crowd.took(each, count)
