"""What controllers asked of AWS in the whole session, each with the policies that its cluster's installer made.

ledger.add(box.control, names)          # before the box goes
ledger.audit().refused                  # () when policies allowed everything
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nodesmith.install.names import Names
from nodesmith.install.policies import controller_policies
from nodesmith.sim.aws.audit import Audit, audit
from nodesmith.sim.aws.control import Control, RecordedCall


@dataclass
class Ledger:
    """The calls, box by box."""

    pages: list[tuple[Names, list[RecordedCall]]] = field(default_factory=list)

    def add(self, control: Control, names: Names) -> None:
        """The box's record of what the cluster's controller asked is kept; the record must be whole."""
        calls = control.calls()
        assert calls[0].number == 1, "the box has forgotten the first calls: let its journal keep more"
        role = f"/{names.controller_role}/"
        self.pages.append((names, [call for call in calls if role in call.caller]))

    @property
    def calls(self) -> list[RecordedCall]:
        """All of them."""
        return [call for _, calls in self.pages for call in calls]

    def audit(self) -> Audit:
        """The calls against the policies: what was refused in any box, and what was needed in none."""
        found = [audit(calls, _policies(names)) for names, calls in self.pages]
        unused = set.intersection(*({line.partition("/")[2] for line in each.unused} for each in found))
        return Audit(
            tuple(sorted({line for each in found for line in each.refused})),
            tuple(sorted(unused)),
        )


def _policies(names: Names) -> Mapping[str, Mapping[str, Any]]:
    return controller_policies(names)
