"""Why not, as data: a code and a sentence. Logs, events, metrics and `explain` are made from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BlockCode(StrEnum):
    """The rule that said no to a pod."""

    INVALID = "invalid"
    VOLUME = "volume"
    RESOURCE_CLAIMS = "resource-claims"
    NO_POOLS = "no-pools"
    TAINTS = "taints"
    REQUIREMENTS = "requirements"
    RESOURCES = "resources"
    OFFERINGS = "offerings"
    HOST_PORTS = "host-ports"
    TOPOLOGY_SPREAD = "topology-spread"
    POD_AFFINITY = "pod-affinity"
    POD_ANTI_AFFINITY = "pod-anti-affinity"
    VOLUME_LIMIT = "volume-limit"
    LIMITS = "limits"
    MIN_VALUES = "min-values"
    RESERVATION = "reservation"


@dataclass(frozen=True, slots=True)
class Blocked:
    """A no: which rule, and a sentence for people."""

    code: BlockCode
    detail: str

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True, slots=True)
class PoolBlocked:
    """Why one NodePool has no node for a pod."""

    pool: str
    blocked: Blocked


@dataclass(frozen=True, slots=True)
class Unplaced:
    """Why a pod stays where it is: a reason of its own, or one for each NodePool."""

    blocked: Blocked
    pools: tuple[PoolBlocked, ...] = ()

    def __str__(self) -> str:
        if not self.pools:
            return str(self.blocked)
        return "; ".join(f'incompatible with nodepool "{each.pool}", {each.blocked}' for each in self.pools)
