"""Zones that traffic was moved away from, told on the NodePools that use them (spec 7.12)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Final

from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.controllers import tell
from nodesmith.controllers.controller import Again, Outcome
from nodesmith.controllers.shell import Shell
from nodesmith.model.labels import ZONE
from nodesmith.model.nodepool import NodePool

EVERY: Final = timedelta(seconds=30)

AskForShifts = Callable[[], Awaitable[frozenset[str]]]
"""The ids of the zones that are shifted away from."""


class ZonalShifts:
    """Asks, and tells what changed since."""

    def __init__(self, shell: Shell, ask: AskForShifts) -> None:
        self._shell = shell
        self._ask = ask
        self._shifted: frozenset[str] = frozenset()

    async def reconcile(self, _: str) -> Outcome:
        """NodePools have heard which of their zones nodes are not launched in, and where they are again."""
        shifted = await self._ask()
        for pool, zone, zone_id in self._zones():
            if zone_id in shifted:
                self._shell.events.publish(tell.zonal_shift(pool, zone, zone_id, is_active=True))
            elif zone_id in self._shifted:
                self._shell.events.publish(tell.zonal_shift(pool, zone, zone_id, is_active=False))
        for zone_id in sorted(shifted ^ self._shifted):
            self._shell.log.info("zonal shift", zone_id=zone_id, is_active=zone_id in shifted)
        self._shifted = shifted
        return Again(EVERY)

    def _zones(self) -> Iterator[tuple[NodePool, str, str]]:
        """Each NodePool with each of its zones, name and id."""
        for pool in self._shell.store.all(NodePool):
            node_class = self._shell.store.get(EC2NodeClass, pool.node_class.name)
            zones = {each.zone: each.zone_id for each in node_class.status.subnets} if node_class is not None else {}
            allowed = pool.requirements.get(ZONE)
            yield from ((pool, zone, zones[zone]) for zone in sorted(zones) if allowed.allows(zone))
