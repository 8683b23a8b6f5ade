"""The last decisions that were acted on, with the inputs that explain them: one line in the log, one entry here."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from nodesmith.api.meta import format_micro_time
from nodesmith.ports.log import Log

_ID_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision. `kind` is `provision` or `disrupt`; `plan` what is done, `inputs` what it was decided on."""

    id: str
    kind: str
    at: datetime
    summary: str
    plan: Mapping[str, Any]
    inputs: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The record as `nodesmith decisions` shows it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "at": format_micro_time(self.at),
            "summary": self.summary,
            "plan": dict(self.plan),
            "inputs": dict(self.inputs),
        }


class Decisions:
    """A ring of records: the oldest goes when a new one comes."""

    def __init__(self, log: Log, *, kept: int) -> None:
        self._log = log
        self._ring: deque[DecisionRecord] = deque(maxlen=kept)

    def record(self, record: DecisionRecord) -> None:
        """The decision can be looked up, and stands in the log."""
        self._ring.append(record)
        self._log.info(record.summary, decision=record.id, kind=record.kind, plan=dict(record.plan))

    def to_json(self) -> list[dict[str, Any]]:
        """All records, the oldest first."""
        return [record.to_json() for record in self._ring]


def decision_id(random_bits: int) -> str:
    """An id of a decision, from 64 random bits."""
    return f"{random_bits:0{_ID_DIGITS}x}"[:_ID_DIGITS]
