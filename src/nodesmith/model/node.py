"""Nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nodesmith.model.labels import HOSTNAME, INITIALIZED, NODECLASS, NODEPOOL, REGISTERED
from nodesmith.model.meta import Condition, Conditions, ObjectMeta
from nodesmith.model.resources import NOTHING, Resources
from nodesmith.model.taints import Taint


@dataclass(frozen=True, slots=True)
class Node:
    """A node as its kubelet registered it."""

    meta: ObjectMeta
    provider_id: str = ""
    taints: tuple[Taint, ...] = ()
    is_cordoned: bool = False
    capacity: Resources = field(default_factory=lambda: NOTHING)
    allocatable: Resources = field(default_factory=lambda: NOTHING)
    conditions: Conditions = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The node's name."""
        return self.meta.name

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels, with `kubernetes.io/hostname` (the node's name where the kubelet set none)."""
        return {HOSTNAME: self.meta.name, **self.meta.labels}

    @property
    def is_ready(self) -> bool:
        """Whether the kubelet says Ready; a node without conditions counts as ready."""
        ready: Condition | None = self.conditions.get("Ready")
        return ready.is_true if ready else not self.conditions

    @property
    def is_managed(self) -> bool:
        """Whether its NodeClass is one of ours."""
        return NODECLASS in self.meta.labels or NODEPOOL in self.meta.labels

    @property
    def is_registered(self) -> bool:
        """Whether our labels say that it joined; a node that is not ours counts as joined."""
        return not self.is_managed or self.meta.labels.get(REGISTERED) == "true"

    @property
    def is_initialized(self) -> bool:
        """Whether our labels say that it is fit for pods; a node that is not ours counts as fit."""
        return not self.is_managed or self.meta.labels.get(INITIALIZED) == "true"
