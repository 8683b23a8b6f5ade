"""What machines should hold: as good as trying everything, and never more than there is room and pods for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodesmith.decide.schedule import knapsack
from nodesmith.decide.schedule.knapsack import Counts, Knapsacks
from nodesmith.decide.schedule.universe import Amounts
from nodesmith.decide.schedule.worth import Values

MANY = 10**6


def best(room: tuple[int, ...], requests: Sequence[tuple[int, ...]], worth: Sequence[float]) -> float:
    """What the best filling is worth, by trying every pod next."""

    @cache
    def of(free: tuple[int, ...]) -> float:
        values = [0.0]
        for amounts, value in zip(requests, worth, strict=True):
            left = tuple(have - ask for have, ask in zip(free, amounts, strict=True))
            if min(left) >= 0:
                values.append(value + of(left))
        return max(values)

    return of(room)


def checked(
    rooms: Sequence[tuple[int, ...]],
    requests: Sequence[tuple[int, ...]],
    worth: Sequence[float],
    counts: Sequence[int] | None = None,
) -> tuple[Counts, Counts]:
    """The bargains where machines cost next to nothing, all of which hold what they are said to."""
    room: Amounts = np.array(rooms, dtype=np.int64)
    asked: Amounts = np.array(requests, dtype=np.int64)
    there = np.array(counts or [MANY] * len(requests), dtype=np.int64)
    prices: Values = np.full(len(rooms), 1e-9)
    found = Knapsacks(room, asked, there).bargains(np.array(worth), there, prices)
    assert (found.pods @ asked <= room[found.machines]).all()
    assert (found.pods <= there).all()
    return found.machines, found.pods


amounts = st.tuples(st.integers(0, 6), st.integers(0, 6), st.just(1))


@given(
    st.lists(st.tuples(st.integers(1, 14), st.integers(1, 14), st.just(MANY)), min_size=1, max_size=3),
    st.lists(st.tuples(amounts.filter(lambda each: max(each[:2]) > 0), st.integers(1, 9)), min_size=1, max_size=4),
)
def test_it_is_as_good_as_trying_everything(
    rooms: list[tuple[int, int, int]], pods: list[tuple[tuple[int, int, int], int]]
) -> None:
    requests, worth = [each for each, _ in pods], [float(value) for _, value in pods]
    machines, found = checked(rooms, requests, worth)
    values = dict(zip(machines.tolist(), (found @ np.array(worth)).tolist(), strict=True))
    for number, room in enumerate(rooms):
        assert values.get(number, 0.0) == pytest.approx(best(room, requests, worth))


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9)), min_size=1, max_size=3),
    st.lists(
        st.tuples(st.tuples(*[st.integers(0, 9)] * 3), st.integers(1, 9), st.integers(0, 5)), min_size=1, max_size=5
    ),
)
def test_there_is_room_and_there_are_pods_for_what_it_finds(
    rooms: list[tuple[int, int, int]], pods: list[tuple[tuple[int, int, int], int, int]]
) -> None:
    asked = [each if any(each) else (1, 0, 0) for each, _, _ in pods]
    checked(rooms, asked, [float(value) for _, value, _ in pods], [count for *_, count in pods])


def test_a_machine_beyond_the_table_is_filled_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knapsack, "TABLE", (8, 8))
    requests, worth = [(3, 1, 1), (1, 3, 1), (2, 2, 1)], [3.0, 3.0, 2.0]
    machines, found = checked([(40, 40, MANY), (7, 5, MANY)], requests, worth)
    values = dict(zip(machines.tolist(), (found @ np.array(worth)).tolist(), strict=True))
    assert values[1] == best((7, 5, MANY), requests, worth)
    assert values[0] >= 0.9 * best((40, 40, MANY), requests, worth)


def test_amounts_without_a_common_unit_are_rounded_up_a_little() -> None:
    """1,001 and 997 have no unit in common but 1, of which a machine has far too many for a table."""
    machines, found = checked([(32_000, 32_000, MANY)], [(1001, 500, 1), (499, 997, 1)], [1.0, 1.0])
    assert machines.tolist() == [0]
    assert int(found.sum()) >= 0.95 * 2 * 32_000 / 1500


def test_only_what_is_worth_more_than_its_price_is_a_bargain_and_the_best_comes_first() -> None:
    rooms, asked = np.array([(2, 2, 9), (4, 4, 9), (4, 4, 9)]), np.array([(1, 1, 1)])
    there = np.array([9])
    knapsacks = Knapsacks(rooms, asked, there)
    assert knapsacks.most.tolist() == [[2], [4], [4]]
    found = knapsacks.bargains(np.array([1.0]), there, np.array([1.9, 2.0, 4.1]))
    assert found.machines.tolist() == [1, 0]
    assert found.ratio == pytest.approx(2.0)


def test_where_no_pod_is_of_worth_there_is_nothing_to_find() -> None:
    knapsacks = Knapsacks(np.array([(2, 2, 9)]), np.array([(1, 1, 1)]), np.array([9]))
    assert not len(knapsacks.bargains(np.array([0.0]), np.array([9]), np.array([1.0])).machines)
    assert not len(knapsacks.bargains(np.array([1.0]), np.array([0]), np.array([1.0])).machines)
