"""Where nodesmith is exact and Karpenter is not: the rows of the compatibility page that are about pods' company."""

from __future__ import annotations

from dataclasses import replace

from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.solve import schedule
from nodesmith.decide.schedule.validate import validate
from nodesmith.model import labels
from nodesmith.model.meta import Condition, ObjectMeta
from nodesmith.model.requirements import Requirement
from nodesmith.model.taints import NO_SCHEDULE, PREFER_NO_SCHEDULE, Taint
from nodesmith.plan.schedule import OnNode, SchedulePlan
from tests.unit.decide.schedule import build
from tests.unit.decide.schedule.build import NOW, near, node, pods, pool, problem, spec, spread


def solved(asked: Problem) -> SchedulePlan:
    """The plan, which is valid."""
    plan = schedule(asked)
    assert validate(asked, plan) == ()
    return plan


def zones(plan: SchedulePlan) -> list[str]:
    """The zones that the plan's machines are settled in."""
    return sorted(zone for claim in plan.claims for zone in claim.requirements.get(labels.ZONE).values)


def test_pods_that_keep_off_each_other_by_zone_come_in_one_batch_one_in_each_zone() -> None:
    apart = spec(required_anti_affinity=(near("web", labels.ZONE),))
    plan = solved(problem(pods("web", 4, apart)))
    assert zones(plan) == ["a", "b", "c"]
    assert len(plan.unplaced) == 1


def test_pods_that_others_keep_off_by_zone_go_elsewhere_in_the_same_batch() -> None:
    """The anti-affinity is the other side's: Karpenter would block every zone that its machine could still be in."""
    guarded = spec(required_anti_affinity=(near("web", labels.ZONE),))
    plan = solved(problem([*pods("db", 1, guarded), *pods("web", 2)]))
    assert not plan.unplaced
    of_db = next(claim for claim in plan.claims if "default/db-0" in claim.pods)
    of_web = [claim for claim in plan.claims if claim is not of_db]
    assert all(
        not claim.requirements.get(labels.ZONE).values & of_db.requirements.get(labels.ZONE).values for claim in of_web
    )


def test_a_workload_that_wants_to_be_in_one_zone_is_in_one_zone() -> None:
    together = spec(cpu=3000, required_affinity=(near("web", labels.ZONE),))
    plan = solved(problem(pods("web", 6, together)))
    assert not plan.unplaced
    assert len(set(zones(plan))) == 1


def test_a_chain_of_company_is_placed_in_one_plan() -> None:
    chain = [
        *pods("ui", 1, required_affinity=(near("cache"),)),
        *pods("cache", 1, required_affinity=(near("web", labels.ZONE),)),
        *pods("web", 1, required_affinity=(near("db", labels.ZONE),)),
        *pods("db", 1),
    ]
    assert not solved(problem(chain)).unplaced


def test_pods_on_machines_that_others_open_are_counted_for_a_spread() -> None:
    even = spec(cpu=100, topology_spread=(spread("web"),))
    plan = solved(problem([*pods("web", 6, even), *pods("big", 3, cpu=3000, app="other")]))
    assert not plan.unplaced
    counts = dict.fromkeys("abc", 0)
    for claim in plan.claims:
        members = sum(key.startswith("default/web") for key in claim.pods)
        if members:
            (zone,) = claim.requirements.get(labels.ZONE).values
            counts[zone] += members
    assert set(counts.values()) == {2}


def test_two_workloads_that_differ_in_min_domains_alone_keep_their_own() -> None:
    both = (Requirement(labels.ZONE, frozenset("ab")),)
    strict = spec(cpu=101, topology_spread=(spread("web", min_domains=3),), required_node_terms=(both,))
    loose = spec(cpu=102, topology_spread=(spread("web"),), required_node_terms=(both,))
    members = [*pods("strict", 3, strict, app="web"), *pods("loose", 4, loose, app="web")]
    plan = solved(problem(members))
    assert all(key.startswith("default/strict") for key in plan.unplaced)


def test_required_terms_hold_together() -> None:
    terms = tuple((Requirement(labels.ZONE, frozenset(zone)),) for zone in "ac")
    apart = spec(required_node_terms=terms, required_anti_affinity=(near("web", labels.ZONE),))
    plan = solved(problem(pods("web", 2, apart), nodes=[node("n", zone="b")]))
    assert zones(plan) == ["a", "c"]


def test_a_node_that_is_only_to_be_avoided_takes_pods_when_nothing_else_does() -> None:
    soft = Taint("soft", PREFER_NO_SCHEDULE)
    plan = solved(problem(pods("web", 1), pools=[], nodes=[node("n", taints=(soft,))]))
    assert not plan.unplaced


def test_the_heavier_pool_is_bought_from_while_it_can_be_whatever_it_costs() -> None:
    dear = pool("dear", (labels.CAPACITY_TYPE, "In", (labels.ON_DEMAND,)), weight=50, limits={"cpu": 4000})
    plan = solved(problem(pods("web", 2, cpu=1500), pools=[dear, pool("cheap")]))
    assert {claim.pool_name for claim in plan.claims} == {"dear"}
    more = solved(problem(pods("web", 4, cpu=1500), pools=[dear, pool("cheap")]))
    assert not more.unplaced
    assert {claim.pool_name for claim in more.claims} == {"dear", "cheap"}


def test_static_pools_and_pools_that_are_not_ready_or_leaving_are_not_bought_from() -> None:
    assert solved(problem(pods("web", 1), pools=[pool("static", replicas=2)])).unplaced
    unready = pool("unready", conditions={"Ready": Condition("Ready", "False")})
    assert solved(problem(pods("web", 1), pools=[unready])).unplaced
    going = replace(pool("going"), meta=ObjectMeta("going", deleted_at=NOW))
    assert solved(problem(pods("web", 1), pools=[going])).unplaced


def test_startup_taints_need_no_toleration() -> None:
    plan = solved(problem(pods("web", 1), pools=[pool(startup_taints=(Taint("boot", NO_SCHEDULE),))]))
    assert not plan.unplaced
    tainted = solved(problem(pods("web", 1), pools=[pool(taints=(Taint("boot", NO_SCHEDULE),))]))
    assert tainted.unplaced


def test_pods_of_a_node_that_leaves_are_placed_elsewhere() -> None:
    moving = build.pod("web-0", cpu=500, node="old")
    leaving = node("old", running=[moving], is_marked=True)
    asked = problem([moving], nodes=[leaving, node("new")])
    assert solved(asked).placements == {"default/web-0": OnNode("new")}
