"""Zones that ARC moved traffic away from: nothing is launched there, and nothing there is terminated (spec 7.12)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from nodesmith.adapters.aws.cache import Cache
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import PortError

ASKED_EVERY: Final = timedelta(seconds=30)


class ZonalShift:
    """The zone ids with an active shift of the cluster; none at all where the feature is off."""

    def __init__(self, client: AwsClient, clock: Clock, *, cluster: str, is_enabled: bool) -> None:
        self._client = client
        self._clock = clock
        self._cluster = cluster
        self._is_enabled = is_enabled
        self._arn = ""
        self._last: frozenset[str] = frozenset()
        self._cache: Cache[str, frozenset[str]] = Cache(clock, ASKED_EVERY)

    async def shifted_zones(self) -> frozenset[str]:
        """The zone ids; those of the last answer while ARC does not answer."""
        if not self._is_enabled:
            return frozenset()
        try:
            self._last = await self._cache.get("", self._ask)
        except PortError:
            self._cache.set("", self._last)
        return self._last

    async def check(self) -> None:
        """The cluster is registered with ARC.

        Raises:
            PortError: when it is not, or ARC does not answer.
        """
        if self._is_enabled:
            await self._ask()

    async def _ask(self) -> frozenset[str]:
        if not self._arn:
            described = await self._client.call("eks", "DescribeCluster", name=self._cluster)
            self._arn = described["cluster"]["arn"]
        answer = await self._client.call("arc-zonal-shift", "GetManagedResource", resourceIdentifier=self._arn)
        now = self._clock.now()
        return frozenset(
            shift["awayFrom"]
            for shift in answer.get("zonalShifts") or ()
            if shift.get("appliedStatus") == "APPLIED" and shift["expiryTime"] > now
        )
