"""Why a node stays, as data: a code, upstream's sentence, and how it is told.

Events, metrics and `explain node` are made from it; nothing is published where it is decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nodesmith.model.money import UsdPerHour
from nodesmith.model.nodepool import DisruptionReason


class StayCode(StrEnum):
    """The rule that keeps a node."""

    QUEUED = "queued"
    UNMANAGED = "unmanaged"
    NO_NODE = "no-node"
    NOT_INITIALIZED = "not-initialized"
    DELETING = "deleting"
    NOMINATED = "nominated"
    DO_NOT_DISRUPT = "do-not-disrupt"
    NO_POOL_LABEL = "no-pool-label"
    NO_POOL = "no-pool"
    NO_POOL_TYPES = "no-pool-types"
    POD_DO_NOT_DISRUPT = "pod-do-not-disrupt"
    DISRUPTION_BUDGET = "pod-disruption-budget"
    SEVERAL_BUDGETS = "several-pod-disruption-budgets"
    STATIC_POOL = "static-pool"
    NO_INSTANCE_TYPE = "no-instance-type"
    NO_CAPACITY_TYPE = "no-capacity-type"
    NO_ZONE = "no-zone"
    UNPRICED = "unpriced"
    NEVER = "consolidation-disabled"
    ONLY_EMPTY = "only-empty"
    YOUNG = "young"
    RECENTLY_REPLACED = "recently-replaced"
    RECENTLY_MOVED = "recently-moved"
    BUFFER_PODS = "buffer-pods"
    NOT_DRIFTED = "not-drifted"
    RESTING = "resting"
    OTHERS_FIRST = "others-first"
    POOL_BUDGET = "pool-budget"
    PODS_STRANDED = "pods-stranded"
    NOT_CHEAPER = "not-cheaper"
    SPOT_TO_SPOT = "spot-to-spot"
    NO_SPOT = "no-spot"
    BELOW_BAR = "below-bar"


class Told(StrEnum):
    """The event reason that upstream tells a stay by."""

    NOT = ""
    BLOCKED = "DisruptionBlocked"
    UNCONSOLIDATABLE = "Unconsolidatable"


@dataclass(frozen=True, slots=True)
class Stay:
    """A no to one node's leaving. `saving` is what the best idea for it would have saved, where one was looked at."""

    node: str
    code: StayCode
    detail: str
    told: Told = Told.NOT
    saving: UsdPerHour | None = None

    def __str__(self) -> str:
        return self.detail

    @property
    def sentence(self) -> str:
        """The detail as events write it: its first letter is a capital."""
        return self.detail[:1].upper() + self.detail[1:]


@dataclass(frozen=True, slots=True)
class BudgetBlocked:
    """A NodePool whose own budget allows no disruption for the reason now."""

    pool_name: str
    reason: DisruptionReason

    def __str__(self) -> str:
        return f"No allowed disruptions for disruption reason {self.reason.value} due to blocking budget"
