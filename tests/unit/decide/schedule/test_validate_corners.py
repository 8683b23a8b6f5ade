"""The validator's corners: volumes, labels that are still open, odd plans, searches that give up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.validate import Code, choice, validate
from nodesmith.model import labels
from nodesmith.model.instancetype import Offering
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.money import UsdPerHour
from nodesmith.model.pod import PodAffinityTerm, PodVolume, TopologySpreadConstraint
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.selector import EVERYTHING, Expression, LabelSelector
from nodesmith.model.storage import PersistentVolume, PersistentVolumeClaim, StorageClass
from nodesmith.model.workload import Namespace
from nodesmith.plan.schedule import SchedulePlan
from nodesmith.state.snapshot import Storage
from tests.unit.decide.schedule import build
from tests.unit.decide.schedule.build import NOW, buying, kind, near, node, plan, pod, pods, pool, problem, spread

IN_A = (labels.ZONE, "In", ("a",))
IN_B = (labels.ZONE, "In", ("b",))
ZONE_B = ((Requirement(labels.ZONE, frozenset("b")),),)


def codes(asked: Problem, answer: SchedulePlan) -> set[Code]:
    return {violation.code for violation in validate(asked, answer)}


def test_a_plan_about_nobody_is_valid() -> None:
    assert not validate(problem([]), SchedulePlan())


def claim_of(name: str = "data", **fields: Any) -> PersistentVolumeClaim:
    meta = ObjectMeta(name, "default", **fields.pop("meta", {}))
    return PersistentVolumeClaim(meta, **{"volume_name": "pv", "is_bind_completed": True, **fields})


def stored(claim: PersistentVolumeClaim, *volumes: PersistentVolume, classes: tuple[StorageClass, ...] = ()) -> Storage:
    return Storage(
        volumes={each.meta.name: each for each in volumes},
        claims={claim.meta.key: claim},
        classes={each.meta.name: each for each in classes},
    )


ANYWHERE = PersistentVolume(ObjectMeta("pv"), driver="ebs")
LOCAL = PersistentVolume(ObjectMeta("pv"), ((Requirement(labels.HOSTNAME, frozenset(("old",))),),), is_local=True)
LOCAL_IN_B = replace(LOCAL, terms=((*ZONE_B[0], *LOCAL.terms[0]),))
WAITS = StorageClass(ObjectMeta("waits"), "ebs", binds_immediately=False, allowed_topologies=ZONE_B)
DEFAULT = replace(WAITS, meta=ObjectMeta("older"), is_default=True, allowed_topologies=())


@pytest.mark.parametrize(
    ("storage", "zone", "expected"),
    [
        (stored(claim_of(meta={"deleted_at": NOW}), ANYWHERE), IN_A, {Code.VOLUME_UNBOUND}),
        (stored(claim_of(phase="Lost"), ANYWHERE), IN_A, {Code.VOLUME_UNBOUND}),
        (stored(claim_of()), IN_A, {Code.VOLUME_UNBOUND}),
        (stored(claim_of(is_bind_completed=False), ANYWHERE), IN_A, {Code.VOLUME_UNBOUND}),
        (stored(claim_of(), ANYWHERE), IN_A, set()),
        (stored(claim_of(), LOCAL), IN_A, set()),
        (stored(claim_of(), LOCAL_IN_B), IN_A, {Code.VOLUME_TOPOLOGY}),
        (stored(claim_of(), LOCAL_IN_B), IN_B, set()),
        (stored(claim_of(volume_name=""), classes=(DEFAULT,)), IN_A, set()),
        (stored(claim_of(volume_name=""), classes=(WAITS,)), IN_A, {Code.VOLUME_UNBOUND}),
        (stored(claim_of(volume_name="", storage_class="waits"), classes=(WAITS,)), IN_A, {Code.VOLUME_TOPOLOGY}),
        (stored(claim_of(volume_name="", storage_class="waits"), classes=(WAITS,)), IN_B, set()),
    ],
)
def test_where_a_volume_can_be_reached(storage: Storage, zone: Any, expected: set[Code]) -> None:
    web = pods("web", 1, volumes=(PodVolume("data"),))
    assert codes(problem(web, storage=storage), plan([buying(["small"], web, zone)])) == expected


def test_volumes_and_devices_bind_on_nodes_that_are_there() -> None:
    web = pods("web", 1, volumes=(PodVolume("data"),))
    in_b = stored(claim_of(), PersistentVolume(ObjectMeta("pv"), ZONE_B))
    assert codes(problem(web, nodes=[node("n1", zone="a")], storage=in_b), plan(n1=web)) == {Code.VOLUME_TOPOLOGY}
    assert codes(problem(web, nodes=[node("n1")]), plan(n1=web)) == {Code.VOLUME_UNBOUND}
    odd = pods("odd", 1, has_resource_claims=True, has_match_fields=True)
    assert codes(problem(odd, nodes=[node("n1")]), plan(n1=odd)) == {Code.RESOURCE_CLAIMS, Code.NODE_SELECTOR}


@pytest.mark.parametrize(
    ("stated", "wanted", "holds"),
    [
        (("x", "Gt", ["4"]), ("x", "Gt", ["3"]), True),
        (("x", "Gt", ["4"]), ("x", "Gt", ["5"]), False),
        (("x", "Lt", ["4"]), ("x", "Lt", ["5"]), True),
        (("x", "Lt", ["4"]), ("x", "Lt", ["3"]), False),
        (("x", "Exists", []), ("x", "Lt", ["3"]), False),
        (("x", "Exists", []), ("x", "In", ["1"]), False),
        (("x", "NotIn", ["1"]), ("x", "NotIn", ["1"]), True),
        (("x", "Exists", []), ("x", "NotIn", ["1"]), False),
        (("x", "Exists", []), ("x", "Exists", []), True),
        (("x", "DoesNotExist", []), ("x", "NotIn", ["1"]), True),
        (("x", "DoesNotExist", []), ("x", "Exists", []), False),
        (("x", "In", ["1", "2"]), ("x", "Lt", ["3"]), True),
        (("x", "In", ["1", "3"]), ("x", "Lt", ["3"]), False),
    ],
)
def test_an_open_label_holds_what_holds_for_all_its_values(stated: Any, wanted: Any, holds: bool) -> None:  # noqa: FBT001 - a column of the table
    web = pods("web", 1, required_node_terms=((Requirement.of(*wanted),),))
    answer = plan([buying(["small"], web, stated)])
    assert codes(problem(web), answer) == (set() if holds else {Code.POD_REQUIREMENT})


def test_a_host_name_that_a_claim_states_is_a_placeholder() -> None:
    web = pods("web", 1, required_node_terms=((Requirement.of(labels.HOSTNAME, "NotIn", ["n1"]),),))
    assert not codes(problem(web), plan([buying(["small"], web, (labels.HOSTNAME, "In", ("placeholder-1",)))]))
    tied = pods("web", 1, node_selector=((labels.HOSTNAME, "n1"),))
    assert codes(problem(tied), plan([buying(["small"], tied)])) == {Code.POD_REQUIREMENT}


def test_a_claims_own_requirement_on_types_binds_its_list() -> None:
    web = pods("web", 1)
    narrow = (labels.INSTANCE_TYPE, "In", ("small",))
    assert not codes(problem(web), plan([buying(["small"], web, narrow)]))
    assert codes(problem(web), plan([buying(["small", "medium"], web, narrow)])) == {Code.TYPE_INCOMPATIBLE}


def test_zones_and_families_count_for_min_values() -> None:
    least = Requirements({labels.ZONE: Requirement(labels.ZONE, complement=True, min_values=2)})
    web = pods("web", 1)
    asked = problem(web, pools=[replace(pool(), requirements=least)])
    assert not codes(asked, plan([buying(["small"], web, (labels.ZONE, "Exists", ()))]))
    assert not codes(asked, plan([buying(["small"], web, (labels.ZONE, "In", ("a", "b")))]))


def test_reservations_settle_their_labels() -> None:
    reserved = Offering(
        "a", labels.RESERVED, UsdPerHour.of(0.000001), reservation_id="cr-1", reservation_capacity=1,
        reservation_type="capacity-block",
    )  # fmt: skip
    types = (replace(kind("small", 2, 0.1), offerings=(reserved,), requirements=Requirements()),)
    for key, value in (
        (labels.RESERVATION_ID, "cr-1"),
        (labels.RESERVATION_TYPE, "capacity-block"),
        (labels.RESERVATION_INTERRUPTIBLE, "false"),
    ):
        web = pods("web", 1, node_selector=((key, value),))
        assert not codes(problem(web, types=types), plan([buying(["small"], web, types=types)]))
        other = pods("web", 1, node_selector=((key, "other"),))
        assert codes(problem(other, types=types), plan([buying(["small"], other, types=types)])) == {
            Code.POD_REQUIREMENT
        }


def test_a_zone_id_is_settled_where_offerings_tell_it() -> None:
    told = tuple(replace(each, zone_id=f"id-{each.zone}") for each in build.TYPES[0].offerings)
    types = (replace(build.TYPES[0], offerings=told),)
    web = pods("web", 1, node_selector=((labels.ZONE_ID, "id-a"),))
    assert not codes(problem(web, types=types), plan([buying(["small"], web, IN_A, types=types)]))
    assert codes(problem(web, types=types), plan([buying(["small"], web, IN_B, types=types)])) == {Code.POD_REQUIREMENT}


def test_rules_that_select_nothing_or_everything() -> None:
    nobody = TopologySpreadConstraint(labels.ZONE, 1, "DoNotSchedule", None)
    everybody = TopologySpreadConstraint(labels.ZONE, 1, "DoNotSchedule", EVERYTHING)
    for constraint in (nobody, everybody):
        web = pods("web", 4, topology_spread=(constraint,))
        assert not codes(problem(web), plan([buying(["medium"], web, IN_A)]))
    lonely = pods("web", 1, required_affinity=(PodAffinityTerm(labels.ZONE, None, frozenset(("default",))),))
    assert codes(problem(lonely), plan([buying(["small"], lonely, IN_A)])) == {Code.AFFINITY}


def test_selectors_without_a_value_look_at_everybody() -> None:
    labelled = LabelSelector((Expression("app", "Exists"),))
    term = PodAffinityTerm(labels.HOSTNAME, labelled, frozenset(("default",)))
    web = pods("web", 2, required_anti_affinity=(term,))
    assert codes(problem(web), plan([buying(["small"], web)])) == {Code.ANTI_AFFINITY}


def test_namespaces_may_be_chosen_by_label() -> None:
    team = LabelSelector((Expression("team", "In", ("red",)),))
    term = PodAffinityTerm(labels.HOSTNAME, build.selecting("cache"), frozenset(), team)
    cache = pod("cache-0", namespace="other", node="n1")
    web = pods("web", 1, required_affinity=(term,))
    asked = problem(web, nodes=[node("n1", running=[cache])])
    assert codes(asked, plan(n1=web)) == {Code.AFFINITY}
    namespaces = {"other": Namespace(ObjectMeta("other", labels={"team": "red"}))}
    assert not codes(replace(asked, snapshot=replace(asked.snapshot, namespaces=namespaces)), plan(n1=web))


def test_a_terminating_pod_is_still_company_but_shuns_nobody() -> None:
    leaving = pod("cache-0", node="n1", meta={"deleted_at": NOW}, required_anti_affinity=(near("web"),))
    web = pods("web", 1, required_affinity=(near("cache"),))
    assert not codes(problem(web, nodes=[node("n1", running=[leaving])]), plan(n1=web))


def test_a_claim_that_can_become_nothing_is_no_place() -> None:
    web = pods("web", 2, required_anti_affinity=(near("web", labels.ZONE),))
    answer = plan([buying(["small"], web[:1]), buying(["small"], web[1:])])
    nowhere = replace(answer, claims=(replace(answer.claims[0], pool_name="nobody"), answer.claims[1]))
    assert codes(problem(web), nowhere) == {Code.NODEPOOL_UNKNOWN}
    impossible = replace(answer.claims[0], requirements=build.requirements((labels.ZONE, "In", ("z",))))
    found = codes(problem(web), replace(answer, claims=(impossible, answer.claims[1])))
    assert found == {Code.TYPE_INCOMPATIBLE, Code.CHEAPEST}


def test_a_topology_label_of_the_type_or_the_claim_is_a_domain_too() -> None:
    web = pods("web", 2, required_anti_affinity=(near("web", labels.ARCH),))
    two = plan([buying(["small"], web[:1]), buying(["arm-small"], web[1:])])
    one = plan([buying(["small"], web[:1]), buying(["medium"], web[1:])])
    assert not codes(problem(web), two)
    assert codes(problem(web), one) == {Code.ANTI_AFFINITY}
    racks = pods("web", 2, required_anti_affinity=(near("web", "rack"),))
    known = [buying(["small"], [each], ("rack", "In", (rack,))) for each, rack in zip(racks, "xy", strict=True)]
    assert not codes(problem(racks), plan(known))
    unknown = [buying(["small"], [each], ("rack", "Exists", ())) for each in racks]
    assert codes(problem(racks), plan(unknown)) == {Code.ANTI_AFFINITY}


def test_spread_over_a_label_that_only_types_have() -> None:
    web = pods("web", 3, topology_spread=(spread("web", labels.ARCH),))
    uneven = plan([buying(["small"], web[:2]), buying(["arm-small"], web[2:])])
    assert not codes(problem(web), uneven)
    all_on_one = plan([buying(["medium"], web)])
    assert codes(problem(web), all_on_one) == {Code.SPREAD_UNIVERSE}


def test_bystanders_open_up_no_domain() -> None:
    """The claim without company could be in any zone; it is taken to be where the others are."""
    web = pods(
        "web", 2, topology_spread=(spread("web", honor_node_affinity=False),), node_selector=((labels.ZONE, "b"),)
    )
    alone = pods("alone", 1)
    answer = plan([buying(["small"], alone), buying(["small"], web, IN_B)])
    assert not codes(problem([*web, *alone]), answer)


def test_a_search_that_runs_out_of_effort_judges_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    web = pods("web", 3, required_anti_affinity=(near("web", labels.ZONE),))
    answer = plan([buying(["small"], [each]) for each in web])
    for work in (0, 6, 12):
        monkeypatch.setattr(choice, "_MOST_WORK", work)
        assert codes(problem(web), answer) == {Code.ANTI_AFFINITY}
    monkeypatch.setattr(choice, "_MOST_WORK", 600)
    assert not codes(problem(web), answer)


def test_an_end_that_no_order_reaches_is_uneven() -> None:
    first = pods("web", 3, topology_spread=(spread("web"),))
    second = pods("more", 2, topology_spread=(spread("web", skew=2),), app="web")
    nodes = [node(f"n{zone}", zone=zone) for zone in "abc"]
    reached = plan(na=[first[0], *second], nb=[first[1]], nc=[first[2]])
    assert not codes(problem([*first, *second], nodes=nodes), reached)
    stuck = plan(na=[*first, *second])
    assert codes(problem([*first, *second], nodes=nodes), stuck) == {Code.SPREAD_SKEW}


def test_types_without_offerings_and_pools_without_types_sell_nothing() -> None:
    web = pods("web", 1)
    bare = (kind("bare", 2, 0.1), replace(kind("none", 2, 0.1), offerings=()))
    assert codes(problem(web, types=bare), plan([buying(["bare", "none"], web, types=bare)])) == {Code.NO_OFFERING}
    asked = replace(problem(web), catalog={})
    assert codes(asked, plan([buying(["small"], web)])) == {Code.NODEPOOL_UNUSABLE}
    going = pool()
    gone = replace(going, meta=replace(going.meta, deleted_at=NOW))
    assert codes(problem(web, pools=[gone]), plan([buying(["small"], web)])) == {Code.NODEPOOL_UNUSABLE}
