"""Volumes, as far as they tie pods to places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nodesmith.model.meta import ObjectMeta
from nodesmith.model.pod import NodeSelectorTerm


@dataclass(frozen=True, slots=True)
class PersistentVolume:
    """A volume; `terms` are its required node affinity (ORed, none: anywhere); `driver` its CSI driver."""

    meta: ObjectMeta
    terms: tuple[NodeSelectorTerm, ...] = ()
    driver: str = ""
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class PersistentVolumeClaim:
    """A claim on a volume; `storage_class` None when the manifest names none."""

    meta: ObjectMeta
    volume_name: str = ""
    storage_class: str | None = None
    phase: str = "Pending"
    is_bind_completed: bool = False
    access_modes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StorageClass:
    """How volumes of a class come to be; `allowed_topologies` are ORed terms."""

    meta: ObjectMeta
    provisioner: str = ""
    binds_immediately: bool = True
    allowed_topologies: tuple[NodeSelectorTerm, ...] = ()
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class CSINode:
    """How many volumes a node can attach, by driver; None: no limit known."""

    meta: ObjectMeta
    limits: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VolumeAttachment:
    """A volume attached to a node."""

    meta: ObjectMeta
    node_name: str
    volume_name: str = ""
