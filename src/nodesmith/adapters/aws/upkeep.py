"""Deletes what was made for nodes and nothing uses any more: launch templates, instance profiles (spec 7.0, 7.10).

What this process made it remembers. What an earlier leader made, or a call whose answer was lost, nobody remembers: so
AWS is asked for it when this process begins to lead, and every half an hour after that.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from nodesmith.adapters.aws.objects import Objects
from nodesmith.adapters.aws.profiles import Profiles
from nodesmith.adapters.aws.templates import Templates
from nodesmith.model.labels import INSTANCE_PROFILE_NAME
from nodesmith.ports.clock import Clock

LOOKED_FOR_EVERY: Final = timedelta(minutes=30)


class Upkeep:
    """To be run every half a minute, by the leader alone."""

    def __init__(
        self, clock: Clock, *, templates: Templates, profiles: Profiles, objects: Objects, is_isolated: bool
    ) -> None:
        self._clock = clock
        self._templates = templates
        self._profiles = profiles
        self._objects = objects
        self._is_isolated = is_isolated
        self._looked_at: datetime | None = None

    async def run(self) -> None:
        """Templates that no launch has needed for a minute are gone, and profiles that no node and no class uses.

        Raises:
            PortError: when AWS does not answer; what is left is seen to next time.
        """
        await self._templates.delete_idle()
        now = self._clock.now()
        if self._looked_at is not None and now - self._looked_at < LOOKED_FOR_EVERY:
            return
        await self._templates.hydrate()
        if not self._is_isolated:
            await self._profiles.collect(await self._profiles_in_use())
        self._looked_at = now

    async def _profiles_in_use(self) -> set[str]:
        claims = await self._objects.node_claims()
        in_use = {each.meta.annotations.get(INSTANCE_PROFILE_NAME, "") for each in claims}
        for node_class in await self._objects.node_classes():
            in_use |= {node_class.status.instance_profile, self._profiles.name_for(node_class)}
        return in_use
