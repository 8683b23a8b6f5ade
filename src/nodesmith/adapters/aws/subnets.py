"""Which subnet a launch uses in each zone: the one with the most addresses left, launches under way counted (7.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from nodesmith.adapters.aws.cache import Cache
from nodesmith.adapters.aws.network import SubnetFacts
from nodesmith.api.ec2nodeclass import Subnet
from nodesmith.ports.clock import Clock

BELIEVED_FOR: Final = timedelta(minutes=5)


class SubnetChoice:
    """How many addresses each subnet has left."""

    def __init__(self, clock: Clock) -> None:
        self._left: Cache[str, int] = Cache(clock, BELIEVED_FOR)

    def learn(self, subnets: Iterable[SubnetFacts]) -> None:
        """AWS says so many are left; what is known and recent is not replaced, since it counts our own launches."""
        for each in subnets:
            if self._left.peek(each.id) is None:
                self._left.set(each.id, each.available)

    def choose(self, subnets: Sequence[Subnet], addresses: int) -> dict[str, str]:
        """A subnet for each zone, by zone; `addresses` of each count as taken from now on."""
        chosen: dict[str, str] = {}
        for subnet in sorted(subnets, key=lambda each: (-self.left(each.id), each.id)):
            chosen.setdefault(subnet.zone, subnet.id)
        for subnet_id in chosen.values():
            self._add(subnet_id, -addresses)
        return chosen

    def give_back(self, chosen: Mapping[str, str], used: Iterable[str], addresses: int) -> None:
        """The chosen subnets that were not used have their addresses again."""
        taken = set(used)
        for subnet_id in chosen.values():
            if subnet_id not in taken:
                self._add(subnet_id, addresses)

    def exhausted(self, subnet_id: str) -> None:
        """The subnet has no address left."""
        self._left.set(subnet_id, 0)

    def left(self, subnet_id: str) -> int:
        """How many addresses the subnet has left; none where nobody knows."""
        return self._left.peek(subnet_id) or 0

    def _add(self, subnet_id: str, addresses: int) -> None:
        known = self._left.peek(subnet_id)
        if known is not None:
            self._left.replace(subnet_id, known + addresses)
