"""Numbers for dashboards; names and labels are upstream's (spec 8.2), without the prefix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Metrics(Protocol):
    """Where numbers go. Recording never fails."""

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """The counter is up by the amount."""
        ...

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """The histogram or summary has one more value."""
        ...

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """The gauge stands at the value."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What a gauge, or a counter since the start, stands at when somebody asks; it may change by itself."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
