"""The Pricing API: GetProducts for EC2. moto has no such service."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from moto.ec2.models.instance_types import INSTANCE_TYPES

from nodesmith.sim.aws.ec2 import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nodesmith.sim.aws.prices import PriceBook

PAGE: Final = 100
BARE_METAL: Final = "Compute Instance (bare metal)"
VIRTUAL: Final = "Compute Instance"


def get_products(params: Mapping[str, Any], prices: PriceBook) -> dict[str, Any]:
    """The result of GetProducts: price list entries as JSON text, a page at a time."""
    wanted = {entry["Field"]: entry["Value"] for entry in params.get("Filters") or ()}
    region = wanted.get("regionCode") or "us-east-1"
    names = [wanted["instanceType"]] if "instanceType" in wanted else sorted(catalog.offered_in_region(region))
    rows = [
        row
        for name in names
        for row in _rows(region, name, prices)
        if all(row[0].get(field) == value for field, value in wanted.items() if field != "ServiceCode")
    ]
    size = min(int(params.get("MaxResults") or PAGE), PAGE)
    start = int(params.get("NextToken") or 0)
    result: dict[str, Any] = {
        "FormatVersion": "aws_v1",
        "PriceList": [_entry(attributes, price) for attributes, price in rows[start : start + size]],
    }
    if start + size < len(rows):
        result["NextToken"] = str(start + size)
    return result


def _rows(region: str, name: str, prices: PriceBook) -> Iterator[tuple[dict[str, str], float]]:
    """(what filters look at, price) of a type's shared and dedicated entries."""
    price = prices.on_demand(region, name)
    if price is None:
        return
    family = BARE_METAL if _is_metal(name) else VIRTUAL
    tenancies = ("Dedicated",) if family == BARE_METAL else ("Shared", "Dedicated")
    for tenancy in tenancies:
        yield (
            {
                "productFamily": family,
                "instanceType": name,
                "regionCode": region,
                "servicecode": "AmazonEC2",
                "serviceCode": "AmazonEC2",
                "operatingSystem": "Linux",
                "tenancy": tenancy,
                "preInstalledSw": "NA",
                "capacitystatus": "Used",
                "marketoption": "OnDemand",
                "locationType": "AWS Region",
            },
            price if family == BARE_METAL or tenancy == "Shared" else round(price * 1.06, 4),
        )


@cache
def _is_metal(name: str) -> bool:
    return bool((INSTANCE_TYPES.get(name) or {}).get("BareMetal"))


def _entry(attributes: Mapping[str, str], price: float) -> str:
    sku = re.sub(r"\W", "", attributes["instanceType"] + attributes["tenancy"]).upper()
    term, rate = f"{sku}.JRTCKXETXF", f"{sku}.JRTCKXETXF.6YS6EN2CT7"
    currency = "CNY" if attributes["regionCode"].startswith("cn-") else "USD"
    dimension = {
        "unit": "Hrs",
        "rateCode": rate,
        "beginRange": "0",
        "endRange": "Inf",
        "pricePerUnit": {currency: f"{price:.10f}"},
    }
    return json.dumps(
        {
            "product": {
                "productFamily": attributes["productFamily"],
                "sku": sku,
                "attributes": {k: v for k, v in attributes.items() if k != "productFamily"},
            },
            "serviceCode": "AmazonEC2",
            "terms": {"OnDemand": {term: {"sku": sku, "priceDimensions": {rate: dimension}, "termAttributes": {}}}},
            "version": "20260701000000",
            "publicationDate": "2026-07-01T00:00:00Z",
        }
    )
