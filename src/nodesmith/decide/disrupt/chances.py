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

_MINUTE: Final = timedelta(minutes=1)


def next_chance(verdict: Verdict, snapshot: Snapshot) -> datetime:
    """The next moment at which a pass over the very same cluster may say something else; now, if it was cut short."""
    now = snapshot.taken_at
    if verdict.is_cut_short:
        return now
    return min((now + LONGEST, *(at for at in _moments(verdict, snapshot) if at > now)))


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
