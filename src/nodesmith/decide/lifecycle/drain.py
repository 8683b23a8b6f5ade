"""Which pods of a leaving node go now, which later, and which are waited for (spec 4.7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from nodesmith.decide.disrupt.protection import is_protected
from nodesmith.model.pod import Pod
from nodesmith.model.taints import DISRUPTED

STUCK_AFTER: Final = timedelta(minutes=1)
"""A pod that is still there so long after it should have been gone is not waited for."""


@dataclass(frozen=True, slots=True)
class ForcedDeletion:
    """A pod that is deleted past its budgets, with what is left of the time as its grace."""

    pod: Pod
    grace_s: int


@dataclass(frozen=True, slots=True)
class DrainStep:
    """What to do with the pods of a node now; the node is drained when nothing is `waiting`."""

    evict: tuple[Pod, ...] = ()
    force: tuple[ForcedDeletion, ...] = ()
    waiting: tuple[Pod, ...] = ()
    protected: tuple[Pod, ...] = ()

    @property
    def is_drained(self) -> bool:
        """Whether no pod is in the way."""
        return not self.waiting


def next_drain(pods: Iterable[Pod], *, deadline: datetime | None, now: datetime) -> DrainStep:
    """The next step of a drain: the first tier that is not empty is evicted; what runs out of time is deleted."""
    waiting = tuple(sorted((pod for pod in pods if is_waited_for(pod, now)), key=lambda pod: pod.key))
    force = tuple(
        ForcedDeletion(pod, grace_left(deadline, now))
        for pod in waiting
        if deadline is not None and _runs_out(pod, deadline, now)
    )
    forced = {each.pod.key for each in force}
    tier = _first_tier([pod for pod in waiting if pod.key not in forced])
    active = [pod for pod in tier if pod.is_active]
    protected = tuple(pod for pod in active if is_protected(pod, now))
    kept = {pod.key for pod in protected}
    return DrainStep(tuple(pod for pod in active if pod.key not in kept), force, waiting, protected)


def is_drainable(pod: Pod, now: datetime) -> bool:
    """Whether a drain has anything to do with the pod."""
    if pod.is_owned_by_node or any(each.tolerates(DISRUPTED) for each in pod.spec.tolerations):
        return False
    return not (pod.meta.deleted_at is not None and now > pod.meta.deleted_at + STUCK_AFTER)


def is_waited_for(pod: Pod, now: datetime) -> bool:
    """Whether the node cannot go while the pod is there."""
    return not pod.is_terminal and is_drainable(pod, now)


def is_evictable(pod: Pod, now: datetime) -> bool:
    """Whether a drain would evict the pod, its budgets allowing."""
    return pod.is_active and is_drainable(pod, now) and not is_protected(pod, now)


def grace_left(deadline: datetime | None, now: datetime) -> int:
    """The whole seconds until the deadline, at least one."""
    return max(int((deadline - now).total_seconds()), 1) if deadline is not None else 1


def _runs_out(pod: Pod, deadline: datetime, now: datetime) -> bool:
    """Whether the pod must be deleted now to be gone by the deadline, with as much of its own grace as is left."""
    if pod.meta.deleted_at is not None:
        return pod.meta.deleted_at > deadline
    return now > deadline - timedelta(seconds=pod.spec.termination_grace_period_s)


def _first_tier(pods: Sequence[Pod]) -> Sequence[Pod]:
    tiers: dict[tuple[bool, bool], list[Pod]] = {}
    for pod in pods:
        tiers.setdefault((pod.is_critical, pod.is_owned_by_daemonset), []).append(pod)
    return tiers[min(tiers)] if tiers else ()
