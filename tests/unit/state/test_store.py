"""The store, case by case; its law is in tests/property/test_state.py."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import is_

import pytest

from nodesmith.controllers.build import new_store
from nodesmith.controllers.shell import Options
from nodesmith.model.labels import INITIALIZED, INSTANCE_TYPE, NODEPOOL, REGISTERED
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod, PodSpec
from nodesmith.model.storage import PersistentVolume
from nodesmith.model.workload import DaemonSet
from nodesmith.state.store import SNAPSHOT_TYPES, Store, nomination_window
from nodesmith.state.table import Table

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ID = "aws:///ap-northeast-2a/i-0123456789abcdef0"


def meta(name: str, version: int = 1, namespace: str = "", labels: Mapping[str, str] | None = None) -> ObjectMeta:
    return ObjectMeta(name, namespace, f"uid-{name}", labels or {}, resource_version=str(version))


def pod(name: str, version: int = 1, node_name: str = "", phase: str = "Pending") -> Pod:
    return Pod(meta(name, version, "default"), PodSpec(), node_name, phase)


def claim(name: str = "a", version: int = 1, provider_id: str = ID) -> NodeClaim:
    return NodeClaim(meta=meta(name, version, labels={NODEPOOL: "default"}), provider_id=provider_id)


def node(
    name: str = "ip-10-0-0-1", version: int = 1, labels: Mapping[str, str] | None = None, provider_id: str = ID
) -> Node:
    labels = {NODEPOOL: "default", INSTANCE_TYPE: "t4g.medium", REGISTERED: "true"} if labels is None else labels
    return Node(meta=meta(name, version, labels=labels), provider_id=provider_id)


def listed() -> Store:
    store = Store()
    for kind in SNAPSHOT_TYPES:
        store.replace(kind, [])
    return store


def test_daemonsets_with_resource_claims_are_counted_only_when_told() -> None:
    def counted(options: Options) -> list[str]:
        store = new_store(options)
        for name, has_claims in (("plain", False), ("with-claims", True)):
            store.apply(DaemonSet, DaemonSet(meta(name), PodSpec(has_resource_claims=has_claims), meta(name)))
        return [each.meta.name for each in store.snapshot(NOW).daemonsets]

    assert counted(Options()) == ["plain"]
    assert counted(Options(ignores_resource_claims=False)) == ["plain", "with-claims"]


class TestSynced:
    def test_not_before_every_kind_is_listed(self) -> None:
        store = Store()
        for kind in SNAPSHOT_TYPES[:-1]:
            store.replace(kind, [])
        assert not store.snapshot(NOW).is_synced
        store.replace(SNAPSHOT_TYPES[-1], [])
        assert store.snapshot(NOW).is_synced

    def test_not_while_a_claim_waits_for_its_machine(self) -> None:
        store = listed()
        store.apply(NodeClaim, claim(provider_id=""))
        assert not store.is_synced
        store.apply(NodeClaim, claim(version=2))
        assert store.is_synced

    def test_not_while_a_created_claim_is_unseen(self) -> None:
        store = listed()
        store.claim_created(claim(provider_id=""), now=NOW)
        assert not store.is_synced

    def test_again_when_the_waiting_claim_has_gone(self) -> None:
        store = listed()
        store.apply(NodeClaim, claim(provider_id=""))
        store.apply(NodeClaim, claim(version=2, provider_id=""), is_deleted=True)
        assert store.is_synced


class TestPairing:
    def test_a_node_and_its_claim_are_one(self) -> None:
        store = listed()
        store.apply(NodeClaim, claim())
        store.apply(Node, node())
        (machine,) = store.snapshot(NOW).nodes
        assert machine.node == node()
        assert machine.claim == claim()

    def test_in_the_other_order_too(self) -> None:
        store = listed()
        store.apply(Node, node())
        assert store.snapshot(NOW).nodes[0].claim is None
        store.apply(NodeClaim, claim())
        (machine,) = store.snapshot(NOW).nodes
        assert machine.node == node()
        assert machine.claim == claim()

    def test_the_claim_stays_when_the_node_goes(self) -> None:
        store = listed()
        store.apply(NodeClaim, claim())
        store.apply(Node, node())
        store.apply(Node, node(version=2), is_deleted=True)
        (machine,) = store.snapshot(NOW).nodes
        assert machine.node is None
        assert machine.claim == claim()

    def test_a_managed_node_without_its_instance_type_is_not_looked_at_yet(self) -> None:
        store = listed()
        store.apply(NodeClaim, claim())
        store.apply(Node, node(labels={NODEPOOL: "default"}))
        (machine,) = store.snapshot(NOW).nodes
        assert machine.node is None
        store.apply(Node, node(version=2, labels={NODEPOOL: "default", INITIALIZED: "true"}))
        assert store.snapshot(NOW).nodes[0].node is not None

    def test_nodes_of_others_without_provider_id_are_kept_apart(self) -> None:
        store = listed()
        store.apply(Node, node("one", labels={}, provider_id=""))
        store.apply(Node, node("two", labels={}, provider_id=""))
        store.apply(NodeClaim, claim(provider_id=""))
        assert [each.name for each in store.snapshot(NOW).nodes] == ["a", "one", "two"]

    def test_two_nodes_with_one_id_are_both_seen(self) -> None:
        store = listed()
        store.apply(NodeClaim, claim())
        store.apply(Node, node("x"))
        store.apply(Node, node("w"))
        assert [(each.name, each.claim is not None) for each in store.snapshot(NOW).nodes] == [
            ("w", True),
            ("x", False),
        ]


class TestPods:
    def test_follow_their_node(self) -> None:
        store = listed()
        store.apply(Node, node("x", provider_id=""))
        store.apply(Node, node("y", provider_id=""))
        store.apply(Pod, pod("p"))
        assert [each.pods for each in store.snapshot(NOW).nodes] == [(), ()]
        bound = pod("p", 2, node_name="x")
        store.apply(Pod, bound)
        assert [each.pods for each in store.snapshot(NOW).nodes] == [(bound,), ()]
        store.apply(Pod, pod("p", 3, node_name="x"), is_deleted=True)
        assert [each.pods for each in store.snapshot(NOW).nodes] == [(), ()]

    def test_that_have_ended_take_no_room(self) -> None:
        store = listed()
        store.apply(Node, node("x", provider_id=""))
        store.apply(Pod, pod("p", node_name="x", phase="Running"))
        store.apply(Pod, pod("p", 2, node_name="x", phase="Succeeded"))
        snapshot = store.snapshot(NOW)
        assert snapshot.nodes[0].pods == ()
        assert len(snapshot.pods) == 1

    def test_bound_before_their_node_is_known(self) -> None:
        store = listed()
        bound = pod("p", node_name="x")
        store.apply(Pod, bound)
        store.apply(Node, node("x"))
        assert store.snapshot(NOW).nodes[0].pods == (bound,)


class TestStaleEvents:
    def test_a_late_event_does_not_bring_the_past_back(self) -> None:
        store = listed()
        store.apply(Pod, pod("p", 5, node_name="x"))
        assert not store.apply(Pod, pod("p", 4))
        assert store.snapshot(NOW).pods == (pod("p", 5, node_name="x"),)

    def test_a_late_event_does_not_raise_the_dead(self) -> None:
        store = listed()
        store.apply(Pod, pod("p", 5))
        store.apply(Pod, pod("p", 6), is_deleted=True)
        assert not store.apply(Pod, pod("p", 5))
        assert store.snapshot(NOW).pods == ()

    def test_the_end_of_a_former_object_of_the_same_name_is_not_the_end_of_this_one(self) -> None:
        store = listed()
        store.apply(Pod, pod("p", 9))
        assert not store.apply(Pod, pod("p", 6), is_deleted=True)
        assert len(store.snapshot(NOW).pods) == 1

    def test_a_list_tells_what_changed(self) -> None:
        store = listed()
        for name in ("kept", "changed", "gone"):
            store.apply(Pod, pod(name))
        changed = store.replace(Pod, [pod("kept"), pod("changed", 2, node_name="x"), pod("new")])
        assert changed == {"default/changed", "default/gone", "default/new"}


class TestInFlight:
    def test_a_created_claim_counts_until_it_is_seen(self) -> None:
        store = listed()
        store.claim_created(claim(provider_id=""), now=NOW)
        assert [each.name for each in store.snapshot(NOW).nodes] == ["a"]
        store.apply(NodeClaim, claim(version=2))
        assert [each.provider_id for each in store.snapshot(NOW).nodes] == [ID]
        store.apply(NodeClaim, claim(version=3), is_deleted=True)
        assert store.snapshot(NOW).nodes == ()

    def test_a_created_claim_that_is_never_seen_is_given_up(self) -> None:
        store = listed()
        store.claim_created(claim(provider_id=""), now=NOW)
        assert store.snapshot(NOW + timedelta(seconds=14)).nodes
        assert not store.snapshot(NOW + timedelta(seconds=15)).nodes
        assert store.is_synced

    def test_a_claim_whose_end_was_seen_first_does_not_count(self) -> None:
        store = listed()
        store.apply(NodeClaim, claim(version=3), is_deleted=True)
        store.claim_created(claim(version=2), now=NOW)
        assert store.snapshot(NOW).nodes == ()

    def test_a_mark_holds_for_node_and_claim_until_taken_back_or_gone(self) -> None:
        store = listed()
        store.apply(NodeClaim, claim())
        store.apply(Node, node())
        store.mark("ip-10-0-0-1")
        assert store.snapshot(NOW).nodes[0].is_deleting
        store.unmark("ip-10-0-0-1")
        assert not store.snapshot(NOW).nodes[0].is_deleting
        store.mark("a")
        assert store.snapshot(NOW).nodes[0].is_marked
        store.apply(NodeClaim, claim(version=2), is_deleted=True)
        store.apply(NodeClaim, claim(version=3))
        assert not store.snapshot(NOW).nodes[0].is_marked

    def test_a_loss_that_was_announced_holds_for_its_time_whoever_takes_a_mark_back(self) -> None:
        store = listed()
        store.apply(NodeClaim, claim())
        store.doom("a", now=NOW)
        store.unmark("a")
        assert store.snapshot(NOW + timedelta(minutes=9)).nodes[0].is_deleting
        assert not store.snapshot(NOW + timedelta(minutes=10)).nodes[0].is_deleting
        store.doom("a", now=NOW)
        store.apply(NodeClaim, claim(version=2), is_deleted=True)
        store.apply(NodeClaim, claim(version=3))
        assert not store.snapshot(NOW).nodes[0].is_marked

    def test_a_nomination_ends_with_its_window(self) -> None:
        store = listed()
        store.apply(NodeClaim, claim())
        store.nominate("a", now=NOW)
        assert store.snapshot(NOW).nodes[0].nominated_until == NOW + timedelta(seconds=20)
        assert store.snapshot(NOW + timedelta(seconds=20)).nodes[0].nominated_until is None

    def test_a_nominated_claim_is_still_nominated_as_a_node(self) -> None:
        store = listed()
        store.apply(NodeClaim, claim())
        store.nominate("a", now=NOW)
        store.apply(Node, node())
        (machine,) = store.snapshot(NOW).nodes
        assert machine.name == "ip-10-0-0-1"
        assert machine.nominated_until is not None

    def test_the_window_is_twice_the_longest_batch_and_not_under_ten_seconds(self) -> None:
        assert nomination_window(timedelta(seconds=10)) == timedelta(seconds=20)
        assert nomination_window(timedelta(seconds=3)) == timedelta(seconds=10)


def test_a_snapshot_does_not_change_afterwards() -> None:
    store = listed()
    store.apply(Node, node("x", provider_id=""))
    store.apply(PersistentVolume, PersistentVolume(meta("v")))
    before = store.snapshot(NOW)
    kept = replace(before)
    store.apply(Node, node("y", provider_id=""))
    store.apply(Pod, pod("p", node_name="x"))
    store.apply(PersistentVolume, PersistentVolume(meta("w")))
    assert before == kept
    assert [each.name for each in before.nodes] == ["x"]
    assert list(before.storage.volumes) == ["v"]


def test_other_kinds_are_kept_and_found() -> None:
    store = Store(types=(Node,))
    store.apply(NodePool, NodePool(meta("default")))
    assert store.get(NodePool, "default") is not None
    assert store.get(NodePool, "other") is None
    assert [each.name for each in store.all(NodePool)] == ["default"]


class TestPodsOfANode:
    def test_a_mark_and_a_promise_outlast_a_pod_that_changes(self) -> None:
        store = listed()
        store.apply(Node, node())
        store.mark("ip-10-0-0-1")
        store.nominate("ip-10-0-0-1", now=NOW)
        store.snapshot(NOW)
        store.apply(Pod, pod("p", 1, "ip-10-0-0-1"))
        [state] = store.snapshot(NOW).nodes
        assert [each.meta.name for each in state.pods] == ["p"]
        assert state.is_marked
        assert state.nominated_until is not None

    def test_a_pod_may_change_after_its_node_has_gone(self) -> None:
        store = listed()
        store.apply(Node, node())
        store.apply(Pod, pod("p", 1, "ip-10-0-0-1"))
        store.snapshot(NOW)
        store.apply(Node, node(version=2), is_deleted=True)
        store.snapshot(NOW)
        store.apply(Pod, pod("p", 2, "ip-10-0-0-1"))
        assert store.snapshot(NOW).nodes == ()

    def test_a_node_that_is_taken_over_shows_its_pods_once(self) -> None:
        store = listed()
        store.apply(Node, node())
        store.apply(Pod, pod("p", 1, "ip-10-0-0-1"))
        store.snapshot(NOW)
        store.apply(NodeClaim, claim())
        store.snapshot(NOW)
        store.apply(Pod, pod("p", 2, "ip-10-0-0-1"))
        [state] = store.snapshot(NOW).nodes
        assert state.claim is not None
        assert [each.meta.resource_version for each in state.pods] == ["2"]


class TestTable:
    def test_only_so_many_deletions_are_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("nodesmith.state.table.TOMBSTONES", 2)
        table: Table[Pod] = Table()
        for name in ("a", "b", "c"):
            table.drop(meta(name, 5))
        assert [table.has_gone_since(meta(name, 5)) for name in ("a", "b", "c")] == [False, True, True]

    def test_items_are_in_the_order_of_their_keys(self) -> None:
        names = [f"p{number:03}" for number in range(40)]
        table: Table[Pod] = Table()
        for name in reversed(names):
            table.put("default/" + name, pod(name))
        assert [each.meta.name for each in table.items()] == names

    def test_objects_without_a_version_are_taken_as_they_come(self) -> None:
        table: Table[Pod] = Table()
        unversioned = Pod(ObjectMeta("p"), PodSpec())
        assert table.put("p", unversioned)
        assert table.put("p", Pod(ObjectMeta("p"), PodSpec(), "x"))
        assert table.drop(ObjectMeta("p")) is not None
        assert table.put("p", unversioned)

    def test_what_came_and_went_between_two_looks_leaves_no_trace(self) -> None:
        table: Table[Pod] = Table()
        table.put("default/p", pod("p"))
        table.drop(meta("p", 2, "default"))
        assert table.items() == ()


class TestStateNode:
    def test_an_unregistered_node_shows_the_claims_labels_over_its_own(self) -> None:
        store = listed()
        store.apply(NodeClaim, NodeClaim(meta("a", labels={NODEPOOL: "default", "team": "claim"}), provider_id=ID))
        store.apply(Node, node(labels={NODEPOOL: "default", INSTANCE_TYPE: "t", "team": "node", "own": "yes"}))
        (machine,) = store.snapshot(NOW).nodes
        assert (machine.labels["team"], machine.labels["own"]) == ("claim", "yes")

    def test_an_unmanaged_node_leaves_when_it_is_deleted(self) -> None:
        store = listed()
        going = Node(ObjectMeta("x", resource_version="1", deleted_at=NOW))
        store.apply(Node, going)
        assert store.snapshot(NOW).nodes[0].is_deleting

    def test_a_claim_alone_goes_by_its_name(self) -> None:
        store = listed()
        store.apply(NodeClaim, claim(provider_id=""))
        (machine,) = store.snapshot(NOW).nodes
        assert machine.labels["kubernetes.io/hostname"] == "a"
        assert machine.provider_id == ""


def test_the_generation_grows_with_what_a_snapshot_shows_and_stands_still_else() -> None:
    store, heard = listed(), list[int]()
    store.listen(lambda: heard.append(1))
    before = store.generation(NOW)
    store.snapshot(NOW)
    assert store.generation(NOW + timedelta(hours=1)) == before
    store.apply(NodeClaim, claim())
    grown = store.generation(NOW)
    assert grown > before
    store.apply(NodeClaim, claim())
    assert store.generation(NOW) == grown, "what was known is no news"
    store.nominate("a", now=NOW)
    promised = store.generation(NOW)
    assert promised > grown
    assert store.generation(NOW + timedelta(minutes=5)) > promised, "a promise ends by itself"
    assert len(heard) == store.generation(NOW + timedelta(minutes=5)) - before


def test_a_snapshot_of_an_unchanged_store_differs_in_its_time_only() -> None:
    store = listed()
    store.apply(NodeClaim, claim())
    first, second = store.snapshot(NOW), store.snapshot(NOW + timedelta(minutes=1))
    assert second.taken_at == NOW + timedelta(minutes=1)
    assert replace(second, taken_at=NOW) == first
    assert second.nodes is first.nodes


def test_a_list_that_says_what_was_known_is_no_news() -> None:
    store = Store((Pod,))
    store.replace(Pod, [pod("a"), pod("b")])
    before, known = store.generation(NOW), store.all(Pod)
    assert store.replace(Pod, [pod("b"), pod("a")]) == frozenset()
    assert store.generation(NOW) == before
    assert all(map(is_, store.all(Pod), known)), "they are the values that they were"
    assert store.replace(Pod, [pod("a")]) == {"default/b"}
    assert store.generation(NOW) > before
