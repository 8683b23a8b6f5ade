"""A small cluster around the controllers: Deployments, a scheduler that fits by resources, taints and selectors, and
kubelets that join late. Quick on purpose: hundreds of runs fit into a test session.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from nodesmith.adapters.memory.catalog import catalog
from nodesmith.adapters.memory.cloud import MemoryCloud, Rented, Timing
from nodesmith.adapters.memory.cluster import MemoryCluster
from nodesmith.adapters.memory.faults import Faults
from nodesmith.adapters.memory.queue import MemoryQueue
from nodesmith.adapters.memory.recording import RecordedEvents, RecordedMetrics
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import (
    EC2_NODE_CLASS,
    NODE,
    NODE_CLAIM,
    NODE_POOL,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    STATEFUL_SET,
)
from nodesmith.api.meta import format_time, parse_time
from nodesmith.api.scalars import taints_to_json
from nodesmith.controllers.build import Controllers, at_once, build
from nodesmith.controllers.ports import Ports
from nodesmith.controllers.shell import Options
from nodesmith.decide.disrupt.decide import decide, validate
from nodesmith.decide.schedule.solve import schedule
from nodesmith.model.labels import CAPACITY_TYPE, SPOT
from nodesmith.model.node import Node
from nodesmith.model.pod import Pod
from nodesmith.model.resources import fits, format_resources, minus, total
from nodesmith.model.taints import NO_EXECUTE, NO_SCHEDULE, untolerated
from nodesmith.ports.cloud import Cloud
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import NotFound
from nodesmith.ports.log import NoLog
from nodesmith.ports.queue import InterruptionKind
from nodesmith.sim.clock import VirtualClock

STEP = timedelta(milliseconds=500)
UNREGISTERED_TAINT = {"key": "karpenter.sh/unregistered", "effect": "NoExecute"}


@dataclass
class App:
    """A Deployment: so many pods of one shape."""

    name: str
    replicas: int
    cpu: str = "500m"
    memory: str = "512Mi"
    spec: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    owner: str = "ReplicaSet"
    serial: int = 0
    uid: str = ""


def node_pool(name: str = "default", **overrides: Any) -> Manifest:
    """A NodePool as users write it; `disruption`, `limits`, `template` and others replace parts of its spec."""
    template = {
        "spec": {
            "requirements": overrides.pop(
                "requirements", [{"key": CAPACITY_TYPE, "operator": "In", "values": [SPOT, "on-demand"]}]
            ),
            "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
            "expireAfter": overrides.pop("expire_after", "720h"),
            **overrides.pop("template", {}),
        },
    }
    if labels := overrides.pop("labels", None):
        template["metadata"] = {"labels": labels}
    spec = {
        "template": template,
        "disruption": {"consolidateAfter": "30s", "budgets": [{"nodes": "100%"}]},
        **overrides,
    }
    return {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name}, "spec": spec}


NODE_CLASS: Manifest = {
    "apiVersion": "karpenter.k8s.aws/v1",
    "kind": "EC2NodeClass",
    "metadata": {"name": "default"},
    "spec": {
        "role": "node",
        "amiSelectorTerms": [{"alias": "al2023@latest"}],
        "subnetSelectorTerms": [{"tags": {"discovery": "here"}}],
        "securityGroupSelectorTerms": [{"tags": {"discovery": "here"}}],
    },
}


class SmallWorld:
    """A cluster, a cloud, and what goes on in them."""

    def __init__(self, clock: VirtualClock, *, seed: int = 1, boot: timedelta = timedelta(seconds=30)) -> None:
        self.clock = clock
        self.boot = boot
        self.rng = random.Random(seed)
        self.faults = Faults(random.Random(seed + 1))
        self.server = ApiServer(clock.now, random.Random(seed + 2))
        self.cluster = MemoryCluster(self.server, clock, faults=self.faults)
        timing = Timing(pending=timedelta(seconds=5), shutting_down=timedelta(seconds=20))
        self.cloud = MemoryCloud(catalog(), clock, random.Random(seed + 3), timing=timing, faults=self.faults)
        self.queue = MemoryQueue(clock)
        self.events = RecordedEvents(clock)
        self.metrics = RecordedMetrics()
        self.apps: dict[str, App] = {}
        self.silent: set[str] = set()
        """Machines (by provider id) whose kubelet says nothing."""
        self.never_joins = False
        self.on_step: list[Callable[[], None]] = []
        self._nodes_made: set[str] = set()

    # --- what tests do to it ---

    def apply(self, *manifests: Manifest) -> None:
        """The objects are there."""
        kinds: dict[str, Kind[Any]] = {
            each.name: each for each in (NODE_POOL, EC2_NODE_CLASS, POD_DISRUPTION_BUDGET, NODE_CLAIM, POD, NODE)
        }
        for manifest in manifests:
            self.server.create(kinds[manifest["kind"]], manifest)

    def app(self, name: str, replicas: int, **shape: Any) -> App:
        """The app has so many replicas from now on."""
        if name in self.apps:
            self.apps[name].replicas = replicas
        else:
            self.apps[name] = App(name, replicas, **shape)
        return self.apps[name]

    def budget(self, app: str, *, min_available: int) -> None:
        """The app's pods are protected."""
        self.apply(
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": app, "namespace": "default"},
                "spec": {"minAvailable": min_available, "selector": {"matchLabels": {"app": app}}},
            }
        )

    def reclaim(self, rented: Rented, notice: timedelta = timedelta(minutes=2)) -> None:
        """EC2 takes the spot machine back after the notice."""
        self.queue.send(InterruptionKind.SPOT_INTERRUPTED, rented.machine.provider_id.rsplit("/", 1)[-1])
        due = self.clock.now() + notice

        def strike() -> None:
            if self.clock.now() >= due:
                self.on_step.remove(strike)
                if self.cloud.state_of(rented.machine.provider_id) in {"pending", "running"}:
                    self.cloud.terminate(rented.machine.provider_id)

        self.on_step.append(strike)

    async def until(self, holds: Callable[[], bool], *, within: timedelta = timedelta(minutes=10)) -> timedelta:
        """Wait for it; returns how long that took."""
        began = self.clock.now()
        while not holds():
            assert self.clock.now() - began < within, self.describe()
            await self.clock.sleep(STEP)
        return self.clock.now() - began

    async def pass_time(self, duration: timedelta) -> None:
        """So much later."""
        await self.clock.sleep(duration)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The world goes on while the block does."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._run(), name="world")
            try:
                yield
            finally:
                task.cancel()

    @asynccontextmanager
    async def controlled(self, options: Options | None = None, **swaps: Any) -> AsyncIterator[Controllers]:
        """A fresh set of controllers runs while the block does; a failure of theirs fails the block."""
        controllers = self.controllers(options, **swaps)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(controllers.run(stop), name="controllers")
            try:
                yield controllers
            finally:
                stop.set()

    def controllers(
        self,
        options: Options | None = None,
        *,
        cluster: Cluster | None = None,
        cloud: Cloud | None = None,
        seed: int = 7,
    ) -> Controllers:
        """Controllers that have not begun."""
        ports = Ports(
            cluster=cluster or self.cluster,
            cloud=cloud or self.cloud,
            clock=self.clock,
            events=self.events,
            metrics=self.metrics,
            log=NoLog(),
            queue=self.queue,
        )
        return build(
            ports,
            options or Options(cluster_name="small"),
            solve=schedule,
            decide=decide,
            validate=validate,
            rng=random.Random(seed),
            run_solver=at_once,
        )

    # --- what tests look at ---

    def pods(self, app: str = "") -> list[Pod]:
        """The pods, of one app or of all."""
        table = self.server.history.table(POD)
        pods = [table[key].value(POD) for key in sorted(table)]
        return [pod for pod in pods if not app or pod.meta.labels.get("app") == app]

    def nodes(self) -> list[Node]:
        """The Nodes."""
        table = self.server.history.table(NODE)
        return [table[key].value(NODE) for key in sorted(table)]

    def claims(self) -> list[Any]:
        """The NodeClaims."""
        table = self.server.history.table(NODE_CLAIM)
        return [table[key].value(NODE_CLAIM) for key in sorted(table)]

    def machines(self) -> Sequence[Rented]:
        """The machines that are paid for."""
        return [each for each in self.cloud.living() if each.terminated_at is None]

    def all_running(self) -> bool:
        """Whether every app has all its pods running, and no other pod is left."""
        wanted = sum(app.replicas for app in self.apps.values())
        pods = self.pods()
        return len(pods) == wanted and all(pod.phase == "Running" and pod.is_active for pod in pods)

    def describe(self) -> str:
        """What there is, for a failing test."""
        lines = [f"at {self.clock.now():%H:%M:%S}"]
        lines += [
            f"claim {each.name} {each.provider_id} deleting={each.meta.is_deleting} "
            + " ".join(f"{c.type}={c.status}:{c.reason}" for c in each.conditions.values())
            for each in self.claims()
        ]
        lines += [
            f"node {each.name} deleting={each.meta.is_deleting} taints={[str(t) for t in each.taints]}"
            for each in self.nodes()
        ]
        lines += [
            f"machine {each.machine.provider_id} {each.machine.claim_name} {each.machine.instance_type} "
            f"{self.cloud.state_of(each.machine.provider_id)}"
            for each in self.cloud.living()
        ]
        lines += [
            f"pod {pod.key} {pod.phase} on={pod.node_name!r} deleting={pod.meta.is_deleting}" for pod in self.pods()
        ]
        lines += [
            f"{at:%H:%M:%S} {event.reason} {event.about.name}: {event.message}" for at, event in self.events.told[-30:]
        ]
        return "\n".join(lines)

    # --- what goes on ---

    async def _run(self) -> None:
        while True:
            for listener in list(self.on_step):
                listener()
            self._join()
            self._open()
            self._leave()
            self._replicate()
            self._schedule()
            self._run_pods()
            self._count_budgets()
            await self.clock.sleep(STEP)

    def _join(self) -> None:
        """Kubelets register their Nodes once the machine has booted."""
        now = self.clock.now()
        for rented in self.machines():
            machine = rented.machine
            ready_at = rented.running_at + self.boot
            if machine.provider_id in self._nodes_made | self.silent or now < ready_at or self.never_joins:
                continue
            self._nodes_made.add(machine.provider_id)
            name = f"ip-{machine.provider_id[-8:]}.internal"
            claim = rented.claim
            self.server.create(
                NODE,
                {
                    "metadata": {
                        "name": name,
                        "labels": {**machine.labels, **claim.labels, "kubernetes.io/hostname": name},
                    },
                    "spec": {
                        "providerID": machine.provider_id,
                        "taints": [*taints_to_json((*claim.taints, *claim.startup_taints)), UNREGISTERED_TAINT],
                    },
                    "status": {
                        "capacity": format_resources(machine.capacity),
                        "allocatable": format_resources(machine.allocatable),
                        "conditions": [self._condition("Ready", "True")],
                    },
                },
            )

    def _open(self) -> None:
        """What the node lifecycle controller does: a Node that is ready loses its first taint."""
        for node in self.nodes():
            kept = [taint for taint in node.taints if taint.key != "node.kubernetes.io/not-ready"]
            if node.is_ready and len(kept) < len(node.taints):
                self.server.patch(NODE, node.name, {"spec": {"taints": taints_to_json(kept)}})

    def _leave(self) -> None:
        """A Node whose machine is gone is not ready, and is deleted a little later; its pods die with it."""
        for node in self.nodes():
            state = self.cloud.state_of(node.provider_id)
            if state in {"pending", "running"}:
                continue
            if node.is_ready:
                status = {"conditions": [self._condition("Ready", "Unknown")]}
                self.server.patch(NODE, node.name, {"status": status}, subresource="status")
            if state == "terminated":
                for pod in self.pods():
                    if pod.node_name == node.name:
                        self._kill(pod)
                if not node.meta.is_deleting:
                    self.server.delete(NODE, node.name)
        names = {node.name for node in self.nodes()}
        for pod in self.pods():
            if pod.node_name and pod.node_name not in names:
                self._kill(pod)

    def _kill(self, pod: Pod) -> None:
        self.server.delete(POD, pod.meta.name, namespace=pod.meta.namespace, grace_period_s=0)

    def _replicate(self) -> None:
        for app in self.apps.values():
            mine = [pod for pod in self.pods(app.name) if pod.is_active]
            for _ in range(app.replicas - len(mine)):
                self._create_pod(app)
            surplus = sorted(mine, key=lambda pod: (bool(pod.node_name), pod.is_ready, pod.meta.name))
            for pod in surplus[: max(len(mine) - app.replicas, 0)]:
                self.server.delete(POD, pod.meta.name, namespace=pod.meta.namespace)

    def _create_pod(self, app: App) -> None:
        app.serial += 1
        resources = {"requests": {"cpu": app.cpu, "memory": app.memory}}
        owner = {"apiVersion": "apps/v1", "kind": app.owner, "name": app.name, "uid": self._owner_uid(app)}
        self.server.create(
            POD,
            {
                "metadata": {
                    "name": f"{app.name}-{app.serial}",
                    "namespace": "default",
                    "labels": {"app": app.name, **app.labels},
                    "annotations": app.annotations,
                    "ownerReferences": [{**owner, "controller": True}],
                },
                "spec": {
                    "containers": [{"name": "main", "resources": resources}],
                    "terminationGracePeriodSeconds": 5,
                    **app.spec,
                },
            },
        )

    def _owner_uid(self, app: App) -> str:
        if not app.uid:
            kind = {"ReplicaSet": REPLICA_SET, "StatefulSet": STATEFUL_SET}[app.owner]
            made = self.server.create(kind, {"metadata": {"name": app.name, "namespace": "default"}})
            app.uid = made["metadata"]["uid"]
        return app.uid

    def _schedule(self) -> None:
        nodes = {node.name: node for node in self.nodes() if node.is_ready}
        free = {
            name: minus(node.allocatable, total(pod.requests for pod in self.pods() if pod.node_name == name))
            for name, node in nodes.items()
        }
        for pod in self.pods():
            if pod.node_name or not pod.is_active:
                continue
            chosen = next((name for name in sorted(nodes) if self._fits(pod, nodes[name], free[name])), None)
            if chosen is not None:
                self.server.bind(pod.meta.name, chosen, namespace=pod.meta.namespace)
                free[chosen] = minus(free[chosen], pod.requests)
            elif not pod.is_unschedulable:
                condition = {**self._condition("PodScheduled", "False"), "reason": "Unschedulable"}
                self._set_status(pod, {"phase": "Pending", "conditions": [condition]})

    @staticmethod
    def _fits(pod: Pod, node: Node, free: dict[str, int]) -> bool:
        taints = [taint for taint in node.taints if taint.effect in {NO_SCHEDULE, NO_EXECUTE}]
        selected = all(node.labels.get(key) == value for key, value in pod.spec.node_selector)
        return selected and not untolerated(taints, pod.spec.tolerations) and fits(pod.requests, free)

    def _run_pods(self) -> None:
        now = self.clock.now()
        alive = {node.name for node in self.nodes() if self.cloud.state_of(node.provider_id) in {"pending", "running"}}
        for pod in self.pods():
            if pod.node_name not in alive:
                continue
            manifest = self.server.get(POD, pod.meta.name, namespace=pod.meta.namespace)
            deadline = parse_time(manifest["metadata"].get("deletionTimestamp"))
            if deadline is not None:
                # A pod takes a second to stop, or its grace where that is shorter.
                grace = manifest["metadata"].get("deletionGracePeriodSeconds", 0)
                if now >= deadline - timedelta(seconds=max(grace - 1, 0)):
                    self._kill(pod)
            elif pod.phase != "Running":
                conditions = [self._condition("PodScheduled", "True"), self._condition("Ready", "True")]
                self._set_status(pod, {"phase": "Running", "startTime": format_time(now), "conditions": conditions})

    def _count_budgets(self) -> None:
        table = self.server.history.table(POD_DISRUPTION_BUDGET)
        for key in sorted(table):
            budget = table[key].value(POD_DISRUPTION_BUDGET)
            if budget.selector is None:
                continue
            healthy = sum(
                pod.phase == "Running" and pod.is_active and budget.selector.matches(pod.meta.labels)
                for pod in self.pods()
            )
            allowed = max(healthy - int(budget.min_available or 0), 0)
            manifest = table[key].manifest
            generation = manifest["metadata"].get("generation", 1)
            status = {"disruptionsAllowed": allowed, "currentHealthy": healthy, "observedGeneration": generation}
            if {name: (manifest.get("status") or {}).get(name) for name in status} != status:
                patch = {"status": status}
                name, namespace = budget.meta.name, budget.meta.namespace
                self.server.patch(POD_DISRUPTION_BUDGET, name, patch, namespace=namespace, subresource="status")

    def _set_status(self, pod: Pod, status: Manifest) -> None:
        try:
            self.server.patch(
                POD, pod.meta.name, {"status": status}, namespace=pod.meta.namespace, subresource="status"
            )
        except NotFound:
            return

    def _condition(self, type_: str, status: str) -> dict[str, str]:
        return {"type": type_, "status": status, "lastTransitionTime": format_time(self.clock.now())}
