"""What offerings cost: live prices where AWS told them, the shipped list where it never did, else unknown (spec 7.7).

The shipped list is us-east-1's, some months old. A price from it is marked as an estimate wherever it goes, and once
the Pricing API has answered it is not used for a type that the API did not name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Any, Final

from nodesmith.model.labels import SPOT
from nodesmith.model.money import UsdPerHour

SPOT_PRODUCTS: Final = ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"]
_AS_OF: Final = re.compile(r"as of (\d{4}-\d{2}-\d{2})")
_PRICING_REGIONS: Final = (("cn-", "cn-northwest-1"), ("ap-", "ap-south-1"), ("eu-", "eu-central-1"))
_DEFAULT_PRICING_REGION: Final = "us-east-1"


@dataclass(frozen=True, slots=True)
class Quote:
    """A price, and whether it is from the shipped list."""

    price: UsdPerHour
    is_estimate: bool = False


@dataclass(frozen=True, slots=True)
class ShippedPrices:
    """The list that came with this release."""

    as_of: date
    on_demand: Mapping[str, UsdPerHour]


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Prices at one moment. `on_demand_at` and `spot_at` say when AWS last told them; None: never."""

    on_demand: Mapping[str, UsdPerHour] = field(default_factory=dict)
    on_demand_at: datetime | None = None
    spot: Mapping[tuple[str, str], UsdPerHour] = field(default_factory=dict)
    """By type and zone."""
    spot_at: datetime | None = None

    def quote(self, instance_type: str, zone: str, capacity_type: str) -> Quote | None:
        """What the offering costs, or None where nobody knows."""
        if capacity_type != SPOT:
            return self._on_demand(instance_type)
        if self.spot_at is None:
            regular = self._on_demand(instance_type)
            return None if regular is None else Quote(regular.price, is_estimate=True)
        price = self.spot.get((instance_type, zone))
        return None if price is None else Quote(price)

    def _on_demand(self, instance_type: str) -> Quote | None:
        if self.on_demand_at is not None:
            price = self.on_demand.get(instance_type)
            return None if price is None else Quote(price)
        shipped = shipped_prices().on_demand.get(instance_type)
        return None if shipped is None else Quote(shipped, is_estimate=True)


@cache
def shipped_prices() -> ShippedPrices:
    """The shipped list, with the day it was taken."""
    text = resources.files("nodesmith.adapters.aws").joinpath("data/prices.csv").read_text()
    stamp = _AS_OF.search(text)
    rows = (line.split(",") for line in text.splitlines() if line and not line.startswith(("#", "type,")))
    return ShippedPrices(
        as_of=date.fromisoformat(stamp[1]) if stamp else date.min,
        on_demand={name: UsdPerHour.of(price) for name, price in rows},
    )


def pricing_region(region: str) -> str:
    """Which region's Pricing API knows the region's prices."""
    return next((home for prefix, home in _PRICING_REGIONS if region.startswith(prefix)), _DEFAULT_PRICING_REGION)


def product_filters(region: str, *, is_metal: bool) -> list[dict[str, str]]:
    """The GetProducts filters for on-demand Linux."""
    wanted = {
        "regionCode": region,
        "serviceCode": "AmazonEC2",
        "preInstalledSw": "NA",
        "operatingSystem": "Linux",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",
        "tenancy": "Dedicated" if is_metal else "Shared",
        "productFamily": "Compute Instance (bare metal)" if is_metal else "Compute Instance",
    }
    return [{"Field": name, "Type": "TERM_MATCH", "Value": value} for name, value in wanted.items()]


def parse_products(listed: Iterable[str], *, currency: str) -> dict[str, UsdPerHour]:
    """The prices in GetProducts' list, zero prices left out; yuan count as they stand."""
    prices: dict[str, UsdPerHour] = {}
    for text in listed:
        document: Mapping[str, Any] = json.loads(text)
        name = document.get("product", {}).get("attributes", {}).get("instanceType", "")
        for term in (document.get("terms", {}).get("OnDemand") or {}).values():
            for dimension in (term.get("priceDimensions") or {}).values():
                price = UsdPerHour.of(dimension.get("pricePerUnit", {}).get(currency) or 0)
                if name and price.picos > 0:
                    prices[name] = price
    return prices


def parse_spot_history(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], UsdPerHour]:
    """The newest price of each type and zone."""
    newest: dict[tuple[str, str], tuple[Any, UsdPerHour]] = {}
    for row in rows:
        key = (row["InstanceType"], row["AvailabilityZone"])
        if key not in newest or newest[key][0] < row["Timestamp"]:
            newest[key] = (row["Timestamp"], UsdPerHour.of(row["SpotPrice"]))
    return {key: price for key, (_, price) in newest.items()}
