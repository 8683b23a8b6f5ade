"""NodeOverlays: prices and resources that the cloud does not tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodesmith.api.nodeoverlay import decode_node_overlay
from nodesmith.decide.schedule.overlays import Overlaid, overlaid
from nodesmith.decide.schedule.solve import schedule
from nodesmith.model import labels
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.money import UsdPerHour
from nodesmith.model.overlay import NodeOverlay
from tests.unit.decide.schedule.build import TYPES, pods, pool, problem

FUSE = "example.com/fuse"


def overlay(name: str, *wanted: tuple[str, str, Sequence[str]], **spec: Any) -> NodeOverlay:
    requirements = [{"key": key, "operator": operator, "values": list(values)} for key, operator, values in wanted]
    return decode_node_overlay({"metadata": {"name": name}, "spec": {"requirements": requirements, **spec}})


def applied(*overlays: NodeOverlay, pools: Sequence[str] = ("default",)) -> Overlaid:
    return overlaid(dict.fromkeys(pools, TYPES), [pool(name) for name in pools], overlays)


def prices(result: Overlaid, kind: str = "small", pool_name: str = "default") -> Mapping[tuple[str, str], float]:
    found: InstanceType = next(each for each in result.catalog[pool_name] if each.name == kind)
    return {(each.zone, each.capacity_type): each.price.dollars for each in found.offerings if each.price is not None}


SMALL = (labels.INSTANCE_TYPE, "In", ("small",))


def test_a_price_replaces_the_one_of_the_offerings_that_are_meant() -> None:
    result = applied(overlay("cheap", SMALL, (labels.ZONE, "In", ("a",)), price="0.01"))
    told = prices(result)
    assert told["a", labels.ON_DEMAND] == told["a", labels.SPOT] == 0.01
    assert told["b", labels.ON_DEMAND] == 0.10
    assert prices(result, "medium") == prices(applied(), "medium")


def test_an_adjustment_adds_dollars_or_a_share_and_never_goes_below_nothing() -> None:
    spot = (labels.CAPACITY_TYPE, "In", (labels.SPOT,))
    assert prices(applied(overlay("dear", SMALL, priceAdjustment="+0.05")))["a", labels.ON_DEMAND] == 0.15
    half = prices(applied(overlay("half", SMALL, spot, priceAdjustment="-50%")))
    assert half["a", labels.SPOT] == 0.02
    assert half["a", labels.ON_DEMAND] == 0.10
    assert prices(applied(overlay("free", SMALL, priceAdjustment="-5")))["a", labels.SPOT] == 0


def test_the_heavier_overlay_counts_and_of_equal_ones_the_last_by_name() -> None:
    light = overlay("z-light", SMALL, price="1", weight=1)
    heavy = overlay("a-heavy", SMALL, price="2", weight=10)
    assert prices(applied(light, heavy))["a", labels.SPOT] == 2
    same = applied(overlay("a", SMALL, price="3"), overlay("b", SMALL, price="3"))
    assert not same.conflicting
    offering = next(each for each in same.catalog["default"] if each.name == "small").offerings[0]
    assert offering.overlay == "b"


def test_equally_heavy_overlays_that_disagree_conflict_and_the_later_one_is_left_out() -> None:
    result = applied(overlay("a", SMALL, price="3"), overlay("b", SMALL, price="4"))
    assert result.conflicting == {"a"}
    assert prices(result)["a", labels.SPOT] == 4
    apart = applied(
        overlay("a", (labels.ZONE, "In", ("a",)), price="3"), overlay("b", (labels.ZONE, "In", ("b",)), price="4")
    )
    assert not apart.conflicting


def test_resources_are_added_to_the_types_that_are_meant_and_pods_can_ask_for_them() -> None:
    fused = applied(overlay("fuse", (labels.ARCH, "In", ("arm64",)), capacity={FUSE: "2"}))
    asked = problem(pods("web", 1, more={FUSE: 1}))
    assert schedule(asked).unplaced
    plan = schedule(problem(pods("web", 1, more={FUSE: 1}), types=fused.catalog["default"]))
    assert not plan.unplaced
    (claim,) = plan.claims
    assert set(claim.instance_types) == {"arm-small", "arm-large"}
    assert claim.has_capacity_overlay
    assert not claim.has_price_overlay


def test_an_overlay_may_be_about_one_pool() -> None:
    only = overlay("only", SMALL, (labels.NODEPOOL, "In", ("second",)), price="0.01")
    result = applied(only, pools=("first", "second"))
    assert prices(result, pool_name="first")["a", labels.SPOT] == 0.04
    assert prices(result, pool_name="second")["a", labels.SPOT] == 0.01


def test_an_overlay_that_an_api_server_let_through_by_mistake_is_not_applied() -> None:
    result = applied(
        overlay("wrong", SMALL, capacity={"cpu": "100"}), overlay("label", ("not a key", "Exists", ()), price="1")
    )
    assert set(result.faulty) == {"wrong", "label"}
    assert "cpu is restricted" in result.faulty["wrong"]
    assert result.catalog["default"] == TYPES


def test_a_price_that_is_not_known_can_be_told_but_not_adjusted() -> None:
    change = overlay("dear", SMALL, priceAdjustment="+10%").change
    assert change is not None
    assert change.applied(None) is None
    told = overlay("told", SMALL, price="0.5").change
    assert told is not None
    assert told.applied(None) == UsdPerHour.of(0.5)


def test_a_custom_label_that_no_type_has_means_no_type() -> None:
    assert prices(applied(overlay("odd", ("team", "In", ("red",)), price="9"))) == prices(applied())
