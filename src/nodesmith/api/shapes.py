"""Which parts of an object are read at all: the rest is skipped while its JSON is decoded, and never becomes a value.

Only for kinds that come in thousands, where managed fields, environments and image lists are most of the bytes.
A decoder of `core` may look at what is named here and at nothing else; a test decodes whole objects and pruned ones.
What is `Raw` stays JSON: it is decoded once for what many objects have alike (`PodSpecs`, and `meta` for labels).
"""

from __future__ import annotations

from typing import Any, TypedDict

from msgspec import Raw

Many = list[Any] | None


class Metadata(TypedDict, total=False):
    """Metadata, without its managed fields."""

    name: str | None
    namespace: str | None
    uid: str | None
    labels: Raw
    annotations: Raw
    finalizers: Many
    ownerReferences: Raw
    resourceVersion: str | None
    generation: int | None
    creationTimestamp: str | None
    deletionTimestamp: str | None


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


class ConditionShape(TypedDict, total=False):
    """A condition, without its message."""

    type: str | None
    status: str | None
    reason: str | None


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


class PodStatusShape(TypedDict, total=False):
    """How a pod is doing."""

    phase: str | None
    conditions: list[ConditionShape] | None
    containerStatuses: Raw
    nominatedNodeName: str | None
    startTime: str | None


class PodShape(TypedDict, total=False):
    """A pod."""

    metadata: Metadata
    spec: Raw
    status: PodStatusShape


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
