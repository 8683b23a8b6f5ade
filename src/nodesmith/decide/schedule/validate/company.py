"""Pod affinity and anti-affinity, as kube-scheduler applies them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from nodesmith.decide.schedule.validate.classes import Classes, PodClass
from nodesmith.decide.schedule.validate.places import Place
from nodesmith.decide.schedule.validate.violation import Code, Violation
from nodesmith.model.pod import PodAffinityTerm


def anti_affinity_problems(classes: Classes, places: Sequence[Place]) -> Iterator[tuple[int, Violation]]:
    """The domains where a pod of the plan stands beside one that either keeps off: how many too many, and where."""
    where: dict[PodClass, list[Place]] = defaultdict(list)
    for place in places:
        for known in {**place.new, **place.running}:
            where[known].append(place)
    owners = [known for known in where if known.spec.required_anti_affinity]
    repelled: dict[PodAffinityTerm, _Domains] = {}
    for owner in owners:
        for term in owner.spec.required_anti_affinity:
            if term not in repelled:
                repelled[term] = _domains(classes.selected(term), where, term.topology_key)
            if repelled[term].new or repelled[term].running:
                yield from _clashes(owner, term, where[owner], repelled[term])


@dataclass(slots=True)
class _Domains:
    """The pods of some classes by domain: how many are new, how many run there, and one place with a new one."""

    classes: frozenset[PodClass]
    new: dict[str, int] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    example: dict[str, tuple[str, str]] = field(default_factory=dict)


def _domains(classes: Iterable[PodClass], where: Mapping[PodClass, list[Place]], key: str) -> _Domains:
    found = _Domains(frozenset(classes))
    for known in found.classes:
        for place in where.get(known, ()):
            value = place.value(key)
            if value is None:
                continue
            for number, counts in ((place.new.get(known), found.new), (place.running.get(known), found.running)):
                if number:
                    counts[value] = counts.get(value, 0) + number
            if known in place.examples:
                found.example[value] = min(
                    (place.name, place.examples[known]), found.example.get(value, (place.name, place.examples[known]))
                )
    return found


def _clashes(
    owner: PodClass, term: PodAffinityTerm, places: Iterable[Place], repelled: _Domains
) -> Iterator[tuple[int, Violation]]:
    itself = 1 if owner in repelled.classes else 0
    reported = set[str]()
    for place in places:
        value = place.value(term.topology_key)
        if value is None or value in reported:
            continue
        new, running = repelled.new.get(value, 0), repelled.running.get(value, 0)
        clashes = (place.new.get(owner) and new + running > itself) or (place.running.get(owner) and new)
        if clashes:
            reported.add(value)
            mine = (place.name, place.examples[owner]) if owner in place.examples else (place.name,)
            others = tuple(each for each in repelled.example.get(value, ()) if each not in mine)
            detail = f"{term.topology_key}={value} has {new + running} pods that one there keeps off"
            yield new + running - itself, Violation(Code.ANTI_AFFINITY, (*mine, *others), detail)


@dataclass(slots=True, eq=False)
class _Demand:
    """Affinity terms that some classes share: whom they want, and for each term the domains where such pods are."""

    terms: tuple[PodAffinityTerm, ...]
    wanted: frozenset[PodClass]
    domains: tuple[set[str], ...]

    @property
    def is_nowhere(self) -> bool:
        """Whether nobody that is wanted is in any domain."""
        return not any(self.domains)

    def restart(self) -> None:
        """Forget who is where."""
        for domains in self.domains:
            domains.clear()


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Pods of the plan of one class at one place, what they want, and the domains of those terms there."""

    known: PodClass
    place: Place
    demand: _Demand
    values: tuple[str | None, ...]

    @property
    def has_company(self) -> bool:
        """Whether somebody the pods want is in each of their domains."""
        return all(value in domains for value, domains in zip(self.values, self.demand.domains, strict=True))

    @property
    def may_start(self) -> bool:
        """Whether they may come where there is nobody yet."""
        return self.known in self.demand.wanted and None not in self.values and self.demand.is_nowhere


class Affinity:
    """Puts the plan's pods down in an order in which each finds the company it wants.

    A pod that matches its own terms may come where there is nobody yet, as long as nobody it wants is anywhere: so a
    workload grows from one place. Where it starts, and whether others come before it, can make the difference.
    """

    def __init__(self, classes: Classes, places: Sequence[Place]) -> None:
        self._places = places
        self._demands: dict[tuple[PodAffinityTerm, ...], _Demand] = {}
        self._demand_of: dict[PodClass, _Demand] = {}
        self._seekers: list[_Group] = []
        self._others: list[tuple[PodClass, Place]] = []
        for place in places:
            for known in place.new:
                if known.spec.required_affinity:
                    demand = self._demand(classes, known)
                    values = tuple(place.value(term.topology_key) for term in demand.terms)
                    self._seekers.append(_Group(known, place, demand, values))
                else:
                    self._others.append((known, place))
        self._watchers: dict[PodClass, list[_Demand]] = defaultdict(list)
        for demand in self._demands.values():
            for known in demand.wanted:
                self._watchers[known].append(demand)

    def problems(self) -> Iterator[Violation]:
        """The pods that find no company in any of the orders tried."""
        if not self._seekers:
            return
        stuck = self._seekers
        for late, largest in product((False, True), repeat=2):
            left = self._place_all(others_late=late, largest_first=largest)
            if len(left) < len(stuck):
                stuck = left
            if not left:
                return
        for group in stuck:
            key = group.place.examples[group.known]
            yield Violation(Code.AFFINITY, (group.place.name, key), "nobody that it wants is in its domain")

    def _demand(self, classes: Classes, known: PodClass) -> _Demand:
        if known not in self._demand_of:
            terms = known.spec.required_affinity
            if terms not in self._demands:
                wanted = frozenset.intersection(*(frozenset(classes.selected(term)) for term in terms))
                self._demands[terms] = _Demand(terms, wanted, tuple(set() for _ in terms))
            self._demand_of[known] = self._demands[terms]
        return self._demand_of[known]

    def _place_all(self, *, others_late: bool, largest_first: bool) -> list[_Group]:
        """The groups that cannot come when the rest has; who will find no company among the others starts first."""
        self._restart()
        served: set[int] = set()
        late = others_late
        if late:
            self._others_come()
            served.update(id(group) for group in self._seekers if group.has_company)
            self._restart()
        if not late:
            self._others_come()
        waiting = list(self._seekers)
        while waiting:
            alone = [group for group in waiting if id(group) not in served] if late else []
            ready = [group for group in waiting if group.has_company] or _starters(
                alone or waiting, largest_first=largest_first
            )
            if not ready and late:
                self._others_come()
                late = False
                continue
            if not ready:
                break
            for group in ready:
                self._come(group.known, group.place)
            gone = set(map(id, ready))
            waiting = [group for group in waiting if id(group) not in gone]
        return waiting

    def _restart(self) -> None:
        """Only those are there who were before the plan."""
        for demand in self._demands.values():
            demand.restart()
        for place in self._places:
            for known in (*place.running, *place.leaving):
                self._come(known, place)

    def _come(self, known: PodClass, place: Place) -> None:
        for demand in self._watchers.get(known, ()):
            for term, domains in zip(demand.terms, demand.domains, strict=True):
                value = place.value(term.topology_key)
                if value is not None:
                    domains.add(value)

    def _others_come(self) -> None:
        for known, place in self._others:
            self._come(known, place)


def _starters(waiting: Sequence[_Group], *, largest_first: bool) -> list[_Group]:
    """For each demand that nobody has answered yet, the group that starts: of its largest or smallest part."""
    able: dict[_Demand, list[_Group]] = defaultdict(list)
    sizes: dict[tuple[_Demand, tuple[str | None, ...]], int] = defaultdict(int)
    for group in waiting:
        sizes[group.demand, group.values] += group.place.new[group.known]
        if group.may_start:
            able[group.demand].append(group)
    choose = max if largest_first else min
    return [choose(groups, key=lambda each: sizes[each.demand, each.values]) for groups in list(able.values())[:1]]
