"""Whether an uneven end can be reached one valid step at a time.

A workload may end up less even than its constraint allows without anybody having broken a rule: pods that are counted
but not constrained may come later, and an emptier domain may have been filled by others meanwhile. So a few orders of
placement are tried. Finding one is proof; finding none is not, but good enough: plans are built in such an order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from nodesmith.decide.schedule.validate.classes import PodClass
from nodesmith.decide.schedule.validate.places import Place
from nodesmith.decide.schedule.validate.spread import Rule, Spread, Table

_MOST_LOOKS: Final = 200_000
"""How often a candidate is looked at before an order is given up."""

_Rank = Callable[[list[int]], tuple[int, ...]]
_RANKS: Final[tuple[_Rank, ...]] = (
    lambda heights: (max(heights, default=0), sum(heights)),
    lambda heights: (sum(heights), max(heights, default=0)),
    lambda heights: (min(heights, default=0), sum(heights)),
)
"""Which of the pods that may come next comes next: the one that goes where the fewest are, in three senses."""


@dataclass(slots=True, eq=False)
class _Batch:
    """Pods of a class that count in the same domains: how many are still to come."""

    rules: tuple[tuple[Rule, str], ...]
    counted: tuple[tuple[Table, str], ...]
    left: int

    def may_come(self) -> bool:
        """Whether one more of them meets its constraints now."""
        return all(rule.excess(value, rule.own) <= 0 for rule, value in self.rules)

    def heights(self) -> list[int]:
        """How many pods the domains have that it counts in."""
        return [table.counts.get(value, 0) for table, value in self.counted]

    def come(self) -> None:
        """Count one more of them."""
        self.left -= 1
        for table, value in self.counted:
            table.counts[value] = table.counts.get(value, 0) + 1


def is_reachable(spread: Spread, troubled: Iterable[PodClass]) -> bool:
    """Whether the pods of these classes, and of all that they are counted with, can come one by one."""
    return all(any(_try(spread, classes, rank) for rank in _RANKS) for classes in _components(spread, troubled))


def _components(spread: Spread, troubled: Iterable[PodClass]) -> list[set[PodClass]]:
    """The classes in trouble, each with those that a constraint ties it to, however remotely."""
    tied: dict[PodClass, set[PodClass]] = defaultdict(set)
    for known, rules in spread.rules.items():
        for rule in rules:
            for other in rule.table.counted:
                tied[known].add(other)
                tied[other].add(known)
    found: list[set[PodClass]] = []
    for start in troubled:
        if any(start in component for component in found):
            continue
        component, edge = {start}, [start]
        while edge:
            for other in tied[edge.pop()] - component:
                component.add(other)
                edge.append(other)
        found.append(component)
    return found


def _try(spread: Spread, classes: set[PodClass], rank: _Rank) -> bool:
    """Whether taking always the lowest-ranking pod that may come brings them all there."""
    tables = {id(rule.table): rule.table for known in classes for rule in spread.rules.get(known, ())}
    kept = {number: table.counts for number, table in tables.items()}
    try:
        batches = _batches(spread, classes, list(tables.values()))
        looks = 0
        while batches:
            looks += len(batches)
            ready = [each for each in batches if each.rules and each.may_come()] or [
                each for each in batches if not each.rules
            ]
            if not ready or looks > _MOST_LOOKS:
                return False
            batch = min(ready, key=lambda each: rank(each.heights()))
            batch.come()
            if not batch.left:
                batches.remove(batch)
        return True
    finally:
        for number, table in tables.items():
            table.counts = kept[number]


def _batches(spread: Spread, classes: set[PodClass], tables: list[Table]) -> list[_Batch]:
    """The plan's pods of these classes by where they count; the tables are set back to the pods that run already."""
    for table in tables:
        table.counts = {}
    found: dict[tuple[object, ...], _Batch] = {}
    for place in spread.places:
        for known in place.running.keys() & classes:
            for table, domain in _counted(spread, known, place, tables):
                table.counts[domain] = table.counts.get(domain, 0) + place.running[known]
        for known in place.new:
            if known not in classes:
                continue
            counted = _counted(spread, known, place, tables)
            rules = tuple(
                (rule, value)
                for rule in spread.rules.get(known, ())
                if (value := place.value(rule.table.key)) is not None
            )
            key = (known, *((id(table), domain) for table, domain in counted), *(domain for _, domain in rules))
            batch = found.setdefault(key, _Batch(rules, counted, 0))
            batch.left += place.new[known]
    return list(found.values())


def _counted(spread: Spread, known: PodClass, place: Place, tables: list[Table]) -> tuple[tuple[Table, str], ...]:
    return tuple(
        (table, value)
        for table in tables
        if known in table.counted and spread.takes_part(table, place) and (value := place.value(table.key)) is not None
    )
