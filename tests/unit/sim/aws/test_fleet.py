from __future__ import annotations

import itertools

from nodesmith.sim.aws.ec2.fleet import Candidate, ranked


def candidate(index: int, *, price: float | None = None, priority: float | None = None, depth: int = 1) -> Candidate:
    return Candidate(index, f"type{index}", "a", price, priority, depth)


def order(strategy: str, *candidates: Candidate) -> list[int]:
    orders = {tuple(c.index for c in ranked(strategy, mix)) for mix in itertools.permutations(candidates)}
    assert len(orders) == 1, "the order of the request matters"
    return list(orders.pop())


def test_by_price_with_the_unpriced_last() -> None:
    rows = candidate(0), candidate(1, price=2), candidate(2, price=1)
    assert order("lowest-price", *rows) == [2, 1, 0]
    assert order("price-capacity-optimized", *rows) == [2, 1, 0]


def test_equal_prices_go_by_place() -> None:
    assert order("lowest-price", candidate(1, price=1), candidate(0, price=1)) == [0, 1]


def test_by_priority_then_price() -> None:
    rows = candidate(0, price=1), candidate(1, price=3, priority=1), candidate(2, price=2, priority=1)
    assert order("prioritized", *rows) == [2, 1, 0]
    assert order("capacity-optimized-prioritized", *rows) == [2, 1, 0]


def test_by_depth_then_price() -> None:
    rows = candidate(0, price=1, depth=1), candidate(1, price=3, depth=9), candidate(2, price=2, depth=9)
    assert order("capacity-optimized", *rows) == [2, 1, 0]
