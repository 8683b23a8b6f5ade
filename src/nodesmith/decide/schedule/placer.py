"""Places classes of pods into bins, exact on every rule, opening machines from a shop as it goes.

Pods that other pods' labels bind (spread, affinity by zone) go one at a time, since each changes what the next may do;
all others go by the class, as arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.market import Market
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.shop import Shop
from nodesmith.decide.schedule.topology import Rules
from nodesmith.decide.schedule.universe import Flags
from nodesmith.decide.schedule.world import World

MOST_ROUNDS: Final = 64
"""Rounds over the classes that are left; each places at least one pod, longer chains of affinity do not occur."""

Domain = tuple[int, ...]
Allowed = Mapping[str, Sequence[bool]]


@dataclass(slots=True)
class Openings:
    """Bins that can take pods of a class, by domain, best last; and how many each takes."""

    by_domain: dict[Domain, list[int]] = field(default_factory=dict)
    left: dict[int, int] = field(default_factory=dict)


class Placer:
    """Fills one packing."""

    def __init__(self, world: World, market: Market, packing: Packing, shop: Shop) -> None:
        self._world = world
        self._market = market
        self._packing = packing
        self._shop = shop

    def place_all(self, order: Sequence[PodClass], counts: Mapping[int, int] | None = None) -> dict[int, int]:
        """How many pods of each class are left over, by class index, when no more can be placed."""
        left = {each.index: (counts or {}).get(each.index, each.count) for each in order}
        for round_ in range(MOST_ROUNDS):
            before = sum(left.values())
            for each in order:
                if left[each.index] and (round_ or not self._waits(each)):
                    left[each.index] -= self._place(each, left[each.index], patient=not round_)
            if not any(left.values()) or (sum(left.values()) == before and round_):
                break
        return {index: count for index, count in left.items() if count}

    def _waits(self, each: PodClass) -> bool:
        """Whether the class looks for company that is not there yet."""
        rules = self._world.rulebook.rules[each.index][0]
        return any(
            not rule.bootstraps and self._packing.tally.total(rule.counter) == 0
            for rule in (*rules.affinity, *rules.host_affinity)
        )

    def _place(self, each: PodClass, count: int, *, patient: bool) -> int:
        """How many pods of the class found a place, giving up preferences one by one where they cannot be had.

        A patient attempt leaves a class alone that would give up a preference for company which may still come.
        """
        placed = 0
        for level, rules in enumerate(self._world.rulebook.rules[each.index]):
            if placed == count:
                break
            step = self._by_domain if rules.keys else self._in_bulk
            placed += step(each, level, rules, count - placed)
            if patient and placed < count and (rules.affinity or rules.host_affinity):
                break
        if placed:
            self._market.settle(each, placed)
        return placed

    # By the class

    def _in_bulk(self, each: PodClass, level: int, rules: Rules, count: int) -> int:
        left = count
        if any(rule.is_first(self._packing.tally) for rule in rules.host_affinity):
            left -= self._found(each, level, rules, left)
        left -= self._fill(each, level, rules, left)
        while left:
            opened = self._open(each, level, rules, {}, left)
            if opened is None:
                break
            room = self._packing.capacity_of_bin(each, each.stances[level], rules, opened)
            if room < 1:
                break
            taken = min(left, room)
            self._packing.add(each, level, opened, taken)
            left -= taken
            left -= self._repeat(each, level, int(self._packing.offer[opened]), taken, left)
        return count - left

    def _repeat(self, each: PodClass, level: int, offer: int, taken: int, left: int) -> int:
        """The same machine again while much more than one machine of pods is left: half of what it would take."""
        times = left // (2 * taken)
        if times < 1 or self._packing.ledger.open_offers() is not None:
            return 0
        for _ in range(times):
            self._packing.add(each, level, self._packing.open(offer), taken)
        return times * taken

    def _fill(self, each: PodClass, level: int, rules: Rules, count: int) -> int:
        """How many went into bins that are there: nodes first, then the bins they fill best."""
        if not count:
            return 0
        capacity = self._packing.capacity(each, each.stances[level], rules)
        bins = self._preferred(np.flatnonzero(capacity))
        taken = 0
        for bin_, room in zip(bins.tolist(), capacity[bins].tolist(), strict=True):
            step = min(room, count - taken)
            self._packing.add(each, level, bin_, step)
            taken += step
            if taken == count:
                break
        return taken

    def _preferred(self, bins: NDArray[np.int64]) -> NDArray[np.int64]:
        """The bins in the order to fill them."""
        nodes = len(self._world.nodes)
        machines = bins[bins >= nodes]
        if len(machines) > 1:
            free = self._packing.free[machines]
            slack = (free / np.maximum(free.max(axis=0), 1)).sum(axis=1)
            machines = machines[np.argsort(slack, kind="stable")]
        return np.concatenate([bins[bins < nodes], machines])

    def _found(self, each: PodClass, level: int, rules: Rules, count: int) -> int:
        """How many went to the host where a company that must share one starts: the one that takes most of it."""
        capacity = self._packing.capacity(each, each.stances[level], rules)
        best = int(capacity.argmax()) if len(capacity) else 0
        here = int(capacity[best]) if len(capacity) else 0
        bin_: int | None = best
        if here < count:
            opened = self._open(each, level, rules, {}, count, at_least=here + 1)
            if opened is not None:
                bin_, here = opened, self._packing.capacity_of_bin(each, each.stances[level], rules, opened)
        if bin_ is None or not here:
            return 0
        taken = min(here, count)
        self._packing.add(each, level, bin_, taken)
        return taken

    # One at a time

    def _by_domain(self, each: PodClass, level: int, rules: Rules, count: int) -> int:
        openings = self._openings(each, level, rules)
        placed = 0
        while placed < count:
            allowed = {key: rules.allowed(self._packing.tally, key) for key in rules.keys}
            bin_ = self._pick(openings, rules, allowed)
            if bin_ is None:
                bin_ = self._open(each, level, rules, allowed, count - placed)
                if bin_ is None:
                    break
                room = self._packing.capacity_of_bin(each, each.stances[level], rules, bin_)
                if room < 1:
                    break
                openings.left[bin_] = room
                openings.by_domain.setdefault(self._domain(rules, bin_), []).append(bin_)
            step = 1 if rules.spread or rules.shunned else min(openings.left[bin_], count - placed)
            founding = any(rule.is_first(self._packing.tally) for rule in rules.host_affinity)
            self._packing.add(each, level, bin_, step)
            placed += step
            openings.left[bin_] -= step
            if founding:
                openings = self._openings(each, level, rules)
        return placed

    def _openings(self, each: PodClass, level: int, rules: Rules) -> Openings:
        capacity = self._packing.capacity(each, each.stances[level], rules)
        found = Openings()
        for bin_ in self._preferred(np.flatnonzero(capacity))[::-1].tolist():
            found.by_domain.setdefault(self._domain(rules, bin_), []).append(bin_)
            found.left[bin_] = int(capacity[bin_])
        return found

    def _domain(self, rules: Rules, bin_: int) -> Domain:
        return tuple(self._packing.code(key, bin_) for key in rules.keys)

    def _pick(self, openings: Openings, rules: Rules, allowed: Allowed) -> int | None:
        """The bin for the next pod: in the least crowded domain of those allowed."""
        best: tuple[int, Domain] | None = None
        for domain, bins in openings.by_domain.items():
            while bins and not openings.left[bins[-1]]:
                bins.pop()
            if not bins or not _is_allowed(rules.keys, domain, allowed):
                continue
            crowd = sum(
                rules.crowding(self._packing.tally, key, code) for key, code in zip(rules.keys, domain, strict=True)
            )
            if best is None or (crowd, domain) < best:
                best = (crowd, domain)
        return openings.by_domain[best[1]][-1] if best is not None else None

    # Buying

    def _open(
        self, each: PodClass, level: int, rules: Rules, allowed: Allowed, count: int, *, at_least: int = 1
    ) -> int | None:
        """A new bin for the class, or None when nothing can be bought for it."""
        most = rules.new_host_room(self._packing.tally)
        if most < 1:
            return None
        flags = self._offers(each, level, rules, allowed)
        together = count if any(rule.is_first(self._packing.tally) for rule in rules.host_affinity) else 1
        offer = self._shop.choose(each, flags, min(together, most))
        if offer is None:
            return None
        if at_least > 1 and self._holds(each, offer) < at_least:
            return None
        return self._packing.open(offer)

    def _holds(self, each: PodClass, offer: int) -> int:
        request = self._world.requests[each.index]
        used = np.flatnonzero(request)
        return int((self._packing.room(offer)[used] // request[used]).min())

    def _offers(self, each: PodClass, level: int, rules: Rules, allowed: Allowed) -> Flags:
        flags = self._world.offer_flags(each, each.stances[level])
        for key, codes in allowed.items():
            flags = flags & self._world.rulebook.offers_in(key, codes)
        still_open = self._packing.ledger.open_offers()
        if still_open is not None:
            flags = flags & still_open
        diversity = self._packing.diversity
        if not diversity.matters:
            return flags
        return diversity.enough(flags, self._packing.keys_of(each, rules), self._world.rulebook.touches[each.index])


def _is_allowed(keys: Sequence[str], domain: Domain, allowed: Allowed) -> bool:
    return all(code >= 0 and allowed[key][code] for key, code in zip(keys, domain, strict=True))
