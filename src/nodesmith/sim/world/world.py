"""The world put together: one API server in memory, everything that runs beside nodesmith, one seed."""

from __future__ import annotations

import random

from nodesmith.adapters.memory.admission import Admission
from nodesmith.adapters.memory.cluster import MemoryCluster
from nodesmith.adapters.memory.crds import admit
from nodesmith.adapters.memory.faults import Faults
from nodesmith.adapters.memory.server import KEEP, ApiServer
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import kind_of
from nodesmith.ports.clock import Clock
from nodesmith.sim.world.budgets import Budgets
from nodesmith.sim.world.engine import Engine
from nodesmith.sim.world.hosts import Hosts
from nodesmith.sim.world.kubelet import Kubelets, Pace
from nodesmith.sim.world.log import Diary
from nodesmith.sim.world.nodes import NodeLifecycle
from nodesmith.sim.world.scheduler import Scheduler
from nodesmith.sim.world.volumes import Volumes
from nodesmith.sim.world.workloads import Workloads


class Base:
    """The API server and the engine, on which hosts may be built before the rest of the world is."""

    def __init__(self, clock: Clock, *, seed: int = 0, admission: Admission = admit, keep: int = KEEP) -> None:
        self.clock = clock
        self.seed = seed
        self.server = ApiServer(clock.now, self.random("uids"), admission=admission, keep=keep)
        self.engine = Engine(self.server, clock, self.random("world"))
        self.diary = Diary(self.server, clock.now())

    def random(self, purpose: str) -> random.Random:
        """A source of its own for each purpose, so that one more draw here changes nothing there."""
        return random.Random(f"{self.seed}:{purpose}")

    def cluster(self, faults: Faults | None = None) -> MemoryCluster:
        """The cluster as nodesmith sees it."""
        return MemoryCluster(self.server, self.clock, faults=faults)


class World:
    """Everything in the cluster that is not nodesmith."""

    def __init__(self, base: Base, hosts: Hosts, *, pace: Pace | None = None) -> None:
        pace = pace or Pace()
        self.base = base
        self.server = base.server
        self.engine = base.engine
        self.diary = base.diary
        self.volumes = Volumes(base.engine)
        self.workloads = Workloads(base.engine)
        self.scheduler = Scheduler(base.engine, self.volumes)
        self.kubelets = Kubelets(base.engine, hosts, pace)
        self.nodes = NodeLifecycle(base.engine, hosts, cloud_look_every=pace.cloud_look_every)
        self.budgets = Budgets(base.engine)

    async def run(self) -> None:
        """Live until cancelled."""
        await self.engine.run()

    def apply(self, *manifests: Manifest) -> None:
        """Create what the manifests say, as `kubectl create` does.

        Raises:
            ValueError: for a manifest of a kind that is not served.
        """
        for manifest in manifests:
            kind = kind_of(manifest)
            if kind is None:
                raise ValueError(f"no kind {manifest.get('kind')} in {manifest.get('apiVersion')}")
            self.server.create(kind, manifest)
