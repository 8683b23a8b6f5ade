"""The table of machines: bars, rows that are put together, and the sum."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from nodesmith.cli.machines import bar, print_plan, rows, summary
from nodesmith.cli.plan import Measure
from nodesmith.decide.schedule.bound import Bound
from nodesmith.model.money import FREE, UsdPerHour
from nodesmith.plan.reason import BlockCode, Blocked, Unplaced
from nodesmith.plan.schedule import SchedulePlan
from tests.unit.decide.schedule.build import buying, plan, pods, problem

WEB = pods("web", 50)
MANY = plan([buying(["small"], [each]) for each in WEB])
NOBODY = Unplaced(Blocked(BlockCode.RESOURCES, "no room"))


def held(bound: float = 0, price: float = 0, pending: int = 0) -> Any:
    """A measure with a plan by Karpenter's rule of that price."""
    claim = MANY.claims[0]
    by_rule = SchedulePlan(
        {f"default/x-{number}": NOBODY for number in range(pending)},
        (replace(claim, cheapest=replace(claim.cheapest, price=UsdPerHour.of(price))),) if price else (),
    )
    return Measure(Bound(UsdPerHour.of(bound), 1), by_rule)


@pytest.mark.parametrize(
    ("fill", "width", "shown"),
    [(0.5, 10, "█████░░░░░  50%"), (1.2, 4, "████ 120%"), (0, 4, "░░░░   0%"), (0.63, 0, "63%")],
)
def test_bars(fill: float, width: int, shown: str) -> None:
    assert bar(fill, width) == shown


def test_many_machines_are_put_together_by_kind() -> None:
    found = rows(problem(WEB), MANY.claims)
    assert [(row.instance_type, row.count) for row in found] == [("small", 50)]
    assert found[0].fills[0] == pytest.approx(500 / 1900)
    assert len(rows(problem(WEB), MANY.claims[:3])) == 3


def test_the_sum_is_held_against_bound_and_rule() -> None:
    one = plan([buying(["small"], WEB[:1])])
    assert summary(one, held(0.02, 0.05)) == [
        "total        $0.0400/h for 1 machine",
        "lower bound  $0.0200/h, the plan is 100.0% above",
        "Karpenter    $0.0500/h by its rule, 25.0% above",
    ]
    assert summary(one, held(0.04, 0.04))[1:] == [
        "lower bound  $0.0400/h, the plan is the same",
        "Karpenter    $0.0400/h by its rule, the same",
    ]
    assert summary(one, held(price=0.02, pending=2))[1:] == [
        "Karpenter    $0.0200/h by its rule, 50.0% below, and 2 more pods pending"
    ]
    assert summary(SchedulePlan(), held(price=0.02))[1:] == ["Karpenter    $0.0200/h by its rule, $0.0200/h more"]
    assert summary(SchedulePlan(), held()) == [f"total        {FREE} for 0 machines"]


@pytest.mark.parametrize(("width", "bars"), [(130, True), (105, True), (80, False)])
def test_bars_give_way_on_a_narrow_console(width: int, bars: bool) -> None:  # noqa: FBT001 - a parameter of the table
    out = StringIO()
    print_plan(Console(file=out, width=width), problem(WEB), plan([buying(["small"], WEB[:1])]), held())
    assert ("█" in out.getvalue() or "░" in out.getvalue()) == bars


def test_only_the_first_pending_pods_are_told_one_by_one() -> None:
    out = StringIO()
    left = SchedulePlan({pod.key: NOBODY for pod in WEB})
    print_plan(Console(file=out, width=120), problem(WEB), left, held())
    assert out.getvalue().count("stays pending: no room") == 10
    assert "and 40 more pods stay pending" in out.getvalue()
