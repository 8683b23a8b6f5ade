"""The validator: what it accepts, and every violation it can find, each shown at least once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from nodesmith.decide.schedule.problem import MinValuesPolicy, Options, Problem
from nodesmith.decide.schedule.validate import Code, validate
from nodesmith.model import labels
from nodesmith.model.instancetype import Offering
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.money import UsdPerHour
from nodesmith.model.pod import HostPort, PodAffinityTerm, PodVolume
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.selector import LabelSelector
from nodesmith.model.storage import CSINode, PersistentVolume, PersistentVolumeClaim, StorageClass
from nodesmith.model.taints import NO_SCHEDULE, PREFER_NO_SCHEDULE, Taint, Toleration
from nodesmith.plan.reason import BlockCode, Blocked, Unplaced
from nodesmith.plan.schedule import OnClaim, SchedulePlan
from nodesmith.state.snapshot import Storage
from tests.unit.decide.schedule import build
from tests.unit.decide.schedule.build import buying, daemon, kind, near, node, plan, pod, pods, pool, problem, spread

DEDICATED = Taint("dedicated", NO_SCHEDULE, "db")
IN_A = (labels.ZONE, "In", ("a",))
IN_B = (labels.ZONE, "In", ("b",))
AMD = (labels.ARCH, "In", ("amd64",))
Case = tuple[Problem, SchedulePlan]


def codes(case: Case) -> set[Code]:
    return {violation.code for violation in validate(*case)}


def ordinary() -> Case:
    """Three pods on a claim, one on a node: nothing is wrong."""
    web, there = pods("web", 3), pod("there-0")
    return problem([*web, there], nodes=[node("n1")]), plan([buying(["small", "medium"], web)], n1=[there])


def changed(**fields: object) -> Case:
    """The ordinary case with its claim changed."""
    asked, answer = ordinary()
    return asked, replace(answer, claims=(replace(answer.claims[0], **fields),))  # type: ignore[arg-type]


# --- one case for each code ---------------------------------------------------------------------------------------------


def pod_missing() -> Case:
    asked, answer = ordinary()
    return asked, replace(answer, placements={k: v for k, v in answer.placements.items() if k != "default/there-0"})


def pod_unknown() -> Case:
    asked, answer = ordinary()
    return asked, replace(
        answer, placements={**answer.placements, "default/nobody": Unplaced(Blocked(BlockCode.INVALID, ""))}
    )


def claim_index() -> Case:
    asked, answer = ordinary()
    return asked, replace(answer, placements={**answer.placements, "default/there-0": OnClaim(1)})


def claim_pods() -> Case:
    return changed(pods=("default/web-0", "default/web-1"))


def claim_empty() -> Case:
    asked, answer = ordinary()
    return asked, replace(answer, claims=(*answer.claims, replace(answer.claims[0], pods=())))


def nodepool_unknown() -> Case:
    return changed(pool_name="nobody")


def nodepool_unusable() -> Case:
    web = pods("web", 1)
    return problem(web, pools=[pool(replicas=3)]), plan([buying(["small"], web)])


def template_requirement() -> Case:
    web = pods("web", 1)
    return problem(web, pools=[pool("default", AMD)]), plan([buying(["small"], web)])


def taint() -> Case:
    web = pods("web", 1)
    return problem(web, pools=[pool(taints=(DEDICATED,))]), plan([buying(["small"], web)])


def claim_no_types() -> Case:
    return changed(instance_types=())


def type_unknown() -> Case:
    return changed(instance_types=("small", "nothing"))


def type_duplicate() -> Case:
    return changed(instance_types=("small", "small"))


def type_incompatible() -> Case:
    web = pods("web", 1)
    return problem(web), plan([buying(["small", "arm-small"], web, AMD)])


def no_offering() -> Case:
    web, types = pods("web", 1), (kind("here", 2, 0.1, zones=("a",)), kind("there", 2, 0.1, zones=("a", "b")))
    sold_out = replace(types[1], offerings=tuple(replace(o, is_available=o.zone == "b") for o in types[1].offerings))
    types = (types[0], sold_out)
    return problem(web, types=types), plan([buying(["here", "there"], web, IN_A, types=types)])


def reservation() -> Case:
    offering = Offering("a", labels.RESERVED, UsdPerHour.of(0.000001), reservation_id="cr-1", reservation_capacity=1)
    types = (replace(kind("small", 2, 0.1), offerings=(offering,), requirements=Requirements()),)
    web = pods("web", 2)
    claims = [buying(["small"], [each], (labels.CAPACITY_TYPE, "In", ("reserved",)), types=types) for each in web]
    return problem(web, types=types), plan(claims)


def pod_requirement() -> Case:
    web = pods("web", 1, node_selector=((labels.ZONE, "a"),))
    return problem(web), plan([buying(["small"], web)])


def resource_claims() -> Case:
    web = pods("web", 1, has_resource_claims=True)
    return problem(web), plan([buying(["small"], web)])


def volumes(**fields: object) -> Storage:
    """A claim `data` on a volume of zone b, a claim `late` of a class that waits, and CSI limits of node n1."""
    volume = PersistentVolume(ObjectMeta("pv"), ((Requirement(labels.ZONE, frozenset("b")),),), driver="ebs")
    bound = PersistentVolumeClaim(ObjectMeta("data", "default"), "pv", phase="Bound", is_bind_completed=True)
    late = PersistentVolumeClaim(ObjectMeta("late", "default"), storage_class="waits")
    classes = {
        "waits": StorageClass(ObjectMeta("waits"), "ebs", binds_immediately=False),
        "eager": StorageClass(ObjectMeta("eager"), "ebs", binds_immediately=True),
    }
    return Storage(
        volumes={"pv": volume},
        claims={"default/data": bound, "default/late": late},
        classes=classes,
        csi_nodes={"n1": CSINode(ObjectMeta("n1"), {"ebs": 1})},
    )


def volume_unbound() -> Case:
    web = pods("web", 1, volumes=(PodVolume("missing"),))
    return problem(web, storage=volumes()), plan([buying(["small"], web)])


def volume_topology() -> Case:
    web = pods("web", 1, volumes=(PodVolume("data"),))
    return problem(web, storage=volumes()), plan([buying(["small"], web, IN_A)])


def volume_limit() -> Case:
    web = [pod("web-0", volumes=(PodVolume("data"),)), pod("web-1", volumes=(PodVolume("late"),))]
    return problem(web, nodes=[node("n1", zone="b")], storage=volumes()), plan(n1=web)


def fit() -> Case:
    web = pods("web", 2, cpu=1500)
    return problem(web), plan([buying(["small", "medium"], web)])


def requests() -> Case:
    return changed(requests={"cpu": 1})


def min_values() -> Case:
    least = Requirements({labels.INSTANCE_TYPE: Requirement(labels.INSTANCE_TYPE, complement=True, min_values=3)})
    web = pods("web", 1)
    asked = problem(web, pools=[replace(pool(), requirements=least)])
    return asked, plan([buying(["small", "medium"], web)])


def limits() -> Case:
    web = pods("web", 1)
    return problem(web, pools=[pool(limits={"cpu": 1000})]), plan([buying(["small"], web)])


def host_port() -> Case:
    web = pods("web", 2, host_ports=(HostPort(80),))
    return problem(web), plan([buying(["small"], web)])


def cheapest() -> Case:
    _, answer = ordinary()
    return changed(cheapest=replace(answer.claims[0].cheapest, capacity_type="on-demand", price=UsdPerHour.of(0.1)))


def node_unknown() -> Case:
    web = pods("web", 1)
    return problem(web), plan(n1=web)


def node_deleting() -> Case:
    web = pods("web", 1)
    return problem(web, nodes=[node("n1", is_marked=True)]), plan(n1=web)


def node_taint() -> Case:
    web = pods("web", 1)
    return problem(web, nodes=[node("n1", taints=(DEDICATED,))]), plan(n1=web)


def node_selector() -> Case:
    web = pods("web", 1, node_selector=(("disk", "ssd"),))
    return problem(web, nodes=[node("n1")]), plan(n1=web)


def node_overfilled() -> Case:
    web = pods("web", 3)
    return problem(web, nodes=[node("n1", running=pods("old", 3, cpu=1000, node="n1"))]), plan(n1=web)


def node_daemons() -> Case:
    web = pods("web", 1, cpu=3500)
    return problem(web, nodes=[node("n1")], daemons=[daemon("logs", build.spec(cpu=600))]), plan(n1=web)


def spread_key() -> Case:
    web = pods("web", 1, topology_spread=(spread("web", "example.com/rack"),))
    return problem(web), plan([buying(["small"], web)])


def spread_skew() -> Case:
    web = pods("web", 3, topology_spread=(spread("web"),))
    nodes = [node(f"n{zone}", zone=zone) for zone in "abc"]
    return problem(web, nodes=nodes), plan(na=web[:2], nb=web[2:])


def spread_universe() -> Case:
    web = pods("web", 4, topology_spread=(spread("web"),))
    nodes = [node(f"n{zone}", zone=zone) for zone in "ab"]
    return problem(web, nodes=nodes), plan(na=web[:2], nb=web[2:])


def affinity() -> Case:
    cache, web = pods("cache", 1), pods("web", 1, required_affinity=(near("cache"),))
    return problem([*cache, *web]), plan([buying(["small"], cache), buying(["small"], web)])


def anti_affinity() -> Case:
    web = pods("web", 2, required_anti_affinity=(near("web"),))
    return problem(web), plan([buying(["small"], web)])


BROKEN: tuple[Callable[[], Case], ...] = (
    pod_missing, pod_unknown, claim_index, claim_pods, claim_empty, nodepool_unknown, nodepool_unusable,
    template_requirement, taint, claim_no_types, type_unknown, type_duplicate, type_incompatible, no_offering,
    reservation, pod_requirement, resource_claims, volume_unbound, volume_topology, volume_limit, fit, requests,
    min_values, limits, host_port, cheapest, node_unknown, node_deleting, node_taint, node_selector, node_overfilled,
    node_daemons, spread_key, spread_skew, spread_universe, affinity, anti_affinity,
)  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN, ids=lambda case: case.__name__)
def test_each_rule_is_seen_to_be_broken(broken: Callable[[], Case]) -> None:
    assert Code(broken.__name__.replace("_", "-")) in codes(broken())


def test_no_rule_is_left_unshown() -> None:
    assert {case.__name__.replace("_", "-") for case in BROKEN} == {str(code) for code in Code}


def test_an_ordinary_plan_stands() -> None:
    assert validate(*ordinary()) == ()


@pytest.mark.parametrize(
    "broken",
    [case for case in BROKEN if case not in {claim_index, nodepool_unknown, min_values, volume_limit, cheapest}],
    ids=lambda case: case.__name__,
)
def test_a_broken_rule_is_named_with_its_objects(broken: Callable[[], Case]) -> None:
    found = [each for each in validate(*broken()) if each.code == broken.__name__.replace("_", "-")]
    assert all(each.objects and str(each).startswith(str(each.code)) for each in found)


# --- what stands --------------------------------------------------------------------------------------------------------


def test_startup_and_preferred_taints_keep_nobody_off() -> None:
    web = pods("web", 1)
    taints = (Taint("soft", PREFER_NO_SCHEDULE),)
    asked = problem(web, pools=[pool(taints=taints, startup_taints=(DEDICATED,))])
    assert validate(asked, plan([buying(["small"], web)])) == ()


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ((labels.NODEPOOL, "In", ("default",)), set()),
        ((labels.NODEPOOL, "In", ("another",)), {Code.TEMPLATE_REQUIREMENT}),
        (("tier", "In", ("gold",)), set()),
        (("tier", "In", ("gold", "silver")), {Code.TEMPLATE_REQUIREMENT}),
        (("tier", "Exists", ()), {Code.TEMPLATE_REQUIREMENT}),
    ],
)
def test_a_claim_says_nothing_against_its_pool_and_the_labels_that_this_gives(
    stated: tuple[str, str, tuple[str, ...]], expected: set[Code]
) -> None:
    web = pods("web", 1)
    question = problem(web, pools=[pool(labels={"tier": "gold"})])
    assert codes((question, plan([buying(["small"], web)]))) == set()
    assert codes((question, plan([buying(["small"], web, stated)]))) == expected


def test_a_tolerated_taint_keeps_nobody_off() -> None:
    web = pods("web", 1, tolerations=(Toleration("dedicated", "Equal", "db"),))
    assert validate(problem(web, pools=[pool(taints=(DEDICATED,))]), plan([buying(["small"], web)])) == ()


def test_a_selector_on_the_instance_type_binds_by_the_list_of_types() -> None:
    web = pods("web", 1, node_selector=((labels.INSTANCE_TYPE, "medium"),))
    assert validate(problem(web), plan([buying(["medium"], web)])) == ()
    assert codes((problem(web), plan([buying(["medium", "large"], web)]))) == {Code.POD_REQUIREMENT}


def test_one_of_several_node_affinity_terms_must_hold_on_every_outcome() -> None:
    terms = tuple((Requirement(labels.ZONE, frozenset(zone)),) for zone in "ab")
    web = pods("web", 1, required_node_terms=terms)
    both, all_zones = (labels.ZONE, "In", ("a", "b")), (labels.ZONE, "In", ("a", "b", "c"))
    assert validate(problem(web), plan([buying(["small"], web, both)])) == ()
    assert codes((problem(web), plan([buying(["small"], web, all_zones)]))) == {Code.POD_REQUIREMENT}


def test_a_custom_label_counts_only_where_the_claim_sets_it() -> None:
    web = pods("web", 1, node_selector=(("team", "red"),))
    asked = problem(web, pools=[pool("default", ("team", "Exists", ()))])
    assert validate(asked, plan([buying(["small"], web, ("team", "In", ("red",)))])) == ()
    assert codes((asked, plan([buying(["small"], web, ("team", "In", ("red", "blue")))]))) == {Code.POD_REQUIREMENT}
    assert codes((problem(web), plan([buying(["small"], web)]))) == {Code.POD_REQUIREMENT}


def test_a_numeric_bound_holds_by_the_types_labels() -> None:
    types = tuple(
        replace(each, requirements=each.requirements & build.requirements((labels.INSTANCE_CPU, "In", (str(cpu),))))
        for each, cpu in ((kind("small", 2, 0.1), 2), (kind("large", 8, 0.4), 8))
    )
    web = pods("web", 1, required_node_terms=((Requirement.of(labels.INSTANCE_CPU, "Gt", ["4"]),),))
    asked = problem(web, types=types)
    assert validate(asked, plan([buying(["large"], web, types=types)])) == ()
    assert codes((asked, plan([buying(["small", "large"], web, types=types)]))) == {Code.POD_REQUIREMENT}


def test_daemons_count_only_on_outcomes_where_they_run() -> None:
    spot_only = build.spec(cpu=500, node_selector=((labels.CAPACITY_TYPE, labels.SPOT),))
    web = pods("web", 1, cpu=1800)
    asked = problem(web, daemons=[daemon("logs", spot_only)])
    on_demand = (labels.CAPACITY_TYPE, "In", (labels.ON_DEMAND,))
    assert validate(asked, plan([buying(["small"], web, on_demand)])) == ()
    assert codes((asked, plan([buying(["small"], web)]))) == {Code.FIT}


def test_a_daemons_port_is_taken_on_nodes_where_it_runs() -> None:
    agent = build.spec(cpu=100, host_ports=(HostPort(9100),), node_selector=((labels.ARCH, "arm64"),))
    web = pods("web", 1, host_ports=(HostPort(9100),))
    asked = problem(web, daemons=[daemon("agent", agent)])
    assert validate(asked, plan([buying(["small"], web)])) == ()
    assert codes((asked, plan([buying(["arm-small"], web)]))) == {Code.HOST_PORT}


def test_a_daemon_that_runs_already_is_not_counted_twice() -> None:
    running = [pod("logs-x", cpu=600, node="n1", meta=build.owned_by("logs"), namespace="kube-system")]
    web = pods("web", 1, cpu=3200)
    asked = problem(web, nodes=[node("n1", running=running)], daemons=[daemon("logs", build.spec(cpu=600))])
    assert validate(asked, plan(n1=web)) == ()


def test_min_values_may_be_relaxed_when_the_policy_says_so() -> None:
    asked, answer = min_values()
    relaxed = replace(answer, claims=(replace(answer.claims[0], is_min_values_relaxed=True),))
    assert Code.MIN_VALUES in codes((asked, relaxed))
    assert validate(replace(asked, options=Options(min_values=MinValuesPolicy.BEST_EFFORT)), relaxed) == ()


def test_reservations_are_dealt_out_so_that_all_have_one() -> None:
    one, two = (
        Offering("a", labels.RESERVED, UsdPerHour.of(0.000001), reservation_id=name, reservation_capacity=1)
        for name in ("cr-1", "cr-2")
    )
    types = (
        replace(kind("both", 2, 0.1), offerings=(one, two), requirements=Requirements()),
        replace(kind("only", 2, 0.1), offerings=(one,), requirements=Requirements()),
    )
    web = pods("web", 2)
    reserved = (labels.CAPACITY_TYPE, "In", (labels.RESERVED,))
    claims = [buying([name], [each], reserved, types=types) for name, each in zip(("both", "only"), web, strict=True)]
    assert validate(problem(web, types=types), plan(claims)) == ()


def test_a_limit_on_nodes_is_held_against_the_nodes_before() -> None:
    web, own = pods("web", 2), {labels.NODEPOOL: "default"}
    asked = problem(web, pools=[pool(limits={"nodes": 1})], nodes=[node("n1", labels=own)])
    answer = plan([buying(["small"], web)])
    assert codes((asked, answer)) == {Code.LIMITS}
    assert validate(problem(web, pools=[pool(limits={"nodes": 1})]), answer) == ()


def test_a_simulated_leaver_is_no_node() -> None:
    web = pods("web", 1)
    asked = problem(web, nodes=[node("n1")], without=frozenset({"n1"}))
    assert codes((asked, plan(n1=web))) == {Code.NODE_DELETING}


def test_a_pod_that_moves_frees_its_own_room() -> None:
    movers = pods("web", 3, cpu=1000, node="n1")
    asked = problem(movers, nodes=[node("n1", running=movers)])
    assert validate(asked, plan(n1=movers)) == ()


def test_volumes_settle_the_zone_of_a_claim() -> None:
    web = pods("web", 1, volumes=(PodVolume("data"), PodVolume("late")))
    assert validate(problem(web, storage=volumes()), plan([buying(["small"], web, IN_B)])) == ()


@pytest.mark.parametrize("name", ["eager", "nothing", ""])
def test_an_ephemeral_volume_needs_a_class_that_waits(name: str) -> None:
    web = pods("web", 1, volumes=(PodVolume("scratch", is_ephemeral=True, storage_class=name),))
    assert codes((problem(web, storage=volumes()), plan([buying(["small"], web)]))) == {Code.VOLUME_UNBOUND}


def test_an_uneven_end_stands_when_uncounted_company_came_later() -> None:
    even = pods("even", 3, topology_spread=(spread("web"),), app="web")
    late = pods("late", 2, app="web")
    nodes = [node(f"n{zone}", zone=zone) for zone in "abc"]
    answer = plan(na=[even[0], *late], nb=[even[1]], nc=[even[2]])
    assert validate(problem([*even, *late], nodes=nodes), answer) == ()


def test_fewer_domains_than_asked_for_count_as_an_empty_one() -> None:
    web = pods("web", 4, topology_spread=(spread("web", min_domains=4),))
    nodes = [node(f"n{zone}", zone=zone) for zone in "abc"]
    first = plan(na=web[:1], nb=web[1:2], nc=web[2:3])
    assert validate(problem(web[:3], nodes=nodes), first) == ()
    assert codes((problem(web, nodes=nodes), plan(na=web[:2], nb=web[2:3], nc=web[3:]))) == {Code.SPREAD_SKEW}


def test_tainted_nodes_are_no_domains_when_the_constraint_says_so() -> None:
    nodes = [node("na", zone="a"), node("nb", zone="b"), node("nc", zone="c", taints=(DEDICATED,))]
    for honor, expected in ((False, {Code.SPREAD_SKEW}), (True, set())):
        web = pods("web", 4, topology_spread=(spread("web", honor_node_taints=honor),))
        asked = problem(web, nodes=nodes, pools=[])
        assert codes((asked, plan(na=web[:2], nb=web[2:]))) == expected


def test_a_workload_that_wants_itself_grows_from_one_place() -> None:
    web = pods("web", 4, required_affinity=(near("web", labels.ZONE),))
    together = plan([buying(["small"], web[:2], IN_A), buying(["small"], web[2:], IN_A)])
    apart = plan([buying(["small"], web[:2], IN_A), buying(["small"], web[2:], IN_B)])
    assert validate(problem(web), together) == ()
    assert codes((problem(web), apart)) == {Code.AFFINITY}


def test_who_finds_nobody_else_is_the_one_that_may_start() -> None:
    """The pod that is alone comes first; the other joins the pod that wants nobody, once that is there."""
    anybody = PodAffinityTerm(labels.HOSTNAME, LabelSelector(), frozenset(("default",)))
    seekers, other = pods("web", 2, required_affinity=(anybody,)), pods("db", 1)
    question = problem((*seekers, *other))
    for first, second in (seekers, seekers[::-1]):
        stands = plan([buying(["small"], [first, *other]), buying(["small"], [second])])
        assert validate(question, stands) == ()
    third = pods("web", 3, required_affinity=(anybody,))
    torn = plan([buying(["small"], [third[0], *other]), buying(["small"], [third[1]]), buying(["small"], [third[2]])])
    assert codes((problem((*third, *other)), torn)) == {Code.AFFINITY}


def test_an_open_zone_turns_out_the_way_that_suits_if_there_is_one() -> None:
    web = pods("web", 3, required_anti_affinity=(near("web", labels.ZONE),))
    three = plan([buying(["small"], [each]) for each in web])
    assert validate(problem(web), three) == ()
    four = pods("web", 4, required_anti_affinity=(near("web", labels.ZONE),))
    assert codes((problem(four), plan([buying(["small"], [each]) for each in four]))) == {Code.ANTI_AFFINITY}


def test_a_running_pod_keeps_new_ones_off() -> None:
    loner = pods("loner", 1, required_anti_affinity=(near("web"),), node="n1")
    web = pods("web", 1)
    assert codes((problem(web, nodes=[node("n1", running=loner)]), plan(n1=web))) == {Code.ANTI_AFFINITY}


def test_company_in_another_namespace_is_none_unless_named() -> None:
    cache = pod("cache-0", namespace="other", node="n1")
    near_own, near_other = near("cache"), near("cache", namespaces=("other",))
    for term, expected in ((near_own, {Code.AFFINITY}), (near_other, set())):
        web = pods("web", 1, required_affinity=(term,))
        assert codes((problem(web, nodes=[node("n1", running=[cache])]), plan(n1=web))) == expected
