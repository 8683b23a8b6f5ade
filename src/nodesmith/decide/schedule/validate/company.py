"""Pod affinity and anti-affinity, as kube-scheduler applies them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final

from nodesmith.decide.schedule.validate.classes import Classes, PodClass
from nodesmith.decide.schedule.validate.places import Place
from nodesmith.decide.schedule.validate.violation import Code, Violation
from nodesmith.model.pod import PodAffinityTerm


def anti_affinity_problems(classes: Classes, places: Sequence[Place]) -> Iterator[Violation]:
    """The domains where a pod of the plan stands beside one that keeps it off, or that it keeps off."""
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
) -> Iterator[Violation]:
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
            yield Violation(Code.ANTI_AFFINITY, (*mine, *others), detail)


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Pods of the plan of one class at one place, and the domains of their affinity terms there."""

    known: PodClass
    place: Place
    values: tuple[str | None, ...]


class Affinity:
    """Puts the plan's pods down in an order in which each finds the company it wants.

    A pod that matches its own terms may come where there is nobody yet, as long as nobody it wants is anywhere: so a
    workload grows from one place. Where it starts, and whether others come before it, can make the difference.
    """

    def __init__(self, classes: Classes, places: Sequence[Place]) -> None:
        self._places = places
        self._owners: dict[tuple[PodAffinityTerm, ...], list[PodClass]] = defaultdict(list)
        self._seekers: list[_Group] = []
        self._others: list[tuple[PodClass, Place]] = []
        for place in places:
            for known in place.new:
                terms = known.spec.required_affinity
                if terms:
                    values = tuple(place.value(term.topology_key) for term in terms)
                    self._seekers.append(_Group(known, place, values))
                else:
                    self._others.append((known, place))
        for known in dict.fromkeys(group.known for group in self._seekers):
            self._owners[known.spec.required_affinity].append(known)
        self._wanted: Final = {
            terms: frozenset.intersection(*(frozenset(classes.selected(term)) for term in terms))
            for terms in self._owners
        }
        self._watchers: dict[PodClass, list[tuple[PodAffinityTerm, ...]]] = defaultdict(list)
        for terms, wanted in self._wanted.items():
            for known in wanted:
                self._watchers[known].append(terms)

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

    def _place_all(self, *, others_late: bool, largest_first: bool) -> list[_Group]:
        """The groups that cannot come when the rest has."""
        present = _Presence(self._watchers, self._wanted)
        for place in self._places:
            for known, number in (*place.running.items(), *place.leaving.items()):
                present.add(known, place, number)
        waiting, late = list(self._seekers), others_late
        if not late:
            self._add_others(present)
        while waiting:
            ready = [group for group in waiting if present.is_company_for(group)]
            if not ready:
                ready = self._start(waiting, present, largest_first=largest_first)
            if not ready and late:
                self._add_others(present)
                late = False
                continue
            if not ready:
                break
            for group in ready:
                present.add(group.known, group.place, group.place.new[group.known])
            gone = set(map(id, ready))
            waiting = [group for group in waiting if id(group) not in gone]
        return waiting

    def _add_others(self, present: _Presence) -> None:
        for known, place in self._others:
            present.add(known, place, place.new[known])

    def _start(self, waiting: Sequence[_Group], present: _Presence, *, largest_first: bool) -> list[_Group]:
        """The group that a workload may start with where nobody it wants is anywhere."""
        able = [
            group
            for group in waiting
            if None not in group.values
            and group.known in self._wanted[group.known.spec.required_affinity]
            and present.is_nowhere(group.known.spec.required_affinity)
        ]
        if not able:
            return []
        sizes: dict[tuple[object, ...], int] = defaultdict(int)
        for group in waiting:
            sizes[group.known.spec.required_affinity, group.values] += group.place.new[group.known]
        size = [sizes[group.known.spec.required_affinity, group.values] for group in able]
        return [able[size.index(max(size) if largest_first else min(size))]]


class _Presence:
    """Where the pods that somebody wants are, so far."""

    def __init__(
        self,
        watchers: Mapping[PodClass, list[tuple[PodAffinityTerm, ...]]],
        wanted: Mapping[tuple[PodAffinityTerm, ...], frozenset[PodClass]],
    ) -> None:
        self._watchers = watchers
        self._domains: dict[tuple[PodAffinityTerm, ...], tuple[set[str], ...]] = {
            terms: tuple(set() for _ in terms) for terms in wanted
        }

    def add(self, known: PodClass, place: Place, number: int) -> None:
        """Some pods of the class have come."""
        if not number:
            return
        for terms in self._watchers.get(known, ()):
            for term, domains in zip(terms, self._domains[terms], strict=True):
                value = place.value(term.topology_key)
                if value is not None:
                    domains.add(value)

    def is_company_for(self, group: _Group) -> bool:
        """Whether somebody the group wants is in each of its domains."""
        domains = self._domains[group.known.spec.required_affinity]
        return all(value in there for value, there in zip(group.values, domains, strict=True))

    def is_nowhere(self, terms: tuple[PodAffinityTerm, ...]) -> bool:
        """Whether nobody that these terms want is in any domain."""
        return not any(self._domains[terms])
