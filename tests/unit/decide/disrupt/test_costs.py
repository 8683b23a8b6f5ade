from datetime import timedelta

import pytest

from nodesmith.decide.disrupt.costs import eviction_cost, hourly_price, index_types, lifetime_remaining, reschedule_cost
from nodesmith.model import labels
from nodesmith.model.instancetype import InstanceType, Offering, Overhead
from nodesmith.model.labels import POD_DELETION_COST
from nodesmith.model.money import UsdPerHour
from nodesmith.model.requirements import Requirements
from tests.unit.decide.disrupt.build import NOW, TYPES, as_candidate, kind, node, pod


def test_an_ordinary_pod_costs_one() -> None:
    assert eviction_cost(pod("p")) == 1.0


@pytest.mark.parametrize(
    ("deletion_cost", "priority", "cost"),
    [
        (str(2**27), None, 2.0),
        (str(-(2**27)), None, 0.0),
        ("not a number", None, 1.0),
        ("nan", None, 1.0),
        (None, 2**25, 2.0),
        (None, 2_000_000_000, 10.0),
        (None, -2_000_000_000, -10.0),
        ("2147483647", 1_000_000_000, 10.0),
    ],
)
def test_deletion_cost_and_priority_add_up_within_bounds(
    deletion_cost: str | None, priority: int | None, cost: float
) -> None:
    annotations = {POD_DELETION_COST: deletion_cost} if deletion_cost is not None else {}
    assert eviction_cost(pod("p", annotations=annotations, priority=priority)) == pytest.approx(cost)


def test_a_higher_deletion_cost_costs_more() -> None:
    dear, cheap = ({POD_DELETION_COST: text} for text in ("100", "-100"))
    assert eviction_cost(pod("p", annotations=dear)) > 1.0 > eviction_cost(pod("p", annotations=cheap))


def test_rescheduling_costs_one_for_the_node_and_the_pods_that_mind() -> None:
    minds, does_not = pod("a"), pod("b", priority=-2_000_000_000)
    assert reschedule_cost(()) == 1.0
    assert reschedule_cost((minds, does_not)) == 2.0


def test_a_node_with_daemons_only_is_empty_and_one_whose_pods_do_not_mind_too() -> None:
    assert as_candidate(node("n", "medium", pod("ds", owner="DaemonSet"))).is_empty
    assert as_candidate(node("n", "medium", pod("low", priority=-2_000_000_000))).is_empty
    assert not as_candidate(node("n", "medium", pod("web"))).is_empty


def test_terminating_pods_do_not_need_a_place_unless_a_statefulset_makes_them_again() -> None:
    assert as_candidate(node("n", "medium", pod("web", deleted=True))).is_empty
    assert not as_candidate(node("n", "medium", pod("db", owner="StatefulSet", deleted=True))).is_empty


def test_lifetime_is_what_is_left_of_expire_after() -> None:
    born = NOW - timedelta(hours=1)
    assert lifetime_remaining(born, timedelta(hours=4), NOW) == 0.75
    assert lifetime_remaining(born, timedelta(minutes=30), NOW) == 0.0
    assert lifetime_remaining(born, timedelta(0), NOW) == 0.0
    assert lifetime_remaining(born, None, NOW) == 1.0


def test_the_price_is_the_offerings_whether_or_not_it_can_be_bought() -> None:
    gone = kind("medium", 4, 0.2)
    sold_out = tuple(Offering(each.zone, each.capacity_type, each.price, is_available=False) for each in gone.offerings)
    types = index_types({"default": (InstanceType("medium", gone.requirements, gone.capacity, Overhead(), sold_out),)})
    assert hourly_price(node("n"), types) == UsdPerHour.of(0.2)


def test_a_price_that_the_catalog_does_not_say_is_unknown_not_zero() -> None:
    types = index_types({"default": TYPES})
    assert hourly_price(node("n", "unheard-of"), types) is None
    assert hourly_price(node("n", zone="z"), types) is None
    assert hourly_price(node("n", pool_name="other"), types) is None
    unpriced = Offering("a", labels.ON_DEMAND, None)
    bare = InstanceType("medium", Requirements(), TYPES[2].capacity, Overhead(), (unpriced,))
    assert hourly_price(node("n"), index_types({"default": (bare,)})) is None


def test_a_reserved_node_costs_what_its_own_reservation_does() -> None:
    offerings = tuple(
        Offering("a", labels.RESERVED, UsdPerHour(price), reservation_id=name)
        for name, price in (("cr-1", 10), ("cr-2", 20))
    )
    reserved = InstanceType("medium", Requirements(), TYPES[2].capacity, Overhead(), offerings)
    types = index_types({"default": (reserved,)})
    held = node("n", capacity_type=labels.RESERVED, extra_labels={labels.RESERVATION_ID: "cr-2"})
    assert hourly_price(held, types) == UsdPerHour(20)


def test_pools_that_share_a_list_share_its_index() -> None:
    types = index_types({"a": TYPES, "b": TYPES})
    assert types["a"] is types["b"]
