"""Other objects that have a say in placement and disruption."""

from __future__ import annotations

from dataclasses import dataclass

from nodesmith.model.meta import ObjectMeta
from nodesmith.model.pod import PodSpec
from nodesmith.model.selector import LabelSelector


@dataclass(frozen=True, slots=True)
class DaemonSet:
    """A pod for every node that it fits; `template` is its pod's shape."""

    meta: ObjectMeta
    template: PodSpec
    template_meta: ObjectMeta


@dataclass(frozen=True, slots=True)
class PodDisruptionBudget:
    """How many of the selected pods may be evicted now.

    `disruptions_allowed` is the status the API server keeps; None where no controller has written it.
    """

    meta: ObjectMeta
    selector: LabelSelector | None
    disruptions_allowed: int | None = None
    min_available: str | None = None
    max_unavailable: str | None = None
    evicts_unready_always: bool = False


@dataclass(frozen=True, slots=True)
class Selecting:
    """An object that says by labels which pods of its namespace are its own; without a selector, none."""

    meta: ObjectMeta
    selector: LabelSelector | None


class Service(Selecting):
    """A Service."""

    __slots__ = ()


class ReplicationController(Selecting):
    """A ReplicationController."""

    __slots__ = ()


class ReplicaSet(Selecting):
    """A ReplicaSet."""

    __slots__ = ()


class StatefulSet(Selecting):
    """A StatefulSet."""

    __slots__ = ()


class Deployment(Selecting):
    """A Deployment: where manifests are read that no controller has expanded, it stands for its ReplicaSet."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace and its labels."""

    meta: ObjectMeta


@dataclass(frozen=True, slots=True)
class PriorityClass:
    """A name for a priority."""

    meta: ObjectMeta
    value: int
    is_global_default: bool = False
