"""Which parts of an object are read at all: the rest is skipped while its JSON is decoded, and never becomes a value.

Only for kinds that come in thousands, where managed fields, environments and image lists are most of the bytes.
A decoder of `core` may look at what is named here and at nothing else; a test decodes whole objects and pruned ones.
What is `Raw` stays JSON: it is decoded once for what many objects have alike (`PodSpecs`, and `meta` for labels).

Metadata and pods, of which there are most, are structs: made in two thirds of a dictionary's time, and read in less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict, TypeVar

from msgspec import Raw, Struct

Many = list[Any] | None
S = TypeVar("S", bound=Struct)

NULL: Final = Raw(b"null")


def shaped(shape: type[S], values: Mapping[str, Any]) -> S:
    """The shape with what it names of values that were decoded already, whatever types they have."""
    names = zip(shape.__struct_fields__, shape.__struct_encode_fields__, strict=True)
    return shape(**{field: values[name] for field, name in names if name in values})


class Metadata(Struct, rename="camel", gc=False):
    """Metadata, without its managed fields."""

    name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    labels: Raw = NULL
    annotations: Raw = NULL
    finalizers: Many = None
    owner_references: Raw = NULL
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None


class ContainerShape(TypedDict, total=False):
    """What a container takes."""

    name: str | None
    resources: Any
    ports: Raw
    restartPolicy: str | None


class VolumeShape(TypedDict, total=False):
    """A volume that is claimed."""

    name: str | None
    persistentVolumeClaim: Raw
    ephemeral: Raw


class PodSpecShape(TypedDict, total=False):
    """What says where a pod may go, and where it is."""

    nodeName: str | None
    schedulingGates: Any
    containers: list[ContainerShape] | None
    initContainers: list[ContainerShape] | None
    volumes: list[VolumeShape] | None
    nodeSelector: Any
    affinity: Raw
    topologySpreadConstraints: Raw
    tolerations: Raw
    overhead: Any
    resources: Any
    hostNetwork: bool | None
    priority: int | None
    priorityClassName: str | None
    resourceClaims: Any
    terminationGracePeriodSeconds: int | None


class ConditionShape(Struct, gc=False):
    """A condition, without its message."""

    type: str | None = None
    status: str | None = None
    reason: str | None = None


class ContainerStatusShape(Struct, rename="camel", gc=False):
    """What a container holds while it is resized."""

    name: str | None = None
    allocated_resources: Raw = NULL


class PodStatusShape(Struct, rename="camel", gc=False):
    """How a pod is doing."""

    phase: str | None = None
    conditions: list[ConditionShape] | None = None
    container_statuses: list[ContainerStatusShape] | None = None
    nominated_node_name: str | None = None
    start_time: str | None = None


class PodShape(Struct, gc=False):
    """A pod."""

    metadata: Metadata
    spec: Raw = NULL
    status: PodStatusShape | None = None


class NodeSpecShape(TypedDict, total=False):
    """A node's spec."""

    providerID: str | None
    taints: Any
    unschedulable: bool | None


class NodeStatusShape(TypedDict, total=False):
    """A node's status, without its images."""

    capacity: Any
    allocatable: Any
    conditions: Any


class NodeShape(TypedDict, total=False):
    """A node."""

    metadata: Metadata
    spec: NodeSpecShape
    status: NodeStatusShape


class SelectorShape(TypedDict, total=False):
    """A spec of which only the selector counts."""

    selector: Any


class SelectingShape(TypedDict, total=False):
    """What says which pods are its own, and nothing else of it."""

    metadata: Metadata
    spec: SelectorShape


class NodeClaimShape(TypedDict, total=False):
    """A NodeClaim: all but its managed fields."""

    metadata: Metadata
    spec: Any
    status: Any
