"""Prices by type, region and zone, from a table that ships with the box.

On-demand is the us-east-1 price times the ratio of the type's family in the region; spot is on-demand less a discount
of 25 to 75 % that depends only on the type and the zone, so two boxes agree.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SPOT_DISCOUNT_LEAST: Final = 0.25
SPOT_DISCOUNT_MOST: Final = 0.75
ZONE_SPREAD: Final = 0.06
_CHEAP_USD: Final = 0.02


@dataclass(frozen=True, slots=True)
class PriceBook:
    """On-demand prices of the base region and the ratios of the others."""

    base_region: str
    base: Mapping[str, float]
    ratios: Mapping[str, Mapping[str, float]]

    def on_demand(self, region: str, instance_type: str) -> float | None:
        """USD an hour, or None where the type or the region is not in the table."""
        price = self.base.get(instance_type)
        if price is None or region == self.base_region:
            return price
        families = self.ratios.get(region)
        if families is None:
            return None
        ratio = families.get(instance_type.split(".", maxsplit=1)[0], families["*"])
        return round(price * ratio, 5 if price < _CHEAP_USD else 4)

    def spot(self, zone: str, instance_type: str) -> float | None:
        """USD an hour in a zone, or None where there is no on-demand price."""
        price = self.on_demand(zone.rstrip("abcdef"), instance_type)
        if price is None:
            return None
        region_part = SPOT_DISCOUNT_LEAST + ZONE_SPREAD / 2
        span = SPOT_DISCOUNT_MOST - SPOT_DISCOUNT_LEAST - ZONE_SPREAD
        discount = region_part + span * _fraction(instance_type, zone.rstrip("abcdef"))
        discount += ZONE_SPREAD * (_fraction(instance_type, zone) - 0.5)
        return round(price * (1 - discount), 6)


def _fraction(*parts: str) -> float:
    """A number in [0, 1) that depends on the parts and nothing else."""
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56


@cache
def load_prices() -> PriceBook:
    """The table that ships with the box."""
    packed = resources.files("nodesmith.sim.aws").joinpath("data/prices.json.gz").read_bytes()
    document = json.loads(gzip.decompress(packed))
    return PriceBook(document["baseRegion"], document["onDemand"], document["regionRatio"])
