"""What pools cost is told at each look; what is offered for them is kept for who asks."""

from datetime import UTC, datetime

from nodesmith.adapters.memory.catalog import catalog
from nodesmith.adapters.memory.recording import RecordedMetrics
from nodesmith.controllers.disruption.prices import Prices
from nodesmith.model.labels import CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, ON_DEMAND, REGISTERED, ZONE
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.node import Node
from nodesmith.state.snapshot import Snapshot, StateNode

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_pool_costs_what_its_nodes_cost() -> None:
    metrics, listed = RecordedMetrics(), catalog()
    type_ = listed[0]
    offering = next(each for each in type_.offerings if each.capacity_type == ON_DEMAND)
    assert offering.price is not None
    labels = {
        NODEPOOL: "one",
        INSTANCE_TYPE: type_.name,
        ZONE: offering.zone,
        CAPACITY_TYPE: ON_DEMAND,
        REGISTERED: "true",
    }
    nodes = tuple(StateNode(Node(ObjectMeta(name, labels=labels)), None) for name in "ab")
    Prices(metrics).tell(Snapshot(NOW, nodes=nodes), {"one": listed, "two": listed})
    costs = {
        dict(told)["nodepool"]: value
        for (name, told), value in metrics.gauges.items()
        if name == "nodepools_cost_total"
    }
    assert costs == {"one": 2 * offering.price.dollars, "two": 0}


def test_a_list_that_pools_share_is_kept_once() -> None:
    listed, other = catalog(), catalog()[:1]
    prices = Prices(RecordedMetrics())
    prices.tell(Snapshot(NOW), {"one": listed, "two": listed, "three": other})
    assert [id(each) for each in prices.offered] == [id(listed), id(other)]
    prices.tell(Snapshot(NOW), {"three": other})
    assert [id(each) for each in prices.offered] == [id(other)]
