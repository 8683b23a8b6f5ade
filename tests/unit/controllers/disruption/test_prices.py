"""Prices as numbers: every type is told once, and again only what has changed of it."""

from dataclasses import replace
from datetime import UTC, datetime

from nodesmith.controllers.disruption.prices import Prices
from nodesmith.model.instancetype import InstanceType, Offering, Overhead
from nodesmith.model.money import UsdPerHour
from nodesmith.model.requirements import Requirements
from nodesmith.state.snapshot import Snapshot

EMPTY = Snapshot(taken_at=datetime(2026, 1, 1, tzinfo=UTC))


class Counted:
    """Metrics that remember what was set."""

    def __init__(self) -> None:
        self.gauges: list[tuple[str, float, dict[str, str]]] = []

    def count(self, name: str, by: float = 1.0, /, **labels: str) -> None:
        raise AssertionError(name)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        raise AssertionError(name)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        if not name.startswith("nodepools"):
            self.gauges.append((name.removeprefix("cloudprovider_instance_type_"), value, labels))


def machine(price: int) -> InstanceType:
    offering = Offering("zone-a", "spot", UsdPerHour(price))
    return InstanceType("t4g.large", Requirements(), {"cpu": 2000, "memory": 2**33}, Overhead(), (offering,))


def test_a_list_that_pools_share_is_told_once_and_a_new_one_by_its_changes() -> None:
    metrics = Counted()
    prices = Prices(metrics)
    listed = (machine(20_000),)
    prices.tell(EMPTY, {"one": listed, "two": listed})
    assert [name for name, _, _ in metrics.gauges] == [
        "cpu_cores",
        "memory_bytes",
        "offering_available",
        "offering_price_estimate",
    ]
    metrics.gauges.clear()
    prices.tell(EMPTY, {"one": listed, "two": listed})
    assert metrics.gauges == []
    [type_] = listed
    gone = replace(type_, offerings=(replace(type_.offerings[0], is_available=False),))
    prices.tell(EMPTY, {"one": (gone,), "two": (gone,)})
    terms = {"instance_type": "t4g.large", "capacity_type": "spot", "zone": "zone-a"}
    assert metrics.gauges == [("offering_available", 0.0, terms)]
