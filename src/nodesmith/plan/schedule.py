"""Where pods go: onto nodes that are there, onto machines to buy, or nowhere and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nodesmith.model.money import FREE, UsdPerHour, total_price
from nodesmith.model.requirements import Requirements
from nodesmith.model.resources import Resources
from nodesmith.plan.reason import Unplaced


@dataclass(frozen=True, slots=True)
class Purchase:
    """The cheapest available offering that a claim allows; a price of None is unknown."""

    instance_type: str
    zone: str
    capacity_type: str
    price: UsdPerHour | None


@dataclass(frozen=True, slots=True)
class PlannedClaim:
    """A machine to buy. Each of `instance_types` (in price order) holds its pods and daemons.

    `requests` are those of the pods and the least daemons. `pods` are keys, sorted. `has_price_overlay` and
    `has_capacity_overlay`: NodeOverlays say something of the types.
    """

    pool_name: str
    requirements: Requirements
    instance_types: tuple[str, ...]
    requests: Resources
    pods: tuple[str, ...]
    cheapest: Purchase
    is_min_values_relaxed: bool = False
    has_price_overlay: bool = False
    has_capacity_overlay: bool = False


@dataclass(frozen=True, slots=True)
class OnNode:
    """The pod goes to a node that is there or on its way."""

    node: str


@dataclass(frozen=True, slots=True)
class OnClaim:
    """The pod goes to `SchedulePlan.claims[index]`."""

    index: int


Placement = OnNode | OnClaim | Unplaced


@dataclass(frozen=True, slots=True)
class SchedulePlan:
    """An answer for every pod that was to be placed, by key."""

    placements: Mapping[str, Placement] = field(default_factory=dict)
    claims: tuple[PlannedClaim, ...] = ()
    strategy: str = ""

    @property
    def price(self) -> UsdPerHour:
        """What the new machines cost at their cheapest offerings; an unknown price counts as nothing."""
        return total_price(claim.cheapest.price or FREE for claim in self.claims)

    @property
    def unplaced(self) -> Mapping[str, Unplaced]:
        """The pods that go nowhere, with the reasons."""
        return {key: place for key, place in self.placements.items() if isinstance(place, Unplaced)}
