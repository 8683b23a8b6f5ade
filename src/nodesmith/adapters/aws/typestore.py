"""The instance types of the region: asked for once in twelve hours, kept while AWS does not answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from nodesmith.adapters.aws.cache import Cache
from nodesmith.adapters.aws.catalog import TYPE_FILTERS, TypeFacts, parse_offerings, parse_type
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import PortError

REFRESHED_EVERY: Final = timedelta(hours=12)
RETRIED_AFTER: Final = timedelta(minutes=1)
MEMORY_KNOWN_FOR: Final = timedelta(days=60)
_TYPES_A_PAGE: Final = 100
_OFFERINGS_A_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Types:
    """Facts and zones by type name. `version` grows with every refresh."""

    facts: Mapping[str, TypeFacts] = field(default_factory=dict)
    zones: Mapping[str, frozenset[str]] = field(default_factory=dict)
    version: int = 0


class TypeStore:
    """Where instance types come from, and what real nodes taught about their memory."""

    def __init__(self, client: AwsClient, clock: Clock) -> None:
        self._client = client
        self._cache: Cache[str, Types] = Cache(clock, REFRESHED_EVERY)
        self._last = Types()
        self._memory: Cache[tuple[str, str], int] = Cache(clock, MEMORY_KNOWN_FOR)
        self._seen: set[str] = set()
        self.memory_version = 0

    async def types(self) -> Types:
        """Every type that is offered in the region.

        Raises:
            PortError: when AWS has never told them and does not answer.
        """
        try:
            self._last = await self._cache.get("", self._ask)
        except PortError:
            if not self._last.facts:
                raise
            self._cache.set("", self._last, ttl=RETRIED_AFTER)
        return self._last

    def learn_memory(self, instance_type: str, image: str, memory: int) -> None:
        """A node of the type with the image has so many bytes; the least that was ever seen counts."""
        known = self._memory.peek((instance_type, image))
        if known is None or memory < known:
            self._memory.set((instance_type, image), memory)
            self._seen.add(instance_type)
            self.memory_version += 1

    @property
    def seen(self) -> frozenset[str]:
        """The types of which a node was seen."""
        return frozenset(self._seen)

    def memory_of(self, instance_type: str, image: str) -> int | None:
        """What a node of the type with the image reported, or None where none has."""
        return self._memory.peek((instance_type, image))

    async def _ask(self) -> Types:
        raw = await self._client.everything(
            "ec2", "DescribeInstanceTypes", "InstanceTypes", Filters=list(TYPE_FILTERS), MaxResults=_TYPES_A_PAGE
        )
        located = await self._client.everything(
            "ec2",
            "DescribeInstanceTypeOfferings",
            "InstanceTypeOfferings",
            LocationType="availability-zone",
            MaxResults=_OFFERINGS_A_PAGE,
        )
        if not raw or not located:
            return self._last
        zones = parse_offerings(located)
        facts = {each["InstanceType"]: parse_type(each) for each in raw if each["InstanceType"] in zones}
        return Types(facts, zones, self._last.version + 1)
