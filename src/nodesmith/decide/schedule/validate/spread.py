"""Topology spread, as kube-scheduler counts it: how many pods each domain has, and whether that is even enough."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nodesmith.decide.schedule.validate.classes import Classes, PodClass
from nodesmith.decide.schedule.validate.labels import NodeConstraint
from nodesmith.decide.schedule.validate.places import Place
from nodesmith.decide.schedule.validate.shape import repelling
from nodesmith.decide.schedule.validate.violation import Code, Violation
from nodesmith.model.labels import HOSTNAME
from nodesmith.model.pod import TopologySpreadConstraint
from nodesmith.model.taints import Toleration

Open = Mapping[tuple[PodClass, str], frozenset[str]]
"""For a class and a topology key the domains, with nodes or without, where a new node could take its pods."""


@dataclass(slots=True, eq=False)
class Table:
    """How many of the pods that a constraint counts each domain has, and how many domains there are.

    Domains without pods need not be in `counts`.
    """

    key: str
    counted: frozenset[PodClass]
    eligible: frozenset[int]
    domains: int
    counts: dict[str, int]

    def least(self, min_domains: int | None) -> int:
        """The count that the others are held against."""
        if self.domains < (min_domains or 1) or len(self.counts) < self.domains:
            return 0
        return min(self.counts.values(), default=0)


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One constraint of a class, with its table; `own` is 1 where a pod of the class counts itself."""

    constraint: TopologySpreadConstraint
    table: Table
    own: int

    def excess(self, value: str, added: int) -> int:
        """By how much the domain is above what is allowed once `added` pods have come; not above 0: it is fine."""
        count = self.table.counts.get(value, 0) + added
        return count - self.table.least(self.constraint.min_domains) - self.constraint.max_skew


class Spread:
    """The spread constraints of the plan's pods, with the places as they are chosen now."""

    def __init__(self, classes: Classes, places: Sequence[Place], opened: Open) -> None:
        self._classes = classes
        self._open = opened
        self.places: Final = places
        self._cluster_of: dict[int, int] = {}
        self._clusters = self._cluster()
        self._where: dict[PodClass, list[Place]] = defaultdict(list)
        for place in places:
            for known in {**place.new, **place.running}:
                self._where[known].append(place)
        self._tables: dict[tuple[object, ...], Table] = {}
        self._eligible: dict[tuple[object, ...], frozenset[int]] = {}
        placed = dict.fromkeys(known for place in places for known in place.new)
        self.rules: Final = {known: self.rules_of(known) for known in placed if known.spreads}

    def problems(self) -> Iterator[tuple[PodClass, int, Violation]]:
        """The classes whose pods are too uneven in the end: by how much, and what to say."""
        for known, rules in self.rules.items():
            reported = set[tuple[int, str]]()
            for place in self._where[known]:
                if not place.new.get(known):
                    continue
                for number, rule in enumerate(rules):
                    value = place.value(rule.table.key)
                    if value is None:
                        detail = f"has no label {rule.table.key}"
                        yield known, 1, Violation(Code.SPREAD_KEY, (place.name, place.examples[known]), detail)
                    elif (number, value) not in reported:
                        reported.add((number, value))
                        yield from self._skew(known, rule, place, value)

    def _skew(self, known: PodClass, rule: Rule, place: Place, value: str) -> Iterator[tuple[PodClass, int, Violation]]:
        table = rule.table
        excess = rule.excess(value, 0 if known in table.counted else rule.own)
        if excess > 0:
            least = table.least(rule.constraint.min_domains)
            detail = (
                f"{table.key}={value} has {table.counts.get(value, 0)} pods, the least of {table.domains} domains "
                f"{least}, maxSkew {rule.constraint.max_skew}"
            )
            yield known, excess, Violation(Code.SPREAD_SKEW, (place.name, place.examples[known]), detail)

    def takes_part(self, table: Table, place: Place) -> bool:
        """Whether the constraint looks at the place."""
        return self._cluster_of[id(place)] in table.eligible

    def _cluster(self) -> list[list[Place]]:
        """The places that are alike for every constraint, their hosts and pods apart."""
        clusters: dict[tuple[int, tuple[object, ...]], list[Place]] = defaultdict(list)
        for place in self.places:
            clusters[id(place.option), place.taints].append(place)
        for number, cluster in enumerate(clusters.values()):
            self._cluster_of.update((id(place), number) for place in cluster)
        return list(clusters.values())

    def rules_of(self, known: PodClass) -> tuple[Rule, ...]:
        """The constraints of a class with their tables."""
        rules = []
        for constraint in known.spreads:
            counts_itself = constraint.selector is not None and constraint.selector.matches(known.labels)
            rules.append(Rule(constraint, self._table(known, constraint), int(counts_itself)))
        return tuple(rules)

    def _table(self, known: PodClass, constraint: TopologySpreadConstraint) -> Table:
        keys = frozenset(each.topology_key for each in known.spreads)
        opened = self._open.get((known, constraint.topology_key), frozenset())
        affinity = known.constraint if constraint.honor_node_affinity else None
        tolerations = known.spec.tolerations if constraint.honor_node_taints else None
        inclusion = (keys, affinity, tolerations)
        identity = (known.namespace, constraint.selector, constraint.topology_key, *inclusion, opened)
        if identity not in self._tables:
            if inclusion not in self._eligible:
                self._eligible[inclusion] = frozenset(self._included(*inclusion))
            self._tables[identity] = self._count(known, constraint, self._eligible[inclusion], opened)
        return self._tables[identity]

    def _included(
        self, keys: Iterable[str], affinity: NodeConstraint | None, tolerations: tuple[Toleration, ...] | None
    ) -> Iterator[int]:
        """The clusters that have all the labels, and that satisfy the affinity and are tolerated where that matters."""
        for number, (first, *_) in enumerate(self._clusters):
            if any(first.value(key) is None for key in keys):
                continue
            if affinity is not None and not first.option.admits(affinity):
                continue
            if tolerations is not None and repelling(first.taints, tolerations) is not None:
                continue
            yield number

    def _count(
        self, known: PodClass, constraint: TopologySpreadConstraint, eligible: frozenset[int], opened: frozenset[str]
    ) -> Table:
        key = constraint.topology_key
        if key == HOSTNAME:
            domains = sum(len(self._clusters[number]) for number in eligible)
        else:
            domains = len({self._clusters[number][0].value(key) for number in eligible} | opened)
        counted = self._classes.counted(known.namespace, constraint.selector)
        counts: dict[str, int] = {}
        for other in counted:
            for place in self._where.get(other, ()):
                value = place.value(key)
                if value is not None and self._cluster_of[id(place)] in eligible:
                    number = place.new.get(other, 0) + place.running.get(other, 0)
                    counts[value] = counts.get(value, 0) + number
        return Table(key, frozenset(counted), eligible, domains, counts)
