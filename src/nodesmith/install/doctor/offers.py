"""What NodePools sell, which of their requirements took the last offering away, and who finds no room in any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from nodesmith.decide.schedule.explain.views import PoolStudy, study_pool
from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.validate.case import Case
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.labels import SPOT
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod, PodSpec
from nodesmith.model.resources import CPU, MEMORY, PODS
from nodesmith.model.taints import Toleration
from nodesmith.model.workload import DaemonSet
from nodesmith.plan.reason import BlockCode
from nodesmith.plan.schedule import SchedulePlan
from nodesmith.state.snapshot import Snapshot

_PROBE: Final = Pod(
    ObjectMeta("probe", "default", uid="probe"),
    PodSpec(requests=((CPU, 10), (MEMORY, 2**24), (PODS, 1)), tolerations=(Toleration(operator="Exists"),)),
    is_unschedulable=True,
)
"""A pod that asks for next to nothing and bears everything: what refuses it, refuses every pod."""


@dataclass(frozen=True, slots=True)
class Offered:
    """What one NodePool sells: how many offerings, and how many of them take a pod."""

    pool: str
    known: int
    sold: int
    left: int
    last: str
    """What was asked when the last offering went; empty where some are left."""
    removed: tuple[str, ...]
    spot_pools: frozenset[tuple[str, str]]
    """(instance type, zone) of every spot offering that is sold."""

    def never(self) -> Iterator[str]:
        """Why no machine can ever be bought; nothing where some can."""
        if not self.known:
            yield f"NodePool {self.pool}: nothing is sold where its subnets are"
        elif not self.sold:
            yield f"NodePool {self.pool} can buy none of {self.known} offerings; the last was taken by {self.last}"
            yield from self.removed

    def no_room(self) -> Iterator[str]:
        """Why a machine that can be bought takes no pod; nothing where one does."""
        if self.sold and not self.left:
            yield f"NodePool {self.pool} sells {self.sold} offerings, none of which takes a pod: {self.last}"


def offered(snapshot: Snapshot, pool: NodePool, types: Sequence[InstanceType]) -> Offered:
    """What the pool sells of the types; limits are of what runs now."""
    alone = replace(snapshot, pools=(pool,))
    case = Case(Problem(alone, {pool.name: types}, (_PROBE,)), SchedulePlan())
    study = study_pool(case, _PROBE, pool, [])
    view = study.view
    return Offered(
        pool.name,
        known=view.known,
        sold=view.sold,
        left=view.left,
        last=_last(study),
        removed=tuple(
            f"{each.text} removes {each.removed} of {view.known}; without it {each.without} would be left"
            for each in view.constraints
            if each.without
        ),
        spot_pools=frozenset(_spot(study)),
    )


def _last(study: PoolStudy) -> str:
    """The demand at which nothing was left, all of them made one after the other."""
    left = np.ones(len(study.asks.market.offerings), np.bool_)
    for each in study.demands:
        left &= each.met
        if not left.any():
            return each.text
    return ""


def homeless(snapshot: Snapshot, catalog: Mapping[str, Sequence[InstanceType]]) -> Iterator[tuple[DaemonSet, NodePool]]:
    """DaemonSets with a NodePool whose machines they are meant for, and none of which has room for them."""
    pods = {each.meta.key: _pod_of(each) for each in snapshot.daemonsets}
    case = Case(Problem(replace(snapshot, daemonsets=()), catalog, tuple(pods.values())), SchedulePlan())
    for daemons in snapshot.daemonsets:
        for pool in snapshot.pools:
            if case.market(pool.name) is not None and _lacks_room(study_pool(case, pods[daemons.meta.key], pool, [])):
                yield daemons, pool


def _pod_of(daemons: DaemonSet) -> Pod:
    meta = ObjectMeta(daemons.meta.name, daemons.meta.namespace, uid=daemons.meta.uid or daemons.meta.key)
    return Pod(meta, daemons.template, is_unschedulable=True)


def _lacks_room(study: PoolStudy) -> bool:
    """Whether offerings would do but for what the pod asks for; limits are of the moment and do not count."""
    meant = study.sold.copy()
    for each in study.demands:
        if each.code not in {BlockCode.RESOURCES, BlockCode.LIMITS}:
            meant &= each.met
    fitting = meant.copy()
    for each in study.demands:
        if each.code is BlockCode.RESOURCES:
            fitting &= each.met
    return bool(meant.any()) and not fitting.any()


def _spot(study: PoolStudy) -> Iterator[tuple[str, str]]:
    market = study.asks.market
    for index in np.flatnonzero(study.sold):
        offering = market.offerings[int(index)]
        if offering.capacity_type == SPOT:
            yield market.types[int(market.owner[index])].name, offering.zone
