from datetime import UTC, datetime, timedelta

import pytest

from nodesmith.decide.disrupt.budgets import (
    UNBOUNDED,
    BudgetError,
    allowances,
    allowed_nodes,
    effective_budget,
    is_active,
)
from nodesmith.model.meta import Condition
from nodesmith.model.nodeclaim import INSTANCE_TERMINATING
from nodesmith.model.nodepool import Budget, DisruptionReason
from tests.unit.decide.disrupt.build import NOW, node, pool, snapshot, up

EMPTY, DRIFTED = DisruptionReason.EMPTY, DisruptionReason.DRIFTED
NOON = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("text", "total", "allowed"),
    [
        ("10%", 10, 1),
        ("10%", 11, 2),
        ("10%", 1, 1),
        ("10%", 0, 0),
        ("0%", 100, 0),
        ("100%", 7, 7),
        ("3", 100, 3),
        ("0", 5, 0),
    ],
)
def test_percentages_are_of_all_nodes_and_rounded_up(text: str, total: int, allowed: int) -> None:
    assert allowed_nodes(Budget(text), total) == allowed


@pytest.mark.parametrize("text", ["", "ten", "-1", "10 %", "1.5"])
def test_what_is_no_count_cannot_be_read(text: str) -> None:
    with pytest.raises(BudgetError):
        allowed_nodes(Budget(text), 10)


@pytest.mark.parametrize(
    ("schedule", "hours", "active"),
    [
        ("0 9 * * *", 8, True),
        ("0 9 * * *", 2, False),
        ("0 12 * * *", 1, True),
        ("0 9 * * mon-fri", 8, True),
        ("0 9 * * sat,sun", 8, False),
        ("@daily", 24, True),
        ("@hourly", 1, True),
        ("@weekly", 24, False),
        ("0 0 31 2 *", 1, False),
    ],
)
def test_a_schedule_counts_for_its_duration_from_each_start_in_utc(schedule: str, hours: int, *, active: bool) -> None:
    budget = Budget("1", schedule=schedule, duration=timedelta(hours=hours))
    assert is_active(budget, NOON) is active


def test_the_last_moment_of_a_window_is_outside_it() -> None:
    budget = Budget("1", schedule="0 9 * * *", duration=timedelta(hours=3))
    assert not is_active(budget, NOON)
    assert is_active(budget, NOON - timedelta(seconds=1))


@pytest.mark.parametrize(
    "schedule", ["* * * *", "* * * * * *", "61 * * * *", "0 0 L * *", "H * * * *", "every day at nine", "@never"]
)
def test_a_schedule_that_is_not_cron_allows_nothing(schedule: str) -> None:
    budget = Budget("5", schedule=schedule, duration=timedelta(hours=1))
    with pytest.raises(BudgetError):
        is_active(budget, NOON)
    assert effective_budget(pool(budgets=(budget, Budget("5"))), EMPTY, 10, NOON) == 0


def test_half_a_window_allows_nothing() -> None:
    assert effective_budget(pool(budgets=(Budget("5", schedule="@daily"),)), EMPTY, 10, NOON) == 0
    assert effective_budget(pool(budgets=(Budget("5", duration=timedelta(hours=1)),)), EMPTY, 10, NOON) == 0


def test_the_least_of_the_budgets_for_the_reason_holds() -> None:
    budgets = (Budget("50%"), Budget("3", reasons=frozenset({DRIFTED})), Budget("4"))
    assert effective_budget(pool(budgets=budgets), DRIFTED, 10, NOON) == 3
    assert effective_budget(pool(budgets=budgets), EMPTY, 10, NOON) == 4


def test_without_a_budget_for_the_reason_there_is_no_bound() -> None:
    budgets = (Budget("3", reasons=frozenset({DRIFTED})),)
    assert effective_budget(pool(budgets=budgets), EMPTY, 10, NOON) == UNBOUNDED


def test_a_window_that_is_closed_is_no_bound() -> None:
    closed = Budget("0", schedule="0 9 * * *", duration=timedelta(hours=1))
    assert effective_budget(pool(budgets=(closed,)), EMPTY, 10, NOON) == UNBOUNDED


def test_nodes_that_are_not_ready_or_leaving_use_the_budget() -> None:
    nodes = [node(f"n{i}") for i in range(7)]
    nodes += [node("sick", ready=False), node("marked", marked=True), node("deleting", claim_deleted=True)]
    left = allowances(snapshot(nodes), (pool(budgets=(Budget("50%"),)),), EMPTY, NOW)["default"]
    assert (left.total, left.budget, left.disrupting, left.left) == (10, 5, 3, 2)


def test_nodes_that_are_not_ours_not_up_or_on_their_way_out_are_not_counted() -> None:
    terminating = {**up(), INSTANCE_TERMINATING: Condition(INSTANCE_TERMINATING, "True")}
    nodes = [
        node("ours"),
        node("foreign", managed=False),
        node("coming", initialized=False),
        node("going", conditions=terminating),
    ]
    left = allowances(snapshot(nodes), (pool(),), EMPTY, NOW)["default"]
    assert (left.total, left.disrupting) == (1, 0)


def test_what_is_left_is_never_below_zero() -> None:
    nodes = [node("a", ready=False), node("b", ready=False)]
    left = allowances(snapshot(nodes), (pool(budgets=(Budget("1"),)),), EMPTY, NOW)["default"]
    assert left.left == 0
    assert not left.is_blocking


def test_a_budget_of_nothing_blocks_only_where_there_are_nodes() -> None:
    closed = pool(budgets=(Budget("0"),))
    assert allowances(snapshot([node("a")]), (closed,), EMPTY, NOW)["default"].is_blocking
    assert not allowances(snapshot([]), (closed,), EMPTY, NOW)["default"].is_blocking
