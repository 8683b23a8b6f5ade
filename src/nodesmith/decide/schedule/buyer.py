"""Buys machines for a packing: what may be bought for a class now, and which of it the shop chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.shop import Shop
from nodesmith.decide.schedule.topology import Rules
from nodesmith.decide.schedule.universe import Flags

Allowed = Mapping[str, Sequence[bool]]
"""By label key, the domain codes where a pod may go now."""


class Buyer:
    """Opens bins in one packing."""

    def __init__(self, packing: Packing, shop: Shop) -> None:
        self._world = packing.world
        self._packing = packing
        self._shop = shop

    def open(
        self, each: PodClass, level: int, rules: Rules, allowed: Allowed, count: int, *, at_least: int = 1
    ) -> int | None:
        """A new bin for the class, or None when nothing can be bought for it."""
        offers = self.choices(each, level, rules, allowed, count, most=1)
        if not offers or (at_least > 1 and self._holds(each, offers[0]) < at_least):
            return None
        return self._packing.open(offers[0])

    def choices(
        self, each: PodClass, level: int, rules: Rules, allowed: Allowed, count: int, *, most: int
    ) -> list[int]:
        """Offers of which a bin could be opened for the class, the best first, so many at most."""
        room = rules.new_host_room(self._packing.tally)
        if room < 1:
            return []
        flags = self._offers(each, level, rules, allowed)
        together = count if any(rule.is_first(self._packing.tally) for rule in rules.host_affinity) else 1
        return self._shop.choose(each, flags, min(together, room), most)

    def _holds(self, each: PodClass, offer: int) -> int:
        request = self._world.requests[each.index]
        used = np.flatnonzero(request)
        return int((self._packing.room(offer)[used] // request[used]).min())

    def _offers(self, each: PodClass, level: int, rules: Rules, allowed: Allowed) -> Flags:
        diversity, stance = self._packing.diversity, each.stances[level]
        if diversity.matters or self._world.prefers_pools:
            flags = self._world.offer_flags(each, stance)
        else:
            flags = self._world.stance_flags(each, stance)  # the shop looks at what fits
        for key, codes in allowed.items():
            flags = flags & self._world.rulebook.offers_in(key, codes)
        still_open = self._packing.ledger.open_offers()
        if still_open is not None:
            flags = flags & still_open
        if not diversity.matters:
            return flags
        return diversity.enough(flags, rules.kept, self._world.rulebook.touches[each.index])
