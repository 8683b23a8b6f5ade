"""What is offered, as numbers: every offering of every list, as Prometheus reads it."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from nodesmith.adapters.telemetry.exposition import written
from nodesmith.adapters.telemetry.offered import OfferedCollector
from nodesmith.model.instancetype import InstanceType, Offering, Overhead
from nodesmith.model.money import UsdPerHour
from nodesmith.model.requirements import Requirements

PRICE = UsdPerHour.of(0.02)
TERMS = {"instance_type": "t4g.large", "capacity_type": "spot", "zone": "zone-a"}


def machine(*offerings: Offering) -> InstanceType:
    return InstanceType("t4g.large", Requirements(), {"cpu": 2000, "memory": 2**33}, Overhead(), offerings)


def told(collector: OfferedCollector) -> dict[str, list[tuple[dict[str, str], float]]]:
    families = text_string_to_metric_families("".join(written(collector.collect())))
    prefix = "karpenter_cloudprovider_instance_type_"
    return {each.name.removeprefix(prefix): [(s.labels, s.value) for s in each.samples] for each in families}


def test_types_and_offerings_are_told_as_they_are() -> None:
    spot, regular = Offering("zone-a", "spot", PRICE), Offering("zone-a", "on-demand", None)
    collector = OfferedCollector(lambda: [[machine(spot, regular)]])
    assert not any(told(collector).values())
    collector.look()
    without_price = {**TERMS, "capacity_type": "on-demand"}
    assert told(collector) == {
        "cpu_cores": [({"instance_type": "t4g.large"}, 2.0)],
        "memory_bytes": [({"instance_type": "t4g.large"}, 2.0**33)],
        "offering_available": [(TERMS, 1.0), (without_price, 1.0)],
        "offering_price_estimate": [(TERMS, 0.02)],
    }


def test_what_two_lists_have_is_told_once() -> None:
    spot = Offering("zone-a", "spot", PRICE)
    gone = replace(spot, is_available=False)
    collector = OfferedCollector(lambda: [[machine(spot)], [machine(gone)]])
    collector.look()
    assert told(collector)["offering_available"] == [(TERMS, 0.0)]
    assert len(told(collector)["cpu_cores"]) == 1
