"""Volumes, claims and their classes, decoded to model values."""

from __future__ import annotations

from typing import Any, Final

from nodesmith.api.kind import Manifest
from nodesmith.api.meta import meta_of
from nodesmith.api.podspec import node_terms_of
from nodesmith.model.pod import NodeSelectorTerm
from nodesmith.model.requirements import Requirement
from nodesmith.model.storage import CSINode, PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttachment

BIND_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
DEFAULT_CLASS: Final = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
IN_TREE_DRIVERS: Final = {"awsElasticBlockStore": "ebs.csi.aws.com", "kubernetes.io/aws-ebs": "ebs.csi.aws.com"}
"""In-tree volume source or provisioner to the CSI driver that serves it now."""


def decode_persistent_volume(manifest: Manifest) -> PersistentVolume:
    """The PersistentVolume of a manifest."""
    spec: Manifest = manifest.get("spec") or {}
    driver = (spec.get("csi") or {}).get("driver") or ""
    for source, served_by in IN_TREE_DRIVERS.items():
        if not driver and spec.get(source):
            driver = served_by
    return PersistentVolume(
        meta=meta_of(manifest),
        terms=node_terms_of((spec.get("nodeAffinity") or {}).get("required")),
        driver=driver,
        is_local=bool(spec.get("local") or spec.get("hostPath")),
    )


def decode_persistent_volume_claim(manifest: Manifest) -> PersistentVolumeClaim:
    """The PersistentVolumeClaim of a manifest."""
    meta = meta_of(manifest)
    spec: Manifest = manifest.get("spec") or {}
    status: Manifest = manifest.get("status") or {}
    return PersistentVolumeClaim(
        meta=meta,
        volume_name=spec.get("volumeName") or "",
        storage_class=spec.get("storageClassName"),
        phase=status.get("phase") or "Pending",
        is_bind_completed=BIND_COMPLETED in meta.annotations,
        access_modes=tuple(spec.get("accessModes") or ()),
    )


def decode_storage_class(manifest: Manifest) -> StorageClass:
    """The StorageClass of a manifest."""
    meta = meta_of(manifest)
    provisioner = manifest.get("provisioner") or ""
    return StorageClass(
        meta=meta,
        provisioner=IN_TREE_DRIVERS.get(provisioner, provisioner),
        binds_immediately=manifest.get("volumeBindingMode") != "WaitForFirstConsumer",
        allowed_topologies=tuple(_topology(term) for term in manifest.get("allowedTopologies") or ()),
        is_default=any(meta.annotations.get(key) == "true" for key in DEFAULT_CLASS),
    )


def decode_csi_node(manifest: Manifest) -> CSINode:
    """The CSINode of a manifest."""
    drivers = (manifest.get("spec") or {}).get("drivers") or ()
    return CSINode(
        meta=meta_of(manifest),
        limits={each["name"]: (each.get("allocatable") or {}).get("count") for each in drivers if each.get("name")},
    )


def decode_volume_attachment(manifest: Manifest) -> VolumeAttachment:
    """The VolumeAttachment of a manifest."""
    spec: Manifest = manifest.get("spec") or {}
    return VolumeAttachment(
        meta=meta_of(manifest),
        node_name=spec.get("nodeName") or "",
        volume_name=(spec.get("source") or {}).get("persistentVolumeName") or "",
    )


def _topology(raw: Any) -> NodeSelectorTerm:
    return tuple(
        Requirement.of(each.get("key") or "", "In", each.get("values") or ())
        for each in raw.get("matchLabelExpressions") or ()
    )
