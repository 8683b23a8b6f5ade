"""When AWS is asked for prices, where, and what is kept when it tells only some, or nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from nodesmith.adapters.aws.blocking import run_inline
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.prices import REFRESHED_EVERY, RETRIED_AFTER, Prices
from nodesmith.adapters.clock import RealClock
from nodesmith.model.labels import ON_DEMAND, SPOT
from nodesmith.model.money import UsdPerHour
from nodesmith.ports.errors import Refused

ZONE = "eu-west-1a"


def product(name: str, price: str, currency: str = "USD") -> str:
    terms = {"t": {"priceDimensions": {"d": {"pricePerUnit": {currency: price}}}}}
    return json.dumps({"product": {"attributes": {"instanceType": name}}, "terms": {"OnDemand": terms}})


class Told(AwsClient):
    """AWS, which tells what a test says, and notes what it was asked; no price at all is a refusal."""

    def __init__(self, region: str) -> None:
        super().__init__(_Nobody(), region=region, clock=RealClock(), run_blocking=run_inline)
        self.products: list[str] = []
        self.spot: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []

    async def everything(
        self, service: str, operation: str, items: str, *, region: str = "", **parameters: Any
    ) -> list[Any]:
        self.asked.append((operation, region))
        told: list[Any] = self.products if service == "pricing" else self.spot
        if not told:
            raise Refused("AccessDenied: no")
        return told


class _Nobody:
    def client(self, service: str, region: str) -> Any:
        raise AssertionError((service, region))


def spot(name: str, price: str) -> dict[str, Any]:
    return {"InstanceType": name, "AvailabilityZone": ZONE, "SpotPrice": price, "Timestamp": RealClock().now()}


async def test_what_is_told_again_replaces_and_what_is_not_stays() -> None:
    aws = Told("eu-west-1")
    prices = Prices(aws, RealClock(), is_isolated=False)
    aws.products, aws.spot = [product("m5.large", "0.1"), product("c5.large", "0.2")], [spot("m5.large", "0.04")]
    first = await prices.current()
    assert prices.caveat == ""
    aws.products = [product("m5.large", "0.11"), product("c5.large", "0")]
    await prices.refresh()
    book = prices.book
    assert (first.on_demand["m5.large"], book.on_demand["m5.large"]) == (UsdPerHour.of("0.1"), UsdPerHour.of("0.11"))
    assert book.on_demand["c5.large"] == UsdPerHour.of("0.2"), "no price is no news"
    aws.products, aws.spot = [], []
    await prices.refresh()
    assert prices.book.on_demand == book.on_demand
    assert "on-demand prices: AccessDenied" in prices.problem
    assert "spot prices: AccessDenied" in prices.problem


@pytest.mark.parametrize(
    ("region", "home"),
    [
        ("eu-west-1", "eu-central-1"),
        ("ap-northeast-2", "ap-south-1"),
        ("us-west-2", "us-east-1"),
        ("sa-east-1", "us-east-1"),
    ],
)
async def test_the_pricing_api_of_its_own_region_is_asked(region: str, home: str) -> None:
    aws = Told(region)
    aws.products, aws.spot = [product("m5.large", "0.1")], [spot("m5.large", "0.04")]
    await Prices(aws, RealClock(), is_isolated=False).refresh()
    assert aws.asked == [("GetProducts", home), ("GetProducts", home), ("DescribeSpotPriceHistory", "")]


async def test_in_china_prices_are_in_yuan() -> None:
    aws = Told("cn-north-1")
    aws.products, aws.spot = [product("m5.large", "0.7", "CNY"), product("c5.large", "0.1")], [spot("m5.large", "0.3")]
    prices = Prices(aws, RealClock(), is_isolated=False)
    await prices.refresh()
    assert prices.book.on_demand == {"m5.large": UsdPerHour.of("0.7")}
    assert aws.asked[0] == ("GetProducts", "cn-northwest-1")


@pytest.mark.parametrize(("region", "is_isolated"), [("us-gov-west-1", False), ("eu-west-1", True)])
async def test_where_the_pricing_api_is_not_reached_only_spot_is_asked(
    region: str,
    is_isolated: bool,  # noqa: FBT001 - a table's cell
) -> None:
    aws = Told(region)
    aws.spot = [spot("m5.large", "0.04")]
    prices = Prices(aws, RealClock(), is_isolated=is_isolated)
    await prices.refresh()
    assert [operation for operation, _ in aws.asked] == ["DescribeSpotPriceHistory"]
    estimate, known = prices.book.quote("m5.large", ZONE, ON_DEMAND), prices.book.quote("m5.large", ZONE, SPOT)
    assert estimate is not None
    assert known is not None
    assert (estimate.is_estimate, known.is_estimate) == (True, False)
    assert "estimates, from the list of" in prices.caveat


async def test_they_are_asked_for_twice_a_day_and_soon_again_after_a_failure() -> None:
    class Hands(RealClock):
        ahead = timedelta(0)

        def now(self) -> Any:
            return super().now() + self.ahead

    clock, aws = Hands(), Told("eu-west-1")
    aws.products, aws.spot = [product("m5.large", "0.1")], [spot("m5.large", "0.04")]
    prices = Prices(aws, clock, is_isolated=False)
    asked = []
    for at in (timedelta(0), REFRESHED_EVERY - timedelta(minutes=1), REFRESHED_EVERY, REFRESHED_EVERY):
        clock.ahead = at
        await prices.current()
        asked.append(len(aws.asked))
    assert asked == [3, 3, 6, 6]
    aws.products = []
    clock.ahead = 2 * REFRESHED_EVERY + timedelta(minutes=1)
    await prices.current()
    before = len(aws.asked)
    clock.ahead += RETRIED_AFTER
    await prices.current()
    assert len(aws.asked) > before
