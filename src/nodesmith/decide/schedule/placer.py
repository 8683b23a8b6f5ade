"""Places classes of pods into bins, exact on every rule, buying machines as it goes.

Pods that other pods' labels bind (spread, affinity by zone) go one at a time, since each changes what the next may do;
all others go by the class, as arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.buyer import Allowed, Buyer
from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.crowd import Crowd
from nodesmith.decide.schedule.levelling import Levelling, is_spread
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.problem import TimeIsUp
from nodesmith.decide.schedule.topology import Rules
from nodesmith.decide.schedule.universe import Codes

MOST_ROUNDS: Final = 64
"""Rounds over the classes that are left; each places at least one pod, longer chains of affinity do not occur."""

Domain = tuple[int, ...]


@dataclass(slots=True)
class Openings:
    """Bins that can take pods of a class, by domain, best last; and how many each takes."""

    by_domain: dict[Domain, list[int]] = field(default_factory=dict)
    left: dict[int, int] = field(default_factory=dict)


class Placer:
    """Fills one packing with a crowd."""

    def __init__(self, packing: Packing, crowd: Crowd, buyer: Buyer) -> None:
        self._world = packing.world
        self._crowd = crowd
        self._packing = packing
        self._buyer = buyer

    def place_all(self, order: Sequence[PodClass], is_time_up: TimeIsUp | None = None, *, patient: bool = True) -> None:
        """No more pods of these classes can be placed, whatever is bought, or the time is up.

        Impatient pods wait for no company.
        """
        left = self._crowd.left
        for round_ in range(0 if patient else 1, MOST_ROUNDS):
            before = int(left.sum())
            for each in order:
                if left[each.index] and (round_ or not self._waits(each)):
                    if is_time_up is not None and is_time_up():
                        return
                    self._place(each, patient=not round_)
            if not left.any() or (int(left.sum()) == before and round_):
                break

    def fit(self, each: PodClass) -> None:
        """The room that is there holds no more pods of the class at its present stance."""
        if not self._packing.size:
            return
        level, rules = int(self._crowd.level[each.index]), self._crowd.rules(each)
        count = int(self._crowd.left[each.index])
        if rules.keys:
            self._by_domain(each, level, rules, count, buys=False)
        elif not any(company.is_first(self._packing.tally) for company in rules.host_affinity):
            self._fill(each, level, rules, count)

    def repeat(self, each: PodClass, level: int, bin_: int) -> None:
        """The machine, on which the class is alone, is there again for half of the pods of the class that are left.

        Only for a class whose rules look at hosts at most.
        """
        taken, offer = self._packing.contents[bin_][each.index, level], int(self._packing.offer[bin_])
        for _ in range(int(self._crowd.left[each.index]) // (2 * taken)):
            if self._packing.ledger.open_offers() is not None:
                break
            self._put(each, level, self._packing.open(offer), taken)

    def level(self, order: Sequence[PodClass]) -> None:
        """Pods found a place once the hosts that there are, none of which can be added, are all there is."""
        for each in order:
            rules = self._world.rulebook.rules[each.index][-1]
            count = int(self._crowd.left[each.index])
            if count and any(map(is_spread, rules.hosts)):
                self._crowd.took(each, Levelling(self._packing, each, rules).place(count))

    def _waits(self, each: PodClass) -> bool:
        """Whether the class looks for company that is not there yet."""
        rules = self._world.rulebook.rules[each.index][0]
        return any(
            not rule.bootstraps and self._packing.tally.total(rule.counter) == 0
            for rule in (*rules.affinity, *rules.host_affinity)
        )

    def _place(self, each: PodClass, *, patient: bool) -> None:
        """Pods of the class find a place, giving up preferences one by one where they cannot be had.

        A patient attempt leaves a class alone that would give up a preference for company which may still come.
        """
        left = self._crowd.left
        for level in range(int(self._crowd.level[each.index]), len(each.stances)):
            rules = self._world.rulebook.rules[each.index][level]
            count = int(left[each.index])
            if rules.keys:
                self._by_domain(each, level, rules, count)
            else:
                self._in_bulk(each, level, rules, count)
            if not left[each.index] or (patient and (rules.affinity or rules.host_affinity)):
                break

    def _put(self, each: PodClass, level: int, bin_: int, count: int) -> None:
        self._packing.add(each, level, bin_, count)
        self._crowd.took(each, count)

    # By the class

    def _in_bulk(self, each: PodClass, level: int, rules: Rules, count: int) -> None:
        left = count
        if any(rule.is_first(self._packing.tally) for rule in rules.host_affinity):
            left -= self._found(each, level, rules, left)
        left -= self._fill(each, level, rules, left)
        while left:
            opened = self._buyer.open(each, level, rules, {}, left)
            if opened is None:
                break
            room = self._packing.room_in(each, each.stances[level], rules, opened)
            if room < 1:
                break
            taken = min(left, room)
            self._put(each, level, opened, taken)
            self.repeat(each, level, opened)
            left = int(self._crowd.left[each.index])

    def _fill(self, each: PodClass, level: int, rules: Rules, count: int) -> int:
        """How many went into bins that are there: nodes first, then the bins they fill best."""
        if not count:
            return 0
        capacity = self._packing.capacity(each, each.stances[level], rules)
        bins = self._preferred(capacity.nonzero()[0])[:count]
        taken = 0
        for bin_, room in zip(bins.tolist(), capacity[bins].tolist(), strict=True):
            step = min(room, count - taken)
            self._put(each, level, bin_, step)
            taken += step
            if taken == count:
                break
        return taken

    def _preferred(self, bins: NDArray[np.int64]) -> NDArray[np.int64]:
        """The bins in the order to fill them."""
        nodes = len(self._world.nodes)
        machines = bins[bins >= nodes]
        if len(machines) > 1:
            free = self._packing.free.T.take(machines, axis=1)
            most = np.maximum(np.maximum.reduce(free, axis=1), 1)
            slack = np.add.reduce(free / most[:, None])
            machines = machines[np.argsort(slack, kind="stable")]
        return np.concatenate([bins[bins < nodes], machines]) if len(machines) < len(bins) else machines

    def _found(self, each: PodClass, level: int, rules: Rules, count: int) -> int:
        """How many went to the host where a company that must share one starts: the one that takes most of it."""
        capacity = self._packing.capacity(each, each.stances[level], rules)
        best = int(capacity.argmax()) if len(capacity) else 0
        here = int(capacity[best]) if len(capacity) else 0
        bin_: int | None = best
        if here < count:
            opened = self._buyer.open(each, level, rules, {}, count, at_least=here + 1)
            if opened is not None:
                bin_, here = opened, self._packing.room_in(each, each.stances[level], rules, opened)
        if bin_ is None or not here:
            return 0
        taken = min(here, count)
        self._put(each, level, bin_, taken)
        return taken

    # One at a time

    def _by_domain(self, each: PodClass, level: int, rules: Rules, count: int, *, buys: bool = True) -> None:
        openings = self._openings(each, level, rules, count)
        placed = 0
        while placed < count:
            allowed = {key: rules.allowed(self._packing.tally, key) for key in rules.keys}
            bin_ = self._pick(openings, rules, allowed)
            if bin_ is None:
                bin_ = self._buyer.open(each, level, rules, allowed, count - placed) if buys else None
                if bin_ is None:
                    break
                stance = each.stances[level]
                room = self._packing.capacity_of_bin(each, stance, rules, bin_)
                if min(room, self._packing.room_in(each, stance, rules, bin_)) < 1:
                    break
                openings.left[bin_] = room
                openings.by_domain.setdefault(self._domain(rules, bin_), []).append(bin_)
            step = 1 if rules.spread or rules.shunned else min(openings.left[bin_], count - placed)
            founding = any(rule.is_first(self._packing.tally) for rule in rules.host_affinity)
            self._put(each, level, bin_, step)
            placed += step
            openings.left[bin_] -= step
            if founding:
                openings = self._openings(each, level, rules, count - placed)

    def _openings(self, each: PodClass, level: int, rules: Rules, count: int) -> Openings:
        """The best bins of each domain, as many as so many pods could need."""
        capacity, found = self._packing.capacity(each, each.stances[level], rules), Openings()
        bins = self._preferred(capacity.nonzero()[0])
        for domain, at in _by_domain([self._packing.codes(key, bins) for key in rules.keys]):
            best = bins[at[:count]][::-1]
            found.by_domain[domain] = best.tolist()
            found.left.update(zip(found.by_domain[domain], capacity[best].tolist(), strict=True))
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


def _by_domain(codes: Sequence[Codes]) -> Iterator[tuple[Domain, NDArray[np.int64]]]:
    """The domains that the bins are in, given the codes of each bin by key, with the positions of the bins in each."""
    first, *others = codes
    for code in np.flatnonzero(np.bincount(first + 1)).tolist():
        at = np.flatnonzero(first == code - 1)
        if not others:
            yield (code - 1,), at
        else:
            yield from (((code - 1, *rest), at[inner]) for rest, inner in _by_domain([each[at] for each in others]))


def _is_allowed(keys: Sequence[str], domain: Domain, allowed: Allowed) -> bool:
    return all(allowed[key][code] for key, code in zip(keys, domain, strict=True))
