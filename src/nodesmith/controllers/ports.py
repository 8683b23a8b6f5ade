"""Everything outside, in one value: what a composition root hands to `build`."""

from __future__ import annotations

from dataclasses import dataclass

from nodesmith.controllers.instance_status import AskForSick
from nodesmith.controllers.nodeclaim.upkeep import LearnMemory
from nodesmith.controllers.zonal_shift import AskForShifts
from nodesmith.ports.clock import Clock
from nodesmith.ports.cloud import Cloud
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.events import Events
from nodesmith.ports.log import Log
from nodesmith.ports.metrics import Metrics
from nodesmith.ports.queue import Queue
from nodesmith.ports.scenarios import Scenarios


@dataclass(frozen=True, slots=True)
class Ports:
    """`events` is where events end up, repetitions and all.

    `queue` None: interruptions are not heard of. `sick_instances` None: the cloud is not asked for them.
    `learn_memory` None: nobody wants to know how much memory nodes turned out to have. `scenarios` None: the input of
    a refused plan is not kept. `zonal_shifts` None: zones are not shifted away from.
    """

    cluster: Cluster
    cloud: Cloud
    clock: Clock
    events: Events
    metrics: Metrics
    log: Log
    queue: Queue | None = None
    sick_instances: AskForSick | None = None
    learn_memory: LearnMemory | None = None
    zonal_shifts: AskForShifts | None = None
    scenarios: Scenarios | None = None
