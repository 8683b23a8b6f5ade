"""A world on a cloud in memory, with short ways to make things in it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nodesmith.adapters.memory.catalog import catalog
from nodesmith.adapters.memory.cloud import MemoryCloud
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import NODE, POD
from nodesmith.model.labels import INSTANCE_TYPE, ON_DEMAND, ZONE
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.taints import Taint
from nodesmith.ports.cloud import Machine
from nodesmith.sim.clock import VirtualClock, run
from nodesmith.sim.world.hosts import MemoryHosts
from nodesmith.sim.world.world import Base, World


class Bench:
    def __init__(self, clock: VirtualClock, seed: int = 1) -> None:
        self.clock = clock
        base = Base(clock, seed=seed)
        self.cloud = MemoryCloud(catalog(), clock, base.random("cloud"))
        self.world = World(base, MemoryHosts(self.cloud))
        self.server = base.server
        self._claims = 0

    async def rest(self, seconds: float = 60) -> None:
        """Let the world live on for so long."""
        await asyncio.sleep(seconds)

    async def machine(
        self,
        type_: str = "m7g.large",
        zone: str = "ap-northeast-2a",
        *,
        taints: tuple[Taint, ...] = (),
        labels: Mapping[str, str] | None = None,
    ) -> Machine:
        """A machine that joins by itself; our taint is taken off as nodesmith would."""
        self._claims += 1
        wanted = {INSTANCE_TYPE: type_, ZONE: zone, "karpenter.sh/capacity-type": ON_DEMAND}
        claim = NodeClaim(
            meta=ObjectMeta(f"claim-{self._claims}", uid=f"uid-{self._claims}", labels=labels or {}),
            requirements=Requirements.of(Requirement(key, frozenset((value,))) for key, value in wanted.items()),
            taints=taints,
        )
        return await self.cloud.create(claim)

    async def node(self, type_: str = "m7g.large", zone: str = "ap-northeast-2a", **labels: str) -> str:
        """The name of a node that is ready for pods."""
        machine = await self.machine(type_, zone, labels=labels)
        await self.rest()
        name = next(
            node["metadata"]["name"]
            for node in self.server.list(NODE)
            if node["spec"]["providerID"] == machine.provider_id
        )
        self.admit(name)
        return str(name)

    def admit(self, node: str) -> None:
        """Take our own taint off the node."""
        taints = self.server.get(NODE, node)["spec"].get("taints") or []
        left = [each for each in taints if each["key"] != "karpenter.sh/unregistered"]
        self.server.patch(NODE, node, {"spec": {"taints": left}})

    def pods(self, **labels: str) -> list[Manifest]:
        wanted = labels.items()
        return [pod for pod in self.server.list(POD) if wanted <= (pod["metadata"].get("labels") or {}).items()]

    def places(self, **labels: str) -> dict[str, str]:
        """The node of each pod, by the pod's name; empty for one that waits."""
        return {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in self.pods(**labels)}

    def find(self, kind: Kind[Any], name: str) -> Manifest:
        return self.server.get(kind, name, namespace="default" if kind.is_namespaced else "")


def live(story: Callable[[Bench], Awaitable[None]], seed: int = 1) -> Bench:
    """Run a story in a living world to its end."""

    async def main(clock: VirtualClock) -> Bench:
        bench = Bench(clock, seed)
        async with asyncio.TaskGroup() as group:
            living = group.create_task(bench.world.run())
            await story(bench)
            living.cancel()
        return bench

    return run(main)


def container(cpu: str = "500m", memory: str = "256Mi", **more: Any) -> dict[str, Any]:
    return {"name": "main", "image": "example/app:1", "resources": {"requests": {"cpu": cpu, "memory": memory}}, **more}


def pod(name: str, labels: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "labels": dict(labels or {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container()], **spec}}


def workload(
    kind: str, name: str, *, replicas: int | None = None, spec: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container()], **(spec or {})}}
    stated: dict[str, Any] = {"selector": {"matchLabels": {"app": name}}, "template": template, **more}
    if replicas is not None:
        stated["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": stated}


def storage_class(name: str, **more: Any) -> dict[str, Any]:
    stated = {"provisioner": "ebs.csi.aws.com", "volumeBindingMode": "WaitForFirstConsumer"}
    return {"metadata": {"name": name}, **stated, **more}
