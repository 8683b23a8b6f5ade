"""A corner of the cluster for one case: a namespace, NodePools, and the pods that may run nowhere else.

Cases share the control plane, the box and the controller, and go on at the same time. What keeps them apart is a label:
the yard's pools give it to their nodes, and the yard's pods ask for it.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nodesmith.adapters.memory.objects import merge
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import (
    DAEMON_SET,
    DEPLOYMENT,
    EVENT,
    NAMESPACE,
    NODE,
    NODE_CLAIM,
    NODE_POOL,
    POD,
    STATEFUL_SET,
    kind_of,
)
from nodesmith.ports.errors import NotFound
from nodesmith.sim.live.joining import EBS_DRIVER
from tests.e2e.mirror import as_written, condition
from tests.e2e.stage import Stage

CASE: Final = "nodesmith.test/case"
REGISTERED: Final = "karpenter.sh/registered"
NODE_CLASS: Final = "cases"
SOON_S: Final = 60.0
LATER_S: Final = 150.0
"""Where somebody waits before he acts, and others have their turn first."""

Case = Callable[["Yard"], Awaitable[None]]


@dataclass
class Yard:
    """One case's corner, and what can be done in it."""

    stage: Stage
    name: str
    _more: list[tuple[Kind[Any], str]] = field(default_factory=list)

    # --- what is asked for ---

    async def open(self) -> None:
        """The namespace is there."""
        await self.stage.cluster.create(NAMESPACE, {"metadata": {"name": self.name}})

    async def pool(self, name: str = "", *, template: Mapping[str, Any] | None = None, **spec: Any) -> str:
        """A NodePool of the yard: cheap ARM machines that stay, but for what is said; returns its name."""
        name = f"{self.name}-{name}" if name else self.name
        given: dict[str, Any] = {
            "template": {
                "metadata": {"labels": {CASE: self.name}},
                "spec": {
                    "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": NODE_CLASS},
                    "expireAfter": "Never",
                    "requirements": [
                        needs("kubernetes.io/arch", "arm64"),
                        needs("karpenter.k8s.aws/instance-category", "t", "m", "c"),
                        needs("karpenter.sh/capacity-type", "spot", "on-demand"),
                    ],
                },
            },
            "disruption": {"consolidateAfter": "Never", "budgets": [{"nodes": "100%"}]},
        }
        stated = merge(merge(given, {"template": template or {}}), spec)
        await self.make(
            {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name}, "spec": stated}
        )
        return name

    async def node_class(self, name: str, **spec: Any) -> str:
        """An EC2NodeClass of the yard, as the cases' own but for what is said; returns its name."""
        name = f"{self.name}-{name}"
        await self.make(node_class(name, self.stage, **spec))
        return name

    async def deployment(
        self, name: str = "web", replicas: int = 1, *, pod: Mapping[str, Any] | None = None, **requests: str
    ) -> None:
        """A Deployment of pods that ask for this much, and for what `pod` says besides."""
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": self.template(name, pod, requests),
        }
        await self.make({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": self._here(name), "spec": spec})

    async def daemon_set(self, name: str, **requests: str) -> None:
        """A DaemonSet on the yard's nodes."""
        spec = {"selector": {"matchLabels": {"app": name}}, "template": self.template(name, None, requests)}
        await self.make({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": self._here(name), "spec": spec})

    def template(self, name: str, pod: Mapping[str, Any] | None, requests: Mapping[str, str]) -> dict[str, Any]:
        """A pod template whose pods run in the yard only."""
        container = {"name": "main", "image": "example/app:1", "resources": {"requests": dict(requests)}}
        spec: dict[str, Any] = {
            "nodeSelector": {CASE: self.name},
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
        }
        stated = dict(pod or {})
        metadata = merge({"labels": {"app": name}}, stated.pop("metadata", {}))
        return {"metadata": metadata, "spec": merge(spec, stated)}

    async def budget(self, name: str, app: str, **limits: Any) -> None:
        """A PodDisruptionBudget for an application."""
        spec = {"selector": {"matchLabels": {"app": app}}, **limits}
        manifest = {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": self._here(name),
            "spec": spec,
        }
        await self.make(manifest)

    async def storage_class(self) -> None:
        """A StorageClass of the yard's name, whose volumes are made where their first pod goes."""
        manifest = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": self.name},
            "provisioner": EBS_DRIVER,
            "volumeBindingMode": "WaitForFirstConsumer",
        }
        await self.make(manifest)

    async def volume(self, name: str) -> None:
        """A claim of a volume of the yard's class."""
        spec = {
            "storageClassName": self.name,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "8Gi"}},
        }
        manifest = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": self._here(name), "spec": spec}
        await self.make(manifest)

    async def make(self, manifest: Mapping[str, Any]) -> Manifest:
        """The object is there; what has no namespace goes when the yard is cleared."""
        kind = kind_of(manifest)
        assert kind is not None, manifest
        if not kind.is_namespaced:
            self._more.append((kind, manifest["metadata"]["name"]))
        return await self.stage.cluster.create(as_written(kind), copy.deepcopy(dict(manifest)))

    async def patch(self, kind: Kind[Any], name: str, patch: Mapping[str, Any]) -> None:
        """The object has this change."""
        namespace = self.name if kind.is_namespaced else ""
        await self.stage.cluster.patch(as_written(kind), name, patch, namespace=namespace)

    async def delete(self, kind: Kind[Any], name: str) -> None:
        """The object was asked to go."""
        await self.stage.cluster.delete(kind, name, namespace=self.name if kind.is_namespaced else "")

    async def scale(self, name: str, replicas: int) -> None:
        """The Deployment has so many replicas."""
        await self.patch(DEPLOYMENT, name, {"spec": {"replicas": replicas}})

    def _here(self, name: str) -> dict[str, str]:
        return {"name": name, "namespace": self.name}

    # --- what is there ---

    def pods(self, app: str = "") -> list[Manifest]:
        """The yard's pods that nobody asked to go."""
        found = self.stage.mirror.all(POD, namespace=self.name, **({"app": app} if app else {}))
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def running(self, app: str = "") -> list[Manifest]:
        """Those of them that run. Whether they are ready is not asked: kwok says so once, and not after a node's hiccup."""
        return [pod for pod in self.pods(app) if pod["status"].get("phase") == "Running"]

    def nodes(self) -> dict[str, Manifest]:
        """The yard's nodes by name."""
        found = self.stage.mirror.all(NODE, **{CASE: self.name})
        return {node["metadata"]["name"]: node for node in found}

    def claims(self) -> dict[str, Manifest]:
        """The yard's NodeClaims by name."""
        found = self.stage.mirror.all(NODE_CLAIM, **{CASE: self.name})
        return {claim["metadata"]["name"]: claim for claim in found}

    def claim(self) -> Manifest:
        """The one NodeClaim there is."""
        [claim] = self.claims().values()
        return claim

    def pool_status(self, name: str = "") -> Manifest:
        """What the NodePool says of itself."""
        pool = self.stage.mirror.get(NODE_POOL, f"{self.name}-{name}" if name else self.name) or {}
        return dict(pool.get("status") or {})

    def events(self, reason: str) -> list[Manifest]:
        """Events with this reason about the yard's pods, claims and nodes that are there."""
        return [event for event in self.stage.mirror.all(EVENT) if event["reason"] == reason and self._is_mine(event)]

    def _is_mine(self, event: Manifest) -> bool:
        about = event["involvedObject"]
        return self.name == about.get("namespace") or str(about["name"]).startswith((self.name, *self.nodes()))

    async def until(self, question: Callable[[], object], *, within_s: float = SOON_S, what: str = "") -> float:
        """How many seconds it took until it was so."""
        return await self.stage.mirror.until(question, within_s=within_s, what=what)

    async def until_running(self, count: int, app: str = "", *, within_s: float = SOON_S) -> list[Manifest]:
        """So many pods run, and no more are wanted, on nodes that are seen as they are: kinds are followed apart."""

        def is_so() -> bool:
            running = self.running(app)
            registered = {name for name, node in self.nodes().items() if REGISTERED in node["metadata"]["labels"]}
            is_seen = {pod["spec"]["nodeName"] for pod in running} <= registered
            return len(running) == count == len(self.pods(app)) and is_seen

        await self.until(is_so, within_s=within_s, what=f"{count} pods run")
        return self.running(app)

    async def stays(self, question: Callable[[], object], *, for_s: float) -> None:
        """It is so all the time."""
        end = asyncio.get_running_loop().time() + for_s
        while asyncio.get_running_loop().time() < end:
            assert question(), "it did not stay so"
            await asyncio.sleep(0.25)

    async def instances(self) -> list[dict[str, Any]]:
        """The yard's instances that are paid for."""
        claims = {claim["status"].get("providerID", "").rpartition("/")[2] for claim in self.claims().values()}
        found = await asyncio.to_thread(self.stage.instances)
        return [each for each in found if each["InstanceId"] in claims]

    def node_of(self, pod: Manifest) -> Manifest:
        """The node that the pod runs on."""
        return self.nodes()[pod["spec"]["nodeName"]]

    # --- the end ---

    async def clear(self, *, within_s: float = SOON_S) -> None:
        """Nothing of the case is left, neither in the cluster nor in the account.

        Raises:
            AssertionError: when nodesmith does not let go of something.
        """
        ids = {each["InstanceId"] for each in await self.instances()}
        for kind in (DEPLOYMENT, DAEMON_SET, STATEFUL_SET):
            for each in (await self.stage.cluster.list(as_written(kind))).items:
                if each["metadata"]["namespace"] == self.name:
                    await self.delete(kind, each["metadata"]["name"])
        for kind, name in reversed(self._more):
            await self._gone(kind, name)
        await self._gone(NAMESPACE, self.name)
        await self.until(lambda: not self.claims() and not self.nodes(), within_s=within_s, what="nodes are gone")
        left = await asyncio.to_thread(self.stage.instances)
        assert not ids & {each["InstanceId"] for each in left}

    async def _gone(self, kind: Kind[Any], name: str) -> None:
        try:
            await self.stage.cluster.delete(kind, name)
        except NotFound:
            return

    def report(self) -> str:
        """What the yard looks like, for when a case fails."""
        lines = [
            f"pool {each['metadata']['name']}: {each.get('status')}"
            for each in self.stage.mirror.all(NODE_POOL)
            if each["metadata"]["name"].startswith(self.name)
        ]
        for name, claim in self.claims().items():
            status = claim.get("status") or {}
            conditions = [f"{each['type']}={each['status']}({each['reason']})" for each in status.get("conditions", ())]
            lines.append(f"claim {name}: {status.get('nodeName')} {' '.join(conditions)}")
        for name, node in self.nodes().items():
            lines.append(f"node {name}: {condition(node, 'Ready').get('status')} {node['spec'].get('taints')}")
        for pod in self.stage.mirror.all(POD, namespace=self.name):
            where = f"{pod['status'].get('phase')} on {pod['spec'].get('nodeName')}"
            lines.append(f"pod {pod['metadata']['name']}: {where}")
        for event in filter(self._is_mine, self.stage.mirror.all(EVENT)):
            if event["source"].get("component") == "default-scheduler":
                continue
            about = f"{event['involvedObject']['kind']} {event['involvedObject']['name']}"
            lines.append(f"event {about}: {event['reason']} {event['message'][:300]}")
        told = [str(line)[:400] for line in self.stage.controller.lines() if self.name in str(line)]
        return "\n".join([*lines, *told[-25:]])


def needs(key: str, *values: str, operator: str = "In", **more: Any) -> dict[str, Any]:
    """A requirement."""
    return {"key": key, "operator": operator, "values": list(values), **more}


def node_class(name: str, stage: Stage, **spec: Any) -> dict[str, Any]:
    """An EC2NodeClass for the account, with what is said besides."""
    discovered = [{"tags": {"karpenter.sh/discovery": stage.names.cluster}}]
    given = {
        "amiSelectorTerms": [{"alias": "al2023@latest"}],
        "subnetSelectorTerms": discovered,
        "securityGroupSelectorTerms": discovered,
        "role": stage.names.node_role,
        **spec,
    }
    return {"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": name}, "spec": given}
