"""The status of NodeOverlays: whether they are in force (spec 1.4, 9)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from nodesmith.api.kinds import NODE_OVERLAY
from nodesmith.api.meta import conditions_to_json
from nodesmith.controllers.controller import DONE, Again, Outcome
from nodesmith.controllers.provisioning.catalogs import may_disrupt, types_of
from nodesmith.controllers.shell import Shell
from nodesmith.decide.lifecycle.conditions import VALIDATION_SUCCEEDED, Change, changed, fails, holds
from nodesmith.decide.schedule.overlays import Overlaid
from nodesmith.model.nodepool import NodePool
from nodesmith.model.overlay import NodeOverlay

EVALUATE_EVERY: Final = timedelta(hours=6)
DEPENDENTS: Final = (VALIDATION_SUCCEEDED,)


class OverlayStatus:
    """Keeps NodeOverlays' status true."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def reconcile(self, name: str) -> Outcome:
        """The overlay's conditions say whether it is in force.

        Raises:
            Conflict: when the overlay has changed meanwhile.
        """
        overlay = self._shell.store.get(NodeOverlay, name)
        if overlay is None or overlay.meta.is_deleting:
            return DONE
        pools = [pool for pool in self._shell.store.all(NodePool) if may_disrupt(pool)]
        catalog = await types_of(self._shell, pools)
        result = self._shell.overlays.of(catalog, pools, self._shell.store.all(NodeOverlay))
        now = self._shell.now().replace(microsecond=0)
        conditions = changed(
            overlay.conditions, overlay.meta, [validation(name, result)], dependents=DEPENDENTS, now=now
        )
        if conditions != overlay.conditions:
            patch = {"status": {"conditions": conditions_to_json(conditions)}}
            await self._shell.writer.patch(NODE_OVERLAY, overlay, patch, subresource="status")
        return Again(EVALUATE_EVERY)


def validation(name: str, result: Overlaid) -> Change:
    """Whether the overlay is in force, and if not, why."""
    if name in result.faulty:
        return fails(VALIDATION_SUCCEEDED, "RuntimeValidation", result.faulty[name])
    if name in result.conflicting:
        return fails(VALIDATION_SUCCEEDED, "Conflict", "conflict with another overlay")
    return holds(VALIDATION_SUCCEEDED)
