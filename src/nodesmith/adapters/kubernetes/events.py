"""Writes what is published as Event objects, in order, beside everything else.

`publish` is sync and cannot fail; `run` sends. Repetitions are dropped before they come here (`actuate.recorder`).
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

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
class EventWriter:
    """The Events port on a cluster; `run` is a service."""

    cluster: Cluster
    clock: Clock
    log: Log
    _queue: asyncio.Queue[Manifest] = field(default_factory=lambda: asyncio.Queue(QUEUE_LIMIT), init=False)
    _sequence: itertools.count[int] = field(default_factory=itertools.count, init=False)

    def publish(self, event: Event) -> None:
        """The event is on its way, or dropped when too many are."""
        try:
            self._queue.put_nowait(event_manifest(event, sequence=next(self._sequence), now=self.clock.now()))
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


def _shortened(message: str) -> str:
    """The API server refuses longer messages."""
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…"
