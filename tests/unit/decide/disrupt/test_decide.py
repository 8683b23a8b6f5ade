"""Whole passes over small clusters: the methods, their order, and what they may not do (spec section 5)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from nodesmith.api.bar import MAX_MOVES, MIN_SAVINGS
from nodesmith.decide.disrupt.decide import decide
from nodesmith.decide.disrupt.policy import REPLACES_FOR, Policy
from nodesmith.decide.disrupt.verdict import Memory, Verdict
from nodesmith.model import labels
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.meta import Condition
from nodesmith.model.nodeclaim import DRIFTED
from nodesmith.model.nodepool import Budget, ConsolidationPolicy, DisruptionReason, NodePool
from nodesmith.model.pod import Pod
from nodesmith.model.resources import NODES
from nodesmith.plan.command import Command, Decision, Method
from nodesmith.plan.schedule import OnNode
from nodesmith.plan.stay import StayCode
from nodesmith.state.snapshot import Snapshot, StateNode
from tests.unit.decide.disrupt.build import LONG_AGO, NOW, TYPES, catalog, kind, node, pod, pool, snapshot, up

ON_DEMAND_ONLY = (labels.ON_DEMAND,)


def passed(
    nodes: Iterable[StateNode],
    *pools: NodePool,
    pending: Iterable[Pod] = (),
    types: Sequence[InstanceType] = TYPES,
    policy: Policy | None = None,
    memory: Memory | None = None,
) -> Verdict:
    view = snapshot(nodes, pools or None, pending=pending)
    return decide(view, catalog(view, types), now=NOW, policy=policy, memory=memory)


def command(
    nodes: Iterable[StateNode], *pools: NodePool, pending: Iterable[Pod] = (), policy: Policy | None = None
) -> Command:
    found = passed(nodes, *pools, pending=pending, policy=policy).command
    assert found is not None
    return found


def stay_of(verdict: Verdict, name: str) -> StayCode:
    return next(each.code for each in verdict.stays if each.node == name)


def filled(name: str, type_name: str = "medium", *, cores: int = 1, share: str = "1", **of_node: object) -> StateNode:
    """A node with so many pods of a share of a core."""
    pods = [pod(f"{name}-{index}", share) for index in range(cores)]
    return node(name, type_name, *pods, **of_node)  # type: ignore[arg-type]  # the builder's own keywords


def drifted(
    name: str, type_name: str = "medium", *pods: Pod, since: timedelta = timedelta(hours=1), **of_node: object
) -> StateNode:
    conditions = {**up(), DRIFTED: Condition(DRIFTED, "True", changed_at=NOW - since)}
    return node(name, type_name, *pods, conditions=conditions, **of_node)  # type: ignore[arg-type]  # the same


# Emptiness


def test_all_empty_nodes_leave_at_once() -> None:
    found = command([node("a"), node("b"), filled("c")])
    assert (found.method, found.decision, found.nodes) == (Method.EMPTINESS, Decision.DELETE, ("a", "b"))
    assert found.savings is not None
    assert found.savings.dollars == pytest.approx(0.4)
    assert found.moves == 0


def test_empty_nodes_leave_within_budget_the_dearest_first() -> None:
    verdict = passed([node("a", "small"), node("b", "large"), filled("c")], pool(budgets=(Budget("1"),)))
    assert verdict.command is not None
    assert verdict.command.nodes == ("b",)


def test_a_budget_of_nothing_keeps_empty_nodes_and_is_told() -> None:
    verdict = passed([node("a")], pool(budgets=(Budget("0"),)))
    assert verdict.command is None
    assert stay_of(verdict, "a") is StayCode.POOL_BUDGET
    assert {each.reason for each in verdict.blocked} == set(DisruptionReason)
    assert str(verdict.blocked[0]).startswith("No allowed disruptions for disruption reason")


def test_a_budget_for_another_reason_does_not_keep_empty_nodes() -> None:
    busy = Budget("0", reasons=frozenset({DisruptionReason.UNDERUTILIZED}))
    assert command([node("a")], pool(budgets=(busy,))).nodes == ("a",)


@pytest.mark.parametrize("policy", list(ConsolidationPolicy))
def test_emptiness_works_for_every_policy(policy: ConsolidationPolicy) -> None:
    assert command([node("a")], pool(policy=policy)).method is Method.EMPTINESS


def test_nodes_with_daemons_only_are_empty_and_those_kept_free_are_not_taken() -> None:
    daemons = node("a", "medium", pod("ds", owner="DaemonSet"))
    assert command([daemons, node("b")], policy=Policy(buffered=frozenset({"b"}))).nodes == ("a",)


def test_an_empty_node_of_unknown_price_leaves_and_saves_an_unknown_amount() -> None:
    found = command([node("a", "unheard-of")])
    assert found.method is Method.EMPTINESS
    assert found.savings is None


def test_a_node_whose_pods_count_for_nothing_leaves_when_they_have_a_place() -> None:
    worthless = pod("low", priority=-2_000_000_000)
    found = command([node("a", "medium", worthless), filled("b")])
    assert (found.method, found.nodes) == (Method.EMPTINESS, ("a",))
    assert found.placements == {"default/low": OnNode("b")}


def test_a_node_whose_pods_count_for_nothing_stays_rather_than_strand_them() -> None:
    worthless = pod("low", "4", priority=-2_000_000_000)
    verdict = passed([node("a", "medium", worthless), filled("b", cores=4)], pool(capacity_types=ON_DEMAND_ONLY))
    assert verdict.command is None


# Drift


def test_a_drifted_node_is_replaced_whatever_it_costs() -> None:
    dear = pool(capacity_types=ON_DEMAND_ONLY)
    found = command([drifted("a", "tiny", pod("w", "500m"))], dear)
    assert (found.method, found.reason, found.decision) == (Method.DRIFT, DisruptionReason.DRIFTED, Decision.REPLACE)
    assert found.replacements[0].pods == ("default/w",)


def test_a_drifted_node_is_deleted_where_its_pods_fit_elsewhere() -> None:
    found = command([drifted("a", "medium", pod("w")), filled("b", cores=3)], pool(after=None))
    assert (found.decision, found.placements) == (Decision.DELETE, {"default/w": OnNode("b")})


def test_drift_takes_nodes_without_pods_first_then_those_that_drifted_first() -> None:
    nodes = [
        drifted("young", "medium", pod("w1"), since=timedelta(hours=1)),
        drifted("old", "medium", pod("w2"), since=timedelta(hours=2)),
        drifted("empty", since=timedelta(minutes=1)),
    ]
    patient = pool(after=None)
    assert command(nodes, patient).nodes == ("empty",)
    assert command(nodes[:2], patient).nodes == ("old",)


def test_drift_may_buy_several_machines_for_one() -> None:
    small_types = TYPES[:2]
    pods = [pod(f"w{index}", "1800m") for index in range(3)]
    verdict = passed([drifted("a", "large", *pods, types=TYPES)], pool(after=None), types=small_types)
    assert verdict.command is not None
    assert len(verdict.command.replacements) == 3


def test_drift_goes_on_to_the_next_node_when_pods_would_be_stranded() -> None:
    stuck = drifted("a", "huge", pod("w1", "15"), since=timedelta(hours=9))
    verdict = passed([stuck, drifted("b", "small", pod("w2"))], pool(after=None), types=TYPES[:3])
    assert verdict.command is not None
    assert verdict.command.nodes == ("b",)
    assert stay_of(verdict, "a") is StayCode.PODS_STRANDED


def test_drift_waits_for_its_budget() -> None:
    verdict = passed(
        [drifted("a", "medium", pod("w")), filled("b", marked=True)], pool(budgets=(Budget("1"),), after=None)
    )
    assert verdict.command is None
    assert stay_of(verdict, "a") is StayCode.POOL_BUDGET


def test_a_grace_period_lets_drift_take_a_node_with_protected_pods() -> None:
    protected = pod("w", annotations={labels.DO_NOT_DISRUPT: "true"})
    assert passed([drifted("a", "medium", protected)], pool(after=None)).command is None
    found = command([drifted("a", "medium", protected, grace=timedelta(hours=1))], pool(after=None))
    assert found.method is Method.DRIFT
    assert found.placements.keys() == {"default/w"}


def test_emptiness_comes_before_drift_and_drift_before_consolidation() -> None:
    nodes = [node("a"), drifted("b", "large", pod("w1")), filled("c", "huge")]
    assert command(nodes).method is Method.EMPTINESS
    assert command(nodes[1:]).method is Method.DRIFT
    assert command(nodes[2:]).method is Method.SINGLE


def test_a_drifted_static_node_is_replaced_from_the_template() -> None:
    static = pool(replicas=2, capacity_types=ON_DEMAND_ONLY)
    found = command([drifted("a", "medium", pod("w")), filled("b")], static)
    assert (found.method, found.nodes, found.placements) == (Method.STATIC_DRIFT, ("a",), {})
    (claim,) = found.replacements
    assert claim.instance_types == ()
    assert claim.requirements.get(labels.NODEPOOL).values == {"default"}
    assert claim.cheapest.instance_type == "tiny"


def test_a_static_pool_above_its_replicas_or_without_room_waits() -> None:
    nodes = [drifted("a"), filled("b")]
    assert passed(nodes, pool(replicas=1)).command is None
    assert passed(nodes, pool(replicas=2, limits={NODES: 2})).command is None
    assert passed(nodes, pool(replicas=2, limits={NODES: 3})).command is not None


def test_a_static_pool_replaces_several_side_by_side_within_budget() -> None:
    leaving = drifted("a", marked=True)
    coming = replace(node("new"), node=None)
    nodes = [leaving, coming, drifted("b"), filled("c")]
    assert command(nodes, pool(replicas=3, budgets=(Budget("2"),))).nodes == ("b",)
    assert passed(nodes, pool(replicas=3, budgets=(Budget("1"),))).command is None


# Consolidation


def test_a_node_whose_pods_fit_elsewhere_is_deleted() -> None:
    found = command([filled("a"), filled("b", cores=3)], pool(capacity_types=ON_DEMAND_ONLY))
    assert (found.decision, found.method) == (Decision.DELETE, Method.SINGLE)
    assert found.savings is not None
    assert found.savings.dollars == pytest.approx(0.2)


def test_a_node_that_is_too_large_is_replaced_by_a_cheaper_one() -> None:
    found = command([filled("a", "huge", cores=1)], pool(capacity_types=ON_DEMAND_ONLY))
    assert found.decision is Decision.REPLACE
    assert found.replacements[0].cheapest.instance_type == "tiny"
    assert "huge" not in found.replacements[0].instance_types


def test_on_demand_goes_back_to_spot_and_the_claim_says_so() -> None:
    found = command([filled("a", "tiny", share="900m")])
    (claim,) = found.replacements
    assert claim.cheapest.capacity_type == labels.SPOT
    assert claim.requirements.get(labels.CAPACITY_TYPE).values == {labels.SPOT}


def test_three_nodes_become_one() -> None:
    nodes = [filled(name, "medium", cores=2, share="900m") for name in "abc"]
    found = command(nodes, pool(capacity_types=ON_DEMAND_ONLY))
    assert found.method in {Method.MULTI, Method.SINGLE}
    assert found.savings is not None
    assert found.savings.dollars > 0.19


def test_many_nodes_become_some_others() -> None:
    nodes = [filled(f"n{index}", "large", cores=3, share="1500m") for index in range(4)]
    found = command(nodes)
    assert (found.method, len(found.nodes)) == (Method.MULTI, 4)
    assert len(found.replacements) > 1
    assert set(found.placements) == {each.key for state in nodes for each in state.pods}


def test_upstreams_limit_of_one_replacement_can_be_kept() -> None:
    nodes = [filled(f"n{index}", "huge", cores=4, share="3900m") for index in range(2)]
    fixed = pool(capacity_types=ON_DEMAND_ONLY)
    assert passed(nodes, fixed, policy=Policy(n_to_m=False)).command is None
    nodes = [filled(f"n{index}", "huge", cores=1, share="3900m") for index in range(2)]
    assert len(command(nodes, fixed, policy=Policy(n_to_m=False)).replacements) <= 1


def test_what_is_cheapest_already_stays() -> None:
    verdict = passed([filled("a", "tiny", share="900m")], pool(capacity_types=ON_DEMAND_ONLY))
    assert verdict.command is None
    assert stay_of(verdict, "a") is StayCode.NOT_CHEAPER


def test_spot_stays_rather_than_be_exchanged_for_spot() -> None:
    verdict = passed([filled("a", "huge", capacity_type=labels.SPOT)])
    assert verdict.command is None
    assert stay_of(verdict, "a") is StayCode.SPOT_TO_SPOT


def test_spot_is_deleted_where_its_pods_fit_elsewhere() -> None:
    nodes = [filled(name, "medium", capacity_type=labels.SPOT) for name in "ab"]
    assert command(nodes).decision is Decision.DELETE


def test_a_node_of_unknown_price_stays() -> None:
    verdict = passed([filled("a", "huge", zone="z")])
    assert verdict.command is None
    assert stay_of(verdict, "a") is StayCode.UNPRICED


def test_when_empty_keeps_every_node_with_pods() -> None:
    verdict = passed([filled("a", "huge")], pool(policy=ConsolidationPolicy.WHEN_EMPTY))
    assert verdict.command is None
    assert stay_of(verdict, "a") is StayCode.ONLY_EMPTY


def test_pods_do_not_move_onto_a_node_that_is_still_coming_up() -> None:
    coming = node("b", "medium", initialized=False)
    verdict = passed([filled("a", "tiny", share="900m"), coming], pool(capacity_types=ON_DEMAND_ONLY))
    assert verdict.command is None


def test_pods_do_not_move_onto_a_node_that_has_not_settled() -> None:
    patient = pool(after=timedelta(minutes=5), capacity_types=ON_DEMAND_ONLY)
    young = filled("b", "medium", pod_event=NOW)
    verdict = passed([filled("a", "tiny", share="900m"), young], patient)
    assert verdict.command is None
    assert stay_of(verdict, "b") is StayCode.YOUNG


def test_nodes_that_are_not_ours_take_pods_but_never_leave() -> None:
    foreign = node("z", "huge", managed=False)
    found = command([filled("a"), foreign])
    assert (found.nodes, found.placements) == (("a",), {"default/a-0": OnNode("z")})


def test_a_pod_that_nothing_can_hold_does_not_stop_consolidation() -> None:
    nodes = [filled("a"), filled("b", cores=3)]
    assert command(nodes, pool(capacity_types=ON_DEMAND_ONLY), pending=[pod("monster", "900")]).nodes == ("a",)


def test_room_that_waiting_pods_need_is_not_given_away() -> None:
    nodes = [filled("a", "tiny", share="900m"), filled("b", "medium", cores=3)]
    verdict = passed(nodes, pool(capacity_types=ON_DEMAND_ONLY), pending=[pod("waits", "1")])
    assert verdict.command is None or "a" not in verdict.command.nodes or verdict.command.replacements


def test_pods_of_leaving_nodes_that_have_no_place_anyway_do_not_stop_consolidation() -> None:
    leaving = filled("gone", "huge", cores=1, share="15500m", marked=True)
    nodes = [leaving, filled("a"), filled("b", cores=3)]
    verdict = passed(nodes, pool(capacity_types=ON_DEMAND_ONLY), types=TYPES[:3])
    assert verdict.command is not None
    assert verdict.command.nodes == ("a",)


@pytest.mark.parametrize(("nodes", "allowed"), [("3", 3), ("30%", 3), ("1", 1)])
def test_no_more_nodes_leave_than_the_budget_allows(nodes: str, allowed: int) -> None:
    found = command([filled(f"n{index}", "large") for index in range(10)], pool(budgets=(Budget(nodes),)))
    assert len(found.nodes) <= allowed


def test_a_budget_of_nothing_keeps_every_node() -> None:
    verdict = passed([filled("a", "huge")], pool(budgets=(Budget("0"),)))
    assert verdict.command is None
    assert stay_of(verdict, "a") is StayCode.POOL_BUDGET


def test_each_pool_has_its_own_budget() -> None:
    nodes = [filled(f"n{index}", "large") for index in range(3)]
    nodes += [filled(f"o{index}", "large", pool_name="other") for index in range(3)]
    found = command(nodes, pool(budgets=(Budget("1"),)), pool("other", budgets=(Budget("2"),)))
    by_pool = [each.pool_name for each in found.candidates]
    assert by_pool.count("default") <= 1
    assert by_pool.count("other") <= 2


def test_a_pool_that_cannot_buy_does_not_stop_another() -> None:
    view = snapshot([filled("a", "huge"), filled("b", pool_name="broken")], (pool(), pool("broken")))
    verdict = decide(view, {"default": TYPES}, now=NOW)
    assert verdict.command is not None
    assert verdict.command.nodes == ("a",)
    assert stay_of(verdict, "b") is StayCode.NO_POOL_TYPES


def test_static_pools_are_not_consolidated() -> None:
    verdict = passed([filled("a", "huge")], pool(replicas=1))
    assert verdict.command is None
    assert stay_of(verdict, "a") is StayCode.STATIC_POOL


def test_balanced_weighs_savings_against_disruption() -> None:
    balanced = pool(policy=ConsolidationPolicy.BALANCED, capacity_types=ON_DEMAND_ONLY)
    found = command([filled("a", "huge"), filled("b", "huge", cores=14)], balanced)
    assert found.nodes == ("a",)
    (approval,) = found.approvals
    assert approval.pool_name == "default"
    assert approval.sentence.startswith("score ")
    asked = passed([filled("a", "huge"), filled("b", "huge", cores=14)], balanced).weighed
    assert {each.pool_name for each in asked} == {"default"}
    busy = [filled("a", "small", cores=15, share="100m"), filled("b", "huge", cores=4, share="3300m")]
    verdict = passed(busy, balanced)
    assert verdict.command is None
    assert stay_of(verdict, "a") is StayCode.BELOW_BAR


def test_a_pools_own_bar_holds() -> None:
    dear = pool(capacity_types=ON_DEMAND_ONLY, annotations={MIN_SAVINGS: "5"})
    assert passed([filled("a", "huge")], dear).command is None
    calm = pool(capacity_types=ON_DEMAND_ONLY, annotations={MAX_MOVES: "2"})
    found = command([filled("a", "huge", cores=2), filled("b", "huge", cores=2)], calm)
    assert found.moves <= 2


def test_a_node_is_not_replaced_twice_within_an_hour_but_may_be_deleted() -> None:
    bought, lately = {REPLACES_FOR: "Underutilized"}, NOW - timedelta(minutes=30)
    alone = passed([filled("a", "huge", claim_annotations=bought, created=lately)])
    assert alone.command is None
    assert stay_of(alone, "a") is StayCode.RECENTLY_REPLACED
    assert alone.stays[0].saving is not None
    both = command(
        [filled("a", claim_annotations=bought, created=lately), filled("b", cores=3)],
        pool(capacity_types=ON_DEMAND_ONLY),
    )
    assert both.decision is Decision.DELETE


def test_a_node_whose_command_failed_rests() -> None:
    memory = Memory().resting_until(["a"], NOW + timedelta(minutes=1))
    verdict = passed([filled("a", "huge"), filled("b", "huge")], memory=memory)
    assert verdict.command is not None
    assert verdict.command.nodes == ("b",)
    assert stay_of(verdict, "a") is StayCode.RESTING
    late = Memory().resting_until(["a"], NOW)
    assert passed([filled("a", "huge")], memory=late).command is not None
    assert passed([filled("a", "huge")], memory=late).memory == Memory()


def test_half_a_cluster_decides_nothing() -> None:
    view = replace(snapshot([node("a")]), is_synced=False)
    assert decide(view, catalog(view), now=NOW).command is None


def test_room_on_a_node_that_is_cordoned_is_no_room() -> None:
    full = node("b", "medium")
    assert full.node is not None
    cordoned = replace(full, node=replace(full.node, is_cordoned=True), claim=None)
    verdict = passed([filled("a", "tiny", share="900m"), cordoned], pool(capacity_types=ON_DEMAND_ONLY))
    assert verdict.command is None


def shuffled(view: Snapshot) -> Snapshot:
    return replace(view, nodes=view.nodes[::-1], pods=view.pods[::-1], pools=view.pools[::-1])


def test_the_same_cluster_in_another_order_gets_the_same_command() -> None:
    nodes = [
        filled(f"n{index}", name, cores=1 + index % 3) for index, name in enumerate(["large", "medium", "huge"] * 2)
    ]
    view = snapshot(nodes, (pool(budgets=(Budget("2"),)), pool("other")))
    first = decide(view, catalog(view), now=NOW).command
    second = decide(shuffled(view), catalog(view), now=NOW).command
    assert first is not None
    assert first == second


def test_young_nodes_are_told_apart_from_old_ones() -> None:
    nodes = [filled("a", "huge", conditions=up(NOW)), filled("b", "huge", conditions=up(LONG_AGO))]
    verdict = passed(nodes, pool(after=timedelta(minutes=5)))
    assert verdict.command is not None
    assert verdict.command.nodes == ("b",)


def test_allowances_are_reported_for_every_pool_and_reason() -> None:
    verdict = passed([filled("a", "huge")], pool(), pool("other"))
    assert {(each.pool_name, each.reason) for each in verdict.allowances} == {
        (name, reason) for name in ("default", "other") for reason in DisruptionReason
    }


def test_types_that_only_few_zones_sell_are_compared_at_their_worst() -> None:
    scattered = kind("cheap", 16, 0.79, zones=("a",))
    verdict = passed([filled("a", "huge", share="9")], pool(capacity_types=ON_DEMAND_ONLY), types=(*TYPES, scattered))
    assert verdict.command is not None
    assert verdict.command.replacements[0].cheapest.instance_type == "cheap"
