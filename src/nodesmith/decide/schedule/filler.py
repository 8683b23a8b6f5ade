"""Fills machines one after the other: each with the pods that suit what is still free of it.

The placer asks where a class goes; the filler asks what goes into a machine. Pods that are dearest to buy for come
first, so that the others only get the room those leave. Among equals it takes those worth most for the share of the
free room that they take in the resource where that share is largest: pods in the direction of what is free, so that
no resource runs out while another is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.buyer import Buyer
from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.crowd import Crowd
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.placer import Placer

PART_AT_ONCE: Final = 4
"""Of the pods of one class that still fit, a machine takes this part before the other classes are looked at again."""
SIZE_SHARE: Final = 0.3
"""What a pod as large as the machine scores for its size, when one that suits it perfectly scores 1: large pods fit
less well later. Between 0.1 and 3 plans differ by 3 %, without a trend over all inputs."""


class Filler:
    """Opens and fills the machines of one packing."""

    def __init__(self, packing: Packing, crowd: Crowd, buyer: Buyer, placer: Placer) -> None:
        self._world = packing.world
        self._packing = packing
        self._crowd = crowd
        self._buyer = buyer
        self._placer = placer

    def build(self, order: Sequence[PodClass]) -> None:
        """Every pod of these classes that a machine can be bought for is on one."""
        for each in order:
            while self._crowd.left[each.index]:
                if not self._seed(each):
                    if not self._crowd.give_up(each):
                        break
                    self._placer.fit(each)

    def _seed(self, each: PodClass) -> bool:
        """Whether a machine could be opened for the class; it is filled then."""
        crowd, packing = self._crowd, self._packing
        rules = crowd.rules(each)
        if any(company.is_first(packing.tally) for company in rules.host_affinity):
            return False
        level = int(crowd.level[each.index])
        allowed = {key: rules.allowed(packing.tally, key) for key in rules.keys}
        bin_ = self._buyer.open(each, level, rules, allowed, int(crowd.left[each.index]))
        if bin_ is None or not packing.room_in(each, each.stances[level], rules, bin_):
            return False
        self._take(each, bin_, 1)
        self.fill(bin_)
        if list(packing.contents[bin_]) == [(each.index, level)] and not rules.keys:
            self._placer.repeat(each, level, bin_)
        return True

    def fill(self, bin_: int) -> None:
        """The planned machine takes no more pods of the crowd."""
        packing, crowd = self._packing, self._crowd
        offer = int(packing.offer[bin_])
        room = np.maximum(packing.room(offer), 1).astype(np.float64)[:, None]
        here = crowd.waiting_for(offer)
        here = here[(crowd.requests[:, here] <= packing.free[bin_][:, None]).all(axis=0)]
        here = self._welcome(here, bin_)
        requests = crowd.requests[:, here]
        units = crowd.market.balance(np.array([offer]), room.T)[0]
        base = crowd.tier[here] + 0.5 * SIZE_SHARE * (requests / room).max(axis=0)
        worth = 0.5 * (units @ requests)
        while len(here):
            free = np.maximum(packing.free[bin_], 1).astype(np.float64)
            suits = worth / (requests / free[:, None]).max(axis=0)
            at = int((base + suits / float(free @ units)).argmax())
            keep = self._offer_room(int(here[at]), here, bin_)
            keep &= (requests <= packing.free[bin_][:, None]).all(axis=0)
            here, requests, base, worth = here[keep], requests[:, keep], base[keep], worth[keep]

    def _welcome(self, here: NDArray[np.int64], bin_: int) -> NDArray[np.int64]:
        """Those of the classes that the machine's company and place admit."""
        families = self._crowd.family[here]
        of_family, tally, codes = self._world.rulebook.of_family, self._packing.tally, self._packing.codes_of(bin_)
        shut = np.zeros(len(of_family), dtype=np.bool_)
        for family in np.flatnonzero(np.bincount(families)).tolist():
            shut[family] = not of_family[family].admits(tally, bin_, codes)
        return here[~shut[families]]

    def _offer_room(self, index: int, here: NDArray[np.int64], bin_: int) -> NDArray[np.bool_]:
        """Which of the classes may still go there, after the one of that index has had its turn."""
        packing, crowd = self._packing, self._crowd
        each = self._world.classes[index]
        rules = crowd.rules(each)
        room = packing.room_by_rules(rules, bin_)
        if not room:
            return np.asarray(crowd.family[here] != crowd.family[index])
        room = packing.room_among(each, each.stances[crowd.level[index]], rules, bin_, room)
        taken = min(int(crowd.left[index]), room, 1 + room // PART_AT_ONCE)
        if taken:
            self._take(each, bin_, taken)
        return np.asarray(here != index) if not taken or not crowd.left[index] else np.ones(len(here), dtype=np.bool_)

    def _take(self, each: PodClass, bin_: int, count: int) -> None:
        self._packing.add(each, int(self._crowd.level[each.index]), bin_, count)
        self._crowd.took(each, count)
