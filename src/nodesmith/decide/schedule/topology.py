"""Rules between pods, exact: spread, affinity, anti-affinity in both directions.

Every machine that is planned has definite labels, so each placed pod is counted in exactly one domain of each key, as
kube-scheduler will count it. A counter says which pods it counts; a tally holds the counts of all counters at one
moment: by bin where the key is the host name, by the code of the label's value otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.classes import Stance
from nodesmith.model.labels import HOSTNAME
from nodesmith.model.pod import PodAffinityTerm, TopologySpreadConstraint
from nodesmith.model.requirements import Requirements
from nodesmith.model.selector import EVERYTHING, LabelSelector
from nodesmith.model.taints import TOLERATE_PREFER_NO_SCHEDULE, Toleration
from nodesmith.model.workload import Namespace

UNBOUNDED: Final = np.int64(2**40)
"""More pods than any node takes."""


@dataclass(frozen=True, slots=True)
class NodeFilter:
    """Which nodes take part in a spread constraint (its inclusion policies); `keys` must all be labelled."""

    selectors: tuple[Requirements, ...] | None
    tolerations: tuple[Toleration, ...] | None
    keys: tuple[str, ...]


Identity = tuple[str, LabelSelector | None, frozenset[str], LabelSelector | None, NodeFilter | None, bool]
"""Everything about a counter but its index."""


@dataclass(frozen=True, slots=True)
class Counter:
    """Counts, by domain of `key`, the pods that a selector matches, or those that own an anti-affinity term."""

    index: int
    key: str
    selector: LabelSelector | None
    namespaces: frozenset[str]
    namespace_selector: LabelSelector | None
    filter: NodeFilter | None
    counts_owners: bool

    @property
    def by_host(self) -> bool:
        """Whether domains are host names."""
        return self.key == HOSTNAME

    def selects(self, namespace: str, labels: Mapping[str, str], namespaces: Mapping[str, Namespace]) -> bool:
        """Whether pods of that namespace with those labels match its selector in its namespaces."""
        if self.selector is None or not self.selector.matches(labels):
            return False
        if self.filter is not None and self.selector == EVERYTHING:
            return False  # kube-scheduler counts nobody for a spread constraint whose selector is empty
        if namespace in self.namespaces:
            return True
        if self.namespace_selector is None:
            return False
        known = namespaces.get(namespace)
        return self.namespace_selector.matches(known.meta.labels if known else {})


class Tally:
    """The counts of all counters at one moment."""

    def __init__(self, counters: Sequence[Counter], domains: Mapping[str, int], bins: int) -> None:
        self.least_on_hosts: dict[int, int] = {}
        self.tables: list[list[int]] = [[0] * (0 if each.by_host else domains[each.key]) for each in counters]
        self.hosts: list[NDArray[np.int32]] = [np.zeros(bins if each.by_host else 0, np.int32) for each in counters]

    def copy(self) -> Tally:
        """The same counts, free to change."""
        twin = Tally.__new__(Tally)
        twin.least_on_hosts = {}
        twin.tables = [list(table) for table in self.tables]
        twin.hosts = [hosts.copy() for hosts in self.hosts]
        return twin

    def grow(self, bins: int) -> None:
        """There is room for counts of so many bins."""
        for index, hosts in enumerate(self.hosts):
            if len(hosts):
                self.hosts[index] = np.concatenate([hosts, np.zeros(bins - len(hosts), np.int32)])

    def total(self, counter: Counter) -> int:
        """How many pods the counter counts anywhere."""
        return int(self.hosts[counter.index].sum()) if counter.by_host else sum(self.tables[counter.index])


@dataclass(frozen=True, slots=True)
class HostRule:
    """The host's count must be at most `limit` before a pod is added; `own` when the pod then counts too.

    For a spread constraint the limit is above the least count of all hosts, which is 0 while another host can be had.
    """

    counter: Counter
    limit: int
    own: bool
    min_domains: int = 0


@dataclass(frozen=True, slots=True)
class SpreadRule:
    """One hard spread constraint of a stance; `eligible` are the domain codes whose least count matters."""

    counter: Counter
    max_skew: int
    own: int
    min_domains: int
    eligible: tuple[int, ...]

    def ceiling(self, tally: Tally) -> int:
        """The largest count that a domain may have before one more pod goes there."""
        return self.max_skew - self.own + self._least(tally.tables[self.counter.index])

    def skew(self, table: Sequence[int]) -> int:
        """How far the fullest domain is above the least."""
        return max((table[code] for code in self.eligible), default=0) - self._least(table)

    def _least(self, table: Sequence[int]) -> int:
        if len(self.eligible) < self.min_domains:
            return 0
        return min(map(table.__getitem__, self.eligible), default=0)


@dataclass(frozen=True, slots=True)
class AffinityRule:
    """One affinity term of a stance; `bootstraps` when the pods match their own term and may be the first."""

    counter: Counter
    bootstraps: bool

    def is_first(self, tally: Tally) -> bool:
        """Whether nobody is there to join and the pod may start the company itself."""
        return self.bootstraps and tally.total(self.counter) == 0


@dataclass(slots=True)
class Rules:
    """Everything other pods have to say about where pods of a stance may go."""

    hosts: list[HostRule] = field(default_factory=list)
    host_affinity: list[AffinityRule] = field(default_factory=list)
    spread: list[SpreadRule] = field(default_factory=list)
    shunned: list[Counter] = field(default_factory=list)
    affinity: list[AffinityRule] = field(default_factory=list)
    keys: tuple[str, ...] = ()
    """The label keys that matter besides the host name, each once."""
    kept: tuple[str, ...] = ()
    """The labels of which a machine has to keep its value once it holds a pod of the stance."""
    family: int = 0
    """The same number for all rules that say the same."""

    @property
    def identity(self) -> tuple[object, ...]:
        """What the rules say, to tell them from others."""
        return (
            tuple((rule.counter.index, rule.limit, rule.own) for rule in self.hosts),
            tuple((rule.counter.index, rule.bootstraps) for rule in self.host_affinity),
            tuple(
                (each.counter.index, each.max_skew, each.own, each.min_domains, each.eligible) for each in self.spread
            ),
            tuple(counter.index for counter in self.shunned),
            tuple((rule.counter.index, rule.bootstraps) for rule in self.affinity),
        )

    @property
    def says_anything(self) -> bool:
        """Whether other pods matter at all."""
        return bool(self.hosts or self.host_affinity or self.spread or self.shunned or self.affinity)

    def allowed(self, tally: Tally, key: str) -> tuple[bool, ...]:
        """For each domain code of the key, whether one more pod may go there now; last for where the label is missing.

        Without the label nobody can be kept off; spread and affinity need it to be there.
        """
        result: list[bool] | None = None
        for counter in self.shunned:
            if counter.key == key:
                result = _both(result, [not count for count in tally.tables[counter.index]])
        for company in self.affinity:
            if company.counter.key == key and not company.is_first(tally):
                result = _both(result, [count > 0 for count in tally.tables[company.counter.index]])
        for rule in self.spread:
            if rule.counter.key == key:
                ceiling = rule.ceiling(tally)
                result = _both(result, [count <= ceiling for count in tally.tables[rule.counter.index]])
        if result is None:
            own = next(company.counter.index for company in self.affinity if company.counter.key == key)
            result = [True] * len(tally.tables[own])
        return (*result, not self.needs_label(key))

    def needs_label(self, key: str) -> bool:
        """Whether a node without the label is none for the pods."""
        return any(rule.counter.key == key for rule in self.spread) or any(
            company.counter.key == key for company in self.affinity
        )

    def admits(self, tally: Tally, bin_: int, codes: Mapping[str, int]) -> bool:
        """Whether one more pod of the stance may go to the bin as counts are now.

        Args:
            tally: the counts.
            bin_: where.
            codes: its domain by label key; -1 without the label.
        """
        return self._host_admits(tally, bin_) and self._domains_admit(tally, codes)

    def _host_admits(self, tally: Tally, bin_: int) -> bool:
        hosts = tally.hosts
        for rule in self.hosts:
            if hosts[rule.counter.index][bin_] > rule.limit:
                return False
        for company in self.host_affinity:
            if not hosts[company.counter.index][bin_] and not company.is_first(tally):
                return False
        return True

    def _domains_admit(self, tally: Tally, codes: Mapping[str, int]) -> bool:
        tables = tally.tables
        for counter in self.shunned:
            code = codes[counter.key]
            if code >= 0 and tables[counter.index][code]:
                return False
        for company in self.affinity:
            code = codes[company.counter.key]
            if code < 0 or not (tables[company.counter.index][code] or company.is_first(tally)):
                return False
        for spread in self.spread:
            code = codes[spread.counter.key]
            if code < 0 or tables[spread.counter.index][code] > spread.ceiling(tally):
                return False
        return True

    def room_within(self, tally: Tally, codes: Mapping[str, int]) -> int:
        """How many more pods of the stance may go, one after the other, to these domains as counts are now."""
        room = int(UNBOUNDED)
        for counter in self.shunned:
            code = codes[counter.key]
            if code >= 0 and tally.tables[counter.index][code]:
                return 0
            room = 1
        for company in self.affinity:
            code = codes[company.counter.key]
            if code < 0 or not (tally.tables[company.counter.index][code] or company.is_first(tally)):
                return 0
        for rule in self.spread:
            code = codes[rule.counter.key]
            left = rule.ceiling(tally) + 1 - tally.tables[rule.counter.index][code] if code >= 0 else 0
            if left <= 0:
                return 0
            if rule.own:
                room = min(room, left)
        return room

    def room_on(self, tally: Tally, bin_: int) -> int:
        """How many more pods of the stance its host rules let one bin take."""
        room = int(UNBOUNDED)
        for rule in self.hosts:
            count = int(tally.hosts[rule.counter.index][bin_])
            if count > rule.limit:
                return 0
            if rule.own:
                room = min(room, rule.limit + 1 - count)
        for company in self.host_affinity:
            if not tally.hosts[company.counter.index][bin_] and not company.is_first(tally):
                return 0
        return room

    def crowding(self, tally: Tally, key: str, code: int) -> int:
        """How many pods its spread constraints on the key count in the domain: fewer is better."""
        return sum(tally.tables[rule.counter.index][code] for rule in self.spread if rule.counter.key == key)

    def host_room(self, tally: Tally, bins: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """How many more pods of the stance each of the bins may take by its host rules; None when they say nothing."""
        room: NDArray[np.int64] | None = None
        for rule in self.hosts:
            counts = tally.hosts[rule.counter.index][bins].astype(np.int64)
            limit = rule.limit + tally.least_on_hosts.get(rule.counter.index, 0)
            own, others = np.maximum(limit + 1 - counts, 0), np.where(counts <= limit, UNBOUNDED, 0)
            left = own if rule.own else others
            room = left if room is None else np.minimum(room, left)
        for company in self.host_affinity:
            if not company.is_first(tally):
                here = np.where(tally.hosts[company.counter.index][bins] > 0, UNBOUNDED, 0)
                room = here if room is None else np.minimum(room, here)
        return room

    def new_host_room(self, tally: Tally) -> int:
        """How many pods of the stance a host without any pods may take by its host rules."""
        if any(not company.is_first(tally) for company in self.host_affinity):
            return 0
        return min((rule.limit + 1 for rule in self.hosts if rule.own), default=int(UNBOUNDED))


def _both(left: list[bool] | None, right: list[bool]) -> list[bool]:
    return right if left is None else [one and other for one, other in zip(left, right, strict=True)]


class Counters:
    """The counters of one problem, each distinct one once; equal node filters are one object."""

    def __init__(self) -> None:
        self.all: list[Counter] = []
        self._made: dict[Identity, Counter] = {}
        self._filters: dict[NodeFilter, NodeFilter] = {}
        self._of_spread: dict[tuple[int, int, str], Counter] = {}
        self._of_term: dict[tuple[int, bool], Counter] = {}

    def for_spread(self, constraint: TopologySpreadConstraint, stance: Stance, namespace: str) -> Counter:
        """The counter of a spread constraint as a stance declares it; constraint and stance outlive the counters."""
        asked = (id(constraint), id(stance), namespace)
        known = self._of_spread.get(asked)
        if known is None:
            node_filter = NodeFilter(
                stance.selectors if constraint.honor_node_affinity else None,
                (*stance.tolerations, TOLERATE_PREFER_NO_SCHEDULE) if constraint.honor_node_taints else None,
                tuple(sorted({each.topology_key for each in stance.spread if each.is_hard})),
            )
            node_filter = self._filters.setdefault(node_filter, node_filter)
            known = self._of_spread[asked] = self._get(
                (constraint.topology_key, constraint.selector, frozenset((namespace,)), None, node_filter, False)
            )
        return known

    def for_term(self, term: PodAffinityTerm, *, owners: bool = False) -> Counter:
        """The counter of pods that a term selects, or (`owners`) of pods that have the term, which outlives it."""
        known = self._of_term.get((id(term), owners))
        if known is None:
            identity = (term.topology_key, term.selector, term.namespaces, term.namespace_selector, None, owners)
            known = self._of_term[id(term), owners] = self._get(identity)
        return known

    def _get(self, identity: Identity) -> Counter:
        made = self._made.get(identity)
        if made is None:
            made = self._made[identity] = Counter(len(self.all), *identity)
            self.all.append(made)
        return made
