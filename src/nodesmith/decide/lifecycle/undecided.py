"""Nodes that a command is to take but does not drain yet: the command may still be taken back, and then they stay.

Their pods have a place by the command, so nobody buys for them; and what they hold of a pool's limits is not free.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from nodesmith.decide.lifecycle.command_record import COMMAND
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod
from nodesmith.model.resources import NODES
from nodesmith.state.snapshot import Snapshot, StateNode


def may_stay(state: StateNode) -> bool:
    """Whether a command is to take the node, and may yet be taken back."""
    claim = state.claim
    if claim is None or not state.is_marked or COMMAND not in claim.meta.annotations or claim.meta.is_deleting:
        return False
    return state.node is None or not state.node.meta.is_deleting


def staying_pods(snapshot: Snapshot) -> dict[str, Pod]:
    """The pods of nodes that may stay, as far as they would have to move, by key."""
    return {pod.key: pod for state in snapshot.nodes if may_stay(state) for pod in state.pods if pod.is_reschedulable}


def within_limits(snapshot: Snapshot) -> Snapshot:
    """The snapshot with the limits that hold even if every command is taken back: for buying anything else.

    Static pools count their nodes themselves.
    """
    held: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for state in snapshot.nodes:
        if may_stay(state):
            for name, amount in {**state.capacity, NODES: 1}.items():
                held[state.pool_name][name] += amount
    if not held:
        return snapshot
    return replace(snapshot, pools=tuple(_less(pool, held.get(pool.name, {})) for pool in snapshot.pools))


def _less(pool: NodePool, held: dict[str, int]) -> NodePool:
    if not held or not pool.limits or pool.is_static:
        return pool
    return replace(pool, limits={name: limit - held.get(name, 0) for name, limit in pool.limits.items()})
