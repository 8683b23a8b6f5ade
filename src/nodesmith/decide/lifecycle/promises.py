"""Pods and the machines that were bought for them belong together until the machine is fit, and a moment longer.

To plan them anew at each look would pack the same pods in another order onto machines that were chosen for another mix,
and buy more for those that are left over. What was promised and does not fit any more is planned for like the rest.
The same holds for pods of a node whose replacement comes up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from nodesmith.decide.lifecycle.newclaim import planned_pods
from nodesmith.decide.lifecycle.undecided import staying_pods
from nodesmith.model.nodeclaim import INITIALIZED, NodeClaim
from nodesmith.model.pod import Pod
from nodesmith.model.resources import Resources, fits, minus, total
from nodesmith.state.snapshot import Snapshot, StateNode

SETTLING: Final = timedelta(seconds=20)
"""How long kube-scheduler is given to bind pods to a node that has become fit."""


@dataclass(frozen=True, slots=True)
class Promises:
    """A snapshot in which promised pods are on their nodes, and which nodes (by name) those are."""

    snapshot: Snapshot
    nodes: Mapping[str, tuple[Pod, ...]] = field(default_factory=dict)


def keep_promises(snapshot: Snapshot) -> Promises:
    """The snapshot as it will be when every pod that waits for its machine, or is to move to it, has got it."""
    waiting = {pod.key: pod for pod in snapshot.pods if pod.is_waiting} | staying_pods(snapshot)
    kept: dict[str, tuple[Pod, ...]] = {}
    for state in snapshot.nodes:
        promised = promised_to(state, waiting, snapshot.taken_at) if waiting else ()
        if promised:
            kept[state.name] = tuple(replace(pod, node_name=state.name) for pod in promised)
            for pod in promised:
                del waiting[pod.key]
    if not kept:
        return Promises(snapshot)
    bound = {pod.key: pod for pods in kept.values() for pod in pods}
    nodes = tuple(_holding(each, kept.get(each.name, ()), bound) for each in snapshot.nodes)
    pods = tuple(bound.get(pod.key, pod) for pod in snapshot.pods)
    return Promises(replace(snapshot, nodes=nodes, pods=pods), kept)


def promised_to(state: StateNode, waiting: Mapping[str, Pod], now: datetime) -> tuple[Pod, ...]:
    """Those of the pods that are to come to this machine, have room on it, and are not kept another node for."""
    claim = state.claim
    if claim is None or state.is_deleting or not state.provider_id or is_settled(claim, now):
        return ()
    left: Resources = minus(state.allocatable, total(pod.requests for pod in state.pods if not pod.is_terminal))
    promised: list[Pod] = []
    for key in sorted(planned_pods(claim) & waiting.keys()):
        pod = waiting[key]
        is_free = bool(pod.node_name) or pod.nominated_node_name in {"", state.name}
        if is_free and fits(pod.requests, left):
            left = minus(left, pod.requests)
            promised.append(pod)
    return tuple(promised)


def is_settled(claim: NodeClaim, now: datetime) -> bool:
    """Whether the machine has been fit for so long that what still waits for it will not come."""
    since = settled_at(claim)
    return since is not None and now >= since


def settled_at(claim: NodeClaim) -> datetime | None:
    """When that is; None while it is not fit yet."""
    condition = claim.condition(INITIALIZED)
    if condition is None or not condition.is_true:
        return None
    return condition.changed_at + SETTLING


def _holding(state: StateNode, promised: tuple[Pod, ...], bound: Mapping[str, Pod]) -> StateNode:
    """The node with what was promised to it, and without what was promised elsewhere."""
    left = tuple(pod for pod in state.pods if pod.key not in bound)
    return state if not promised and len(left) == len(state.pods) else replace(state, pods=(*left, *promised))
