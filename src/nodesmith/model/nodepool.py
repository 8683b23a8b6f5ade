"""NodePools: what may be bought, how much of it, and when it may be taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from nodesmith.model.meta import Conditions, ObjectMeta
from nodesmith.model.nodeclaim import DEFAULT_NODE_CLASS, NodeClassReference
from nodesmith.model.requirements import Requirements
from nodesmith.model.resources import Resources
from nodesmith.model.taints import Taint


class ConsolidationPolicy(StrEnum):
    """Which nodes consolidation may touch."""

    WHEN_EMPTY = "WhenEmpty"
    WHEN_EMPTY_OR_UNDERUTILIZED = "WhenEmptyOrUnderutilized"
    BALANCED = "Balanced"


class DisruptionReason(StrEnum):
    """Why a node may be disrupted under a budget."""

    UNDERUTILIZED = "Underutilized"
    EMPTY = "Empty"
    DRIFTED = "Drifted"


@dataclass(frozen=True, slots=True)
class Budget:
    """How many nodes may be disrupted at once; `nodes` is a count or a percentage as written.

    `schedule` (cron, UTC) and `duration` bound when it counts; without them it always does. `reasons` None: for all.
    """

    nodes: str = "10%"
    reasons: frozenset[DisruptionReason] | None = None
    schedule: str | None = None
    duration: timedelta | None = None


DEFAULT_BUDGETS: Final = (Budget(),)


@dataclass(frozen=True, slots=True)
class Disruption:
    """When nodes may leave; `consolidate_after` None means never."""

    consolidate_after: timedelta | None = timedelta(0)
    policy: ConsolidationPolicy = ConsolidationPolicy.WHEN_EMPTY_OR_UNDERUTILIZED
    budgets: tuple[Budget, ...] = DEFAULT_BUDGETS


@dataclass(frozen=True, slots=True)
class NodePool:
    """A NodePool, its template parsed. `replicas` not None makes it static; `limits` empty means none."""

    meta: ObjectMeta
    requirements: Requirements = field(default_factory=Requirements)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    startup_taints: tuple[Taint, ...] = ()
    node_class: NodeClassReference = DEFAULT_NODE_CLASS
    expire_after: timedelta | None = timedelta(hours=720)
    termination_grace_period: timedelta | None = None
    disruption: Disruption = field(default_factory=Disruption)
    limits: Resources = field(default_factory=dict)
    weight: int = 0
    replicas: int | None = None
    static_hash: str = ""
    conditions: Conditions = field(default_factory=dict)
    node_class_observed_generation: int = 0

    @property
    def name(self) -> str:
        """The pool's name."""
        return self.meta.name

    @property
    def is_static(self) -> bool:
        """Whether it keeps a fixed number of nodes."""
        return self.replicas is not None
