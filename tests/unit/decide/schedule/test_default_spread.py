"""kube-scheduler's default spread: whom it binds, what it counts, and that it is left to pods that say something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from nodesmith.decide.schedule.defaultspread import spread_by_default
from nodesmith.decide.schedule.problem import Options, Problem
from nodesmith.decide.schedule.solve import schedule
from nodesmith.decide.schedule.validate import validate
from nodesmith.model import labels
from nodesmith.model.meta import ObjectMeta, OwnerReference
from nodesmith.model.pod import DO_NOT_SCHEDULE, SCHEDULE_ANYWAY, Pod, TopologySpreadConstraint
from nodesmith.model.selector import LabelSelector
from nodesmith.model.workload import Service
from nodesmith.plan.schedule import OnClaim, SchedulePlan
from nodesmith.state.snapshot import Workloads
from tests.unit.decide.schedule.build import ZONES, kind, pod, pods, problem, selecting, spec, spread

HARD = TopologySpreadConstraint(labels.ZONE, 1, DO_NOT_SCHEDULE, None)
SOFT = TopologySpreadConstraint(labels.ZONE, 1, SCHEDULE_ANYWAY, None)
CHEAP_IN_A = (kind("cheap-a", 4, 0.01, zones=("a",)), kind("dear", 4, 0.20))


def service(name: str, selector: LabelSelector | None, namespace: str = "default") -> Service:
    return Service(ObjectMeta(name, namespace), selector)


def made_by(maker: str, name: str, version: str = "apps/v1", *, is_controller: bool = True) -> dict[str, Any]:
    return {"owners": (OwnerReference(version, maker, name, controller=is_controller),)}


def asked(waiting: Sequence[Pod], workloads: Workloads, *constraints: TopologySpreadConstraint) -> Problem:
    """The pods, with default constraints, where zone a is by far the cheapest."""
    found = problem(waiting, types=CHEAP_IN_A, options=Options(default_spread=constraints))
    return spread_by_default(replace(found, snapshot=replace(found.snapshot, workloads=workloads)))


def zones(question: Problem) -> Counter[str]:
    """How many pods go to each zone by a valid plan."""
    plan: SchedulePlan = schedule(question)
    assert validate(question, plan) == ()
    assert not plan.unplaced
    return Counter(
        plan.claims[place.index].cheapest.zone for place in plan.placements.values() if isinstance(place, OnClaim)
    )


def selectors(question: Problem) -> list[LabelSelector | None]:
    return [each.selector for each in question.pods[0].spec.topology_spread]


@pytest.mark.parametrize("constraint", [HARD, SOFT])
def test_a_services_pods_are_spread_although_one_zone_is_cheapest(constraint: TopologySpreadConstraint) -> None:
    served = Workloads((service("web", selecting("web")),))
    assert zones(asked(pods("web", 6), served, constraint)) == dict.fromkeys(ZONES, 2)


def test_without_defaults_or_anything_that_selects_the_pods_nothing_is_spread() -> None:
    served = Workloads((service("web", selecting("web")),))
    assert zones(asked(pods("web", 6), served)) == {"a": 6}
    assert zones(asked(pods("web", 6), Workloads(), HARD)) == {"a": 6}
    others = Workloads(
        (service("web", selecting("web"), "other"), service("db", selecting("db")), service("ext", None))
    )
    assert zones(asked(pods("web", 6), others, HARD)) == {"a": 6}


def test_pods_with_constraints_of_their_own_keep_to_those() -> None:
    served = Workloads((service("web", selecting("web")),))
    own = spec(topology_spread=(spread("web", labels.HOSTNAME, skew=4),))
    question = asked(pods("web", 3, own), served, HARD)
    assert question.pods[0].spec == own


@pytest.mark.parametrize(
    ("maker", "version"),
    [
        ("ReplicaSet", "apps/v1"),
        ("StatefulSet", "apps/v1"),
        ("ReplicationController", "v1"),
        ("Deployment", "apps/v1"),
    ],
)
def test_what_made_the_pods_says_which_belong_together(maker: str, version: str) -> None:
    made = Workloads(selectors={(maker, "default/web-1"): selecting("web")})
    assert selectors(asked([pod("web-0", meta=made_by(maker, "web-1", version))], made, HARD)) == [selecting("web")]


def test_only_what_controls_a_pod_counts_and_is_of_a_kind_that_the_scheduler_looks_at() -> None:
    made = Workloads(selectors={(maker, "default/x"): selecting("web") for maker in ("ReplicaSet", "StatefulSet")})
    for meta in (
        made_by("ReplicaSet", "x", is_controller=False),
        made_by("ReplicaSet", "x", "example.com/v1"),
        made_by("ReplicaSet", "gone"),
    ):
        assert selectors(asked([pod("web-0", meta=meta)], made, HARD)) == []


def test_services_and_what_made_the_pod_are_taken_together() -> None:
    both = Workloads((service("web", selecting("web")),), {("ReplicaSet", "default/x"): LabelSelector()})
    owned = [pod("web-0", meta=made_by("ReplicaSet", "x"))]
    assert selectors(asked(owned, both, HARD, SOFT)) == [selecting("web")] * 2
    narrow = selecting("web").also(*selecting("blue").expressions)
    both = replace(both, selectors={("ReplicaSet", "default/x"): selecting("blue")})
    assert selectors(asked(owned, both, HARD)) == [narrow]


def test_pods_that_are_alike_keep_one_shape() -> None:
    shape = spec()
    made = pods("web", 3, shape)
    shared = {"app": "web"}
    alike = [replace(each, meta=replace(each.meta, labels=shared)) for each in made]
    question = asked(alike, Workloads((service("web", selecting("web")),)), HARD)
    assert len({id(each.spec) for each in question.pods}) == 1
