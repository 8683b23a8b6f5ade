from datetime import timedelta

from nodesmith.decide.disrupt.costs import hourly_price, index_types
from nodesmith.decide.disrupt.replay import apply, cluster_price
from nodesmith.decide.disrupt.settling import is_consolidatable
from nodesmith.model import labels
from nodesmith.model.money import UsdPerHour
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.plan.command import Command, Method
from nodesmith.plan.schedule import OnClaim, OnNode, PlannedClaim, Purchase
from tests.unit.decide.disrupt.build import NOW, as_candidate, catalog, node, pod, pool, snapshot

NODES = (
    node("a", "medium", pod("w1"), pod("ds", owner="DaemonSet")),
    node("b", "medium", pod("w2")),
    node("c", "medium"),
)
BEFORE = snapshot(NODES, pending=(pod("waits"),))
CLAIM = PlannedClaim(
    "default",
    Requirements.of(
        (
            Requirement(labels.CAPACITY_TYPE, frozenset({labels.SPOT})),
            Requirement(labels.ZONE, frozenset({"a", "b"})),
            Requirement("team", frozenset({"red", "blue"})),
        )
    ),
    ("tiny",),
    {},
    ("default/w1",),
    Purchase("tiny", "b", labels.SPOT, UsdPerHour.of(0.02)),
)
COMMAND = Command(
    Method.MULTI,
    tuple(as_candidate(each).leaving() for each in NODES[:2]),
    (CLAIM,),
    {"default/w1": OnClaim(0), "default/w2": OnNode("c")},
    UsdPerHour.of(0.38),
)
AFTER = apply(COMMAND, BEFORE, catalog(BEFORE), step=3)


def test_the_nodes_are_gone_with_their_daemons_and_the_replacement_is_there() -> None:
    assert [each.name for each in AFTER.nodes] == ["c", "replacement-0003-0"]
    assert [each.key for each in AFTER.pods] == ["default/w1", "default/w2", "default/waits"]


def test_pods_are_where_the_command_puts_them_and_those_that_wait_still_do() -> None:
    on = {each.key: each.node_name for each in AFTER.pods}
    assert on == {"default/w1": "replacement-0003-0", "default/w2": "c", "default/waits": ""}
    assert [[each.key for each in state.pods] for state in AFTER.nodes] == [["default/w2"], ["default/w1"]]


def test_the_replacement_is_its_cheapest_offering_with_the_labels_of_a_node() -> None:
    bought = AFTER.nodes[1]
    assert (bought.instance_type, bought.zone, bought.capacity_type) == ("tiny", "b", labels.SPOT)
    assert bought.labels[labels.HOSTNAME] == "replacement-0003-0"
    assert bought.labels[labels.ARCH] == "amd64"
    assert bought.labels["team"] == "blue"
    assert bought.is_initialized
    assert bought.allocatable["cpu"] == 1000
    assert hourly_price(bought, index_types(catalog(AFTER))) == UsdPerHour.of(0.02)


def test_the_replacement_has_settled() -> None:
    assert is_consolidatable(AFTER.nodes[1], pool(after=timedelta(hours=1)), NOW)


def test_the_price_falls_by_what_the_command_saves() -> None:
    before, after = cluster_price(BEFORE, catalog(BEFORE)), cluster_price(AFTER, catalog(AFTER))
    assert before - after == COMMAND.savings
    assert before == UsdPerHour.of(0.6)


def test_nodes_that_are_not_ours_or_of_unknown_price_cost_nothing() -> None:
    foreign = snapshot((node("a", managed=False), node("b", "unheard-of")))
    assert cluster_price(foreign, catalog(foreign)) == UsdPerHour(0)
