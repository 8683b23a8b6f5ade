"""Asks AWS for prices: twice a day, and never in the way of a launch that can do with older ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.pricebook import (
    SPOT_PRODUCTS,
    PriceBook,
    parse_products,
    parse_spot_history,
    pricing_region,
    product_filters,
    shipped_prices,
)
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import PortError

REFRESHED_EVERY: Final = timedelta(hours=12)
RETRIED_AFTER: Final = timedelta(minutes=5)
_PRODUCTS_A_PAGE: Final = 100
_SPOT_ROWS_A_PAGE: Final = 2000


class Prices:
    """The price book, kept up to date. `version` grows with each update."""

    def __init__(self, client: AwsClient, clock: Clock, *, is_isolated: bool) -> None:
        self.book = PriceBook()
        self.version = 0
        self.problem = ""
        """What the last refresh could not do, for people; empty when all went well."""
        self._client = client
        self._clock = clock
        self._has_pricing_api = not is_isolated and not client.region.startswith("us-gov-")
        self._next_at: datetime | None = None

    @property
    def caveat(self) -> str:
        """Which prices are not AWS' own of today, and why, for people; empty when all are."""
        said: list[str] = []
        if self.book.on_demand_at is None:
            said.append(f"on-demand prices are estimates, from the list of {shipped_prices().as_of} that was shipped")
        if self.book.spot_at is None:
            said.append("spot prices are not known and count as on-demand prices")
        return "; ".join([*said, self.problem] if self.problem else said)

    async def current(self) -> PriceBook:
        """The book; asked for afresh where it is due. A refresh that fails leaves the older prices."""
        now = self._clock.now()
        if self._next_at is None or now >= self._next_at:
            self._next_at = now + RETRIED_AFTER
            await self.refresh()
        return self.book

    async def refresh(self) -> None:
        """Spot and on-demand prices are those of now, as far as AWS answers."""
        now = self._clock.now()
        problems: list[str] = []
        if self._has_pricing_api:
            try:
                await self._refresh_on_demand(now)
            except PortError as error:
                problems.append(f"on-demand prices: {error}")
        try:
            await self._refresh_spot(now)
        except PortError as error:
            problems.append(f"spot prices: {error}")
        self.problem = "; ".join(problems)
        self._next_at = now + (RETRIED_AFTER if problems else REFRESHED_EVERY)

    async def _refresh_on_demand(self, now: datetime) -> None:
        region = self._client.region
        currency = "CNY" if region.startswith("cn-") else "USD"
        found = dict(self.book.on_demand)
        for is_metal in (False, True):
            listed = await self._client.everything(
                "pricing",
                "GetProducts",
                "PriceList",
                region=pricing_region(region),
                ServiceCode="AmazonEC2",
                Filters=product_filters(region, is_metal=is_metal),
                MaxResults=_PRODUCTS_A_PAGE,
            )
            found |= parse_products((str(each) for each in listed), currency=currency)
        if found:
            self.book = replace(self.book, on_demand=found, on_demand_at=now)
            self.version += 1

    async def _refresh_spot(self, now: datetime) -> None:
        rows = await self._client.everything(
            "ec2",
            "DescribeSpotPriceHistory",
            "SpotPriceHistory",
            ProductDescriptions=SPOT_PRODUCTS,
            StartTime=now,
            MaxResults=_SPOT_ROWS_A_PAGE,
        )
        found = parse_spot_history(rows)
        if found:
            self.book = replace(self.book, spot={**self.book.spot, **found}, spot_at=now)
            self.version += 1
