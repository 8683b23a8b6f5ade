"""What a pass says: the command to carry out, if any, and for every node that stays the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from nodesmith.decide.disrupt.budgets import Allowance
from nodesmith.decide.disrupt.fruitless import Fruitless
from nodesmith.decide.disrupt.scene import Shared
from nodesmith.decide.disrupt.simulate import Care
from nodesmith.decide.disrupt.worth import Weighed
from nodesmith.model.money import UsdPerHour
from nodesmith.model.nodepool import DisruptionReason
from nodesmith.plan.command import Command
from nodesmith.plan.stay import BudgetBlocked, Stay


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A step that an earlier pass looked ahead to: when the cluster is as foreseen, these nodes are to leave.

    A node is known by its name; one that was yet to be bought (`@` first) by a pod that it was to hold.
    """

    price: UsdPerHour
    pods: frozenset[str]
    nodes: tuple[str, ...]
    care: Care


@dataclass(frozen=True, slots=True)
class End:
    """Where a way leads: what the cluster costs when nothing is left to do, and the steps until then."""

    price: UsdPerHour
    steps: tuple[Foreseen, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """What one pass leaves to the next; losing it costs nothing but time.

    `resting` are nodes whose last command failed or was not upheld, with the moment until which they are left alone: so
    that one node's failures never starve the others. `intent` is where the last command was to lead.
    `looked_at` are nodes whose leaving alone was asked about in this round: when the effort is short, the next pass
    asks about the others first; `tried` are drifted nodes whose pods had no place in this round. `fruitless` is
    the last search that found nothing, over as many passes as it took; `shared` is what the next pass need not work
    out again.
    """

    resting: Mapping[str, datetime] = field(default_factory=dict)
    intent: End | None = None
    looked_at: frozenset[str] = frozenset()
    tried: frozenset[str] = frozenset()
    fruitless: Fruitless | None = field(default=None, compare=False, repr=False)
    shared: Shared | None = field(default=None, compare=False, repr=False)

    def rests(self, node: str, now: datetime) -> bool:
        """Whether the node is to be left alone for now."""
        until = self.resting.get(node)
        return until is not None and until > now

    def resting_until(self, nodes: Iterable[str], until: datetime) -> Memory:
        """The same, with these nodes left alone until then."""
        return replace(self, resting={**self.resting, **dict.fromkeys(nodes, until)})

    def awake(self, now: datetime) -> Memory:
        """The same without rests that are over."""
        return replace(self, resting={name: until for name, until in self.resting.items() if until > now})


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a pass. `stays` has one entry for each node that does not leave, by name.

    `eligible` says how many nodes each method could have taken, budgets aside; a reason that the pass did not come to
    is missing. `weighed` are the scores of all ideas that Balanced pools were asked about. `is_cut_short` says that the
    effort did not last to ask about every candidate alone, in this pass and those before it over the same cluster: the
    next passes begin with the others.
    """

    command: Command | None
    stays: tuple[Stay, ...] = ()
    blocked: tuple[BudgetBlocked, ...] = ()
    allowances: tuple[Allowance, ...] = ()
    memory: Memory = field(default_factory=Memory)
    eligible: Mapping[DisruptionReason, int] = field(default_factory=dict)
    weighed: tuple[Weighed, ...] = ()
    is_cut_short: bool = False


class RejectionReason(StrEnum):
    """Why a command that was decided a moment ago no longer stands (spec 5.6, Validation)."""

    BUDGET = "budget"
    SCHEDULING = "scheduling"
    CHURN = "churn"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A command that no longer stands; `culprits` are the nodes that are to be left alone for a moment."""

    reason: RejectionReason
    detail: str
    culprits: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.detail
