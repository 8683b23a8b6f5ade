"""The spot market: machines are taken back, by a seeded source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from nodesmith.adapters.memory.cloud import MemoryCloud
from nodesmith.adapters.memory.queue import MemoryQueue
from nodesmith.model.labels import SPOT
from nodesmith.ports.errors import NotFound
from nodesmith.ports.queue import InterruptionKind
from nodesmith.sim.world.engine import Engine

NOTICE: Final = timedelta(minutes=2)
_LOOK_EVERY: Final = timedelta(minutes=1)
_MINUTES_AN_HOUR: Final = 60


class Market:
    """Takes back each spot machine with the same chance every minute; `per_hour` is how often in an hour."""

    def __init__(
        self,
        engine: Engine,
        spot: Callable[[], Sequence[str]],
        interrupt: Callable[[str], None],
        *,
        per_hour: float,
    ) -> None:
        self._engine = engine
        self._spot = spot
        self._interrupt = interrupt
        self._chance = per_hour / _MINUTES_AN_HOUR
        engine.every(_LOOK_EVERY, self._look)

    def _look(self) -> None:
        for machine in self._spot():
            if self._engine.rng.random() < self._chance:
                self._interrupt(machine)


class MemoryInterruptions:
    """Interruptions of machines of a cloud in memory: a warning in the queue, and the end two minutes later."""

    def __init__(self, engine: Engine, cloud: MemoryCloud, queue: MemoryQueue) -> None:
        self._engine = engine
        self._cloud = cloud
        self._queue = queue

    def spot(self) -> Sequence[str]:
        """The provider ids of spot machines that nobody has ended yet."""
        return [
            each.machine.provider_id
            for each in self._cloud.living()
            if each.machine.capacity_type == SPOT and each.terminated_at is None
        ]

    def interrupt(self, provider_id: str) -> None:
        """The machine is warned, and ends in two minutes."""
        self._queue.send(InterruptionKind.SPOT_INTERRUPTED, provider_id.rpartition("/")[2])
        self._engine.after(NOTICE, lambda: self._end(provider_id))

    def _end(self, provider_id: str) -> None:
        try:
            self._cloud.terminate(provider_id)
        except NotFound:
            return
