"""What resources are worth to groups of pods, each by itself and all together."""

from __future__ import annotations

import numpy as np
import pytest

from nodesmith.decide.schedule.worth import worth_of, worth_together

ROOMS = np.array([[4, 16], [4, 16]])
PRICES = np.array([1.0, 0.4])
BOUND, FREE = 0, 1
ADMITS = np.array([[True, False], [True, True]])
"""The pods that are bound go to the dear machine only, the free ones to both."""


def test_what_is_left_of_machines_that_others_need_costs_nothing() -> None:
    demand = np.array([[4.0, 1.0], [0.0, 15.0]])
    found = worth_together(demand, np.zeros(2), ADMITS, ROOMS, PRICES)
    assert found[BOUND].total == pytest.approx(1.0)
    assert found[FREE].units == pytest.approx([0.0, 0.0])
    assert worth_of(demand[FREE], 0.0, ROOMS, PRICES).total == pytest.approx(0.4 * 15 / 16)


def test_what_is_not_left_is_bought_where_it_is_cheapest() -> None:
    demand = np.array([[4.0, 1.0], [0.0, 31.0]])
    found = worth_together(demand, np.zeros(2), ADMITS, ROOMS, PRICES)
    assert found[FREE].units == pytest.approx([0.0, 0.4 / 16])
    assert found[BOUND].total + found[FREE].total == pytest.approx(1.4)


def test_hosts_are_counted_for_each_group() -> None:
    demand = np.array([[4.0, 1.0], [1.0, 1.0]])
    found = worth_together(demand, np.array([2.0, 3.0]), ADMITS, ROOMS, PRICES)
    assert sum(each.total for each in found) == pytest.approx(2.4)
    assert found[FREE].host == pytest.approx(0.4)
    assert found[BOUND].host == pytest.approx(0.6)


def test_one_group_together_is_as_by_itself() -> None:
    demand = np.array([[3.0, 20.0]])
    alone = worth_of(demand[0], 1.0, ROOMS, PRICES)
    (found,) = worth_together(demand, np.array([1.0]), ADMITS[1:], ROOMS, PRICES)
    assert found.total == pytest.approx(alone.total)
    assert found.units == pytest.approx(alone.units)
