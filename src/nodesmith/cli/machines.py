"""A plan as a table for people: machines with how full they are, the sum, and what it is held against."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nodesmith.decide.schedule.bound import Bound
from nodesmith.decide.schedule.problem import Problem
from nodesmith.model.money import UsdPerHour
from nodesmith.model.resources import CPU, MEMORY, PODS
from nodesmith.plan.schedule import OnNode, PlannedClaim, SchedulePlan

_BAR_WIDTHS: Final = ((120, 10), (100, 6))
"""From which width of the console on how wide bars are; below, they are left out."""
_MOST_ROWS: Final = 40
_MOST_UNPLACED: Final = 10
_FILLS: Final = (CPU, MEMORY, PODS)


class Held(Protocol):
    """What a plan is held against."""

    @property
    def bound(self) -> Bound:
        """No plan for the same pods costs less."""

    @property
    def karpenter(self) -> SchedulePlan:
        """The plan by Karpenter's rule."""


@dataclass(frozen=True, slots=True)
class Row:
    """Machines of one kind: how many, what one costs, and how full they are, by resource."""

    pool: str
    instance_type: str
    zone: str
    capacity_type: str
    price: UsdPerHour | None
    count: int
    fills: tuple[float, ...]


def print_plan(console: Console, problem: Problem, plan: SchedulePlan, held: Held) -> None:
    """Print the machines to buy, the nodes that receive pods, who stays behind, and the sum."""
    if plan.claims:
        width = next((bars for columns, bars in _BAR_WIDTHS if console.width >= columns), 0)
        console.print(_table(rows(problem, plan.claims), width))
    onto = Counter(place.node for place in plan.placements.values() if isinstance(place, OnNode))
    if onto:
        console.print(f"{_count(onto.total(), 'pod')} onto {_count(len(onto), 'node')} that are there")
    unplaced = plan.unplaced
    for key in sorted(unplaced)[:_MOST_UNPLACED]:
        console.print(Text(f"{key} stays pending: {unplaced[key]}", style="red"), soft_wrap=True)
    if len(unplaced) > _MOST_UNPLACED:
        console.print(f"and {len(unplaced) - _MOST_UNPLACED} more pods stay pending")
    for line in summary(plan, held):
        console.print(line)


def rows(problem: Problem, claims: Sequence[PlannedClaim]) -> list[Row]:
    """A row for each machine; where there are many, one for each kind of machine."""
    types = {(pool, each.name): each for pool, kinds in problem.catalog.items() for each in kinds}
    single = []
    for claim in claims:
        cheapest = claim.cheapest
        room = types[claim.pool_name, cheapest.instance_type].allocatable
        fills = tuple(claim.requests.get(name, 0) / max(1, room.get(name, 0)) for name in _FILLS)
        place = (claim.pool_name, cheapest.instance_type, cheapest.zone, cheapest.capacity_type)
        single.append(Row(*place, cheapest.price, 1, fills))
    return single if len(single) <= _MOST_ROWS else _together(single)


def summary(plan: SchedulePlan, held: Held) -> list[str]:
    """The sum in three lines: what it costs, what is possible, what Karpenter's rule leads to."""
    price, bound, by_rule = plan.price, held.bound.price, held.karpenter.price
    lines = [f"total        {price} for {_count(len(plan.claims), 'machine')}"]
    if bound.picos:
        lines.append(f"lower bound  {bound}, the plan is {_above(price, bound)}")
    pending = len(held.karpenter.unplaced) - len(plan.unplaced)
    rest = f", and {_count(pending, 'more pod')} pending" if pending > 0 else ""
    if by_rule.picos or pending > 0:
        lines.append(f"Karpenter    {by_rule} by its rule, {_above(by_rule, price)}{rest}")
    return lines


def bar(fill: float, width: int) -> str:
    """How full something is, as a bar and a percentage."""
    full = max(0, min(width, round(fill * width)))
    return f"{'█' * full}{'░' * (width - full)} {fill:4.0%}".lstrip()


def _table(found: Iterable[Row], width: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("pool", "type", "zone", "capacity", "$/h", "", "cpu", "memory", "pods"):
        table.add_column(name, justify="right" if name in {"$/h", ""} else "left", no_wrap=True)
    for row in found:
        price = "?" if row.price is None else f"{row.price.dollars:.4f}"
        count = f"x{row.count}" if row.count > 1 else ""
        bars = [bar(fill, width) for fill in row.fills]
        table.add_row(row.pool, row.instance_type, row.zone, row.capacity_type, price, count, *bars)
    return table


def _together(single: Iterable[Row]) -> list[Row]:
    kinds: dict[tuple[str, str, str, str], list[Row]] = defaultdict(list)
    for row in single:
        kinds[row.pool, row.instance_type, row.zone, row.capacity_type].append(row)
    merged = [
        Row(
            *kind,
            members[0].price,
            len(members),
            tuple(_mean(each) for each in zip(*(m.fills for m in members), strict=True)),
        )
        for kind, members in kinds.items()
    ]
    return sorted(merged, key=lambda row: (-row.count, row.pool, row.instance_type, row.zone, row.capacity_type))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _above(price: UsdPerHour, other: UsdPerHour) -> str:
    """How the price compares with the other."""
    if price == other:
        return "the same"
    if not other.picos:
        return f"{price} more"
    ratio = price.picos / other.picos - 1
    return f"{ratio:.1%} above" if ratio > 0 else f"{-ratio:.1%} below"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
