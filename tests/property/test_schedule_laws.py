"""Laws of scheduling: what holds of every plan for every cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from nodesmith.decide.schedule.bound import lower_bound
from nodesmith.decide.schedule.explain import explain_pod
from nodesmith.decide.schedule.problem import PricingPolicy, Problem
from nodesmith.decide.schedule.solve import schedule
from nodesmith.decide.schedule.validate import validate
from nodesmith.model import labels
from nodesmith.model.taints import NO_SCHEDULE, Taint
from nodesmith.plan.reason import Unplaced
from nodesmith.plan.schedule import OnClaim, OnNode, SchedulePlan
from tests.property.clusters import problems
from tests.unit.decide.schedule import build


@given(problems())
def test_no_plan_breaks_a_rule(problem: Problem) -> None:
    assert validate(problem, schedule(problem)) == ()


@given(problems())
def test_every_pod_is_placed_or_has_a_reason(problem: Problem) -> None:
    plan = schedule(problem)
    assert plan.placements.keys() == {pod.key for pod in problem.pods}
    assert all(str(reason) for reason in plan.unplaced.values())


@given(problems(), st.integers(0, 2**32))
def test_the_same_cluster_in_any_order_gets_the_same_plan(problem: Problem, seed: int) -> None:
    assert _essence(schedule(_shuffled(problem, Random(seed)))) == _essence(schedule(problem))


@given(problems())
def test_an_unrelated_node_changes_nothing(problem: Problem) -> None:
    """One that nobody tolerates, in no zone; but as a host it counts for those that spread over hosts."""
    assume(not any(each.topology_key == labels.HOSTNAME for pod in problem.pods for each in pod.spec.topology_spread))
    stranger = build.node("zz-stranger", taints=(Taint("nobody", NO_SCHEDULE),))
    assert stranger.node is not None
    bare = replace(stranger, node=replace(stranger.node, meta=replace(stranger.node.meta, labels={})))
    nodes = (*problem.snapshot.nodes, bare)
    more = replace(problem, snapshot=replace(problem.snapshot, nodes=nodes))
    assert _essence(schedule(more)) == _essence(schedule(problem))


@given(problems())
def test_the_plan_costs_no_less_than_the_bound_and_no_more_than_the_plain_greedy(problem: Problem) -> None:
    plan = schedule(problem)
    placed = {key for key, place in plan.placements.items() if not isinstance(place, Unplaced)}
    assert lower_bound(problem, placed).price <= plan.price
    plain = schedule(replace(problem, options=replace(problem.options, pricing=PricingPolicy.KARPENTER)))
    assert len(plan.unplaced) <= len(plain.unplaced)
    if plan.unplaced.keys() == plain.unplaced.keys():
        assert plan.price <= plain.price


@given(problems(plain=True))
def test_a_pod_without_company_is_placed_exactly_where_something_takes_it(problem: Problem) -> None:
    assume(not any(pool.limits for pool in problem.snapshot.pools))
    plan = schedule(problem)
    for pod in problem.pods:
        explanation = explain_pod(problem, plan, pod.key)
        can_be_bought = any(view.left for view in explanation.pools)
        assert explanation.is_placed or not can_be_bought
        assert explanation.is_placed == (can_be_bought or bool(explanation.nodes.fit))


@given(problems(), st.integers(0, 2**32))
def test_a_plan_that_was_tampered_with_is_rejected(problem: Problem, seed: int) -> None:
    plan = schedule(problem)
    tampered = [each for each in _tampered(problem, plan) if each != plan]
    assume(tampered)
    assert validate(problem, Random(seed).choice(tampered))


def _essence(plan: SchedulePlan) -> tuple[object, ...]:
    """What a plan says, without the order in which it says it."""
    return plan.placements, plan.claims


def _shuffled(problem: Problem, random: Random) -> Problem:
    snapshot = problem.snapshot
    pools = random.sample(snapshot.pools, len(snapshot.pools))
    return replace(
        problem,
        pods=tuple(random.sample(problem.pods, len(problem.pods))),
        catalog={name: tuple(random.sample(list(types), len(types))) for name, types in problem.catalog.items()},
        snapshot=replace(
            snapshot,
            nodes=tuple(random.sample(snapshot.nodes, len(snapshot.nodes))),
            pods=tuple(random.sample(snapshot.pods, len(snapshot.pods))),
            pools=tuple(pools),
        ),
    )


def _tampered(problem: Problem, plan: SchedulePlan) -> Iterator[SchedulePlan]:
    """The plan with one thing made wrong, in every way that is certain to be."""
    for index, claim in enumerate(plan.claims):
        claims = list(plan.claims)
        alterations: tuple[dict[str, Any], ...] = (
            {"instance_types": ()},
            {"instance_types": (*claim.instance_types, "no-such-type")},
            {"instance_types": (*claim.instance_types, claim.instance_types[0])},
            {"pool_name": "nobody"},
            {"pods": claim.pods[1:]},
            {"requests": {}},
            {"cheapest": replace(claim.cheapest, zone="elsewhere")},
            {"requirements": claim.requirements.without([labels.ZONE, labels.NODEPOOL]), "pods": ()},
        )
        for fields in alterations:
            claims[index] = replace(claim, **fields)
            yield replace(plan, claims=tuple(claims))
    for key in plan.placements:
        yield replace(plan, placements={each: place for each, place in plan.placements.items() if each != key})
        for place in (OnNode("nowhere"), OnClaim(len(plan.claims))):
            yield replace(plan, placements={**plan.placements, key: place})
    yield replace(plan, claims=(*plan.claims, *plan.claims[:1]))
    for index in range(len(plan.claims)):
        everybody = {pod.key: OnClaim(index) for pod in problem.pods}
        if sum(pod.requests["pods"] for pod in problem.pods) > len(plan.claims[index].pods):
            yield replace(plan, placements=everybody)
