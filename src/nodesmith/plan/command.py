"""A disruption as data: which nodes leave, what is bought in their place, and where their pods go.

The one thing to know: a command is complete. Whoever carries it out decides nothing; whoever shows it (events, logs,
`plan --consolidate`) needs nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from nodesmith.model.money import UsdPerHour
from nodesmith.model.nodepool import DisruptionReason
from nodesmith.model.resources import format_resources
from nodesmith.plan.schedule import OnClaim, OnNode, PlannedClaim

VALIDATION_WAIT: Final = timedelta(seconds=15)
"""How long a graceful command waits before it is decided again on a new snapshot (spec 5.4, 5.6)."""


class Decision(StrEnum):
    """Whether machines are bought in place of those that leave."""

    DELETE = "delete"
    REPLACE = "replace"


class Method(StrEnum):
    """Who decided, in the order in which they are asked (spec 5.1)."""

    EMPTINESS = "empty"
    STATIC_DRIFT = "static-drift"
    DRIFT = "drift"
    MULTI = "multi"
    SINGLE = "single"

    @property
    def reason(self) -> DisruptionReason:
        """The reason that budgets, taints and events go by."""
        if self is Method.EMPTINESS:
            return DisruptionReason.EMPTY
        if self in {Method.STATIC_DRIFT, Method.DRIFT}:
            return DisruptionReason.DRIFTED
        return DisruptionReason.UNDERUTILIZED

    @property
    def is_eventual(self) -> bool:
        """Whether the nodes must leave some day, so that a NodeClaim's grace period overrules its pods."""
        return self.reason is DisruptionReason.DRIFTED

    @property
    def consolidation_type(self) -> str:
        """The `consolidation_type` label of the metrics; empty for drift."""
        return "" if self.is_eventual else self.value

    @property
    def validation_wait(self) -> timedelta:
        """How long to wait before the command is validated; zero: it is carried out as it is."""
        return timedelta(0) if self.is_eventual else VALIDATION_WAIT


@dataclass(frozen=True, slots=True)
class Leaving:
    """A node that leaves. `price` None is unknown; `pods` are the keys of those that move, sorted."""

    node: str
    claim: str
    provider_id: str
    pool_name: str
    instance_type: str = ""
    zone: str = ""
    capacity_type: str = ""
    price: UsdPerHour | None = None
    pods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approval:
    """Why a Balanced NodePool finds the command worth its disruption."""

    pool_name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Command:
    """Nodes that leave together. `placements` say where each of their pods goes (`OnClaim` counts `replacements`).

    `savings` is what the cluster costs less an hour, replacements at their cheapest offering; None where a price is
    unknown.
    """

    method: Method
    candidates: tuple[Leaving, ...]
    replacements: tuple[PlannedClaim, ...] = ()
    placements: Mapping[str, OnNode | OnClaim] = field(default_factory=dict)
    savings: UsdPerHour | None = None
    approvals: tuple[Approval, ...] = ()

    @property
    def reason(self) -> DisruptionReason:
        """Why the nodes leave."""
        return self.method.reason

    @property
    def decision(self) -> Decision:
        """Delete, or replace when anything is bought."""
        return Decision.REPLACE if self.replacements else Decision.DELETE

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes that leave."""
        return tuple(each.node for each in self.candidates)

    @property
    def pools(self) -> tuple[str, ...]:
        """The NodePools that lose nodes, sorted."""
        return tuple(sorted({each.pool_name for each in self.candidates}))

    @property
    def moves(self) -> int:
        """How many pods have to start anew."""
        return sum(len(each.pods) for each in self.candidates)

    @property
    def targets(self) -> tuple[str, ...]:
        """The nodes that are there already and receive pods, sorted: they are to be nominated."""
        return tuple(sorted({place.node for place in self.placements.values() if isinstance(place, OnNode)}))

    def describe(self, command_id: str) -> str:
        """The command as upstream logs it (spec 5.7)."""
        return (
            f"{self.reason.value}/{command_id}: {self.decision.value}: nodepools=[{','.join(self.pools)}]: "
            f"[{', '.join(self.nodes)}]{self._arrow()} (savings: {self._saved()})"
        )

    def describe_to(self, node: str) -> str:
        """The command as upstream tells it to one of the nodes before it is sure (spec 5.6)."""
        others = f" (part of {len(self.candidates)}-node consolidation)"
        end = self._arrow() if len(self.candidates) == 1 else others
        return f"{self.decision.value}: [{node}]{end} (savings: {self._saved()})"

    def _arrow(self) -> str:
        bought = len(self.replacements)
        return f" -> [{bought} replacement{'s' if bought > 1 else ''}]" if bought else ""

    def _saved(self) -> str:
        return f"${self.savings.dollars:.2f}" if self.savings is not None else "unknown"


def to_json(command: Command) -> dict[str, Any]:
    """The command as one step of a `consolidate` result; prices in dollars an hour."""
    return {
        "decision": command.decision.value,
        "reason": command.reason.value,
        "method": command.method.value,
        "candidates": list(command.nodes),
        "replacements": [claim_to_json(claim) for claim in command.replacements],
        "pods": {key: _place(command.placements[key]) for key in sorted(command.placements)},
        "savings": None if command.savings is None else command.savings.dollars,
    }


def claim_to_json(claim: PlannedClaim) -> dict[str, Any]:
    """A machine to buy, as results show it."""
    cheapest = claim.cheapest
    return {
        "nodePool": claim.pool_name,
        "requirements": claim.requirements.to_manifest(),
        "instanceTypes": list(claim.instance_types),
        "requests": format_resources(claim.requests),
        "pods": list(claim.pods),
        "cheapest": {
            "instanceType": cheapest.instance_type,
            "zone": cheapest.zone,
            "capacityType": cheapest.capacity_type,
            "price": None if cheapest.price is None else cheapest.price.dollars,
        },
    }


def _place(place: OnNode | OnClaim) -> dict[str, object]:
    return {"node": place.node} if isinstance(place, OnNode) else {"nodeClaim": place.index}
