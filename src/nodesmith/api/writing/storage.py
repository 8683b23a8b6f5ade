"""Volumes, their claims and classes as manifests."""

from __future__ import annotations

from typing import Any

from nodesmith.api.writing.metadata import head, stated
from nodesmith.api.writing.selectors import node_selector
from nodesmith.model.storage import CSINode, PersistentVolume, PersistentVolumeClaim, StorageClass


def storage_class(each: StorageClass) -> dict[str, Any]:
    """The StorageClass."""
    topologies = [
        {"matchLabelExpressions": [{"key": wanted.key, "values": sorted(wanted.values)} for wanted in term]}
        for term in each.allowed_topologies
    ]
    return head("storage.k8s.io/v1", "StorageClass", each.meta) | {
        "provisioner": each.provisioner,
        "volumeBindingMode": "Immediate" if each.binds_immediately else "WaitForFirstConsumer",
        **stated(allowedTopologies=topologies),
    }


def persistent_volume(each: PersistentVolume) -> dict[str, Any]:
    """The PersistentVolume."""
    spec = stated(
        csi={"driver": each.driver, "volumeHandle": each.meta.name} if each.driver else None,
        local={"path": "/"} if each.is_local else None,
    )
    if (terms := node_selector(each.terms)) is not None:
        spec["nodeAffinity"] = {"required": terms}
    return head("v1", "PersistentVolume", each.meta) | {"spec": spec}


def persistent_volume_claim(each: PersistentVolumeClaim) -> dict[str, Any]:
    """The PersistentVolumeClaim."""
    spec = stated(volumeName=each.volume_name, accessModes=list(each.access_modes))
    if each.storage_class is not None:
        spec["storageClassName"] = each.storage_class
    return head("v1", "PersistentVolumeClaim", each.meta) | {"spec": spec, "status": {"phase": each.phase}}


def csi_node(each: CSINode) -> dict[str, Any]:
    """The CSINode."""
    drivers = [
        {"name": name, "nodeID": each.meta.name} | ({} if limit is None else {"allocatable": {"count": limit}})
        for name, limit in each.limits.items()
    ]
    return head("storage.k8s.io/v1", "CSINode", each.meta) | {"spec": {"drivers": drivers}}
