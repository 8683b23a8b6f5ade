"""Numbers for dashboards; names and labels are upstream's (spec 8.2), without the prefix."""

from __future__ import annotations

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
