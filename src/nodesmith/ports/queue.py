"""The interruption queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class InterruptionKind(StrEnum):
    """What a message tells, named as upstream's metric label (spec 7.12)."""

    SPOT_INTERRUPTED = "spot_interrupted"
    REBALANCE_RECOMMENDATION = "rebalance_recommendation"
    INSTANCE_STOPPED = "instance_stopped"
    INSTANCE_TERMINATED = "instance_terminated"
    SCHEDULED_CHANGE = "scheduled_change"
    CAPACITY_RESERVATION_INTERRUPTED = "capacity_reservation_interrupted"
    NO_OP = "no_op"


@dataclass(frozen=True, slots=True)
class Interruption:
    """One message, understood. `receipt` is what deleting it takes; a message nobody understands is a no-op."""

    kind: InterruptionKind
    instance_ids: tuple[str, ...]
    receipt: str
    sent_at: datetime | None = None


class Queue(Protocol):
    """Where interruption messages come from."""

    async def receive(self) -> Sequence[Interruption]:
        """Up to ten messages; waits up to 20 s for the first."""
        ...

    async def delete(self, receipts: Sequence[str]) -> None:
        """The messages will not come again."""
        ...
