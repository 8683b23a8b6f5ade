"""What all controllers share: the store, the ports, and the operator's choices. Made once, in `build`."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

from nodesmith.actuate.claims import Claims
from nodesmith.actuate.writer import Writer
from nodesmith.controllers.batcher import BatchWindow
from nodesmith.controllers.bufferbook import BufferBook
from nodesmith.controllers.controller import Telemetry
from nodesmith.controllers.freshness import Freshness
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.schedule.overlays import OverlaidCatalogs
from nodesmith.decide.schedule.problem import Options as ScheduleOptions
from nodesmith.model.labels import AWS_GROUP
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.ports.clock import Clock
from nodesmith.ports.cloud import Cloud
from nodesmith.ports.events import Events
from nodesmith.ports.log import Log
from nodesmith.ports.metrics import Metrics
from nodesmith.ports.scenarios import Scenarios
from nodesmith.state.store import Store

T = TypeVar("T")

MANAGED_KIND: Final = "EC2NodeClass"


class RunSolver(Protocol):
    """How the solver is run: in a thread, so that the loop lives on, or at once, where time is virtual."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """The work's result."""
        ...


@dataclass(frozen=True, slots=True)
class Gates:
    """Feature gates that controllers look at (spec 9)."""

    node_repair: bool = False
    static_capacity: bool = False
    node_overlay: bool = False
    capacity_buffer: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """The operator's choices, as values."""

    cluster_name: str = ""
    batch: BatchWindow = field(default_factory=BatchWindow)
    schedule: ScheduleOptions = field(default_factory=ScheduleOptions)
    policy: Policy = field(default_factory=Policy)
    gates: Gates = field(default_factory=Gates)
    workers: int = 10
    decisions_kept: int = 200
    observes_state: bool = True
    nominates: bool = True
    ignores_resource_claims: bool = True


@dataclass(frozen=True, slots=True)
class Shell:
    """What a controller is given."""

    store: Store
    cloud: Cloud
    writer: Writer
    claims: Claims
    clock: Clock
    events: Events
    metrics: Metrics
    log: Log
    options: Options
    rng: random.Random
    run_solver: RunSolver
    freshness: Freshness
    scenarios: Scenarios | None = None
    overlays: OverlaidCatalogs = field(default_factory=OverlaidCatalogs)
    buffers: BufferBook = field(default_factory=BufferBook)

    @property
    def telemetry(self) -> Telemetry:
        """What the reconcile machinery tells with."""
        return Telemetry(self.clock, self.metrics, self.log)

    def now(self) -> datetime:
        """The time, read once a pass."""
        return self.clock.now()


def is_managed(owner: NodeClaim | NodePool) -> bool:
    """Whether its NodeClass is of the kind that we launch from."""
    return owner.node_class.group == AWS_GROUP and owner.node_class.kind == MANAGED_KIND


def until(moment: datetime, now: datetime) -> timedelta:
    """How long it is till then; never below a millisecond, so that nobody spins on a deadline."""
    return max(moment - now, timedelta(milliseconds=1))
