"""Pods that were once left over although they had a place, and plans that once rested on no order of placing."""

from __future__ import annotations

from dataclasses import replace

from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.solve import schedule
from nodesmith.decide.schedule.validate import validate
from nodesmith.model import labels
from nodesmith.model.pod import WeightedPodAffinityTerm
from nodesmith.plan.schedule import OnNode, SchedulePlan
from tests.unit.decide.schedule import build
from tests.unit.decide.schedule.build import kind, near, node, pods, pool, problem, spec, spread


def solved(asked: Problem) -> SchedulePlan:
    """The plan, which is valid."""
    plan = schedule(asked)
    assert validate(asked, plan) == ()
    return plan


def test_a_node_without_the_label_keeps_nobody_apart() -> None:
    there = node("n0", "large")
    assert there.node is not None
    bare = {key: value for key, value in there.node.meta.labels.items() if key != labels.ZONE}
    unlabelled = replace(there, node=replace(there.node, meta=replace(there.node.meta, labels=bare)))
    apart = spec(required_anti_affinity=(near("web", labels.ZONE),))
    plan = solved(problem(pods("web", 5, apart), nodes=[unlabelled], pools=[]))
    assert list(plan.placements.values()) == [OnNode("n0")] * 5


def test_pods_that_a_spread_binds_come_before_those_that_only_count() -> None:
    here = (labels.ZONE, "In", ("a", "b"))
    free = pods("free", 6, spec(1500), app="web")
    bound = pods("bound", 4, spec(100, topology_spread=(spread("web", skew=2),)), app="web")
    only_b = kind("only-b", 2, 0.01, zones=("b",))
    plan = solved(problem((*free, *bound), pools=[pool("default", here)], types=(*build.TYPES, only_b)))
    assert not plan.unplaced


def test_pods_that_only_would_like_company_do_not_wait_for_it_until_their_spread_is_uneven() -> None:
    liked = (WeightedPodAffinityTerm(1, near("db")),)
    bound = pods("web", 2, spec(900, topology_spread=(spread("web", min_domains=3),), preferred_affinity=liked))
    others = [*pods("db", 1, spec(100)), *pods("free", 2, spec(200), app="web")]
    nodes = [node("na", "large", "a"), node("nb", "large", "b")]
    full = pool(limits={"cpu": 0})
    assert not solved(problem((*bound, *others), nodes=nodes, pools=[full])).unplaced


def test_a_spread_counts_a_domain_that_other_pods_open_up() -> None:
    big = spec(6000, topology_spread=(spread("big"),))
    types = (kind("large-b", 8, 0.40, zones=("b",)), kind("tiny", 2, 0.10))
    others = pods("other", 3, spec(1500, required_anti_affinity=(near("other", labels.ZONE),)))
    plan = solved(problem((*pods("big", 3, big), *others), types=types))
    assert {key.rsplit("/")[-1].rsplit("-", 1)[0] for key in plan.unplaced} == {"big"}


def test_a_domain_that_nobody_opens_up_holds_no_pod_back() -> None:
    big = spec(6000, topology_spread=(spread("big"),))
    types = (kind("large-b", 8, 0.40, zones=("b",)), kind("tiny", 2, 0.10))
    plan = solved(problem(pods("big", 3, big), types=types))
    assert not plan.unplaced
