from __future__ import annotations

import pytest

from nodesmith.sim.aws.prices import load_prices


@pytest.mark.parametrize(
    ("region", "instance_type", "price"),
    [
        ("us-east-1", "t4g.small", 0.0168),
        ("us-east-1", "t4g.medium", 0.0336),
        ("us-east-1", "m5.large", 0.096),
        ("us-east-1", "c7g.xlarge", 0.145),
        ("us-west-2", "m5.large", 0.096),
        ("ap-northeast-2", "t4g.nano", 0.0052),
        ("ap-northeast-2", "t4g.small", 0.0208),
        ("ap-northeast-2", "t4g.medium", 0.0416),
        ("ap-northeast-2", "t4g.large", 0.0832),
        ("ap-northeast-2", "m5.large", 0.118),
        ("ap-northeast-2", "m6g.large", 0.094),
        ("eu-west-1", "t3.medium", 0.0456),
    ],
)
def test_on_demand_prices_are_those_of_the_public_list(region: str, instance_type: str, price: float) -> None:
    found = load_prices().on_demand(region, instance_type)
    assert found == pytest.approx(price, rel=0.003)


def test_what_is_not_in_the_list_has_no_price() -> None:
    prices = load_prices()
    assert prices.on_demand("us-east-1", "zz.large") is None
    assert prices.on_demand("mars-north-1", "m5.large") is None
    assert prices.spot("mars-north-1a", "m5.large") is None


def test_spot_is_a_quarter_to_three_quarters_off_and_differs_by_zone() -> None:
    prices = load_prices()
    discounts = []
    for name in prices.base:
        on_demand = prices.on_demand("ap-northeast-2", name)
        assert on_demand is not None
        in_zones = [prices.spot(f"ap-northeast-2{zone}", name) for zone in "abc"]
        assert len(set(in_zones)) > 1, name
        discounts += [1 - price / on_demand for price in in_zones if price is not None]
    assert min(discounts) == pytest.approx(0.25, abs=0.02)
    assert max(discounts) == pytest.approx(0.75, abs=0.02)
    assert sum(discounts) / len(discounts) == pytest.approx(0.5, abs=0.02)


def test_spot_prices_never_change() -> None:
    assert load_prices().spot("ap-northeast-2a", "t4g.medium") == pytest.approx(0.020806)
