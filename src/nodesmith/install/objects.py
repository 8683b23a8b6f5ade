"""What a set-up has in the cluster besides the chart: the namespace and the definitions of our kinds.

The one thing to know: an object is ours when its annotation `MARK` names the cluster; nothing else is ever deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from nodesmith.api.crd import all_crds
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION, DEPLOYMENT, NAMESPACE, SECRET, STATEFUL_SET
from nodesmith.api.served import ALL as SERVED
from nodesmith.install.names import MARK
from nodesmith.install.setup import ABSENT, Finding
from nodesmith.ports.clock import Clock
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import NotFound

SERVED_WITHIN: Final = timedelta(seconds=30)
_LOOK_EVERY: Final = timedelta(milliseconds=250)
_OF_EVERY_NAMESPACE: Final = frozenset({"kube-root-ca.crt"})


def raw(kind: Kind[Any]) -> Kind[Manifest]:
    """The kind, its objects as JSON."""
    return Kind(kind.group, kind.version, kind.name, kind.plural, dict, kind.is_namespaced)


_NAMESPACE: Final = raw(NAMESPACE)


def metadata(manifest: Manifest) -> Mapping[str, Any]:
    """The object's metadata."""
    found: Mapping[str, Any] = manifest.get("metadata") or {}
    return found


def is_marked(manifest: Manifest, cluster_name: str) -> bool:
    """Whether a step made the object."""
    marks: Mapping[str, str] = metadata(manifest).get("annotations") or {}
    return marks.get(MARK) == cluster_name


def marked(cluster_name: str) -> dict[str, str]:
    """The annotations of what a step makes."""
    return {MARK: cluster_name}


def holds(present: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; what the server filled in does not matter."""
    if present is None:
        return wanted is None or wanted in ({}, [], ())
    if isinstance(wanted, Mapping):
        return isinstance(present, Mapping) and all(holds(present.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list | tuple):
        is_list = isinstance(present, list | tuple) and len(present) == len(wanted)
        return is_list and all(holds(*pair) for pair in zip(present, wanted, strict=True))
    return bool(present == wanted)


@dataclass(frozen=True, slots=True)
class Definitions:
    """The CustomResourceDefinitions of NodePool, NodeClaim, EC2NodeClass and the rest."""

    cluster: Cluster
    clock: Clock
    cluster_name: str
    name: str = "CRDs"

    @property
    def target(self) -> str:
        """The kinds."""
        return ", ".join(each.kind.name for each in SERVED)

    async def look(self) -> Finding:
        """Which are missing, and which of ours are of another release."""
        present, lacking, differences, foreign = await self._present(), [], [], []
        for wanted in all_crds():
            name = str(metadata(wanted)["name"])
            found = present.get(name)
            if found is None:
                lacking.append(f"{name} is not there")
            elif is_marked(found, self.cluster_name):
                differences += [] if holds(found["spec"], wanted["spec"]) else [f"{name} is of another release"]
            elif not _serves(found, wanted):
                return Finding(exists=True, obstacle=f"{name}, not made by install, serves no {_version(wanted)}")
            else:
                foreign.append(name)
        if len(lacking) == len(all_crds()):
            return ABSENT
        own = any(is_marked(each, self.cluster_name) for each in present.values())
        note = f"{_few(foreign)} there already, not made by install" if foreign else ""
        return Finding(exists=True, differences=(*lacking, *differences), is_own=own, note=note)

    async def ensure(self) -> None:
        """All are there and served."""
        present = await self._present()
        for wanted in all_crds():
            found = present.get(str(metadata(wanted)["name"]))
            if found is None:
                marks = {**metadata(wanted), "annotations": marked(self.cluster_name)}
                await self.cluster.create(CUSTOM_RESOURCE_DEFINITION, {**wanted, "metadata": marks})
            elif is_marked(found, self.cluster_name) and not holds(found["spec"], wanted["spec"]):
                name, version = str(metadata(found)["name"]), str(metadata(found)["resourceVersion"])
                patch = {"spec": wanted["spec"]}
                await self.cluster.patch(CUSTOM_RESOURCE_DEFINITION, name, patch, resource_version=version)
        for served in SERVED:
            await self._wait_until_served(served.kind)

    async def undo(self) -> None:
        """Those that a step made are gone, and with them every object of their kinds."""
        for name, found in (await self._present()).items():
            if is_marked(found, self.cluster_name):
                await self.cluster.delete(CUSTOM_RESOURCE_DEFINITION, name)

    async def _present(self) -> dict[str, Manifest]:
        ours = {str(metadata(each)["name"]) for each in all_crds()}
        listing = await self.cluster.list(CUSTOM_RESOURCE_DEFINITION)
        found = {str(metadata(each)["name"]): each for each in listing.items}
        return {name: manifest for name, manifest in found.items() if name in ours}

    async def _wait_until_served(self, kind: Kind[Any]) -> None:
        """A definition is served a moment after it was made."""
        end = self.clock.now() + SERVED_WITHIN
        while True:
            try:
                await self.cluster.list(kind)
            except NotFound:
                if self.clock.now() >= end:
                    raise
            else:
                return
            await self.clock.sleep(_LOOK_EVERY)


@dataclass(frozen=True, slots=True)
class NamespaceThere:
    """The namespace of the controller."""

    cluster: Cluster
    target: str
    cluster_name: str
    name: str = "namespace"

    async def look(self) -> Finding:
        """Whether it is there."""
        found = await self._present()
        if found is None:
            return ABSENT
        own = is_marked(found, self.cluster_name)
        others = await self._others() if own else []
        note = f"made by install, but {others[0]} is in it" if others else ""
        return Finding(exists=True, is_own=own and not others, note=note)

    async def ensure(self) -> None:
        """It is there."""
        if await self._present() is None:
            manifest = {"metadata": {"name": self.target, "annotations": marked(self.cluster_name)}}
            await self.cluster.create(_NAMESPACE, manifest)

    async def undo(self) -> None:
        """It is gone, if a step made it and nobody put anything into it."""
        found = await self._present()
        if found is not None and is_marked(found, self.cluster_name) and not await self._others():
            await self.cluster.delete(_NAMESPACE, self.target, uid=str(metadata(found)["uid"]))

    async def _present(self) -> Manifest | None:
        try:
            return await self.cluster.get(_NAMESPACE, self.target)
        except NotFound:
            return None

    async def _others(self) -> Sequence[str]:
        """What would go with it."""
        found = []
        for kind in (DEPLOYMENT, STATEFUL_SET, CONFIG_MAP, SECRET):
            for each in (await self.cluster.list(kind)).items:
                name = str(metadata(each)["name"])
                is_in_it = metadata(each).get("namespace") == self.target and name not in _OF_EVERY_NAMESPACE
                found += [f"{kind.name} {name}"] if is_in_it and not _is_of_helm(each) else []
        return found


async def find(cluster: Cluster, kind: Kind[Any], name: str, *, namespace: str = "") -> Manifest | None:
    """The object as JSON, or None where there is none.

    Raises:
        Refused: when it may not be read.
    """
    try:
        return await cluster.get(raw(kind), name, namespace=namespace)
    except NotFound:
        return None


async def listed(cluster: Cluster, kind: Kind[Any]) -> list[Manifest]:
    """All objects of the kind as JSON; none where the kind is not served.

    Raises:
        Refused: when they may not be read.
    """
    try:
        return list((await cluster.list(raw(kind))).items)
    except NotFound:
        return []


def _is_of_helm(manifest: Manifest) -> bool:
    """Whether helm made it, which takes it away with its release, or keeps its own books in it."""
    labels: Mapping[str, str] = metadata(manifest).get("labels") or {}
    return labels.get("app.kubernetes.io/managed-by") == "Helm" or labels.get("owner") == "helm"


def _serves(present: Manifest, wanted: Manifest) -> bool:
    versions = {str(each["name"]) for each in present["spec"].get("versions") or () if each.get("served")}
    return _version(wanted) in versions


def _version(definition: Manifest) -> str:
    return str(definition["spec"]["versions"][0]["name"])


def _few(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more are"
