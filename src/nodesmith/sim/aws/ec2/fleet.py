"""Which pools an instant fleet tries, in which order. Pure: the caller knows prices, capacity and errors.

Lowest price and price-capacity-optimized both go by price here: the box knows no capacity scores beyond "has some" and
"has none", and a pool with none is skipped when it is tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

BY_PRIORITY: Final = frozenset({"prioritized", "capacity-optimized-prioritized"})
BY_CAPACITY: Final = frozenset({"capacity-optimized"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """One override that can be tried."""

    index: int
    """Its place in the request, the last tie-break."""
    instance_type: str
    zone: str
    price: float | None
    priority: float | None
    depth: int
    """How many more instances the pool has, as far as strategies that go by capacity care."""


def ranked(strategy: str, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates in the order in which a fleet with this strategy tries them."""

    def price(candidate: Candidate) -> float:
        return float("inf") if candidate.price is None else candidate.price

    def key(candidate: Candidate) -> tuple[float, float, int]:
        if strategy in BY_PRIORITY:
            priority = float("inf") if candidate.priority is None else candidate.priority
            return priority, price(candidate), candidate.index
        if strategy in BY_CAPACITY:
            return -candidate.depth, price(candidate), candidate.index
        return price(candidate), 0, candidate.index

    return sorted(candidates, key=key)
