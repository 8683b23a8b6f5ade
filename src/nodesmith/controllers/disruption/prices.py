"""What pools cost and what types are offered for, as numbers."""

from __future__ import annotations

from collections.abc import Sequence

from nodesmith.decide.disrupt.costs import hourly_price, index_types
from nodesmith.decide.schedule.problem import Catalog
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.money import total_price
from nodesmith.model.resources import CPU, MEMORY
from nodesmith.ports.metrics import Metrics
from nodesmith.state.snapshot import Snapshot


class Prices:
    """Tells of prices, and of a type again only by what has changed: types are many, and looks frequent."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._changes = _Changes(metrics)
        self._lists: dict[str, Sequence[InstanceType]] = {}

    def tell(self, snapshot: Snapshot, catalog: Catalog) -> None:
        """The gauges of pools' costs and of the types and offerings of the catalog stand as they are now."""
        types = index_types(catalog)
        for pool, listed in catalog.items():
            prices = [hourly_price(node, types) for node in snapshot.nodes if node.pool_name == pool]
            known = [price for price in prices if price is not None]
            self._metrics.set("nodepools_cost_total", total_price(known).dollars, nodepool=pool)
            if len(known) < len(prices):
                self._metrics.count("nodepools_cost_tracker_errors_total", len(prices) - len(known))
            if not any(listed is each for each in self._lists.values()):
                for type_ in listed:
                    _tell_type(self._changes, type_)
            self._lists[pool] = listed


class _Changes:
    """Sets gauges that stand at another value than the one that was set last."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._told: dict[tuple[str, ...], float] = {}

    def set(self, name: str, value: float, /, **labels: str) -> None:
        key = (name, *labels.values())
        if self._told.get(key) != value:
            self._told[key] = value
            self._metrics.set(name, value, **labels)


def _tell_type(metrics: _Changes, type_: InstanceType) -> None:
    cores, memory = type_.capacity.get(CPU, 0) / 1000, type_.capacity.get(MEMORY, 0)
    metrics.set("cloudprovider_instance_type_cpu_cores", cores, instance_type=type_.name)
    metrics.set("cloudprovider_instance_type_memory_bytes", memory, instance_type=type_.name)
    for offering in type_.offerings:
        labels = {"instance_type": type_.name, "capacity_type": offering.capacity_type, "zone": offering.zone}
        metrics.set("cloudprovider_instance_type_offering_available", float(offering.is_available), **labels)
        if offering.price is not None:
            metrics.set("cloudprovider_instance_type_offering_price_estimate", offering.price.dollars, **labels)
