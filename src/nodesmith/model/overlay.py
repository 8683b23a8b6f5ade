"""NodeOverlays: another price, or more resources, for some instance types than the cloud tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from nodesmith.model.meta import Conditions, ObjectMeta
from nodesmith.model.money import FREE, PICOS_PER_DOLLAR, UsdPerHour
from nodesmith.model.requirements import Requirements


@dataclass(frozen=True, slots=True)
class PriceChange:
    """What becomes of a price: `price` instead of it, or `added` to it, or `percent` of it added."""

    price: UsdPerHour | None = None
    added: UsdPerHour = FREE
    percent: Decimal = Decimal(0)

    def applied(self, price: UsdPerHour | None) -> UsdPerHour | None:
        """The changed price, never below nothing; one that is not known can only be replaced."""
        if self.price is not None:
            return self.price
        if price is None:
            return None
        share = int((price.picos * self.percent / 100).to_integral_value())
        return max(UsdPerHour(price.picos + self.added.picos + share), FREE)

    @classmethod
    def adjusting(cls, text: str) -> PriceChange:
        """The change that a `priceAdjustment` states: `+0.01`, `-10%`."""
        if text.endswith("%"):
            return cls(percent=Decimal(text[:-1]))
        return cls(added=UsdPerHour(int((Decimal(text) * PICOS_PER_DOLLAR).to_integral_value())))


@dataclass(frozen=True, slots=True)
class NodeOverlay:
    """What is told of the offerings that meet the requirements; `change` None: nothing of their price."""

    meta: ObjectMeta
    requirements: Requirements = field(default_factory=Requirements)
    change: PriceChange | None = None
    capacity: Mapping[str, int] = field(default_factory=dict)
    weight: int = 0
    conditions: Conditions = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The overlay's name."""
        return self.meta.name
