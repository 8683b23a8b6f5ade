"""What every `Cluster` does, in memory or real. A subclass gives the `harness` fixture; its tests are these."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import pytest

from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import CONFIG_MAP, DEPLOYMENT, NODE, POD, POD_DISRUPTION_BUDGET
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.pod import Pod
from nodesmith.ports.cluster import Change, ChangeType
from nodesmith.ports.errors import AlreadyExists, Conflict, EvictionBlocked, Expired, NotFound, Refused
from tests.contract.harness import ClusterHarness

T = TypeVar("T")
Raw = dict[str, Any]

PATIENCE_S = 30.0


def config_map(name: str, namespace: str, **metadata: Any) -> Raw:
    return {"metadata": {"name": name, "namespace": namespace, **metadata}, "data": {"colour": "green"}}


def pod(name: str, namespace: str, *, grace_s: int = 30, **labels: str) -> Raw:
    spec = {"terminationGracePeriodSeconds": grace_s, "containers": [{"name": "main", "image": "example/app:1"}]}
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": spec}


def deployment(name: str, namespace: str) -> Raw:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": pod(name, namespace)["spec"] | {"restartPolicy": "Always"},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def meta_of(manifest: Manifest) -> Raw:
    return dict(manifest["metadata"])


async def take(changes: AsyncGenerator[Change[T], None], count: int) -> list[Change[T]]:
    """The next changes of a watch that are not bookmarks."""
    taken: list[Change[T]] = []
    async with asyncio.timeout(PATIENCE_S), aclosing(changes):
        async for change in changes:
            if change.type is not ChangeType.BOOKMARK:
                taken.append(change)
            if len(taken) == count:
                break
    return taken


async def eventually(question: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await question():  # noqa: ASYNC110 - a cluster can only be asked again
            await asyncio.sleep(0.05)


class ClusterContract:
    """Inherit and provide `harness`."""

    # --- creating and reading ---

    async def test_a_created_object_has_identity(self, harness: ClusterHarness) -> None:
        made = await harness.cluster.create(CONFIG_MAP, config_map("a", harness.namespace))
        assert meta_of(made)["uid"]
        assert int(meta_of(made)["resourceVersion"]) > 0
        assert meta_of(made)["creationTimestamp"].endswith("Z")
        read = await harness.cluster.get(CONFIG_MAP, "a", namespace=harness.namespace)
        assert read["data"] == {"colour": "green"}
        assert meta_of(read)["uid"] == meta_of(made)["uid"]

    async def test_a_name_is_given_once(self, harness: ClusterHarness) -> None:
        await harness.cluster.create(CONFIG_MAP, config_map("a", harness.namespace))
        with pytest.raises(AlreadyExists):
            await harness.cluster.create(CONFIG_MAP, config_map("a", harness.namespace))

    async def test_names_are_generated(self, harness: ClusterHarness) -> None:
        manifest = {"metadata": {"generateName": "pool-", "namespace": harness.namespace}}
        names = {meta_of(await harness.cluster.create(CONFIG_MAP, manifest))["name"] for _ in range(3)}
        assert len(names) == 3
        assert all(name.startswith("pool-") and len(name) == len("pool-") + 5 for name in names)

    async def test_what_is_not_there_is_not_found(self, harness: ClusterHarness) -> None:
        with pytest.raises(NotFound):
            await harness.cluster.get(CONFIG_MAP, "nobody", namespace=harness.namespace)
        with pytest.raises(NotFound):
            await harness.cluster.patch(CONFIG_MAP, "nobody", {"data": {"a": "b"}}, namespace=harness.namespace)
        with pytest.raises(NotFound):
            await harness.cluster.delete(CONFIG_MAP, "nobody", namespace=harness.namespace)
        with pytest.raises(NotFound):
            await harness.cluster.create(CONFIG_MAP, config_map("a", harness.unique("nowhere")))

    async def test_a_list_has_all_of_a_kind(self, harness: ClusterHarness) -> None:
        for name in ("b", "a"):
            await harness.cluster.create(CONFIG_MAP, config_map(name, harness.namespace))
        listing = await harness.cluster.list(CONFIG_MAP)
        names = [meta_of(each)["name"] for each in listing.items if meta_of(each)["namespace"] == harness.namespace]
        assert [name for name in names if name in {"a", "b"}] == ["a", "b"]
        assert int(listing.resource_version) > 0

    # --- patching ---

    async def test_a_patch_merges_maps_drops_nulls_and_replaces_lists(self, harness: ClusterHarness) -> None:
        manifest = config_map("a", harness.namespace, labels={"keep": "1", "drop": "1"}, finalizers=["x.example/a"])
        made = await harness.cluster.create(CONFIG_MAP, manifest)
        patch = {"metadata": {"labels": {"drop": None, "add": "2"}, "finalizers": ["x.example/b"]}}
        after = meta_of(await harness.cluster.patch(CONFIG_MAP, "a", patch, namespace=harness.namespace))
        assert after["labels"] == {"keep": "1", "add": "2"}
        assert after["finalizers"] == ["x.example/b"]
        assert after["uid"] == meta_of(made)["uid"]
        assert int(after["resourceVersion"]) > int(meta_of(made)["resourceVersion"])

    async def test_a_patch_that_changes_nothing_is_no_change(self, harness: ClusterHarness) -> None:
        made = await harness.cluster.create(CONFIG_MAP, config_map("a", harness.namespace))
        after = await harness.cluster.patch(CONFIG_MAP, "a", {"data": made["data"]}, namespace=harness.namespace)
        assert meta_of(after)["resourceVersion"] == meta_of(made)["resourceVersion"]

    async def test_a_patch_of_another_version_conflicts(self, harness: ClusterHarness) -> None:
        made = await harness.cluster.create(CONFIG_MAP, config_map("a", harness.namespace))
        seen = meta_of(made)["resourceVersion"]
        red, blue = {"data": {"colour": "red"}}, {"data": {"colour": "blue"}}
        await harness.cluster.patch(CONFIG_MAP, "a", red, namespace=harness.namespace, resource_version=seen)
        with pytest.raises(Conflict):
            await harness.cluster.patch(CONFIG_MAP, "a", blue, namespace=harness.namespace, resource_version=seen)

    async def test_the_generation_counts_changes_of_the_spec(self, harness: ClusterHarness) -> None:
        cluster, namespace = harness.cluster, harness.namespace
        made = await cluster.create(DEPLOYMENT, deployment("a", namespace))
        assert meta_of(made)["generation"] == 1
        labelled = await cluster.patch(DEPLOYMENT, "a", {"metadata": {"labels": {"x": "y"}}}, namespace=namespace)
        assert meta_of(labelled)["generation"] == 1
        scaled = await cluster.patch(DEPLOYMENT, "a", {"spec": {"replicas": 2}}, namespace=namespace)
        assert meta_of(scaled)["generation"] == 2

    async def test_the_status_is_its_own_resource(self, harness: ClusterHarness) -> None:
        cluster, namespace = harness.cluster, harness.namespace
        await cluster.create(DEPLOYMENT, deployment("a", namespace))
        both = {"spec": {"replicas": 5}, "status": {"replicas": 3}}
        after = await cluster.patch(DEPLOYMENT, "a", both, namespace=namespace, subresource="status")
        assert (after["spec"]["replicas"], after["status"]["replicas"]) == (1, 3)
        assert meta_of(after)["generation"] == 1
        after = await cluster.patch(
            DEPLOYMENT, "a", {"spec": {"replicas": 5}, "status": {"replicas": 4}}, namespace=namespace
        )
        assert (after["spec"]["replicas"], after["status"]["replicas"]) == (5, 3)

    async def test_a_new_node_is_not_ready(self, harness: ClusterHarness) -> None:
        name = harness.unique("node")
        spec = {"providerID": f"aws:///z/{name}"}
        made = await harness.cluster.create(NODE, {"metadata": {"name": name}, "spec": spec})
        assert [str(taint) for taint in made.taints] == ["node.kubernetes.io/not-ready:NoSchedule"]
        assert made.provider_id == spec["providerID"]
        await harness.cluster.delete(NODE, name)

    # --- deleting ---

    async def test_a_deleted_object_is_gone(self, harness: ClusterHarness) -> None:
        await harness.cluster.create(CONFIG_MAP, config_map("a", harness.namespace))
        await harness.cluster.delete(CONFIG_MAP, "a", namespace=harness.namespace)
        with pytest.raises(NotFound):
            await harness.cluster.get(CONFIG_MAP, "a", namespace=harness.namespace)

    async def test_only_the_object_that_was_meant_is_deleted(self, harness: ClusterHarness) -> None:
        made = await harness.cluster.create(CONFIG_MAP, config_map("a", harness.namespace))
        other = "00000000-0000-4000-8000-000000000000"
        with pytest.raises(Conflict):
            await harness.cluster.delete(CONFIG_MAP, "a", namespace=harness.namespace, uid=other)
        await harness.cluster.delete(CONFIG_MAP, "a", namespace=harness.namespace, uid=meta_of(made)["uid"])

    async def test_finalizers_hold_an_object_until_the_last_is_gone(self, harness: ClusterHarness) -> None:
        cluster, namespace = harness.cluster, harness.namespace
        await cluster.create(CONFIG_MAP, config_map("a", namespace, finalizers=["x.example/a", "x.example/b"]))
        await cluster.delete(CONFIG_MAP, "a", namespace=namespace)
        held = meta_of(await cluster.get(CONFIG_MAP, "a", namespace=namespace))
        assert held["deletionTimestamp"]
        await cluster.delete(CONFIG_MAP, "a", namespace=namespace)
        again = meta_of(await cluster.get(CONFIG_MAP, "a", namespace=namespace))
        assert again["deletionTimestamp"] == held["deletionTimestamp"]
        one_left = {"metadata": {"finalizers": ["x.example/b"]}}
        await cluster.patch(CONFIG_MAP, "a", one_left, namespace=namespace)
        await cluster.patch(CONFIG_MAP, "a", {"metadata": {"finalizers": None}}, namespace=namespace)
        with pytest.raises(NotFound):
            await cluster.get(CONFIG_MAP, "a", namespace=namespace)

    async def test_a_going_object_takes_no_new_finalizers(self, harness: ClusterHarness) -> None:
        cluster, namespace = harness.cluster, harness.namespace
        await cluster.create(CONFIG_MAP, config_map("a", namespace, finalizers=["x.example/a"]))
        await cluster.delete(CONFIG_MAP, "a", namespace=namespace)
        more = {"metadata": {"finalizers": ["x.example/a", "x.example/b"]}}
        with pytest.raises(Refused):
            await cluster.patch(CONFIG_MAP, "a", more, namespace=namespace)
        await cluster.patch(CONFIG_MAP, "a", {"metadata": {"finalizers": None}}, namespace=namespace)

    async def test_dependents_follow_their_last_owner(self, harness: ClusterHarness) -> None:
        if not harness.collects_garbage:
            return
        cluster, namespace = harness.cluster, harness.namespace
        owners = []
        for name in ("one", "two"):
            made = meta_of(await cluster.create(CONFIG_MAP, config_map(name, namespace)))
            owners.append({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": made["uid"]})
        await cluster.create(CONFIG_MAP, config_map("child", namespace, ownerReferences=owners))

        async def is_left_with_one_owner() -> bool:
            child = meta_of(await cluster.get(CONFIG_MAP, "child", namespace=namespace))
            return [owner["name"] for owner in child["ownerReferences"]] == ["two"]

        async def is_gone() -> bool:
            listing = await cluster.list(CONFIG_MAP)
            return all(
                (meta_of(each)["namespace"], meta_of(each)["name"]) != (namespace, "child") for each in listing.items
            )

        await cluster.delete(CONFIG_MAP, "one", namespace=namespace)
        await eventually(is_left_with_one_owner)
        await cluster.delete(CONFIG_MAP, "two", namespace=namespace)
        await eventually(is_gone)

    # --- pods ---

    async def test_a_pod_without_a_node_goes_at_once(self, harness: ClusterHarness) -> None:
        made = await harness.cluster.create(POD, pod("a", harness.namespace))
        assert (made.phase, made.node_name) == ("Pending", "")
        await harness.cluster.delete(POD, "a", namespace=harness.namespace)
        with pytest.raises(NotFound):
            await harness.cluster.get(POD, "a", namespace=harness.namespace)

    async def test_a_bound_pod_is_given_its_grace(self, harness: ClusterHarness) -> None:
        cluster, namespace = harness.cluster, harness.namespace
        await self._running(harness, pod("a", namespace, grace_s=120))
        await cluster.delete(POD, "a", namespace=namespace)
        going = await cluster.get(POD, "a", namespace=namespace)
        assert going.meta.is_deleting
        await cluster.delete(POD, "a", namespace=namespace, grace_period_s=600)
        assert (await cluster.get(POD, "a", namespace=namespace)).meta.deleted_at == going.meta.deleted_at
        await cluster.delete(POD, "a", namespace=namespace, grace_period_s=60)
        sooner = await cluster.get(POD, "a", namespace=namespace)
        assert sooner.meta.deleted_at is not None
        assert going.meta.deleted_at is not None
        assert 55 <= (going.meta.deleted_at - sooner.meta.deleted_at).total_seconds() <= 65
        await cluster.delete(POD, "a", namespace=namespace, grace_period_s=0)
        with pytest.raises(NotFound):
            await cluster.get(POD, "a", namespace=namespace)

    async def test_a_pod_is_bound_once(self, harness: ClusterHarness) -> None:
        await harness.cluster.create(POD, pod("a", harness.namespace))
        await harness.bind("a", "node-1", namespace=harness.namespace)
        assert (await harness.cluster.get(POD, "a", namespace=harness.namespace)).node_name == "node-1"
        with pytest.raises(Conflict):
            await harness.bind("a", "node-2", namespace=harness.namespace)

    # --- eviction ---

    async def test_a_pod_without_a_budget_may_be_evicted(self, harness: ClusterHarness) -> None:
        made = await self._running(harness, pod("a", harness.namespace, app="a"))
        await harness.cluster.evict("a", namespace=harness.namespace, uid=made.meta.uid)
        assert (await harness.cluster.get(POD, "a", namespace=harness.namespace)).meta.is_deleting

    async def test_only_the_pod_that_was_meant_is_evicted(self, harness: ClusterHarness) -> None:
        await self._running(harness, pod("a", harness.namespace, app="a"))
        with pytest.raises(Conflict):
            await harness.cluster.evict("a", namespace=harness.namespace, uid="00000000-0000-4000-8000-000000000000")
        with pytest.raises(NotFound):
            await harness.cluster.evict("b", namespace=harness.namespace, uid="")

    async def test_a_budget_lets_as_many_go_as_it_says(self, harness: ClusterHarness) -> None:
        pods = [await self._running(harness, pod(name, harness.namespace, app="a")) for name in ("a", "b")]
        await self._budget(harness, "guard", allowed=1)
        await harness.cluster.evict("a", namespace=harness.namespace, uid=pods[0].meta.uid)
        with pytest.raises(EvictionBlocked):
            await harness.cluster.evict("b", namespace=harness.namespace, uid=pods[1].meta.uid)
        assert not (await harness.cluster.get(POD, "b", namespace=harness.namespace)).meta.is_deleting
        budget = await harness.cluster.get(POD_DISRUPTION_BUDGET, "guard", namespace=harness.namespace)
        assert budget.disruptions_allowed == 0

    async def test_a_budget_that_nobody_has_counted_yet_lets_nothing_go(self, harness: ClusterHarness) -> None:
        made = await self._running(harness, pod("a", harness.namespace, app="a"))
        await self._budget(harness, "guard", allowed=None)
        with pytest.raises(EvictionBlocked):
            await harness.cluster.evict("a", namespace=harness.namespace, uid=made.meta.uid)

    async def test_a_pod_under_two_budgets_cannot_be_evicted(self, harness: ClusterHarness) -> None:
        made = await self._running(harness, pod("a", harness.namespace, app="a"))
        await self._budget(harness, "one", allowed=1)
        await self._budget(harness, "two", allowed=1)
        with pytest.raises(Refused):
            await harness.cluster.evict("a", namespace=harness.namespace, uid=made.meta.uid)

    async def test_budgets_do_not_protect_pods_that_have_not_begun(self, harness: ClusterHarness) -> None:
        made = await harness.cluster.create(POD, pod("a", harness.namespace, app="a"))
        await self._budget(harness, "guard", allowed=0)
        await harness.cluster.evict("a", namespace=harness.namespace, uid=made.meta.uid)
        with pytest.raises(NotFound):
            await harness.cluster.get(POD, "a", namespace=harness.namespace)

    # --- watching ---

    async def test_a_watch_tells_what_happened_after_the_list(self, harness: ClusterHarness) -> None:
        cluster, namespace = harness.cluster, harness.namespace
        await cluster.create(CONFIG_MAP, config_map("before", namespace))
        since = (await cluster.list(CONFIG_MAP)).resource_version
        await cluster.create(CONFIG_MAP, config_map("a", namespace))
        await cluster.patch(CONFIG_MAP, "a", {"data": {"colour": "red"}}, namespace=namespace)
        await cluster.delete(CONFIG_MAP, "a", namespace=namespace)
        changes = await take(self._here(harness, CONFIG_MAP, since), 3)
        assert [change.type for change in changes] == [ChangeType.ADDED, ChangeType.MODIFIED, ChangeType.DELETED]
        colours = [change.value["data"]["colour"] for change in changes if change.value]
        assert colours == ["green", "red", "red"]
        versions = [int(change.resource_version) for change in changes]
        assert versions == sorted(set(versions))

    async def test_a_watch_is_resumed_where_it_was(self, harness: ClusterHarness) -> None:
        cluster, namespace = harness.cluster, harness.namespace
        since = (await cluster.list(CONFIG_MAP)).resource_version
        for name in ("a", "b", "c"):
            await cluster.create(CONFIG_MAP, config_map(name, namespace))
        (first,) = await take(self._here(harness, CONFIG_MAP, since), 1)
        rest = await take(self._here(harness, CONFIG_MAP, first.resource_version), 2)
        assert [meta_of(change.value or {})["name"] for change in rest] == ["b", "c"]

    async def test_a_watch_waits_for_what_comes(self, harness: ClusterHarness) -> None:
        cluster, namespace = harness.cluster, harness.namespace
        since = (await cluster.list(CONFIG_MAP)).resource_version
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(take(self._here(harness, CONFIG_MAP, since), 1))
            await asyncio.sleep(0.01)
            await cluster.create(CONFIG_MAP, config_map("late", namespace))
        (change,) = waiting.result()
        assert meta_of(change.value or {})["name"] == "late"

    async def test_a_finalizer_taken_away_is_told_as_the_end(self, harness: ClusterHarness) -> None:
        cluster, namespace = harness.cluster, harness.namespace
        await cluster.create(CONFIG_MAP, config_map("a", namespace, finalizers=["x.example/a"]))
        since = (await cluster.list(CONFIG_MAP)).resource_version
        await cluster.delete(CONFIG_MAP, "a", namespace=namespace)
        await cluster.patch(CONFIG_MAP, "a", {"metadata": {"finalizers": None}}, namespace=namespace)
        changes = await take(self._here(harness, CONFIG_MAP, since), 2)
        assert [change.type for change in changes] == [ChangeType.MODIFIED, ChangeType.DELETED]

    async def test_a_watch_from_too_long_ago_expires(self, harness: ClusterHarness) -> None:
        await harness.cluster.create(CONFIG_MAP, config_map("a", harness.namespace))
        since = await harness.expire(CONFIG_MAP)
        with pytest.raises(Expired):
            await take(harness.cluster.watch(CONFIG_MAP, since=since), 1)

    # --- means ---

    async def _running(self, harness: ClusterHarness, manifest: Raw) -> Pod:
        """The pod, bound and ready, as a kubelet would report it."""
        name = manifest["metadata"]["name"]
        await harness.cluster.create(POD, manifest)
        await harness.bind(name, "node-1", namespace=harness.namespace)
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-01T00:00:00Z"}
        status = {"status": {"phase": "Running", "conditions": [ready]}}
        return await harness.cluster.patch(POD, name, status, namespace=harness.namespace, subresource="status")

    async def _budget(self, harness: ClusterHarness, name: str, *, allowed: int | None) -> None:
        spec = {"selector": {"matchLabels": {"app": "a"}}, "maxUnavailable": 1}
        manifest = {"metadata": {"name": name, "namespace": harness.namespace}, "spec": spec}
        made: ObjectMeta = (await harness.cluster.create(POD_DISRUPTION_BUDGET, manifest)).meta
        if allowed is None:
            return
        status = {
            "disruptionsAllowed": allowed,
            "currentHealthy": 2,
            "desiredHealthy": 2 - allowed,
            "expectedPods": 2,
            "observedGeneration": made.generation,
        }
        await harness.cluster.patch(
            POD_DISRUPTION_BUDGET, name, {"status": status}, namespace=harness.namespace, subresource="status"
        )

    @staticmethod
    async def _here(
        harness: ClusterHarness, kind: Kind[Manifest], since: str
    ) -> AsyncGenerator[Change[Manifest], None]:
        """The watch's changes in the test's namespace."""
        async with aclosing(harness.cluster.watch(kind, since=since)) as changes:
            async for change in changes:
                if change.value is not None and meta_of(change.value).get("namespace") == harness.namespace:
                    yield change
