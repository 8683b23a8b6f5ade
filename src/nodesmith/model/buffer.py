"""CapacityBuffers: room that is kept for pods which are not there yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nodesmith.model.meta import Conditions, ObjectMeta
from nodesmith.model.pod import PodSpec
from nodesmith.model.resources import Resources


@dataclass(frozen=True, slots=True)
class ScalableReference:
    """A workload in the buffer's namespace."""

    group: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class BufferShape:
    """The pods that room is kept for: a PodTemplate's, or a workload's, which has `current` replicas now."""

    labels: Mapping[str, str]
    spec: PodSpec
    template_name: str = ""
    generation: int = 0
    current: int = 0


@dataclass(frozen=True, slots=True)
class CapacityBuffer:
    """How much room is kept, and for what: either `template_name` or `scalable`."""

    meta: ObjectMeta
    template_name: str = ""
    scalable: ScalableReference | None = None
    replicas: int | None = None
    percentage: int | None = None
    limits: Resources = field(default_factory=dict)
    strategy: str = ""
    kept: int | None = None
    conditions: Conditions = field(default_factory=dict)

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return self.meta.key
