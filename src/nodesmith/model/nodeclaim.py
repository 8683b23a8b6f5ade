"""NodeClaims: a node asked for, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from nodesmith.model.labels import NODEPOOL
from nodesmith.model.meta import Condition, Conditions, ObjectMeta
from nodesmith.model.requirements import Requirements
from nodesmith.model.resources import NOTHING, Resources
from nodesmith.model.taints import Taint

LAUNCHED: Final = "Launched"
REGISTERED: Final = "Registered"
INITIALIZED: Final = "Initialized"
READY: Final = "Ready"
CONSOLIDATABLE: Final = "Consolidatable"
DRIFTED: Final = "Drifted"
DRAINED: Final = "Drained"
VOLUMES_DETACHED: Final = "VolumesDetached"
INSTANCE_TERMINATING: Final = "InstanceTerminating"
CONSISTENT_STATE_FOUND: Final = "ConsistentStateFound"
DISRUPTION_REASON: Final = "DisruptionReason"


@dataclass(frozen=True, slots=True)
class NodeClassReference:
    """Which NodeClass a node is made from."""

    group: str
    kind: str
    name: str


DEFAULT_NODE_CLASS: Final = NodeClassReference("karpenter.k8s.aws", "EC2NodeClass", "default")


@dataclass(frozen=True, slots=True)
class NodeClaim:
    """A node asked for. `expire_after` None means never; `termination_grace_period` None means no deadline."""

    meta: ObjectMeta
    requirements: Requirements = field(default_factory=Requirements)
    requests: Resources = field(default_factory=lambda: NOTHING)
    taints: tuple[Taint, ...] = ()
    startup_taints: tuple[Taint, ...] = ()
    node_class: NodeClassReference = DEFAULT_NODE_CLASS
    expire_after: timedelta | None = None
    termination_grace_period: timedelta | None = None
    provider_id: str = ""
    node_name: str = ""
    image_id: str = ""
    capacity: Resources = field(default_factory=lambda: NOTHING)
    allocatable: Resources = field(default_factory=lambda: NOTHING)
    conditions: Conditions = field(default_factory=dict)
    last_pod_event_at: datetime | None = None

    @property
    def name(self) -> str:
        """The claim's name."""
        return self.meta.name

    @property
    def labels(self) -> Mapping[str, str]:
        """The claim's labels."""
        return self.meta.labels

    @property
    def pool_name(self) -> str:
        """The NodePool that asked for it; empty when it stands alone."""
        return self.meta.labels.get(NODEPOOL, "")

    def condition(self, kind: str) -> Condition | None:
        """The condition of this type, when there is one."""
        return self.conditions.get(kind)

    def has(self, kind: str) -> bool:
        """Whether the condition of this type is True."""
        condition = self.conditions.get(kind)
        return condition is not None and condition.is_true
