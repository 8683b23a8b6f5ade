"""Spread over hosts where no host can be added: the hosts that there are count, as kube-scheduler counts them.

While another host can be had it would be an empty one, so the least that hosts are held against is 0 (as Karpenter has
it always). Where none can, the least is that of the hosts that take part: two of them with one pod each may have a
second.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.packing import NO_OFFER, Packing
from nodesmith.decide.schedule.topology import HostRule, Rules


def is_spread(rule: HostRule) -> bool:
    """Whether the rule comes from a spread constraint, not from anti-affinity."""
    return rule.counter.filter is not None


class Levelling:
    """Places pods of one class, with all preferences given up, on the hosts that there are, the emptiest first."""

    def __init__(self, packing: Packing, each: PodClass, rules: Rules) -> None:
        self._packing = packing
        self._each = each
        self._rules = rules
        self._spreads = [rule for rule in rules.hosts if is_spread(rule)]

    def place(self, count: int) -> int:
        """How many of so many pods were placed."""
        each, packing, tally = self._each, self._packing, self._packing.tally
        level = len(each.stances) - 1
        for placed in range(count):
            tally.least_on_hosts = {rule.counter.index: self._least(rule) for rule in self._spreads}
            capacity = packing.capacity(each, each.stances[level], self._rules)
            bins = self._allowed(np.flatnonzero(capacity))
            tally.least_on_hosts = {}
            if not len(bins):
                return placed
            crowd = sum(tally.hosts[rule.counter.index][bins].astype(np.int64) for rule in self._spreads)
            packing.add(each, level, int(bins[np.argmin(crowd)]), 1)
        return count

    def _least(self, rule: HostRule) -> int:
        """The least count of the hosts that take part in the rule."""
        packing, book = self._packing, self._packing.world.rulebook
        taking_part = [
            book.counts_node(rule.counter, bin_)
            if packing.offer[bin_] == NO_OFFER
            else bool(packing.contents[bin_]) and book.counts_offer(rule.counter, int(packing.offer[bin_]))
            for bin_ in range(packing.size)
        ]
        counts = packing.tally.hosts[rule.counter.index][: packing.size][np.array(taking_part, dtype=np.bool_)]
        return int(counts.min()) if len(counts) and len(counts) >= rule.min_domains else 0

    def _allowed(self, bins: NDArray[np.int64]) -> NDArray[np.int64]:
        """The bins in domains that the other rules allow now."""
        for key in self._rules.keys:
            allowed = self._rules.allowed(self._packing.tally, key)
            codes = [self._packing.code(key, int(bin_)) for bin_ in bins]
            bins = bins[np.array([allowed[code] for code in codes], dtype=np.bool_)]
        return bins
