"""The NodePool and the EC2NodeClass that a set-up begins with.

The one thing to know: they are a beginning. As soon as somebody has one of his own, or has edited ours, install keeps
what is there; only another `--pool` changes ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from nodesmith.api.bar import MADE_AS
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import EC2_NODE_CLASS, NODE_POOL
from nodesmith.install.names import DISCOVERY, Names
from nodesmith.install.objects import find, is_marked, listed, marked, metadata
from nodesmith.install.setup import ABSENT, Finding
from nodesmith.model.labels import ARCH, AWS_GROUP, CAPACITY_TYPE, INSTANCE_CPU, ON_DEMAND, OS, SPOT
from nodesmith.ports.clock import Clock
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import NotFound, Unavailable

DEFAULT: Final = "default"
CHOICE: Final = MADE_AS
"""The annotation that says which `--pool` the NodePool was made by."""

GONE_WITHIN: Final = timedelta(minutes=10)
_LOOK_EVERY: Final = timedelta(seconds=1)
_CATEGORY: Final = f"{AWS_GROUP}/instance-category"
_GENERATION: Final = f"{AWS_GROUP}/instance-generation"
_MEMORY: Final = f"{AWS_GROUP}/instance-memory"


class Pool(StrEnum):
    """What matters most."""

    CHEAP = "cheap"
    BALANCED = "balanced"
    STABLE = "stable"


def node_class(names: Names) -> Manifest:
    """Amazon Linux 2023 in the subnets and groups that carry the discovery tag."""
    terms = [{"tags": {DISCOVERY: names.cluster}}]
    spec = {
        "amiSelectorTerms": [{"alias": "al2023@latest"}],
        "role": names.node_role,
        "subnetSelectorTerms": terms,
        "securityGroupSelectorTerms": terms,
    }
    return {
        "apiVersion": EC2_NODE_CLASS.api_version,
        "kind": EC2_NODE_CLASS.name,
        "metadata": {"name": DEFAULT, "annotations": marked(names.cluster)},
        "spec": spec,
    }


def node_pool(cluster_name: str, pool: Pool, class_name: str = DEFAULT) -> Manifest:
    """The NodePool of a choice, with nodes of the class."""
    spec = {
        "nodeClassRef": {"group": AWS_GROUP, "kind": EC2_NODE_CLASS.name, "name": class_name},
        "expireAfter": "720h",
        "terminationGracePeriod": "10m",
        "requirements": _REQUIREMENTS[pool],
    }
    return {
        "apiVersion": NODE_POOL.api_version,
        "kind": NODE_POOL.name,
        "metadata": {"name": DEFAULT, "annotations": {**marked(cluster_name), CHOICE: str(pool)}},
        "spec": {"template": {"spec": spec}, **_TERMS[pool]},
    }


def _is_in(key: str, *values: str) -> Mapping[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}


def _above(key: str, value: int) -> Mapping[str, Any]:
    return {"key": key, "operator": "Gt", "values": [str(value)]}


def _below(key: str, value: int) -> Mapping[str, Any]:
    return {"key": key, "operator": "Lt", "values": [str(value)]}


_REQUIREMENTS: Final[Mapping[Pool, list[Mapping[str, Any]]]] = {
    # No zone and no family is named: the more offerings, the cheaper spot is and the less often it is taken back.
    Pool.CHEAP: [
        _is_in(CAPACITY_TYPE, SPOT, ON_DEMAND),
        _is_in(ARCH, "arm64", "amd64"),
        _is_in(OS, "linux"),
        _is_in(_CATEGORY, "t", "c", "m", "r"),
        _above(_GENERATION, 2),
        _below(INSTANCE_CPU, 9),
        _below(_MEMORY, 32 * 1024 + 1),
    ],
    Pool.BALANCED: [
        _is_in(CAPACITY_TYPE, SPOT, ON_DEMAND),
        _is_in(ARCH, "amd64"),
        _is_in(OS, "linux"),
        _is_in(_CATEGORY, "c", "m", "r"),
        _above(_GENERATION, 4),
        _below(INSTANCE_CPU, 33),
    ],
    Pool.STABLE: [
        _is_in(CAPACITY_TYPE, ON_DEMAND),
        _is_in(ARCH, "amd64"),
        _is_in(OS, "linux"),
        _is_in(_CATEGORY, "c", "m", "r"),
        _above(_GENERATION, 4),
        _below(INSTANCE_CPU, 65),
    ],
}
_TERMS: Final[Mapping[Pool, Mapping[str, Any]]] = {
    Pool.CHEAP: {
        "disruption": {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "1m"},
        "limits": {"cpu": "20", "memory": "80Gi"},
    },
    Pool.BALANCED: {
        "disruption": {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "5m"},
        "limits": {"cpu": "200", "memory": "800Gi"},
    },
    Pool.STABLE: {
        "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "10m"},
        "limits": {"cpu": "200", "memory": "800Gi"},
    },
}


@dataclass(frozen=True, slots=True)
class DefaultNodeClass:
    """An EC2NodeClass, unless there is one."""

    cluster: Cluster
    clock: Clock
    names: Names
    name: str = "EC2NodeClass"
    target: str = DEFAULT

    async def look(self) -> Finding:
        """Whether there is any."""
        return await _looked(self.cluster, EC2_NODE_CLASS, self.names.cluster)

    async def ensure(self) -> None:
        """There is one."""
        if not await listed(self.cluster, EC2_NODE_CLASS):
            await self.cluster.create(EC2_NODE_CLASS, node_class(self.names))

    async def undo(self) -> None:
        """Ours is gone, with the instance profile and the launch templates that the controller made for it."""
        await _deleted(self.cluster, EC2_NODE_CLASS, self.names.cluster)
        await until_gone(self.cluster, self.clock, EC2_NODE_CLASS, self.target, self.names.cluster)


@dataclass(frozen=True, slots=True)
class DefaultNodePool:
    """A NodePool, unless there is one; `pool` is None when any will do."""

    cluster: Cluster
    names: Names
    pool: Pool | None
    name: str = "NodePool"
    target: str = DEFAULT

    async def look(self) -> Finding:
        """Whether there is any, and ours is the one that is asked for."""
        finding = await _looked(self.cluster, NODE_POOL, self.names.cluster)
        present = await find(self.cluster, NODE_POOL, DEFAULT)
        if present is None or not finding.is_own or self.pool is None:
            return finding
        choice = (metadata(present).get("annotations") or {}).get(CHOICE)
        differences = () if choice == self.pool else (f"it is {choice}, and {self.pool} is asked for",)
        return Finding(exists=True, differences=differences, is_own=True, note=f"made by install, as {choice}")

    async def ensure(self) -> None:
        """There is one, and ours is the one that is asked for."""
        finding = await self.look()
        if not finding.exists:
            manifest = node_pool(self.names.cluster, self.pool or Pool.CHEAP, await self._class_name())
            await self.cluster.create(NODE_POOL, manifest)
        elif finding.differences and self.pool is not None:
            await self._change(self.pool)

    async def undo(self) -> None:
        """Ours is gone; its nodes go with it."""
        await _deleted(self.cluster, NODE_POOL, self.names.cluster)

    async def _class_name(self) -> str:
        """Ours, or the one that is there."""
        present = [str(metadata(each)["name"]) for each in await listed(self.cluster, EC2_NODE_CLASS)]
        return DEFAULT if DEFAULT in present or not present else min(present)

    async def _change(self, pool: Pool) -> None:
        present = await find(self.cluster, NODE_POOL, DEFAULT)
        if present is None:
            return
        wanted = node_pool(self.names.cluster, pool, present["spec"]["template"]["spec"]["nodeClassRef"]["name"])
        patch = {"metadata": {"annotations": {CHOICE: str(pool)}}, "spec": wanted["spec"]}
        version = str(metadata(present)["resourceVersion"])
        await self.cluster.patch(NODE_POOL, DEFAULT, patch, resource_version=version)


async def _looked(cluster: Cluster, kind: Kind[Any], cluster_name: str) -> Finding:
    present = await listed(cluster, kind)
    own = [each for each in present if metadata(each)["name"] == DEFAULT and is_marked(each, cluster_name)]
    if own:
        return Finding(exists=True, is_own=True)
    if not present:
        return ABSENT
    names = ", ".join(sorted(str(metadata(each)["name"]) for each in present))
    return Finding(exists=True, note=f"{names} there already, not made by install")


async def _deleted(cluster: Cluster, kind: Kind[Any], cluster_name: str) -> None:
    present = await find(cluster, kind, DEFAULT)
    if present is not None and is_marked(present, cluster_name):
        await _delete(cluster, kind, present)


async def _delete(cluster: Cluster, kind: Kind[Any], present: Manifest) -> None:
    try:
        await cluster.delete(kind, str(metadata(present)["name"]), uid=str(metadata(present)["uid"]))
    except NotFound:
        return


async def until_gone(cluster: Cluster, clock: Clock, kind: Kind[Any], name: str, cluster_name: str) -> None:
    """Return when ours is gone: the controller does what is left to do for it first.

    Raises:
        Unavailable: when it is there for too long; the controller may not be running.
    """
    end = clock.now() + GONE_WITHIN
    while (present := await find(cluster, kind, name)) is not None and is_marked(present, cluster_name):
        if clock.now() >= end:
            finalizers = ", ".join(metadata(present).get("finalizers") or ())
            raise Unavailable(f"{kind.name} {name} does not go, {finalizers} holds it: does the controller run?")
        await clock.sleep(_LOOK_EVERY)
