"""Status conditions that change, and objects that go: how long each state lasted. Numbers only, nothing is decided."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from nodesmith.actuate.writer import HasMeta
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.kind import Kind
from nodesmith.api.kinds import CAPACITY_BUFFER, EC2_NODE_CLASS, NODE, NODE_CLAIM, NODE_POOL
from nodesmith.controllers.feed import Feed
from nodesmith.model.buffer import CapacityBuffer
from nodesmith.model.meta import Condition, Conditions
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.ports.clock import Clock
from nodesmith.ports.metrics import Metrics

KINDS: Final[tuple[Kind[Any], ...]] = (NODE_CLAIM, NODE_POOL, NODE, EC2_NODE_CLASS, CAPACITY_BUFFER)


class Transitions:
    """Listens to the feed and tells what a change ended."""

    def __init__(self, feed: Feed, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        for kind in KINDS:
            feed.listen(kind, partial(self._changed, kind))

    def _changed(self, kind: Kind[Any], before: HasMeta | None, after: HasMeta | None) -> None:
        if before is None:
            return
        if after is None:
            self._gone(kind, before)
            return
        for old, new in _switched(conditions_of(before), conditions_of(after)):
            self._switched(kind, old, new)

    def _gone(self, kind: Kind[Any], last: HasMeta) -> None:
        if last.meta.deleted_at is None:
            return
        took = max((self._clock.now() - last.meta.deleted_at).total_seconds(), 0.0)
        self._metrics.observe(f"operator_{kind.name.lower()}_termination_duration_seconds", took)
        self._metrics.observe("operator_termination_duration_seconds", took, group=kind.group, kind=kind.name)

    def _switched(self, kind: Kind[Any], old: Condition, new: Condition) -> None:
        prefix, metrics = f"operator_{kind.name.lower()}_status_condition", self._metrics
        owner = {"group": kind.group, "kind": kind.name}
        took = max((new.changed_at - old.changed_at).total_seconds(), 0.0)
        was, now = {"type": old.type, "status": old.status}, {"type": new.type, "status": new.status}
        metrics.observe(f"{prefix}_transition_seconds", took, **was)
        metrics.observe("operator_status_condition_transition_seconds", took, **owner, **was)
        metrics.count(f"{prefix}_transitions_total", reason=new.reason, **now)
        metrics.count("operator_status_condition_transitions_total", reason=new.reason, **owner, **now)


def conditions_of(value: HasMeta) -> Conditions:
    """The object's status conditions by type."""
    match value:
        case EC2NodeClass():
            return value.status.conditions
        case Node() | NodeClaim() | NodePool() | CapacityBuffer():
            return value.conditions
        case _:
            return {}


def _switched(before: Conditions, after: Conditions) -> Iterator[tuple[Condition, Condition]]:
    """Conditions that have another status than they had."""
    for name, new in after.items():
        old = before.get(name)
        if old is not None and old.status != new.status:
            yield old, new
