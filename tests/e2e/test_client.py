"""The client on a whole control plane: what other components write is read, and what we write is understood by them."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta

import pytest

from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.kubernetes import kubeconfig
from nodesmith.adapters.kubernetes.cluster import KubernetesCluster, NotLeading
from nodesmith.adapters.kubernetes.events import EventWriter
from nodesmith.adapters.kubernetes.lease import Elector, LeaseTerms
from nodesmith.adapters.kubernetes.reflector import Reflector
from nodesmith.adapters.kubernetes.transport import Transport
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import CONFIG_MAP, DEPLOYMENT, NODE, POD
from nodesmith.model.pod import Pod
from nodesmith.ports.cluster import Change, ChangeType
from nodesmith.ports.errors import AlreadyExists, Conflict, PortError, Unavailable
from nodesmith.ports.events import Event, ObjectReference
from nodesmith.ports.log import NoLog
from tests.e2e.controlplane import ControlPlane

PATIENCE_S = 60.0


@pytest.fixture
async def transport(plane: ControlPlane) -> AsyncIterator[Transport]:
    async with Transport(kubeconfig.load([plane.kubeconfig]), RealClock()) as transport:
        yield transport


@pytest.fixture
def cluster(transport: Transport) -> KubernetesCluster:
    return KubernetesCluster(transport)


async def eventually(question: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await question():  # noqa: ASYNC110 - a cluster can only be asked again
            await asyncio.sleep(0.2)


async def test_the_server_says_its_version(cluster: KubernetesCluster) -> None:
    assert await cluster.version() == "1.34"


async def test_a_pod_that_finds_no_room_is_seen_as_one_to_buy_for(cluster: KubernetesCluster) -> None:
    size = {"cpu": "4", "memory": "8Gi", "pods": "20"}
    node = {"metadata": {"name": "four-cores"}, "status": {"capacity": size, "allocatable": size}}
    await cluster.create(NODE, node)
    container = {"name": "main", "image": "example/app:1", "resources": {"requests": {"cpu": "900m"}}}
    labels = {"matchLabels": {"app": "crowd"}}
    template = {"metadata": {"labels": labels["matchLabels"]}, "spec": {"containers": [container]}}
    spec = {"replicas": 5, "selector": labels, "template": template}
    await cluster.create(DEPLOYMENT, {"metadata": {"name": "crowd", "namespace": "default"}, "spec": spec})

    async def crowd() -> list[Pod]:
        return [pod for pod in (await cluster.list(POD)).items if pod.meta.labels.get("app") == "crowd"]

    async def four_run_and_one_waits() -> bool:
        pods = await crowd()
        running = [pod for pod in pods if pod.phase == "Running" and pod.node_name == "four-cores" and pod.is_ready]
        waiting = [pod for pod in pods if pod.is_provisionable]
        return (len(running), len(waiting)) == (4, 1)

    await eventually(four_run_and_one_waits)
    assert {pod.requests["cpu"] for pod in await crowd()} == {900}
    await cluster.delete(DEPLOYMENT, "crowd", namespace="default")
    await cluster.delete(NODE, "four-cores")


async def test_apply_owns_fields_and_says_so_when_they_are_anothers(cluster: KubernetesCluster) -> None:
    metadata = {"name": "owned", "namespace": "default"}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    made = await cluster.apply(CONFIG_MAP, "owned", {**manifest, "data": {"a": "1"}})
    assert made["metadata"]["managedFields"][0]["manager"] == "nodesmith"
    await cluster.patch(CONFIG_MAP, "owned", {"data": {"a": "2"}}, namespace="default")
    again = await cluster.apply(CONFIG_MAP, "owned", {**manifest, "data": {"a": "3"}}, force=True)
    assert again["data"] == {"a": "3"}
    operations = [{"op": "test", "path": "/data/a", "value": "3"}, {"op": "replace", "path": "/data/a", "value": "4"}]
    assert (await cluster.json_patch(CONFIG_MAP, "owned", operations, namespace="default"))["data"] == {"a": "4"}
    with pytest.raises(PortError):
        await cluster.json_patch(CONFIG_MAP, "owned", operations, namespace="default")
    with pytest.raises(Conflict):
        await cluster.apply(CONFIG_MAP, "owned", {**manifest, "data": {"a": "5"}})


async def test_a_dry_run_leaves_nothing(cluster: KubernetesCluster) -> None:
    manifest = {"metadata": {"name": "only-asked", "namespace": "default"}}
    assert (await cluster.create(CONFIG_MAP, manifest, dry_run=True))["metadata"]["uid"]
    assert "only-asked" not in {each["metadata"]["name"] for each in (await cluster.list(CONFIG_MAP)).items}


async def test_kubectl_shows_our_events(plane: ControlPlane, cluster: KubernetesCluster) -> None:
    writer = EventWriter(cluster, RealClock(), NoLog())
    node = ObjectReference("v1", "Node", "told-about", uid="u")
    writer.publish(Event(node, "DisruptionBlocked", "Node is nominated for a pending pod"))

    async def is_shown() -> bool:
        done = plane.kubectl("get", "events", "--field-selector=involvedObject.name=told-about", "-o=json")
        items = json.loads(done.stdout)["items"]
        return [(each["reason"], each["source"]["component"]) for each in items] == [("DisruptionBlocked", "karpenter")]

    async with asyncio.TaskGroup() as group:
        task = group.create_task(writer.run())
        await eventually(is_shown)
        task.cancel()


async def test_one_leads_and_the_next_follows_when_it_stops(plane: ControlPlane, cluster: KubernetesCluster) -> None:
    terms = LeaseTerms(
        name="election",
        namespace="default",
        duration=timedelta(seconds=15),
        renew_within=timedelta(seconds=10),
        retry_every=timedelta(seconds=0.5),
    )
    first, second = (Elector(cluster, name, RealClock(), NoLog(), terms) for name in ("first", "second"))
    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE_S):
        leading = group.create_task(first.run())
        await first.elected.wait()
        following = group.create_task(second.run())
        await asyncio.sleep(1.5)
        assert (first.is_leading(), second.is_leading()) == (True, False)
        leading.cancel()
        await second.elected.wait()
        assert (first.is_leading(), second.is_leading()) == (False, True)
        lease = json.loads(plane.kubectl("get", "lease", "election", "-o=json").stdout)["spec"]
        assert (lease["holderIdentity"], lease["leaseTransitions"]) == ("second", 1)
        following.cancel()


async def test_a_deposed_leader_writes_nothing(cluster: KubernetesCluster, transport: Transport) -> None:
    terms = LeaseTerms(name="deposed", namespace="default")
    elector = Elector(cluster, "me", RealClock(), NoLog(), terms)
    writer = KubernetesCluster(transport, may_write=elector.is_leading)
    manifest = {"metadata": {"generateName": "led-", "namespace": "default"}}
    with pytest.raises(NotLeading):
        await writer.create(CONFIG_MAP, manifest)
    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE_S):
        task = group.create_task(elector.run())
        await elector.elected.wait()
        assert (await writer.create(CONFIG_MAP, manifest))["metadata"]["name"].startswith("led-")
        task.cancel()
    with pytest.raises(NotLeading):
        await writer.create(CONFIG_MAP, manifest)


class Names:
    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.replaced = 0

    def replace(self, items: Sequence[Manifest], resource_version: str) -> None:
        self.replaced += 1
        self.known = {self._name(item): resource_version for item in items}

    def apply(self, change: Change[Manifest]) -> None:
        if change.type is ChangeType.DELETED:
            self.known.pop(self._name(change.value), None)
        else:
            self.known[self._name(change.value)] = change.resource_version

    @staticmethod
    def _name(item: Manifest | None) -> str:
        assert item is not None
        return str(item["metadata"]["name"])


async def test_a_copy_survives_the_api_servers_restart(bare_plane: ControlPlane) -> None:
    names = Names()
    async with Transport(kubeconfig.load([bare_plane.kubeconfig]), RealClock()) as transport:
        cluster = KubernetesCluster(transport)
        reflector = Reflector(cluster, CONFIG_MAP, names, RealClock(), NoLog(), random.Random(1))

        async def knows(name: str) -> bool:
            return name in names.known

        async with asyncio.TaskGroup() as group:
            task = group.create_task(reflector.run())
            await cluster.create(CONFIG_MAP, {"metadata": {"name": "before-restart", "namespace": "default"}})
            await eventually(lambda: knows("before-restart"))
            bare_plane.kill("kube-apiserver")
            bare_plane.start_apiserver()

            async def is_made() -> bool:
                """The first try may meet a connection that the old server left behind; a write is not sent again."""
                try:
                    await cluster.create(CONFIG_MAP, {"metadata": {"name": "after-restart", "namespace": "default"}})
                except (Unavailable, AlreadyExists) as error:
                    return isinstance(error, AlreadyExists)
                return True

            await eventually(is_made)
            await eventually(lambda: knows("after-restart"))
            await cluster.delete(CONFIG_MAP, "before-restart", namespace="default")

            async def forgot() -> bool:
                return "before-restart" not in names.known

            await eventually(forgot)
            task.cancel()
    assert "after-restart" in names.known
