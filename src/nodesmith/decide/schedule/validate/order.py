"""Whether an uneven end can be reached one valid step at a time.

A workload may end up less even than its constraint allows without anybody having broken a rule: pods that are counted
but not constrained may come later. So the plan is taken apart again, pod by pod, each one a pod that could have come
last. Getting to the end is proof; getting stuck in all of a few orders is not, but good enough.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from nodesmith.decide.schedule.validate.classes import PodClass
from nodesmith.decide.schedule.validate.places import Place
from nodesmith.decide.schedule.validate.spread import Rule, Spread, Table

_ORDERS: Final = 4
_NOBODY: Final[dict[int, deque[_Batch]]] = {}


def is_reachable(spread: Spread, troubled: Iterable[PodClass]) -> bool:
    """Whether the pods of these classes, and of all that they are counted with, can come one by one."""
    return all(_Undoing(spread, tables).succeeds() for tables in _components(spread, troubled))


def _components(spread: Spread, troubled: Iterable[PodClass]) -> list[set[Table]]:
    """The tables of the classes in trouble, each with those that share a pod with it, however remotely."""
    members: dict[Table, set[PodClass]] = {}
    for known, rules in spread.rules.items():
        for rule in rules:
            members.setdefault(rule.table, set(rule.table.counted)).add(known)
    parent = {table: table for table in members}

    def root(table: Table) -> Table:
        while parent[table] is not table:
            parent[table] = parent[parent[table]]
            table = parent[table]
        return table

    first: dict[PodClass, Table] = {}
    for table, classes in members.items():
        for known in classes:
            parent[root(table)] = root(first.setdefault(known, table))
    wanted = dict.fromkeys(root(spread.rules[known][0].table) for known in troubled)
    return [{table for table in members if root(table) is each} for each in wanted]


@dataclass(slots=True, eq=False)
class _Tally:
    """A table while pods are taken off: counts only fall, and so does the least of them."""

    table: Table
    counts: dict[str, int]
    least: int

    def restart(self) -> None:
        """Start from the end that the plan leads to."""
        self.counts = dict(self.table.counts)
        is_full = len(self.counts) == self.table.domains
        self.least = min(self.counts.values(), default=0) if is_full else 0


_Domain = tuple[_Tally, str]


@dataclass(slots=True, eq=False)
class _Batch:
    """Pods of a class that count in the same domains: how many there are, and how many are left.

    `rules` say where each binds them, and whether they count there.
    """

    number: int
    rules: tuple[tuple[Rule, _Tally, str, bool], ...]
    counted: tuple[tuple[_Tally, str], ...]
    size: int
    left: int = 0

    def obstacle(self) -> tuple[_Tally, str, int] | None:
        """The domain too full for one of them to have come last, and what it would bear; None when it could have."""
        for rule, tally, value, is_counted in self.rules:
            count, least = tally.counts.get(value, 0), tally.least
            if is_counted:
                count -= 1
                least = min(least, count)
            if tally.table.domains < (rule.constraint.min_domains or 1):
                least = 0
            if count + rule.own - least > rule.constraint.max_skew:
                return tally, value, rule.constraint.max_skew - rule.own
        return None

    def tight(self) -> _Domain | None:
        """A domain whose table's least falls when one of them goes, if there is one."""
        return next(((tally, value) for tally, value in self.counted if tally.counts[value] <= tally.least), None)

    def spare(self) -> int:
        """How many can go before the least of some table falls."""
        return min((self.left, *(tally.counts[value] - tally.least for tally, value in self.counted)))

    def rank(self, order: int) -> tuple[int, int]:
        """Lower goes first: from where most are, in one of several senses."""
        heights = [tally.counts[value] - tally.least for tally, value in self.counted]
        senses = (-min(heights, default=0), -sum(heights), -max(heights, default=0), 1 if self.rules else 0)
        return senses[order], self.number

    def take(self, number: int) -> None:
        """Take so many of them off."""
        self.left -= number
        for tally, value in self.counted:
            tally.counts[value] -= number
            tally.least = min(tally.least, tally.counts[value])


class _Undoing:
    """Takes the plan's pods off again that some tables are about."""

    def __init__(self, spread: Spread, tables: set[Table]) -> None:
        self._spread = spread
        self._tallies = {table: _Tally(table, {}, 0) for table in tables}
        self._counting: dict[PodClass, list[_Tally]] = defaultdict(list)
        for table, tally in self._tallies.items():
            for known in table.counted:
                self._counting[known].append(tally)
        self._batches: dict[tuple[object, ...], _Batch] = {}
        for place in spread.places:
            for known, number in place.new.items():
                self._add(known, place, number)

    def succeeds(self) -> bool:
        """Whether all of them can be taken off in one of a few orders."""
        return any(
            _Attempt(self._tallies.values(), self._batches.values(), order).succeeds() for order in range(_ORDERS)
        )

    def _add(self, known: PodClass, place: Place, number: int) -> None:
        counted = tuple(
            (tally, value)
            for tally in self._counting.get(known, ())
            if self._spread.takes_part(tally.table, place) and (value := place.value(tally.table.key)) is not None
        )
        rules = tuple(
            (rule, tally := self._tallies[rule.table], value, (tally, value) in counted)
            for rule in self._spread.rules.get(known, ())
            if rule.table in self._tallies and (value := place.value(rule.table.key)) is not None
        )
        if counted or rules:
            key = (known, counted, tuple(value for _, _, value, _ in rules))
            batch = self._batches.get(key)
            if batch is None:
                batch = self._batches[key] = _Batch(len(self._batches), rules, counted, 0)
            batch.size += number


class _Attempt:
    """One order: what lowers no least as long as there is something, then one pod that does, and so on.

    Batches that cannot go now wait at the domain that is in their way. Of those that wait there for the same reason, a
    single one is looked at when something changes: if it can go, the next one follows.
    """

    def __init__(self, tallies: Iterable[_Tally], batches: Collection[_Batch], order: int) -> None:
        for tally in tallies:
            tally.restart()
        for batch in batches:
            batch.left = batch.size
        self._batches = batches
        self._order = order
        ordered = sorted(batches, key=lambda batch: batch.rank(order))
        self._queue: deque[tuple[_Batch, _Domain | None]] = deque((batch, None) for batch in ordered)
        self._too_full: dict[_Domain, dict[int, deque[_Batch]]] = defaultdict(lambda: defaultdict(deque))
        self._at_least: dict[_Domain, deque[_Batch]] = defaultdict(deque)
        self._gone = 0

    def succeeds(self) -> bool:
        """Whether all batches go."""
        before = -1
        while self._queue and self._gone > before:
            before = self._gone
            while self._queue or self._force():
                while self._queue:
                    self._look(*self._queue.popleft())
            self._queue.extend((batch, None) for batch in self._batches if batch.left)
            self._too_full.clear()
            self._at_least.clear()
        return not self._queue

    def _look(self, batch: _Batch, origin: _Domain | None) -> None:
        """Take off what can go of the batch, or let it wait and wake the next one where it waited before."""
        obstacle, tight = batch.obstacle(), batch.tight()
        if obstacle is not None:
            self._too_full[obstacle[:2]][obstacle[2]].append(batch)
        elif tight is not None:
            self._at_least[tight].append(batch)
        else:
            self._take(batch, batch.spare())
            return
        if origin is not None and origin not in {obstacle and obstacle[:2], tight}:
            self._wake(origin)

    def _take(self, batch: _Batch, number: int) -> None:
        self._gone += number
        before = [tally.least for tally, _ in batch.counted]
        batch.take(number)
        for domain, least in zip(batch.counted, before, strict=True):
            self._wake(domain)
            if domain[0].least < least:
                for value in domain[0].counts:
                    self._wake((domain[0], value))
        if batch.left:
            self._queue.append((batch, None))

    def _wake(self, domain: _Domain) -> None:
        for waiting in (*self._too_full.get(domain, _NOBODY).values(), self._at_least.get(domain)):
            if waiting:
                self._queue.append((waiting.popleft(), domain))

    def _force(self) -> bool:
        """Take one pod off that lowers a least, the lowest-ranking of those that wait first in line, if any may go."""
        firsts = []
        for domain, waiting in self._at_least.items():
            while waiting and (obstacle := waiting[0].obstacle()) is not None:
                self._too_full[obstacle[:2]][obstacle[2]].append(waiting.popleft())
            if waiting:
                firsts.append((waiting[0].rank(self._order), domain))
        if not firsts:
            return False
        _, domain = min(firsts, key=lambda each: each[0])
        self._take(self._at_least[domain].popleft(), 1)
        return True
