"""When a pass that found nothing may find something although nothing has changed: time alone frees some nodes.

Whatever else keeps a node is there for all to see when it changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from nodesmith.decide.disrupt.settling import consolidatable_at
from nodesmith.decide.disrupt.verdict import Verdict
from nodesmith.model.nodepool import NodePool
from nodesmith.plan.stay import StayCode
from nodesmith.state.snapshot import Snapshot

LONGEST: Final = timedelta(minutes=5)
"""Prices change, and some rules look at the clock: after so long a pass is made in any case."""

TOGETHER: Final = timedelta(seconds=10)
"""Nodes that come free within so long of one another are waited for, so that they leave with one command: to validate
one takes fifteen seconds, and the next is not decided before."""

_MINUTE: Final = timedelta(minutes=1)


def next_chance(verdict: Verdict, snapshot: Snapshot) -> datetime:
    """When to look again at the very same cluster: now, if the pass was cut short, else when time may free a node."""
    now = snapshot.taken_at
    if verdict.is_cut_short:
        return now
    moments = [at for at in _moments(verdict, snapshot) if at > now]
    first = min(moments, default=now + LONGEST)
    return min(now + LONGEST, max((at for at in moments if at - first <= TOGETHER), default=first))


def _moments(verdict: Verdict, snapshot: Snapshot) -> Iterator[datetime]:
    nodes = {state.name: state for state in snapshot.nodes}
    pools = {pool.name: pool for pool in snapshot.pools}
    full = {blocked.pool_name for blocked in verdict.blocked}
    for stay in verdict.stays:
        state = nodes.get(stay.node)
        pool = pools.get(state.pool_name) if state is not None else None
        if stay.code is StayCode.RESTING and stay.node in verdict.memory.resting:
            yield verdict.memory.resting[stay.node]
        elif stay.code is StayCode.NOMINATED and state is not None and state.nominated_until is not None:
            yield state.nominated_until
        elif stay.code is StayCode.YOUNG and state is not None and pool is not None:
            yield consolidatable_at(state, pool) or snapshot.taken_at
        elif stay.code is StayCode.POOL_BUDGET and pool is not None:
            full.add(pool.name)
    if any(_has_schedule(pool) for pool in snapshot.pools if pool.name in full):
        yield snapshot.taken_at.replace(second=0, microsecond=0) + _MINUTE


def _has_schedule(pool: NodePool) -> bool:
    """Whether what the pool's budgets allow changes by the clock, which it does at full minutes."""
    return any(budget.schedule is not None for budget in pool.disruption.budgets)
