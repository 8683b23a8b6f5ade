"""What the memory adapters do beyond their contracts: bookmarks, lag, faults, admission, hidden messages."""

import asyncio
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from nodesmith.adapters.memory.catalog import catalog
from nodesmith.adapters.memory.cloud import MemoryCloud, Timing
from nodesmith.adapters.memory.cluster import MemoryCluster
from nodesmith.adapters.memory.eviction import evict
from nodesmith.adapters.memory.faults import Fault, Faults
from nodesmith.adapters.memory.objects import generated_name, merge, new_uid
from nodesmith.adapters.memory.queue import MemoryQueue
from nodesmith.adapters.memory.recording import RecordedEvents, RecordedMetrics
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import (
    CONFIG_MAP,
    NAMESPACE,
    NODE_POOL,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    PRIORITY_CLASS,
    STORAGE_CLASS,
)
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.ports.cluster import ChangeType
from nodesmith.ports.errors import EvictionBlocked, Expired, NotFound, Refused, Unavailable
from nodesmith.ports.events import Event, ObjectReference
from nodesmith.ports.queue import InterruptionKind
from nodesmith.sim.clock import VirtualClock, run


def cluster_on(clock: VirtualClock, faults: Faults | None = None, **options: Any) -> MemoryCluster:
    return MemoryCluster(ApiServer(clock.now, random.Random(1), **options), clock, faults=faults)


def note(name: str = "a", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


class TestWatch:
    def test_bookmarks_come_while_nothing_happens(self) -> None:
        async def main(clock: VirtualClock) -> None:
            cluster = cluster_on(clock)
            since = (await cluster.list(CONFIG_MAP)).resource_version
            await cluster.create(POD, {"metadata": {"name": "p"}})
            change = await anext(cluster.watch(CONFIG_MAP, since=since))
            assert (change.type, change.value) == (ChangeType.BOOKMARK, None)
            assert change.resource_version == (await cluster.list(CONFIG_MAP)).resource_version
            assert clock.monotonic() == 60

        run(main)

    def test_who_falls_behind_has_to_list_again(self) -> None:
        async def main(clock: VirtualClock) -> None:
            cluster = cluster_on(clock, keep=3)
            changes = cluster.watch(CONFIG_MAP, since="0")
            cluster.server.create(CONFIG_MAP, note("first"))
            assert (await anext(changes)).value is not None
            for number in range(5):
                cluster.server.create(CONFIG_MAP, note(f"n-{number}"))
            with pytest.raises(Expired):
                await anext(changes)

        run(main)

    def test_a_lagging_watch_tells_late_but_all(self) -> None:
        async def main(clock: VirtualClock) -> None:
            faults = Faults(random.Random(1), watch_lag=timedelta(seconds=3))
            cluster = cluster_on(clock, faults)
            changes = cluster.watch(CONFIG_MAP, since="0")
            for name in ("a", "b"):
                cluster.server.create(CONFIG_MAP, note(name))
            assert [(await anext(changes)).type for _ in range(2)] == [ChangeType.ADDED] * 2
            assert clock.monotonic() == 3

        run(main)

    def test_a_cut_watch_ends(self) -> None:
        async def main(clock: VirtualClock) -> None:
            cluster = cluster_on(clock, Faults(random.Random(1), watch_cut=1.0))
            assert [change async for change in cluster.watch(CONFIG_MAP, since="0")] == []

        run(main)


class TestFaults:
    def test_a_call_fails_as_often_as_it_was_told_to(self) -> None:
        async def main(clock: VirtualClock) -> None:
            rule = Fault(verbs={"create"}, kinds={"ConfigMap"}, times=1)
            cluster = cluster_on(clock, Faults(random.Random(1), rule))
            with pytest.raises(Unavailable):
                await cluster.create(CONFIG_MAP, note())
            await cluster.create(CONFIG_MAP, note())

        run(main)

    def test_a_lost_answer_has_acted(self) -> None:
        async def main(clock: VirtualClock) -> None:
            cluster = cluster_on(clock, Faults(random.Random(1), Fault(after=True, times=1)))
            with pytest.raises(Unavailable):
                await cluster.create(CONFIG_MAP, note())
            assert (await cluster.get(CONFIG_MAP, "a", namespace="default"))["metadata"]["name"] == "a"

        run(main)

    def test_calls_take_their_time(self) -> None:
        async def main(clock: VirtualClock) -> None:
            latency = (timedelta(seconds=1), timedelta(seconds=2))
            cluster = cluster_on(clock, Faults(random.Random(1), latency=latency))
            await cluster.list(CONFIG_MAP)
            assert 1 <= clock.monotonic() <= 2

        run(main)

    def test_the_same_seed_fails_the_same_calls(self) -> None:
        def failures() -> list[int]:
            faults = Faults(random.Random(7), Fault(probability=0.3))
            failed = []
            for number in range(50):
                try:
                    faults.strike("get", "Pod")
                except Unavailable:
                    failed.append(number)
            return failed

        assert failures() == failures()
        assert 0 < len(failures()) < 50


class TestAdmission:
    def test_a_pod_gets_its_defaults_and_the_priority_of_its_class(self) -> None:
        server = cluster_on(VirtualClock()).server
        server.create(PRIORITY_CLASS, {"metadata": {"name": "high"}, "value": 1000})
        made = server.create(POD, {"metadata": {"name": "p"}, "spec": {"priorityClassName": "high"}})
        assert (made["spec"]["priority"], made["spec"]["terminationGracePeriodSeconds"]) == (1000, 30)
        assert [each["tolerationSeconds"] for each in made["spec"]["tolerations"]] == [300, 300]
        with pytest.raises(Refused):
            server.create(POD, {"metadata": {"name": "q"}, "spec": {"priorityClassName": "unknown"}})

    def test_a_volume_claim_gets_the_default_class(self) -> None:
        server = cluster_on(VirtualClock()).server
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        server.create(STORAGE_CLASS, {"metadata": {"name": "gp3", "annotations": default}})
        made = server.create(PERSISTENT_VOLUME_CLAIM, {"metadata": {"name": "data"}})
        assert made["spec"]["storageClassName"] == "gp3"

    def test_the_hook_may_change_or_refuse(self) -> None:
        def hook(kind: Kind[Any], manifest: Manifest, before: Manifest | None) -> Manifest:
            if manifest.get("data") == {"bad": "yes"}:
                raise Refused("bad")
            return {**manifest, "immutable": before is not None}

        server = cluster_on(VirtualClock(), admission=hook).server
        assert server.create(CONFIG_MAP, note())["immutable"] is False
        assert server.patch(CONFIG_MAP, "a", {"data": {"x": "y"}}, namespace="default")["immutable"] is True
        with pytest.raises(Refused):
            server.create(CONFIG_MAP, note("b", bad="yes"))

    def test_a_kind_whose_definition_is_missing_is_not_found(self) -> None:
        server = cluster_on(VirtualClock(), kinds=(NAMESPACE, CONFIG_MAP)).server
        with pytest.raises(NotFound):
            server.list(NODE_POOL)

    def test_a_dependent_of_nobody_does_not_live(self) -> None:
        server = cluster_on(VirtualClock()).server
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "no-such-uid"}
        server.create(CONFIG_MAP, {"metadata": {"name": "orphan", "ownerReferences": [owner]}})
        assert server.find(CONFIG_MAP, "orphan", namespace="default") is None


class TestObjects:
    @pytest.mark.parametrize(
        ("target", "patch", "result"),
        [
            ({"a": "b"}, {"a": "c"}, {"a": "c"}),
            ({"a": "b"}, {"a": None}, {}),
            ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
            ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
            ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
            (["a", "b"], ["c", "d"], ["c", "d"]),
            ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
            ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
            ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ],
    )
    def test_merging_is_as_the_rfc_says(self, target: Any, patch: Any, result: Mapping[str, Any]) -> None:
        assert merge(target, patch) == result

    def test_names_and_uids_come_from_the_seed(self) -> None:
        assert generated_name("pool-", random.Random(3)) == generated_name("pool-", random.Random(3))
        uid = new_uid(random.Random(3))
        assert uid[14] == "4"
        assert uid[19] in "89ab"
        assert [len(part) for part in uid.split("-")] == [8, 4, 4, 4, 12]


class TestQueue:
    def test_a_message_comes_until_it_is_deleted(self) -> None:
        async def main(clock: VirtualClock) -> None:
            queue = MemoryQueue(clock)
            queue.send(InterruptionKind.SPOT_INTERRUPTED, "i-1")
            (message,) = await queue.receive()
            assert message.instance_ids == ("i-1",)
            assert await queue.receive() == []
            assert clock.monotonic() == 20
            (again,) = await queue.receive()
            assert again == message
            assert clock.monotonic() == pytest.approx(30)
            await queue.delete([again.receipt])
            assert await queue.receive() == []

        run(main)

    def test_who_waits_hears_at_once(self) -> None:
        async def main(clock: VirtualClock) -> None:
            queue = MemoryQueue(clock)
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(queue.receive())
                await clock.sleep(timedelta(seconds=5))
                queue.send(InterruptionKind.NO_OP)
            assert len(waiting.result()) == 1
            assert clock.monotonic() == 5

        run(main)


def test_machines_take_time_to_come_and_to_go() -> None:
    async def main(clock: VirtualClock) -> None:
        timing = Timing(pending=timedelta(seconds=10), shutting_down=timedelta(seconds=30))
        cloud = MemoryCloud(catalog(), clock, random.Random(1), timing=timing)
        heard: list[str] = []
        cloud.listen(heard.append)
        made = await cloud.create(NodeClaim(meta=ObjectMeta("a", uid="u")))
        states = [cloud.state_of(made.provider_id)]
        await clock.sleep(timedelta(seconds=10))
        states.append(cloud.state_of(made.provider_id))
        await cloud.delete(made.provider_id)
        states.append(cloud.state_of(made.provider_id))
        await clock.sleep(timedelta(seconds=30))
        states.append(cloud.state_of(made.provider_id))
        assert states == ["pending", "running", "shutting-down", "terminated"]
        assert heard == [made.provider_id] * 2

    run(main)


def test_a_pool_that_was_avoided_is_offered_again() -> None:
    async def main(clock: VirtualClock) -> None:
        cloud = MemoryCloud(catalog(), clock, random.Random(1))
        first = await cloud.create(NodeClaim(meta=ObjectMeta("a", uid="1")))
        pool = (first.instance_type, first.zone, first.capacity_type)
        cloud.mark_unavailable(instance_type=pool[0], zone=pool[1], capacity_type=pool[2])
        second = await cloud.create(NodeClaim(meta=ObjectMeta("b", uid="2")))
        assert (second.instance_type, second.zone, second.capacity_type) != pool
        await clock.sleep(timedelta(minutes=3))
        third = await cloud.create(NodeClaim(meta=ObjectMeta("c", uid="3")))
        assert (third.instance_type, third.zone, third.capacity_type) == pool

    run(main)


def test_what_was_told_and_counted_is_kept() -> None:
    events, metrics = RecordedEvents(VirtualClock()), RecordedMetrics()
    events.publish(Event(ObjectReference("v1", "Pod", "p"), "Evicted", "gone"))
    assert events.reasons() == ["Evicted"]
    metrics.count("made", pool="a", zone="x")
    metrics.count("made", 2, pool="a", zone="y")
    metrics.set("there", 3, pool="a")
    metrics.observe("took", 0.5)
    assert metrics.total("made", pool="a") == 3
    assert metrics.gauges == {("there", (("pool", "a"),)): 3}
    assert metrics.observations == {("took", ()): [0.5]}


class TestUnreadyPods:
    """By policy, or because enough others are healthy, a pod that is not ready takes nothing from its budget."""

    def evicted(self, status: dict[str, Any], **spec: Any) -> bool:
        server = cluster_on(VirtualClock()).server
        server.create(POD, {"metadata": {"name": "p", "labels": {"app": "a"}}})
        server.bind("p", "node", namespace="default")
        server.patch(POD, "p", {"status": {"phase": "Running"}}, namespace="default", subresource="status")
        budget = {"selector": {"matchLabels": {"app": "a"}}, "minAvailable": 2, **spec}
        server.create(POD_DISRUPTION_BUDGET, {"metadata": {"name": "guard"}, "spec": budget})
        patch = {"status": {"observedGeneration": 1, "disruptionsAllowed": 0, **status}}
        server.patch(POD_DISRUPTION_BUDGET, "guard", patch, namespace="default", subresource="status")
        try:
            evict(server, "p", namespace="default")
        except EvictionBlocked:
            return False
        return True

    def test_always_allowed(self) -> None:
        assert self.evicted({"currentHealthy": 1, "desiredHealthy": 2}, unhealthyPodEvictionPolicy="AlwaysAllow")

    def test_allowed_while_the_budget_is_healthy(self) -> None:
        assert self.evicted({"currentHealthy": 2, "desiredHealthy": 2})
        assert not self.evicted({"currentHealthy": 1, "desiredHealthy": 2})
