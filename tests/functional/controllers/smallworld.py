"""A cluster in virtual time with the controllers in it, and short ways to say what happens there.

Hosts boot in exactly half a minute and pods start within a second, so that a test can count on times.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from nodesmith.adapters.memory.catalog import catalog
from nodesmith.adapters.memory.cloud import MemoryCloud, Rented, Timing
from nodesmith.adapters.memory.cluster import BOOKMARK_EVERY, MemoryCluster
from nodesmith.adapters.memory.faults import Faults
from nodesmith.adapters.memory.queue import WAIT_S, MemoryQueue
from nodesmith.adapters.memory.recording import RecordedEvents, RecordedMetrics, RecordedScenarios
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import DEPLOYMENT, NODE, NODE_CLAIM, POD, STATEFUL_SET
from nodesmith.controllers.build import Controllers, at_once, build
from nodesmith.controllers.disruption.loop import Decide, Validate
from nodesmith.controllers.instance_status import AskForSick
from nodesmith.controllers.nodeclaim.upkeep import LearnMemory
from nodesmith.controllers.ports import Ports
from nodesmith.controllers.shell import Options
from nodesmith.controllers.zonal_shift import AskForShifts
from nodesmith.decide.disrupt.decide import decide, validate
from nodesmith.decide.schedule.checked import Solve
from nodesmith.decide.schedule.solve import schedule
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.labels import CAPACITY_TYPE, SPOT
from nodesmith.model.meta import Condition
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.pod import Pod
from nodesmith.ports.cloud import Cloud
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.log import Log, NoLog
from nodesmith.ports.metrics import Metrics
from nodesmith.ports.queue import Queue
from nodesmith.sim.clock import VirtualClock
from nodesmith.sim.world.hosts import Host, MemoryHosts
from nodesmith.sim.world.kubelet import Pace
from nodesmith.sim.world.market import MemoryInterruptions
from nodesmith.sim.world.world import Base, World

STEP = timedelta(milliseconds=500)
BOOT = timedelta(seconds=30)
SECOND = timedelta(seconds=1)
PACE = Pace(boot=(BOOT, BOOT), ready=(SECOND, SECOND), start=(SECOND, SECOND), stop=(SECOND, SECOND), look_every=SECOND)


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


class SilentHosts(MemoryHosts):
    """Machines of a cloud in memory. While they are silent, no new one gets a kubelet."""

    def __init__(self, cloud: MemoryCloud) -> None:
        super().__init__(cloud)
        self.are_silent = False
        self._heard: frozenset[str] = frozenset()

    def running(self) -> Mapping[str, Host]:
        """The machines that are running."""
        hosts = super().running()
        if not self.are_silent:
            self._heard = frozenset(hosts)
        return {name: host for name, host in hosts.items() if name in self._heard}


class SmallWorld:
    """A cluster, a cloud, and what goes on in them."""

    def __init__(
        self,
        clock: VirtualClock,
        *,
        seed: int = 1,
        pace: Pace = PACE,
        types: Sequence[InstanceType] | None = None,
        bookmark_every: timedelta = BOOKMARK_EVERY,
        queue_wait_s: float = WAIT_S,
    ) -> None:
        self.clock = clock
        base = Base(clock, seed=seed)
        self.server = base.server
        self.faults = Faults(base.random("faults"))
        self.cluster = MemoryCluster(base.server, clock, faults=self.faults, bookmark_every=bookmark_every)
        self.types = types if types is not None else catalog()
        timing = Timing(pending=timedelta(seconds=5), shutting_down=timedelta(seconds=20))
        self.cloud = MemoryCloud(self.types, clock, base.random("cloud"), timing=timing, faults=self.faults)
        self.hosts = SilentHosts(self.cloud)
        self.world = World(base, self.hosts, pace=pace)
        self.queue = MemoryQueue(clock, wait_s=queue_wait_s)
        self.interruptions = MemoryInterruptions(base.engine, self.cloud, self.queue)
        self.events = RecordedEvents(clock)
        self.metrics = RecordedMetrics()
        self.told_numbers: Metrics = self.metrics
        """Where controllers tell their numbers."""
        self.log: Log = NoLog()
        self.scenarios = RecordedScenarios()
        self.sick_instances: AskForSick | None = None
        self.zonal_shifts: AskForShifts | None = None
        self.learn_memory: LearnMemory | None = None
        self.on_step: list[Callable[[], None]] = []
        self._apps: dict[str, int] = {}
        self._stateful: set[str] = set()

    # --- what tests do to it ---

    def apply(self, *manifests: Manifest) -> None:
        """The objects are there."""
        self.world.apply(*manifests)

    def app(
        self,
        name: str,
        replicas: int,
        *,
        cpu: str = "500m",
        memory: str = "512Mi",
        spec: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        is_stateful: bool = False,
    ) -> None:
        """The app has so many replicas from now on; what else is said counts when it is new."""
        kind = STATEFUL_SET if is_stateful or name in self._stateful else DEPLOYMENT
        if kind is STATEFUL_SET:
            self._stateful.add(name)
        if name in self._apps:
            self.server.patch(kind, name, {"spec": {"replicas": replicas}}, namespace="default")
        else:
            container = {"name": "main", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
            template = {
                "metadata": {"labels": {"app": name, **(labels or {})}, "annotations": dict(annotations or {})},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 5, **(spec or {})},
            }
            selector = {"matchLabels": {"app": name}}
            manifest = {
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"replicas": replicas, "selector": selector, "template": template},
            }
            self.server.create(kind, manifest)
        self._apps[name] = replicas

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

    def reclaim(self, rented: Rented) -> None:
        """EC2 warns, and takes the spot machine back two minutes later."""
        self.interruptions.interrupt(rented.machine.provider_id)

    async def until(self, holds: Callable[[], bool], *, within: timedelta = timedelta(minutes=10)) -> timedelta:
        """Wait for it; returns how long that took."""
        began = self.clock.now()
        while not holds():
            if self.clock.now() - began >= within:
                raise AssertionError(self.describe())
            await self.clock.sleep(STEP)
        return self.clock.now() - began

    async def pass_time(self, duration: timedelta) -> None:
        """So much later."""
        await self.clock.sleep(duration)

    @asynccontextmanager
    async def running(self, *, has_steps: bool = True) -> AsyncIterator[None]:
        """The world goes on while the block does; only with steps is `on_step` asked."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.world.run(), name="world")]
            if has_steps:
                tasks.append(group.create_task(self._step(), name="steps"))
            try:
                yield
            finally:
                for task in tasks:
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
        queue: Queue | None = None,
        seed: int = 7,
        solve: Solve = schedule,
        fallback: Solve | None = None,
        decide: Decide = decide,
        validate: Validate = validate,
    ) -> Controllers:
        """Controllers that have not begun."""
        ports = Ports(
            cluster=cluster or self.cluster,
            cloud=cloud or self.cloud,
            clock=self.clock,
            events=self.events,
            metrics=self.told_numbers,
            log=self.log,
            queue=queue or self.queue,
            sick_instances=self.sick_instances,
            zonal_shifts=self.zonal_shifts,
            learn_memory=self.learn_memory,
            scenarios=self.scenarios,
        )
        return build(
            ports,
            options or Options(cluster_name="small"),
            solve=solve,
            fallback=fallback,
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

    def claims(self) -> list[NodeClaim]:
        """The NodeClaims."""
        table = self.server.history.table(NODE_CLAIM)
        return [table[key].value(NODE_CLAIM) for key in sorted(table)]

    def machines(self) -> Sequence[Rented]:
        """The machines that are paid for."""
        return [each for each in self.cloud.living() if each.terminated_at is None]

    def condition(self, type_: str) -> Condition:
        """The condition of the one claim there is."""
        (claim,) = self.claims()
        found = claim.condition(type_)
        assert found is not None, self.describe()
        return found

    def wanted(self) -> int:
        """How many pods there are to be."""
        return sum(self._apps.values())

    def all_running(self) -> bool:
        """Whether every app has all its pods running, and no other pod is left."""
        pods = self.pods()
        return len(pods) == self.wanted() and all(pod.phase == "Running" and pod.is_active for pod in pods)

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

    async def _step(self) -> None:
        while True:
            if self.on_step:
                for listener in list(self.on_step):
                    listener()
            await self.clock.sleep(STEP if self.on_step else timedelta(seconds=5))
