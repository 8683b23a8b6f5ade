"""Tells people what happened, through Event objects; repetitions and floods are dropped.

`publish` is sync and cannot fail; `run` sends what was published. The key of a repetition is upstream's: the reason and
the dedupe values, not the kind of object, and it is looked at before the rate.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from nodesmith.actuate.pace import TokenBucket
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import EVENT
from nodesmith.api.meta import format_time
from nodesmith.ports.clock import Clock
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import PortError
from nodesmith.ports.events import Event
from nodesmith.ports.log import Log

COMPONENT: Final = "karpenter"
DEFAULT_NAMESPACE: Final = "default"
MESSAGE_LIMIT: Final = 1024
QUEUE_LIMIT: Final = 1000
_NOMINATED: Final = "Nominated"
_MEMORY: Final = 20_000


def dedupe_key(event: Event) -> str:
    """What makes two events the same."""
    return "-".join((event.reason.lower(), *event.dedupe))


def event_manifest(event: Event, *, sequence: int, now: datetime) -> dict[str, Any]:
    """The Event object; `sequence` keeps the names of two in one microsecond apart."""
    about = event.about
    namespace = about.namespace or DEFAULT_NAMESPACE
    stamp = f"{int(now.timestamp() * 1_000_000):x}{sequence & 0xFFFF:04x}"
    return {
        "metadata": {"name": f"{about.name[:200]}.{stamp}", "namespace": namespace},
        "involvedObject": {
            key: value
            for key, value in (
                ("apiVersion", about.api_version),
                ("kind", about.kind),
                ("name", about.name),
                ("namespace", about.namespace),
                ("uid", about.uid),
            )
            if value
        },
        "reason": event.reason,
        "message": _shortened(event.message),
        "type": event.type,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": format_time(now),
        "lastTimestamp": format_time(now),
        "count": 1,
    }


@dataclass(slots=True)
class EventRecorder:
    """The Events port on a cluster; `run` is a service."""

    cluster: Cluster
    clock: Clock
    log: Log
    _told: dict[str, datetime] = field(default_factory=dict, init=False)
    _queue: asyncio.Queue[Manifest] = field(default_factory=lambda: asyncio.Queue(QUEUE_LIMIT), init=False)
    _nominations: TokenBucket = field(init=False)
    _sequence: itertools.count[int] = field(default_factory=itertools.count, init=False)

    def __post_init__(self) -> None:
        self._nominations = TokenBucket(self.clock, per_second=5, burst=10)

    def publish(self, event: Event) -> None:
        """The event is on its way, or dropped as a repetition or as one too many."""
        now = self.clock.now()
        key = dedupe_key(event)
        until = self._told.get(key)
        if until is not None and now < until:
            return
        if event.reason == _NOMINATED and not self._nominations.try_take():
            return
        self._remember(key, now + event.dedupe_for, now)
        try:
            self._queue.put_nowait(event_manifest(event, sequence=next(self._sequence), now=now))
        except asyncio.QueueFull:
            self.log.debug("event dropped", reason=event.reason)

    async def run(self) -> None:
        """Send what is published, in order; one that is refused is dropped."""
        while True:
            manifest = await self._queue.get()
            try:
                await self.cluster.create(EVENT, manifest)
            except PortError as error:
                self.log.debug("event not written", reason=manifest["reason"], error=str(error))

    def _remember(self, key: str, until: datetime, now: datetime) -> None:
        if len(self._told) >= _MEMORY:
            self._told = {told: end for told, end in self._told.items() if end > now}
        self._told[key] = until


def _shortened(message: str) -> str:
    """The API server refuses longer messages."""
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…"
