"""Which nodes leave, and what takes their place: the decision that the disruption queue carries out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from nodesmith.model.money import UsdPerHour
from nodesmith.model.nodepool import DisruptionReason
from nodesmith.plan.schedule import PlannedClaim


class Decision(StrEnum):
    """What a command does, named as upstream's metric label."""

    DELETE = "delete"
    REPLACE = "replace"


class Method(StrEnum):
    """Which method found a command."""

    EMPTINESS = "emptiness"
    STATIC_DRIFT = "static-drift"
    DRIFT = "drift"
    MULTI = "multi"
    SINGLE = "single"


CONSOLIDATION_TYPE: Final = {
    Method.EMPTINESS: "empty",
    Method.STATIC_DRIFT: "",
    Method.DRIFT: "",
    Method.MULTI: "multi",
    Method.SINGLE: "single",
}
"""Upstream's `consolidation_type` label by method."""

VALIDATION_DELAY: Final = timedelta(seconds=15)
"""How long a graceful decision waits before it is decided again."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that is to leave. `price` None: unknown."""

    node: str
    claim: str
    provider_id: str
    pool: str
    instance_type: str = ""
    zone: str = ""
    capacity_type: str = ""
    price: UsdPerHour | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """Nodes to leave together, once the replacements are there.

    `pods` are the keys of the pods that move; `targets` the existing nodes that take some of them. `savings` None:
    unknown, or not what the command is about.
    """

    reason: DisruptionReason
    method: Method
    candidates: tuple[Candidate, ...]
    replacements: tuple[PlannedClaim, ...] = ()
    pods: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    savings: UsdPerHour | None = None
    detail: str = ""

    @property
    def decision(self) -> Decision:
        """Whether something is bought in exchange."""
        return Decision.REPLACE if self.replacements else Decision.DELETE

    @property
    def is_validated(self) -> bool:
        """Whether it has to be decided again after the waiting time before it is carried out (drift does not)."""
        return self.method in {Method.EMPTINESS, Method.MULTI, Method.SINGLE}

    @property
    def consolidation_type(self) -> str:
        """Upstream's metric label."""
        return CONSOLIDATION_TYPE[self.method]

    @property
    def pools(self) -> tuple[str, ...]:
        """The NodePools that lose a node, sorted."""
        return tuple(sorted({candidate.pool for candidate in self.candidates}))

    def __str__(self) -> str:
        nodes = ", ".join(candidate.node for candidate in self.candidates)
        count = len(self.replacements)
        bought = f" -> [{count} replacement{'s' if count > 1 else ''}]" if count else ""
        savings = f" (savings: ${self.savings.dollars:.2f})" if self.savings is not None else ""
        return f"{self.decision}: nodepools=[{','.join(self.pools)}]: [{nodes}]{bought}{savings}"
