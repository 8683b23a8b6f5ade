"""What a plan can be wrong about."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """The rule that a plan breaks."""

    POD_MISSING = "pod-missing"
    POD_UNKNOWN = "pod-unknown"
    CLAIM_INDEX = "claim-index"
    CLAIM_PODS = "claim-pods"
    CLAIM_EMPTY = "claim-empty"
    NODEPOOL_UNKNOWN = "nodepool-unknown"
    NODEPOOL_UNUSABLE = "nodepool-unusable"
    TEMPLATE_REQUIREMENT = "template-requirement"
    TAINT = "taint"
    CLAIM_NO_TYPES = "claim-no-types"
    TYPE_UNKNOWN = "type-unknown"
    TYPE_DUPLICATE = "type-duplicate"
    TYPE_INCOMPATIBLE = "type-incompatible"
    NO_OFFERING = "no-offering"
    RESERVATION = "reservation"
    POD_REQUIREMENT = "pod-requirement"
    RESOURCE_CLAIMS = "resource-claims"
    VOLUME_UNBOUND = "volume-unbound"
    VOLUME_TOPOLOGY = "volume-topology"
    VOLUME_LIMIT = "volume-limit"
    FIT = "fit"
    REQUESTS = "requests"
    MIN_VALUES = "min-values"
    LIMITS = "limits"
    HOST_PORT = "host-port"
    CHEAPEST = "cheapest"
    NODE_UNKNOWN = "node-unknown"
    NODE_DELETING = "node-deleting"
    NODE_TAINT = "node-taint"
    NODE_SELECTOR = "node-selector"
    NODE_OVERFILLED = "node-overfilled"
    NODE_DAEMONS = "node-daemons"
    SPREAD_KEY = "spread-key"
    SPREAD_SKEW = "spread-skew"
    SPREAD_UNIVERSE = "spread-universe"
    AFFINITY = "affinity"
    ANTI_AFFINITY = "anti-affinity"


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """A rule that the plan breaks, the objects concerned (`claim/INDEX`, node and pod keys), and a sentence."""

    code: Code
    objects: tuple[str, ...]
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.code} {' '.join(self.objects)}: {self.detail}" if self.detail else f"{self.code} {self.objects}"


def claim_name(index: int) -> str:
    """How a violation names `SchedulePlan.claims[index]`."""
    return f"claim/{index}"
