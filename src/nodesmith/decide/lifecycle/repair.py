"""Which sick nodes are replaced by force, and when too many are sick for that (spec 4.9)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from nodesmith.model.meta import Condition
from nodesmith.model.node import Node
from nodesmith.ports.cloud import RepairPolicy
from nodesmith.state.snapshot import StateNode

TOLERATED_SHARE: Final = 0.2
BLOCKED_RETRY: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Sick:
    """A node condition that calls for repair, and from when on."""

    condition: Condition
    repair_at: datetime


@dataclass(frozen=True, slots=True)
class TooManySick:
    """Repair would take too much away: something else is wrong."""

    sick: int
    total: int

    def __str__(self) -> str:
        return f"more than {TOLERATED_SHARE:.0%} nodes are unhealthy ({self.sick} of {self.total})"


def sickness(node: Node, policies: Iterable[RepairPolicy]) -> Sick | None:
    """The condition that is to be repaired first, or None for a healthy node."""
    found = [
        Sick(condition, condition.changed_at + policy.toleration)
        for policy in policies
        if (condition := node.conditions.get(policy.condition_type)) is not None
        and condition.status == policy.condition_status
    ]
    return min(found, key=lambda sick: (sick.repair_at, sick.condition.type), default=None)


def too_many_sick(nodes: Sequence[StateNode], pool_name: str, policies: Sequence[RepairPolicy]) -> TooManySick | None:
    """Why nodes of this pool (of the whole cluster without one) must not be repaired now, or None."""
    peers = [each.node for each in nodes if each.node is not None and (not pool_name or each.pool_name == pool_name)]
    sick = sum(sickness(node, policies) is not None for node in peers)
    return TooManySick(sick, len(peers)) if sick > math.ceil(TOLERATED_SHARE * len(peers)) else None
