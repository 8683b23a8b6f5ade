"""What offerings come down to for whoever knows how much has to fit: types, in the order of their best price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.machines import Template
from nodesmith.decide.schedule.universe import Amounts, Flags, Universe

Positions = NDArray[np.int64]
"""Places on a menu, cheapest first."""


@dataclass(frozen=True, slots=True)
class Menu:
    """Types with their cheapest offering, cheapest first; all arrays are by place on the menu.

    `rooms` has a row a resource; `spots` counts the type's offerings on spot; `repriced` and `resized` say whether an
    overlay changed the price of any of its offerings, or what it holds.
    """

    kinds: NDArray[np.int64]
    offers: NDArray[np.int64]
    rooms: Amounts
    overheads: Amounts
    spots: NDArray[np.int64]
    repriced: Flags
    resized: Flags

    def fitting(self, used: Amounts) -> Positions:
        """The types whose room holds the amounts."""
        fits: Flags | None = None
        for amount, room in zip(used.tolist(), self.rooms, strict=True):
            if amount > 0:
                enough = room >= amount
                fits = enough if fits is None else np.logical_and(fits, enough, out=fits)
        return np.arange(len(self.kinds)) if fits is None else fits.nonzero()[0]


def menu_of(universe: Universe, template: Template, offerings: Flags) -> Menu:
    """The menu of the template's flagged offerings."""
    offers = universe.by_price[offerings[universe.by_price]]
    kinds = universe.type_of[offers]
    types, first = np.unique(kinds, return_index=True)
    order = np.argsort(first, kind="stable")
    listed = types[order].astype(np.int64)
    count = len(universe.types)
    return Menu(
        kinds=listed,
        offers=offers[first[order]],
        rooms=np.ascontiguousarray(template.room[listed].T),
        overheads=universe.allocatable[listed] - template.room[listed],
        spots=np.bincount(kinds[universe.is_spot[offers]], minlength=count)[listed],
        repriced=np.bincount(kinds[universe.is_overlaid[offers]], minlength=count)[listed] > 0,
        resized=universe.is_resized[listed],
    )
