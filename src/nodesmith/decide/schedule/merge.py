"""Makes a packing cheaper by joining machines: two that cost more than one that holds the pods of both become that one.

Only machines in the same domain of every label that matters are joined, and only where the host rules of all their pods
allow them to share one host.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Final

import numpy as np

from nodesmith.decide.schedule.claims import Claims
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.universe import Amounts, Flags, holds

MOST_BINS: Final = 64
"""Machines compared with one another; of more, the emptiest by price."""


@dataclass(slots=True)
class Part:
    """A planned machine that may be joined: what it may become, what it holds, what it costs as it is."""

    bin_: int
    template: int
    offerings: Flags
    used: Amounts
    price: float
    serial: int


class Merger:
    """Joins the machines of one packing."""

    def __init__(self, packing: Packing) -> None:
        self._packing = packing
        self._world = packing.world
        self._claims = Claims(packing)
        self._serials = count()
        self._known: dict[tuple[int, int], tuple[int, float] | None] = {}

    def run(self) -> None:
        """No two of the compared machines can be joined at a saving."""
        parts = sorted(self._parts(), key=lambda part: (part.price, part.bin_))[:MOST_BINS]
        while (found := self._best(parts)) is not None:
            left, right, offering = found
            self._join(left, right, offering)
            parts = [part for part in parts if part.bin_ not in {left.bin_, right.bin_}]
            joined = self._part(left.bin_)
            if joined is not None:
                parts.append(joined)

    def _parts(self) -> list[Part]:
        found = [self._part(bin_) for bin_ in self._packing.planned() if self._packing.contents[bin_]]
        return [part for part in found if part is not None]

    def _part(self, bin_: int) -> Part | None:
        """The machine as a part, or None when joining it could break a rule, a limit or a reservation."""
        packing, world = self._packing, self._world
        offer = int(packing.offer[bin_])
        template, offering = divmod(offer, len(world.universe))
        bound = bin_ in packing.ports or world.templates[template].pool.limits
        if bound or world.universe.offerings[offering].is_reserved:
            return None
        reach = self._claims.admitted(bin_)
        size = holds(world.templates[template].room, packing.used(bin_))[world.universe.type_of]
        offerings = reach.offerings & ~world.is_reserved
        prices = world.universe.price[offerings & size]
        if not len(prices):
            return None
        return Part(bin_, template, offerings, packing.used(bin_), float(prices.min()), next(self._serials))

    def _may_share(self, left: Part, right: Part) -> bool:
        """Whether no rule between pods stands against all of them being on one host."""
        packing, book = self._packing, self._world.rulebook
        # A label that matters to one side only is pinned in what that side may become, and so in what both become.
        keys = set(packing.keys_that_matter(left.bin_)).intersection(packing.keys_that_matter(right.bin_))
        if any(packing.code(key, left.bin_) != packing.code(key, right.bin_) for key in keys):
            return False
        for index, level in {**packing.contents[left.bin_], **packing.contents[right.bin_]}:
            for rule in book.rules[index][level].hosts:
                counts = packing.tally.hosts[rule.counter.index]
                if counts[left.bin_] + counts[right.bin_] > rule.limit + (1 if rule.own else 0):
                    return False
        return True

    def _best(self, parts: list[Part]) -> tuple[Part, Part, int] | None:
        """The two parts whose joining saves most, and the offering they become."""
        best: tuple[float, Part, Part, int] | None = None
        for at, left in enumerate(parts):
            for right in parts[at + 1 :]:
                if left.template != right.template:
                    continue
                joined = self._joined(left, right)
                if joined is None:
                    continue
                offering, price = joined
                saving = left.price + right.price - price
                if saving > (best[0] if best is not None else 1e-9) and self._may_share(left, right):
                    best = (saving, left, right, offering)
        return best[1:] if best is not None else None

    def _joined(self, left: Part, right: Part) -> tuple[int, float] | None:
        """The cheapest offering that holds the pods of both, with its price; worked out once for two parts."""
        key = (left.serial, right.serial)
        if key not in self._known:
            self._known[key] = self._join_price(left, right)
        return self._known[key]

    def _join_price(self, left: Part, right: Part) -> tuple[int, float] | None:
        world = self._world
        template = world.templates[left.template]
        both = left.offerings & right.offerings
        both = both & holds(template.room, left.used + right.used)[world.universe.type_of]
        offers = np.flatnonzero(both)
        if not len(offers) or not self._packing.diversity.suffices(template, both):
            return None
        cheapest = int(offers[np.argmin(world.universe.price[offers])])
        return cheapest, float(world.universe.price[cheapest])

    def _join(self, left: Part, right: Part, offering: int) -> None:
        packing, world = self._packing, self._world
        offer = left.template * len(world.universe) + offering
        moving = list(packing.contents[right.bin_].items())
        for (index, level), pods in moving:
            packing.add(world.classes[index], level, right.bin_, -pods)
        packing.change_offer(left.bin_, offer)
        for (index, level), pods in moving:
            packing.add(world.classes[index], level, left.bin_, pods)
