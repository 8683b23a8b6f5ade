"""What controllers asked of AWS in the whole session, each with the policies that its cluster's installer made.

ledger.add(box.control, names)          # after each test, and before the box goes
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
    """The calls, box by box, and the number up to which each box was read."""

    pages: dict[tuple[Control, Names], list[RecordedCall]] = field(default_factory=dict)
    read: dict[Control, int] = field(default_factory=dict)

    def add(self, control: Control, names: Names) -> None:
        """What the cluster's controller has asked of the box is kept; nothing was forgotten in between."""
        last = self.read.get(control, 0)
        calls = control.calls(after=last)
        assert [call.number for call in calls[:1]] in ([], [last + 1]), "the box has forgotten calls"
        self.read[control] = last + len(calls)
        role = f"/{names.controller_role}/"
        self.pages.setdefault((control, names), []).extend(call for call in calls if role in call.caller)

    @property
    def calls(self) -> list[RecordedCall]:
        """All of them."""
        return [call for calls in self.pages.values() for call in calls]

    def audit(self) -> Audit:
        """The calls against the policies: what was refused in any box, and what was needed in none."""
        found = [audit(calls, _policies(names)) for (_, names), calls in self.pages.items()]
        unused = set.intersection(*({line.partition("/")[2] for line in each.unused} for each in found))
        return Audit(
            tuple(sorted({line for each in found for line in each.refused})),
            tuple(sorted(unused)),
        )


def _policies(names: Names) -> Mapping[str, Mapping[str, Any]]:
    return controller_policies(names)
