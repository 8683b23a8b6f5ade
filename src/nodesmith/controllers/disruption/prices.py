"""What pools cost, and what is offered for them."""

from __future__ import annotations

from collections.abc import Sequence

from nodesmith.decide.disrupt.costs import hourly_price, index_types
from nodesmith.decide.schedule.problem import Catalog
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.money import total_price
from nodesmith.ports.metrics import Metrics
from nodesmith.state.snapshot import Snapshot


class Prices:
    """Tells what pools cost, and keeps the types that are offered for who wants to know of them: they are many."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.offered: tuple[Sequence[InstanceType], ...] = ()

    def tell(self, snapshot: Snapshot, catalog: Catalog) -> None:
        """The gauges of pools' costs stand as they are now, and `offered` has each list of types once."""
        types = index_types(catalog)
        for pool in catalog:
            prices = [hourly_price(node, types) for node in snapshot.nodes if node.pool_name == pool]
            known = [price for price in prices if price is not None]
            self._metrics.set("nodepools_cost_total", total_price(known).dollars, nodepool=pool)
            if len(known) < len(prices):
                self._metrics.count("nodepools_cost_tracker_errors_total", len(prices) - len(known))
        self.offered = tuple({id(listed): listed for listed in catalog.values()}.values())
