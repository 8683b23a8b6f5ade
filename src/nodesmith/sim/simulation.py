"""nodesmith in a world of its own: controllers, cluster and cloud in memory, one seed, virtual time.

async def main(clock):
async with open_simulation(clock, seed=7) as simulation:
simulation.world.apply(...)
await simulation.until(lambda: ..., within=timedelta(minutes=5))

run(main)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from nodesmith.adapters.memory.catalog import catalog
from nodesmith.adapters.memory.cloud import MemoryCloud, Timing
from nodesmith.adapters.memory.faults import Faults
from nodesmith.adapters.memory.queue import MemoryQueue
from nodesmith.adapters.memory.recording import RecordedEvents, RecordedMetrics
from nodesmith.controllers.build import Controllers, at_once, build
from nodesmith.controllers.ports import Ports
from nodesmith.controllers.shell import Options
from nodesmith.decide.disrupt.decide import decide, validate
from nodesmith.decide.schedule.solve import schedule
from nodesmith.model.instancetype import InstanceType
from nodesmith.ports.log import Log, NoLog
from nodesmith.sim.clock import VirtualClock
from nodesmith.sim.world.hosts import MemoryHosts
from nodesmith.sim.world.kubelet import Pace
from nodesmith.sim.world.market import MemoryInterruptions
from nodesmith.sim.world.world import Base, World

_LOOK_EVERY: Final = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a simulation is made with."""

    types: Sequence[InstanceType] = field(default_factory=catalog)
    timing: Timing = field(default_factory=lambda: Timing(timedelta(seconds=8), timedelta(seconds=25)))
    pace: Pace = field(default_factory=Pace)
    options: Options = field(default_factory=lambda: Options(cluster_name="simulated"))
    faults: Callable[[Base], Faults] | None = None
    cloud_faults: Callable[[Base], Faults] | None = None
    log: Log = field(default_factory=NoLog)


@dataclass(slots=True)
class Simulation:
    """Everything that takes part. `stop_controllers` and `start_controllers` are a crash and a restart."""

    setting: Setting
    clock: VirtualClock
    base: Base
    world: World
    cloud: MemoryCloud
    queue: MemoryQueue
    interruptions: MemoryInterruptions
    events: RecordedEvents
    metrics: RecordedMetrics
    _group: asyncio.TaskGroup
    _running: asyncio.Task[None] | None = None
    _starts: int = 0

    def start_controllers(self) -> Controllers:
        """Nodesmith runs, and knows nothing of any run before."""
        self._starts += 1
        cluster = self.base.cluster(self.setting.faults(self.base) if self.setting.faults else None)
        log = self.setting.log
        controllers = build(
            Ports(cluster, self.cloud, self.clock, self.events, self.metrics, log, self.queue),
            self.setting.options,
            solve=schedule,
            decide=decide,
            validate=validate,
            rng=self.base.random(f"nodesmith {self._starts}"),
            run_solver=at_once,
        )
        self._running = self._group.create_task(controllers.run(asyncio.Event()), name="nodesmith")
        return controllers

    async def stop_controllers(self) -> None:
        """Nodesmith is killed, whatever it was doing."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
            self._running = None

    async def until(self, question: Callable[[], bool], *, within: timedelta) -> bool:
        """Wait until it is so, or the time is over; whether it is so."""
        deadline = self.clock.now() + within
        while not question():
            if self.clock.now() >= deadline:
                return False
            await self.clock.sleep(_LOOK_EVERY)
        return True


@asynccontextmanager
async def open_simulation(
    clock: VirtualClock, *, seed: int = 0, setting: Setting | None = None
) -> AsyncIterator[Simulation]:
    """A world in which nodesmith runs."""
    setting = setting or Setting()
    base = Base(clock, seed=seed)
    faults = setting.cloud_faults(base) if setting.cloud_faults else None
    cloud = MemoryCloud(setting.types, clock, base.random("cloud"), timing=setting.timing, faults=faults)
    queue = MemoryQueue(clock)
    world = World(base, MemoryHosts(cloud), pace=setting.pace)
    async with asyncio.TaskGroup() as group:
        living = group.create_task(world.run(), name="world")
        simulation = Simulation(
            setting=setting,
            clock=clock,
            base=base,
            world=world,
            cloud=cloud,
            queue=queue,
            interruptions=MemoryInterruptions(base.engine, cloud, queue),
            events=RecordedEvents(clock),
            metrics=RecordedMetrics(),
            _group=group,
        )
        simulation.start_controllers()
        try:
            yield simulation
        finally:
            await simulation.stop_controllers()
            living.cancel()
