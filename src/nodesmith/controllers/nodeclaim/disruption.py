"""What a NodeClaim says about its own disruption: Consolidatable and Drifted (spec 5.9, 5.10)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from nodesmith.controllers.controller import DONE, Again, Outcome
from nodesmith.controllers.shell import Shell, is_managed, until
from nodesmith.decide.lifecycle.conditions import Change
from nodesmith.decide.lifecycle.disruptable import consolidatable, drifted, instance_type_drift, pool_drift
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.nodeclaim import LAUNCHED, NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.ports.errors import NodeClassNotReady, NotFound, PortError

DRIFT_EVERY: Final = timedelta(minutes=5)
TYPES_EVERY: Final = timedelta(minutes=30)


class ClaimDisruption:
    """Keeps the two conditions true."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._types_looked_at: dict[str, datetime] = {}
        self._types_missing: dict[str, str | None] = {}

    async def reconcile(self, name: str) -> Outcome:
        """The claim's conditions say what is true now.

        Raises:
            Conflict: when the claim has changed meanwhile.
        """
        claim = self._shell.store.get(NodeClaim, name)
        if claim is None or claim.meta.is_deleting:
            self._forget(name)
            return DONE
        pool = self._shell.store.get(NodePool, claim.pool_name)
        if pool is None or not is_managed(claim):
            return DONE
        now = self._shell.now()
        change, at = consolidatable(claim, pool, now)
        changes = [change]
        if (drift := await self._drift(claim, pool, now)) is not None:
            changes.append(drift)
        await self._shell.claims.set_status(claim, changes)
        return Again(min(DRIFT_EVERY, until(at, now)) if at is not None else DRIFT_EVERY)

    async def _drift(self, claim: NodeClaim, pool: NodePool, now: datetime) -> Change | None:
        """The Drifted condition, or None where nobody can tell now."""
        if not claim.has(LAUNCHED):
            return drifted(None)
        reason = pool_drift(claim, pool) or await self._type_drift(claim, pool, now)
        if reason is not None:
            return drifted(reason)
        try:
            return drifted(await self._shell.cloud.drift_of(claim))
        except (NotFound, NodeClassNotReady):
            return None
        except PortError as error:
            self._shell.log.warning("drift is unknown", NodeClaim=claim.name, error=str(error))
            return None

    async def _type_drift(self, claim: NodeClaim, pool: NodePool, now: datetime) -> str | None:
        looked_at = self._types_looked_at.get(claim.name)
        if looked_at is not None and now - looked_at < TYPES_EVERY:
            return self._types_missing.get(claim.name)
        try:
            types: Sequence[InstanceType] = await self._shell.cloud.instance_types(pool)
        except PortError:
            return None
        self._types_looked_at[claim.name] = now
        found = self._types_missing[claim.name] = instance_type_drift(claim, types, now)
        return found

    def _forget(self, name: str) -> None:
        self._types_looked_at.pop(name, None)
        self._types_missing.pop(name, None)
