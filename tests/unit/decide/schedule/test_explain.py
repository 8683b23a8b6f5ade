"""Why a pod goes nowhere, constraint by constraint, and what would admit it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nodesmith.decide.schedule.explain import PodExplanation, explain_pod, to_json
from nodesmith.decide.schedule.problem import MinValuesPolicy, Options, Problem
from nodesmith.model import labels
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.pod import HostPort, PodVolume
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.storage import PersistentVolume, PersistentVolumeClaim
from nodesmith.model.taints import NO_SCHEDULE, Taint
from nodesmith.plan.reason import BlockCode, Blocked, Unplaced
from nodesmith.plan.schedule import SchedulePlan
from nodesmith.state.snapshot import Storage
from tests.unit.decide.schedule import build
from tests.unit.decide.schedule.build import buying, daemon, kind, near, node, plan, pod, pods, pool, problem, spread

OFFERINGS = len(build.TYPES) * 6
ARM = ((labels.ARCH, "arm64"),)
IN_B = (labels.ZONE, "In", ("b",))


def explained(
    asked: Problem, answer: SchedulePlan | None = None, key: str = "default/web-0", **fields: Any
) -> PodExplanation:
    return explain_pod(asked, answer or nowhere(asked), key, **fields)


def nowhere(asked: Problem) -> SchedulePlan:
    return SchedulePlan({each.key: Unplaced(Blocked(BlockCode.RESOURCES, "no room")) for each in asked.pods})


def removed(explanation: PodExplanation, code: BlockCode) -> list[tuple[int, int]]:
    return [(each.removed, each.without) for each in explanation.pools[0].constraints if each.code is code]


def test_each_constraint_says_how_many_offerings_it_removes() -> None:
    shown = explained(problem(pods("web", 1, node_selector=ARM)))
    view = shown.pools[0]
    assert (view.known, view.sold, view.left) == (OFFERINGS, OFFERINGS, 12)
    assert removed(shown, BlockCode.REQUIREMENTS) == [(18, OFFERINGS)]
    assert view.nearest is None


def test_a_request_that_is_too_large_names_what_would_fit() -> None:
    shown = explained(problem(pods("web", 1, cpu=9000)))
    assert not shown.is_placed
    assert shown.because == "no room"
    assert removed(shown, BlockCode.RESOURCES) == [(OFFERINGS, OFFERINGS)]
    assert shown.changes == ("ask for at most 7900m of cpu",)
    nearest = shown.pools[0].nearest
    assert nearest is not None
    assert (nearest.name, nearest.capacity_type) == ("arm-large", labels.SPOT)
    assert nearest.failing == ("cpu 9, it has 7900m",)


def test_min_values_leave_nothing_where_too_few_types_are_left() -> None:
    """What alone would not leave enough is no change that admits the pod."""
    diverse = replace(
        pool(), requirements=Requirements.of((Requirement(labels.INSTANCE_TYPE, complement=True, min_values=3),))
    )
    arm = problem(pods("web", 1, node_selector=ARM), pools=[diverse])
    shown = explained(arm)
    assert shown.pools[0].left == 0
    assert removed(shown, BlockCode.MIN_VALUES) == [(12, 12)]
    assert shown.changes == (
        f"drop the nodeSelector {labels.ARCH}=arm64",
        f"lower minValues of {labels.INSTANCE_TYPE} in NodePool default",
    )
    nearest = shown.pools[0].nearest
    assert nearest is not None
    assert nearest.failing == (f"minValues 3 of {labels.INSTANCE_TYPE}: 2 left",)
    assert explained(replace(arm, options=Options(min_values=MinValuesPolicy.BEST_EFFORT))).pools[0].left == 12
    large = explained(problem(pods("web", 1, cpu=7000, node_selector=ARM), pools=[diverse]))
    assert [change.split(":")[0] for change in large.changes] == [
        f"lower minValues of {labels.INSTANCE_TYPE} in NodePool default",
    ], "two large types are too few without the selector, too"
    by_zone = Requirements.of((Requirement(labels.ZONE, complement=True, min_values=2),))
    pinned = problem(pods("web", 1, node_selector=((labels.ZONE, "b"),)), pools=[replace(pool(), requirements=by_zone)])
    assert explained(pinned).pools[0].left == 0


def test_the_first_of_a_company_needs_a_domain_for_it() -> None:
    first = pods("web", 1, required_affinity=(near("web", "rack"),))
    shown = explained(problem(first))
    assert shown.pools[0].left == 0
    assert shown.changes == ("define the label rack in a NodePool",)
    assert explained(problem(first, pools=[pool(labels={"rack": "r1"})])).pools[0].left == OFFERINGS


def test_two_faults_at_once_have_no_single_change() -> None:
    shown = explained(problem(pods("web", 1, cpu=9000, node_selector=((labels.ZONE, "nowhere"),))))
    assert [change.split(":")[0] for change in shown.changes] == ["no single change"]
    assert "cpu 9" in shown.changes[0]
    assert f"{labels.ZONE}=nowhere" in shown.changes[0]


@pytest.mark.parametrize(
    ("fields", "pool_fields", "code", "change"),
    [
        ({}, {"taints": (Taint("team", NO_SCHEDULE, "red"),)}, BlockCode.TAINTS, "add a toleration for team=red"),
        ({"has_resource_claims": True}, {}, BlockCode.RESOURCE_CLAIMS, "extended resources"),
        ({"has_match_fields": True}, {}, BlockCode.INVALID, "matchExpressions"),
        ({"node_selector": (("team", "red"),)}, {}, BlockCode.REQUIREMENTS, "define the label team in NodePool"),
        ({"volumes": (PodVolume("none"),)}, {}, BlockCode.VOLUME, "put right the claim default/none"),
        ({}, {"limits": {"cpu": 1000}}, BlockCode.LIMITS, "raise limits.cpu of NodePool default"),
        ({}, {"limits": {"nodes": 0}}, BlockCode.LIMITS, "raise limits.nodes"),
        ({}, {"replicas": 1}, BlockCode.NO_POOLS, "use another NodePool"),
        ({"required_affinity": (near("cache"),)}, {}, BlockCode.POD_AFFINITY, "run a pod app In cache"),
        ({"topology_spread": (spread("web", "rack"),)}, {}, BlockCode.TOPOLOGY_SPREAD, "raise maxSkew above 1"),
    ],
)
def test_what_removes_everything_says_what_would_help(
    fields: dict[str, Any], pool_fields: dict[str, Any], code: BlockCode, change: str
) -> None:
    shown = explained(problem(pods("web", 1, **fields), pools=[pool(**pool_fields)]))
    assert shown.pools[0].left == 0
    assert all(count == OFFERINGS for count, _ in removed(shown, code))
    assert change in " ".join(shown.changes)


def test_the_pools_own_requirements_are_part_of_the_story() -> None:
    shown = explained(
        problem(pods("web", 1, node_selector=ARM), pools=[pool("default", (labels.ARCH, "In", ("amd64",)))])
    )
    view = shown.pools[0]
    assert (view.sold, view.left) == (18, 0)
    assert {each.asked_by for each in view.constraints} == {"pod", "nodepool"}
    assert any("let NodePool default allow other values" in change for change in shown.changes)


def test_what_is_sold_out_is_not_offered() -> None:
    gone = tuple(replace(each, is_available=False) for each in build.TYPES[0].offerings)
    shown = explained(problem(pods("web", 1), types=(replace(build.TYPES[0], offerings=gone),)))
    assert removed(shown, BlockCode.OFFERINGS) == [(6, 6)]


def test_one_of_several_terms_is_one_constraint() -> None:
    terms = tuple((Requirement(labels.ZONE, frozenset(zone)),) for zone in "ab")
    assert removed(explained(problem(pods("web", 1, required_node_terms=terms))), BlockCode.REQUIREMENTS) == [(10, 30)]
    single = explained(problem(pods("web", 1, required_node_terms=terms[:1])))
    assert removed(single, BlockCode.REQUIREMENTS) == [(20, 30)]


def test_a_daemons_port_and_share_are_counted() -> None:
    agent = daemon("agent", build.spec(cpu=1500, host_ports=(HostPort(9100),), node_selector=ARM))
    shown = explained(problem(pods("web", 1, cpu=1000, host_ports=(HostPort(9100),)), daemons=[agent]))
    assert removed(shown, BlockCode.HOST_PORTS) == [(12, 24)]
    assert removed(shown, BlockCode.RESOURCES) == [(6, 18)]


def test_a_volume_ties_the_pod_to_its_zone() -> None:
    volume = PersistentVolume(ObjectMeta("pv"), ((Requirement(labels.ZONE, frozenset("b")),),))
    claim = PersistentVolumeClaim(ObjectMeta("data", "default"), "pv", phase="Bound", is_bind_completed=True)
    storage = Storage(volumes={"pv": volume}, claims={"default/data": claim})
    asked = problem(pods("web", 1, volumes=(PodVolume("data"),)), storage=storage, nodes=[node("n1", zone="a")])
    shown = explained(asked)
    assert removed(shown, BlockCode.VOLUME) == [(20, 30)]
    assert [str(each.code) for each in shown.nodes.refusals] == ["volume"]


def test_company_settles_the_zone() -> None:
    cache, web = pods("cache", 1), pods("web", 1, required_affinity=(near("cache", labels.ZONE),))
    asked = problem([*cache, *web])
    answer = plan([buying(["small"], cache, IN_B)])
    shown = explained(asked, answer)
    assert removed(shown, BlockCode.POD_AFFINITY) == [(20, 30)]


def test_company_that_is_shunned_either_way_settles_it_too() -> None:
    web, loner = pods("web", 1), pods("loner", 1, required_anti_affinity=(near("web", labels.ZONE),))
    answer = plan([buying(["small"], loner, IN_B)])
    assert removed(explained(problem([*web, *loner]), answer), BlockCode.POD_ANTI_AFFINITY) == [(10, 30)]
    shy = pods("web", 2, required_anti_affinity=(near("web", labels.ZONE),))
    answer = plan([buying(["small"], shy[1:], IN_B)])
    assert removed(explained(problem(shy), answer), BlockCode.POD_ANTI_AFFINITY) == [(10, 30)]


def test_spread_leaves_the_emptier_zones() -> None:
    web = pods("web", 3, topology_spread=(spread("web"),))
    nodes = [node(f"n{zone}", zone=zone) for zone in "abc"]
    shown = explained(problem(web, nodes=nodes), plan(na=[web[1]], nb=[web[2]]))
    assert removed(shown, BlockCode.TOPOLOGY_SPREAD) == [(20, 30)]
    assert (shown.nodes.fit, [str(each.code) for each in shown.nodes.refusals]) == (1, ["topology-spread"])


def test_nodes_say_what_refuses_and_which_comes_nearest() -> None:
    web = pods("web", 1, cpu=2000, host_ports=(HostPort(80),))
    full = node("full", running=pods("old", 1, cpu=3000, node="full"))
    busy = node("busy", running=pods("port", 1, host_ports=(HostPort(80),), node="busy"))
    tainted = node("tainted", taints=(Taint("x", NO_SCHEDULE),), labels={labels.ARCH: "arm64"})
    shown = explained(problem(web, nodes=[full, busy, tainted]))
    assert {str(each.code): each.count for each in shown.nodes.refusals} == {
        "resources": 1,
        "host-ports": 1,
        "taints": 1,
    }
    assert shown.nodes.nearest is not None
    assert shown.nodes.nearest.name == "busy"


def test_a_placed_pod_is_told_where_and_beside_whom() -> None:
    web, there = pods("web", 2), pod("there-0")
    asked = problem([*web, there], nodes=[node("n1")])
    answer = plan([buying(["small", "medium"], web)], n1=[there])
    bought = explained(asked, answer)
    assert bought.goes_to == "a new node of NodePool default: small spot in a at $0.0400/h, or one of 1 other types"
    assert bought.because.startswith("with 1 other pods")
    assert explained(asked, answer, "default/there-0").goes_to == "node n1"
    assert not bought.changes


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("medium", "it would do: it is number 2 of the 2 types"),
        ("tiny", "with those that share its node it lacks {'cpu': '1100m'"),
        ("large", "it would do, but costs more"),
        ("arm-small", "not for what the pods that share its node ask"),
        ("nothing", "has no instance type of this name"),
    ],
)
def test_why_not_a_type(name: str, verdict: str) -> None:
    types = (*build.TYPES, kind("tiny", 1, 0.05))
    web = [*pods("web", 3), pod("amd-0", node_selector=((labels.ARCH, "amd64"),))]
    answer = plan([buying(["small", "medium"], web, (labels.ARCH, "In", ("amd64",)), types=types)])
    (why,) = explained(problem(web, types=types), answer, why_not=name).why_not
    assert verdict in why.verdict


def test_why_not_a_type_that_fails_or_was_not_needed() -> None:
    web = pods("web", 1, node_selector=ARM)
    asked = problem(web, nodes=[node("n1", "arm-small")])
    (failing,) = explained(asked, why_not="small").why_not
    assert failing.verdict == f"it does not do: nodeSelector {labels.ARCH}=arm64"
    assert len(failing.offerings) == 6
    (idle,) = explained(asked, plan(n1=web), why_not="arm-large").why_not
    assert idle.verdict == "it would do, but node n1 has room"
    (unbought,) = explained(asked, why_not="arm-large").why_not
    assert "buys nothing" in unbought.verdict


def test_the_explanation_is_data_first() -> None:
    document = to_json(explained(problem(pods("web", 1, cpu=9000), nodes=[node("n1")]), why_not="small"))
    assert document["placed"] is False
    assert document["nodes"]["nearest"]["failing"] == ["cpu 5100m short"]
    (view,) = document["nodePools"]
    assert (view["offerings"], view["left"], view["nearest"]["price"]) == (OFFERINGS, 0, 0.128)
    assert view["constraints"][0] == {
        "code": "resources",
        "askedBy": "pod",
        "constraint": "cpu 9",
        "removed": OFFERINGS,
        "leftWithoutIt": OFFERINGS,
        "change": "ask for at most 7900m of cpu",
    }
    assert document["whyNot"][0]["instanceType"] == "small"


def test_a_pod_that_is_not_asked_about_is_an_error() -> None:
    with pytest.raises(KeyError):
        explained(problem(pods("web", 1)), key="default/nobody")
