"""What AWS said it does not have now: offerings, capacity types, subnets; forgotten after three minutes (spec 7.6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from nodesmith.adapters.aws.cache import Cache
from nodesmith.ports.clock import Clock

REMEMBERED_FOR: Final = timedelta(minutes=3)


class Unavailable:
    """The memory of refusals. `version` changes whenever what it would answer may have changed."""

    def __init__(self, clock: Clock) -> None:
        self._offerings: Cache[tuple[str, ...], bool] = Cache(clock, REMEMBERED_FOR)
        self._capacity_types: Cache[str, bool] = Cache(clock, REMEMBERED_FOR)
        self._subnets: Cache[str, bool] = Cache(clock, REMEMBERED_FOR)
        self._marks = 0

    @property
    def version(self) -> int:
        """A number that grows with every mark and every mark that was forgotten."""
        caches = (self._offerings, self._capacity_types, self._subnets)
        self._marks += sum(len(cache.expired()) for cache in caches)
        return self._marks

    def mark(self, *, instance_type: str, zone: str, capacity_type: str, group: str = "", partition: str = "") -> None:
        """The offering is not to be had; within a placement group, or a partition of it, only there."""
        self._offerings.set((capacity_type, instance_type, zone, group, partition), value=True)
        self._marks += 1

    def mark_capacity_type(self, capacity_type: str) -> None:
        """Nothing of the capacity type is to be had."""
        self._capacity_types.set(capacity_type, value=True)
        self._marks += 1

    def mark_subnet(self, subnet: str) -> None:
        """The subnet has no free address."""
        self._subnets.set(subnet, value=True)
        self._marks += 1

    def has_offering(
        self, *, instance_type: str, zone: str, capacity_type: str, group: str = "", partition: str = ""
    ) -> bool:
        """Whether nobody said that the offering is not to be had."""
        if self._capacity_types.peek(capacity_type):
            return False
        scopes = {("", ""), (group, ""), (group, partition)}
        return not any(self._offerings.peek((capacity_type, instance_type, zone, *scope)) for scope in scopes)

    def has_addresses(self, subnet: str) -> bool:
        """Whether nobody said that the subnet is full."""
        return not self._subnets.peek(subnet)
