"""Capacity reservations that end: machines that outlive theirs are on demand, those of a capacity block go (spec 7.12).

A machine keeps running when its reservation is cancelled, and is then paid for; its labels must say so, or
consolidation takes it for free.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.kinds import NODE
from nodesmith.controllers.controller import Again, Outcome
from nodesmith.controllers.shell import Shell
from nodesmith.model.labels import (
    CAPACITY_TYPE,
    ON_DEMAND,
    RESERVATION_ID,
    RESERVATION_INTERRUPTIBLE,
    RESERVATION_TYPE,
    RESERVED,
)
from nodesmith.model.nodeclaim import NodeClaim

EVERY: Final = timedelta(minutes=1)

DEMOTED: Final = {
    CAPACITY_TYPE: ON_DEMAND,
    RESERVATION_ID: None,
    RESERVATION_TYPE: None,
    RESERVATION_INTERRUPTIBLE: None,
}
"""The labels of a machine that has no reservation any more; upstream leaves the last one, which then means nothing."""

_EXPIRING: Final = "expiring"


class ReservationEnds:
    """Looks every minute, and asks the cloud only when there is a reserved machine."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def reconcile(self, _: str) -> Outcome:
        """Labels tell how each reserved machine is paid for; machines of a block that ends are leaving."""
        reserved = [
            claim
            for claim in self._shell.store.all(NodeClaim)
            if claim.labels.get(CAPACITY_TYPE) == RESERVED and claim.provider_id and not claim.meta.is_deleting
        ]
        if not reserved:
            return Again(EVERY)
        terms = {each.provider_id: each.capacity_type for each in await self._shell.cloud.list()}
        expiring = self._expiring()
        for claim in reserved:
            if claim.labels.get(RESERVATION_ID) in expiring:
                await self._let_go(claim)
            elif terms.get(claim.provider_id, RESERVED) != RESERVED:
                await self._demote(claim)
        return Again(EVERY)

    def _expiring(self) -> set[str]:
        return {
            reservation.id
            for node_class in self._shell.store.all(EC2NodeClass)
            for reservation in node_class.status.capacity_reservations
            if reservation.state == _EXPIRING
        }

    async def _demote(self, claim: NodeClaim) -> None:
        await self._shell.claims.set_metadata(claim, labels=DEMOTED)
        for node in self._shell.store.nodes_with(claim.provider_id):
            await self._shell.writer.patch(NODE, node, {"metadata": {"labels": DEMOTED}}, is_locked=False)
        self._shell.log.info("machine has no reservation any more", NodeClaim=claim.name)

    async def _let_go(self, claim: NodeClaim) -> None:
        if await self._shell.claims.delete(claim):
            self._shell.store.mark(claim.name)
            labels = {"nodepool": claim.pool_name, "capacity_type": RESERVED}
            self._shell.metrics.count("nodeclaims_disrupted_total", reason="capacity_reservation_expiring", **labels)
            self._shell.log.info("deleting nodeclaim of a capacity block that ends", NodeClaim=claim.name)
