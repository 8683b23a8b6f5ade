"""How many nodes of a NodePool may be disrupted now (spec 1.2.3 and 5.3).

The one thing to know: a budget that cannot be read allows nothing. It fails closed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from croniter import CroniterError, croniter

from nodesmith.model.nodeclaim import INSTANCE_TERMINATING
from nodesmith.model.nodepool import Budget, DisruptionReason, NodePool
from nodesmith.state.snapshot import Snapshot, StateNode

UNBOUNDED: Final = 2**31 - 1
"""What a budget allows while it does not count."""

_DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELD: Final = re.compile(r"[0-9*/,?-]+|[A-Za-z0-9,/-]+")
_FIELDS: Final = 5
_NODES: Final = re.compile(r"(?P<count>[0-9]+)(?P<percent>%?)")


class BudgetError(ValueError):
    """The budget cannot be read."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """One NodePool's room for one reason: what its budgets say, and what of that is used already."""

    pool_name: str
    reason: DisruptionReason
    total: int
    budget: int
    disrupting: int

    @property
    def left(self) -> int:
        """How many more nodes may go."""
        return max(self.budget - self.disrupting, 0)

    @property
    def is_blocking(self) -> bool:
        """Whether the budgets themselves allow nothing although there are nodes."""
        return self.total > 0 and self.budget == 0


def is_active(budget: Budget, now: datetime) -> bool:
    """Whether the budget counts at this moment.

    Raises:
        BudgetError: when its schedule is not five cron fields or a descriptor, or stands without a duration.
    """
    if budget.schedule is None and budget.duration is None:
        return True
    if budget.schedule is None or budget.duration is None:
        raise BudgetError("schedule must be set with duration")
    start = _next_start(budget.schedule, now - budget.duration)
    return start is not None and start <= now


def allowed_nodes(budget: Budget, total: int) -> int:
    """How many of `total` nodes the budget lets go, percentages rounded up.

    Raises:
        BudgetError: when `nodes` is neither a count nor a percentage.
    """
    match = _NODES.fullmatch(budget.nodes)
    if match is None:
        raise BudgetError(f"{budget.nodes!r} is neither a count nor a percentage")
    count = int(match["count"])
    return -(-count * total // 100) if match["percent"] else count


def effective_budget(pool: NodePool, reason: DisruptionReason, total: int, now: datetime) -> int:
    """The least that the pool's budgets for the reason allow; nothing where one of them cannot be read."""
    least = UNBOUNDED
    for budget in pool.disruption.budgets:
        if budget.reasons is not None and reason not in budget.reasons:
            continue
        try:
            if is_active(budget, now):
                least = min(least, allowed_nodes(budget, total))
        except BudgetError:
            return 0
    return least


def allowances(
    snapshot: Snapshot, pools: Iterable[NodePool], reason: DisruptionReason, now: datetime
) -> Mapping[str, Allowance]:
    """The room of every pool for the reason, by pool name."""
    totals: dict[str, int] = {}
    disrupting: dict[str, int] = {}
    for node in snapshot.nodes:
        if not _counts(node):
            continue
        name = node.pool_name
        totals[name] = totals.get(name, 0) + 1
        if node.is_deleting or not _is_ready(node):
            disrupting[name] = disrupting.get(name, 0) + 1
    return {
        pool.name: Allowance(
            pool.name,
            reason,
            total=totals.get(pool.name, 0),
            budget=effective_budget(pool, reason, totals.get(pool.name, 0), now),
            disrupting=disrupting.get(pool.name, 0),
        )
        for pool in pools
    }


def _counts(node: StateNode) -> bool:
    """Budgets are over nodes of ours that came up and whose instance is not on its way out yet."""
    return node.claim is not None and node.is_initialized and not node.claim.has(INSTANCE_TERMINATING)


def _is_ready(node: StateNode) -> bool:
    return node.node is not None and node.node.is_ready


def _next_start(schedule: str, after: datetime) -> datetime | None:
    """The first start later than `after`; None where there is none (31 February)."""
    text = _DESCRIPTORS.get(schedule.strip(), schedule.strip())
    fields = text.split()
    if len(fields) != _FIELDS or not all(_FIELD.fullmatch(field) for field in fields):
        raise BudgetError(f"{schedule!r} is not a cron schedule of five fields")
    if re.search(r"(?i)\b(?:l|h|r|w)\b", text):
        raise BudgetError(f"{schedule!r} uses more than standard cron has")
    try:
        if not croniter.is_valid(text):
            raise BudgetError(f"{schedule!r} is not a cron schedule")
        following: datetime = croniter(text, after).get_next(datetime)
    except (CroniterError, ValueError, KeyError) as error:
        if croniter.is_valid(text):
            return None
        raise BudgetError(str(error)) from error
    return following
