"""What the Kubernetes API was seen to have, where the model has no word for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class ControllerPod:
    """A pod of a controller; `pool` is the NodePool of the node that it runs on, empty where none made it."""

    name: str
    node: str = ""
    pool: str = ""
    is_ready: bool = True
    restarts: int = 0
    last_end: str = ""
    """Why its container ended last: `OOMKilled`, `Error` ..."""
    waits_for: str = ""
    """Why its container does not run: `ImagePullBackOff`, `CrashLoopBackOff` ..."""


@dataclass(frozen=True, slots=True)
class Controller:
    """A Deployment that runs nodesmith or Karpenter."""

    namespace: str
    name: str
    image: str
    is_nodesmith: bool
    replicas: int
    ready: int
    service_account: str
    environment: Mapping[str, str] = field(default_factory=dict)
    keeps_off_own_nodes: bool = True
    ports: Mapping[str, int] = field(default_factory=dict)
    """Container ports by name."""
    selector: Mapping[str, str] = field(default_factory=dict)
    pods: tuple[ControllerPod, ...] = ()

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def version(self) -> str:
        """The image's tag; empty where it has none."""
        tag = self.image.partition("@")[0].rpartition("/")[2].partition(":")[2]
        return tag.removeprefix("v")


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """The controller's service account."""

    namespace: str
    name: str
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service that selects the controller: `target` is a port's number or name."""

    service: str
    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Lease:
    """A leader's lease."""

    namespace: str
    name: str
    holder: str
    renewed_at: datetime | None
    duration: timedelta

    def is_live(self, now: datetime) -> bool:
        """Whether its holder leads."""
        return bool(self.holder) and self.renewed_at is not None and now <= self.renewed_at + self.duration


@dataclass(frozen=True, slots=True)
class Definition:
    """A CustomResourceDefinition: which versions it serves, and the field paths of the one that nodesmith speaks."""

    name: str
    served: tuple[str, ...]
    stored: str
    fields: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget as its status has it."""

    key: str
    allowed: int
    expected: int
    healthy: int
    wanted: int
