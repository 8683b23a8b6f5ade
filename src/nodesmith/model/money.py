"""Prices, exact.

Whole pico-dollars an hour: a price list's six decimals and a reserved offering's price (on-demand divided by 10^7, spec
7.6) are both whole numbers, so sums do not depend on their order and ties are ties.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

PICOS_PER_DOLLAR: Final = 10**12


@dataclass(frozen=True, slots=True, order=True)
class UsdPerHour:
    """A price in whole pico-dollars an hour."""

    picos: int

    @classmethod
    def of(cls, dollars: float | str) -> UsdPerHour:
        """The price nearest to so many dollars an hour."""
        return cls(round(float(dollars) * PICOS_PER_DOLLAR))

    @property
    def dollars(self) -> float:
        """Dollars an hour."""
        return self.picos / PICOS_PER_DOLLAR

    def __add__(self, other: UsdPerHour) -> UsdPerHour:
        return UsdPerHour(self.picos + other.picos)

    def __sub__(self, other: UsdPerHour) -> UsdPerHour:
        return UsdPerHour(self.picos - other.picos)

    def __str__(self) -> str:
        return f"${self.dollars:.4f}/h"


FREE: Final = UsdPerHour(0)


def total_price(prices: Iterable[UsdPerHour]) -> UsdPerHour:
    """The sum of the prices."""
    return UsdPerHour(sum(price.picos for price in prices))
