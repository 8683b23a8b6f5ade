"""The lower bound: right where it can be worked out by hand, and silent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nodesmith.decide.schedule.bound import kinds, lower_bound
from nodesmith.model import labels
from nodesmith.model.instancetype import Offering
from nodesmith.model.money import UsdPerHour
from nodesmith.model.pod import HostPort, PodVolume
from nodesmith.model.requirements import Requirement
from nodesmith.model.taints import NO_SCHEDULE, Taint
from tests.unit.decide.schedule import build
from tests.unit.decide.schedule.build import daemon, kind, near, node, pods, pool, problem

ON_DEMAND = (labels.CAPACITY_TYPE, "In", (labels.ON_DEMAND,))
ONE = (kind("one", 4, 0.20, spot=False),)


def dollars(*args: object, **fields: object) -> float:
    return lower_bound(problem(*args, **fields)).price.dollars  # type: ignore[arg-type]


def test_a_lone_pod_costs_a_whole_machine() -> None:
    assert dollars(pods("web", 1)) == pytest.approx(0.08 * 0.4, abs=1e-6)


def test_many_pods_cost_as_many_machines_as_their_resources_fill() -> None:
    assert dollars(pods("web", 39, cpu=1000), types=ONE) == pytest.approx(13 * 0.20, rel=1e-5)


def test_pods_that_leave_a_gap_pay_for_it() -> None:
    """Of pods of 2.5 cores one fits a machine of 3.9, not one and a half."""
    assert dollars(pods("web", 10, cpu=2500), types=ONE) == pytest.approx(10 * 0.20, rel=1e-5)


def test_the_better_of_two_shapes_is_mixed_in() -> None:
    thin = replace(kind("thin", 4, 0.16, spot=False), capacity={"cpu": 4000, "memory": 4 * 2**30, "pods": 20})
    heavy, light = pods("heavy", 10, cpu=300, memory=3500), pods("light", 10, cpu=3900, memory=100)
    alone = dollars([*heavy, *light], types=ONE)
    assert dollars([*heavy, *light], types=(*ONE, thin)) < alone


def test_room_that_is_there_is_free() -> None:
    web = pods("web", 6, cpu=1000)
    assert dollars(web, types=ONE, nodes=[node("n1"), node("n2")]) == 0
    assert dollars(pods("web", 9, cpu=1000), types=ONE, nodes=[node("n1"), node("n2")]) == pytest.approx(0.20, rel=1e-5)


def test_room_of_many_nodes_together_is_no_less(monkeypatch: pytest.MonkeyPatch) -> None:
    web, nodes = pods("web", 9, cpu=2000), [node("n1"), node("n2"), node("n3", running=pods("old", 1, node="n3"))]
    single = dollars(web, types=ONE, nodes=nodes)
    monkeypatch.setattr(kinds, "_MANY", 0)
    assert 0 < dollars(web, types=ONE, nodes=nodes) <= single


def test_a_reservation_is_cheap_once() -> None:
    reserved = Offering("a", labels.RESERVED, UsdPerHour.of(0.00001), reservation_id="cr-1", reservation_capacity=2)
    types = (replace(ONE[0], offerings=(*ONE[0].offerings, reserved)),)
    types = (replace(types[0], requirements=types[0].requirements.without([labels.CAPACITY_TYPE])),)
    assert dollars(pods("web", 5, cpu=3900), types=types) == pytest.approx(3 * 0.20, abs=1e-3)


def test_pods_that_only_a_full_reservation_takes_are_left_out() -> None:
    reserved = Offering("a", labels.RESERVED, UsdPerHour.of(0.5), reservation_id="cr-1", reservation_capacity=1)
    types = (replace(ONE[0], offerings=(reserved,), requirements=ONE[0].requirements.without([labels.CAPACITY_TYPE])),)
    assert dollars(pods("web", 5, cpu=3900), types=types) <= 0.5


@pytest.mark.parametrize("shy", [{"host_ports": (HostPort(80),)}, {"required_anti_affinity": (near("web"),)}])
def test_of_pods_in_one_anothers_way_a_machine_takes_one(shy: dict[str, Any]) -> None:
    small, large = pods("web", 3, cpu=100, **shy), pods("web-b", 3, cpu=200, app="web", **shy)
    assert dollars([*small, *large], types=ONE) == pytest.approx(6 * 0.20, rel=1e-5)


def test_daemons_take_their_part_of_each_machine() -> None:
    logs = [daemon("logs", build.spec(cpu=900))]
    assert dollars(pods("web", 30, cpu=1000), types=ONE, daemons=logs) == pytest.approx(2, rel=1e-5)


def test_selectors_taints_and_volumes_narrow_the_choice() -> None:
    arm_only = pods("web", 20, cpu=1000, node_selector=((labels.ARCH, "arm64"),))
    anywhere = pods("web", 20, cpu=1000)
    tainted = pool("default", taints=(Taint("x", NO_SCHEDULE),))
    assert dollars(arm_only) == dollars(anywhere)
    assert dollars(pods("web", 20, cpu=1000, node_selector=((labels.ARCH, "amd64"),))) > dollars(anywhere)
    assert lower_bound(problem(anywhere, pools=[tainted])).covered == 0
    assert lower_bound(problem(pods("web", 1, volumes=(PodVolume("missing"),)))).covered == 0


def test_a_static_pool_sells_nothing() -> None:
    assert lower_bound(problem(pods("web", 2), pools=[pool(replicas=2)])).covered == 0


def test_only_the_pods_asked_about_count() -> None:
    web = pods("web", 39, cpu=1000)
    some = lower_bound(problem(web, types=ONE), {pod.key for pod in web[:3]})
    assert some.covered == 3
    assert some.price.dollars == pytest.approx(0.20, rel=1e-5)


def test_pods_of_many_sizes_on_many_types_take_several_rounds() -> None:
    types = tuple(kind(f"t{cpu}", cpu, 0.05 * cpu + 0.001 * (cpu % 3), spot=False) for cpu in range(2, 40))
    web = [build.pod(f"web-{n}", cpu=100 + 37 * n % 1900, memory=128 + 97 * n % 6000) for n in range(200)]
    bound = dollars(web, types=types)
    cores = sum(dict(pod.spec.requests)["cpu"] for pod in web) / 1000
    assert bound >= 0.05 * cores


def test_an_unstated_well_known_label_may_become_what_is_asked() -> None:
    asked = ((Requirement(labels.INSTANCE_FAMILY, frozenset(("m5",))),),)
    assert lower_bound(problem(pods("web", 1, required_node_terms=asked))).covered == 1
    asked = ((Requirement("example.com/own", frozenset(("m5",))),),)
    assert lower_bound(problem(pods("web", 1, required_node_terms=asked))).covered == 0


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    lower_bound(problem(pods("web", 5)))
    assert capfd.readouterr() == ("", "")
