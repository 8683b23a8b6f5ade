"""The solver's corners: each was once a plan that broke a rule, or a pod left over that had a place."""

from __future__ import annotations

from dataclasses import replace

from nodesmith.decide.schedule.problem import Options, PreferencePolicy, Problem
from nodesmith.decide.schedule.solve import schedule
from nodesmith.decide.schedule.validate import validate
from nodesmith.model import labels
from nodesmith.model.instancetype import InstanceType, Offering
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.money import UsdPerHour
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import LOWEST_PRIORITY, PodVolume, TopologySpreadConstraint
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.selector import EVERYTHING
from nodesmith.model.storage import PersistentVolumeClaim, StorageClass
from nodesmith.model.taints import PREFER_NO_SCHEDULE, Taint
from nodesmith.plan.schedule import OnClaim, OnNode, SchedulePlan
from nodesmith.state.snapshot import Storage
from tests.unit.decide.schedule import build
from tests.unit.decide.schedule.build import kind, near, node, pods, pool, problem, spec, spread

TERMS = frozenset((labels.ON_DEMAND, labels.RESERVED, labels.SPOT))


def solved(asked: Problem) -> SchedulePlan:
    """The plan, which is valid."""
    plan = schedule(asked)
    assert validate(asked, plan) == ()
    return plan


def diverse(key: str, least: int, *wanted: tuple[str, str, tuple[str, ...]], **fields: object) -> NodePool:
    """A pool that wants to stay launchable as so many values of the label."""
    found = pool("default", *wanted, **fields)
    asked = Requirement(key, complement=True, min_values=least)
    return replace(found, requirements=found.requirements & Requirements.of((asked,)))


def test_replicas_with_a_volume_each_are_placed() -> None:
    claims = {f"default/c{n}": PersistentVolumeClaim(ObjectMeta(f"c{n}", "default"), storage_class="ebs") for n in "ab"}
    classes = {"ebs": StorageClass(ObjectMeta("ebs"), "ebs.csi.aws.com", binds_immediately=False)}
    members = [build.pod(f"db-{n}", spec(volumes=(PodVolume(f"c{n}"),)), app="db") for n in "ab"]
    plan = solved(problem(members, storage=Storage(claims=claims, classes=classes)))
    assert not plan.unplaced


def test_enough_types_are_left_in_the_domain_that_a_rule_pins() -> None:
    lonely = kind("lonely", 2, 0.01, zones=("c",))
    types = (lonely, *(replace(each, offerings=build.offerings(0.2, "ab")) for each in build.TYPES))
    apart = spec(required_anti_affinity=(near("web", labels.ZONE),))
    plan = solved(problem(pods("web", 2, apart), pools=[diverse(labels.INSTANCE_TYPE, 2)], types=types))
    assert len(plan.claims) == 2
    assert all(len(claim.instance_types) >= 2 for claim in plan.claims)


def test_a_claim_that_draws_on_a_reservation_keeps_as_many_types_as_its_pool_wants() -> None:
    held = Offering("a", labels.RESERVED, UsdPerHour.of(0.001), reservation_id="cr-1", reservation_capacity=1)
    small = build.TYPES[0]
    terms = Requirements({**small.requirements.by_key, labels.CAPACITY_TYPE: Requirement(labels.CAPACITY_TYPE, TERMS)})
    types = (replace(small, requirements=terms, offerings=(*small.offerings, held)), *build.TYPES[1:])
    free = solved(problem(pods("web", 1), types=types))
    assert free.claims[0].requirements.get(labels.CAPACITY_TYPE).values == {labels.RESERVED}
    plan = solved(problem(pods("web", 1), pools=[diverse(labels.INSTANCE_TYPE, 3)], types=types))
    assert plan.claims[0].cheapest.capacity_type == labels.RESERVED
    assert len(plan.claims[0].instance_types) >= 3


def test_a_type_that_only_a_reservation_offers_counts_for_no_minimum_of_a_claim_that_draws_on_none() -> None:
    dear = Offering("a", labels.RESERVED, UsdPerHour.of(9), reservation_id="cr-1", reservation_capacity=1)
    small, medium, large = build.TYPES[:3]
    terms = Requirements({**large.requirements.by_key, labels.CAPACITY_TYPE: Requirement(labels.CAPACITY_TYPE, TERMS)})
    types = (small, medium, replace(large, requirements=terms, offerings=(dear,)))
    alone = spec(required_anti_affinity=(build.near("web"),))
    plan = solved(problem(pods("web", 2, alone), pools=[diverse(labels.INSTANCE_TYPE, 3)], types=types))
    assert [len(claim.instance_types) for claim in plan.claims] == [3]


def test_a_soft_taint_is_avoided_although_preferences_are_ignored() -> None:
    soft = Taint("slow", PREFER_NO_SCHEDULE)
    pools = [pool("soft", weight=10, taints=(soft,)), pool("plain")]
    asked = problem(pods("web", 1), pools=pools)
    for policy in PreferencePolicy:
        plan = solved(replace(asked, options=Options(preferences=policy)))
        assert [claim.pool_name for claim in plan.claims] == ["plain"]
    last_resort = problem(pods("web", 1), pools=pools[:1], options=Options(preferences=PreferencePolicy.IGNORE))
    assert not solved(last_resort).unplaced


def test_a_claim_does_not_speak_of_labels_that_its_node_will_not_carry() -> None:
    """Else the node would get the label, with a value made up, and daemons that look for it would come."""
    shy = spec(required_node_terms=((Requirement("tier", frozenset(("gold",)), complement=True),),))
    seeker = spec(cpu=1000, required_node_terms=((Requirement("tier", complement=True),),))
    asked = problem(pods("web", 1, shy), daemons=[build.daemon("seeker", seeker)], types=build.TYPES[:1])
    plan = solved(replace(asked, pods=pods("web", 3, shy)))
    assert len(plan.claims) == 1
    assert "tier" not in plan.claims[0].requirements


def test_a_selector_and_an_affinity_that_contradict_each_other_admit_no_node_without_the_label() -> None:
    asked = spec(
        node_selector=(("tier", "gold"),), required_node_terms=((Requirement("tier", frozenset(("silver",))),),)
    )
    plan = solved(problem(pods("web", 1, asked), nodes=[node("n")]))
    assert plan.unplaced


def test_a_spread_with_an_empty_selector_counts_nobody() -> None:
    everybody = TopologySpreadConstraint(labels.ZONE, 1, "DoNotSchedule", EVERYTHING)
    wanted = spec(topology_spread=(everybody,), node_selector=((labels.ZONE, "a"),))
    plan = solved(problem(pods("web", 3, wanted)))
    assert not plan.unplaced


def test_domains_that_could_not_take_the_pod_do_not_hold_the_others_back() -> None:
    tiny = kind("tiny", 1, 0.01, zones=("c",))
    large = kind("roomy", 8, 0.4, zones=("a", "b"))
    wanted = spec(cpu=3000, topology_spread=(spread("web"),))
    plan = solved(problem(pods("web", 4, wanted), types=(tiny, large)))
    assert not plan.unplaced


def test_machines_that_are_only_to_be_avoided_take_part_in_a_spread_that_minds_taints() -> None:
    soft = (Taint("soft", PREFER_NO_SCHEDULE),)
    wanted = spec(topology_spread=(spread("web", honor_node_taints=True),))
    plan = solved(problem(pods("web", 3, wanted), pools=[pool(taints=soft)]))
    zones = [next(iter(claim.requirements.get(labels.ZONE).values)) for claim in plan.claims]
    assert sorted(zones) == ["a", "b", "c"]


def test_a_limit_on_nodes_is_kept_where_it_can_be_and_passed_where_pods_would_wait() -> None:
    limited = [pool(limits={"nodes": 2})]
    together = solved(problem(pods("web", 8, cpu=1500), pools=limited))
    assert not together.unplaced
    assert len(together.claims) <= 2
    apart = spec(required_anti_affinity=(near("web"),))
    passed = solved(problem(pods("web", 3, apart), pools=limited))
    assert not passed.unplaced
    own = node("n1", labels={labels.NODEPOOL: "default"})
    full = solved(problem(pods("web", 3, apart), pools=[pool(limits={"nodes": 1})], nodes=[own]))
    assert sum(isinstance(place, OnClaim) for place in full.placements.values()) == 0
    assert len(full.unplaced) == 2


def test_a_label_that_has_to_be_there_and_not_of_one_value_is_not_met_by_its_absence() -> None:
    term = (Requirement("tier", complement=True), Requirement("tier", frozenset(("gold",)), complement=True))
    wanted = spec(required_node_terms=(term,))
    bare, other = node("bare"), node("other", labels={"tier": "silver"})
    assert solved(problem(pods("web", 1, wanted), nodes=[bare])).unplaced
    assert not solved(problem(pods("web", 1, wanted), nodes=[bare, other])).unplaced


def test_room_that_is_kept_takes_nothing_from_pods_that_are_there() -> None:
    spare = replace(spec(cpu=3000), priority=LOWEST_PRIORITY)
    limited = [pool(limits={"cpu": 4000})]
    plan = solved(problem([*pods("web", 3, cpu=1000), *pods("spare", 2, spare)], pools=limited))
    assert set(plan.unplaced) == {"default/spare-0", "default/spare-1"}


def test_of_as_many_pods_those_of_low_priority_are_left_over() -> None:
    low, high = spec(cpu=1600), replace(spec(cpu=1500), priority=1000)
    limited = [pool(limits={"cpu": 4000})]
    plan = solved(problem([*pods("low", 2, low), *pods("high", 2, high)], pools=limited))
    assert set(plan.unplaced) == {"default/low-0", "default/low-1"}


def test_a_reservation_that_pools_share_has_the_capacity_that_the_least_of_them_sees() -> None:
    def types(capacity: int) -> tuple[InstanceType, ...]:
        held = Offering("a", labels.RESERVED, UsdPerHour.of(0.001), reservation_id="cr", reservation_capacity=capacity)
        small = build.TYPES[0]
        terms = {**small.requirements.by_key, labels.CAPACITY_TYPE: Requirement(labels.CAPACITY_TYPE, TERMS)}
        return (replace(small, requirements=Requirements(terms), offerings=(*small.offerings, held)),)

    apart = spec(required_anti_affinity=(near("web"),))
    asked = problem(pods("web", 3, apart), pools=[pool("one"), pool("two")])
    plan = solved(replace(asked, catalog={"one": types(1), "two": types(3)}))
    assert sum(claim.cheapest.capacity_type == labels.RESERVED for claim in plan.claims) == 1


def test_hosts_are_held_against_one_another_where_no_other_host_can_be_had() -> None:
    over_hosts = spec(cpu=100, topology_spread=(spread("web", labels.HOSTNAME),))
    nodes = [node("n1"), node("n2")]
    bought = solved(problem(pods("web", 5, over_hosts), nodes=nodes))
    assert not bought.unplaced
    assert len(bought.claims) == 3
    alone = solved(problem(pods("web", 5, over_hosts), pools=[], nodes=nodes))
    assert not alone.unplaced
    counts = sorted(sum(place == OnNode(name) for place in alone.placements.values()) for name in ("n1", "n2"))
    assert counts == [2, 3]


def test_a_full_host_that_takes_part_holds_the_others_back() -> None:
    over_hosts = spec(cpu=100, topology_spread=(spread("web", labels.HOSTNAME),))
    full = node("full", running=[build.pod("big", cpu=3900, node="full")])
    plan = solved(problem(pods("web", 3, over_hosts), pools=[], nodes=[node("n1"), full]))
    assert len(plan.unplaced) == 2


def test_enough_types_are_left_by_the_alternative_that_the_claim_states() -> None:
    terms = ((Requirement(labels.INSTANCE_TYPE, frozenset(("small",))),), (Requirement(labels.ZONE, frozenset("b")),))
    amd64 = (labels.ARCH, "In", ("amd64",))
    plan = solved(problem(pods("web", 2, required_node_terms=terms), pools=[diverse(labels.INSTANCE_TYPE, 2, amd64)]))
    assert plan.claims or plan.unplaced
    assert all(len(claim.instance_types) >= 2 for claim in plan.claims)
