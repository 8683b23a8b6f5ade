"""Every kind of object that nodesmith reads or writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from nodesmith.api import core, storage
from nodesmith.api.capacitybuffer import decode_capacity_buffer
from nodesmith.api.ec2nodeclass import EC2NodeClass, decode_ec2nodeclass
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.nodeclaim import decode_node_claim
from nodesmith.api.nodeoverlay import decode_node_overlay
from nodesmith.api.nodepool import decode_node_pool
from nodesmith.api.shapes import NodeClaimShape, NodeShape, PodShape, SelectingShape
from nodesmith.model.buffer import CapacityBuffer
from nodesmith.model.labels import AWS_GROUP, GROUP
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.overlay import NodeOverlay
from nodesmith.model.pod import Pod
from nodesmith.model.storage import CSINode, PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttachment
from nodesmith.model.workload import (
    DaemonSet,
    Namespace,
    PodDisruptionBudget,
    PriorityClass,
    ReplicaSet,
    ReplicationController,
    Selecting,
    Service,
    StatefulSet,
)

S = TypeVar("S", bound=Selecting)


def _raw(group: str, version: str, name: str, plural: str, *, is_namespaced: bool = False) -> Kind[Manifest]:
    return Kind(group, version, name, plural, core.decode_raw, is_namespaced)


def selecting(kind: Kind[Manifest], decode: Callable[[Manifest], S]) -> Kind[S]:
    """The same kind, of which only the pods that it selects are known."""
    return Kind(kind.group, kind.version, kind.name, kind.plural, decode, kind.is_namespaced, shape=SelectingShape)


NODE_POOL: Final[Kind[NodePool]] = Kind(GROUP, "v1", "NodePool", "nodepools", decode_node_pool)
NODE_CLAIM: Final[Kind[NodeClaim]] = Kind(
    GROUP, "v1", "NodeClaim", "nodeclaims", decode_node_claim, shape=NodeClaimShape
)
NODE_OVERLAY: Final[Kind[NodeOverlay]] = Kind(GROUP, "v1alpha1", "NodeOverlay", "nodeoverlays", decode_node_overlay)
EC2_NODE_CLASS: Final[Kind[EC2NodeClass]] = Kind(AWS_GROUP, "v1", "EC2NodeClass", "ec2nodeclasses", decode_ec2nodeclass)
CAPACITY_BUFFER: Final[Kind[CapacityBuffer]] = Kind(
    "autoscaling.x-k8s.io", "v1beta1", "CapacityBuffer", "capacitybuffers", decode_capacity_buffer, is_namespaced=True
)

POD: Final[Kind[Pod]] = Kind("", "v1", "Pod", "pods", core.decode_pod, is_namespaced=True, shape=PodShape)
NODE: Final[Kind[Node]] = Kind("", "v1", "Node", "nodes", core.decode_node, shape=NodeShape)
NAMESPACE: Final[Kind[Namespace]] = Kind("", "v1", "Namespace", "namespaces", core.decode_namespace)
CONFIG_MAP: Final = _raw("", "v1", "ConfigMap", "configmaps", is_namespaced=True)
SECRET: Final = _raw("", "v1", "Secret", "secrets", is_namespaced=True)
SERVICE: Final = _raw("", "v1", "Service", "services", is_namespaced=True)
SERVICE_ACCOUNT: Final = _raw("", "v1", "ServiceAccount", "serviceaccounts", is_namespaced=True)
POD_TEMPLATE: Final = _raw("", "v1", "PodTemplate", "podtemplates", is_namespaced=True)
REPLICATION_CONTROLLER: Final = _raw("", "v1", "ReplicationController", "replicationcontrollers", is_namespaced=True)
EVENT: Final = _raw("", "v1", "Event", "events", is_namespaced=True)
PERSISTENT_VOLUME: Final[Kind[PersistentVolume]] = Kind(
    "", "v1", "PersistentVolume", "persistentvolumes", storage.decode_persistent_volume
)
PERSISTENT_VOLUME_CLAIM: Final[Kind[PersistentVolumeClaim]] = Kind(
    "",
    "v1",
    "PersistentVolumeClaim",
    "persistentvolumeclaims",
    storage.decode_persistent_volume_claim,
    is_namespaced=True,
)

DAEMON_SET: Final[Kind[DaemonSet]] = Kind(
    "apps", "v1", "DaemonSet", "daemonsets", core.decode_daemon_set, is_namespaced=True
)
DEPLOYMENT: Final = _raw("apps", "v1", "Deployment", "deployments", is_namespaced=True)
REPLICA_SET: Final = _raw("apps", "v1", "ReplicaSet", "replicasets", is_namespaced=True)
STATEFUL_SET: Final = _raw("apps", "v1", "StatefulSet", "statefulsets", is_namespaced=True)
JOB: Final = _raw("batch", "v1", "Job", "jobs", is_namespaced=True)

STORAGE_CLASS: Final[Kind[StorageClass]] = Kind(
    "storage.k8s.io", "v1", "StorageClass", "storageclasses", storage.decode_storage_class
)
CSI_NODE: Final[Kind[CSINode]] = Kind("storage.k8s.io", "v1", "CSINode", "csinodes", storage.decode_csi_node)
VOLUME_ATTACHMENT: Final[Kind[VolumeAttachment]] = Kind(
    "storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", storage.decode_volume_attachment
)
POD_DISRUPTION_BUDGET: Final[Kind[PodDisruptionBudget]] = Kind(
    "policy",
    "v1",
    "PodDisruptionBudget",
    "poddisruptionbudgets",
    core.decode_pod_disruption_budget,
    is_namespaced=True,
)
PRIORITY_CLASS: Final[Kind[PriorityClass]] = Kind(
    "scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", core.decode_priority_class
)
LEASE: Final = _raw("coordination.k8s.io", "v1", "Lease", "leases", is_namespaced=True)
CUSTOM_RESOURCE_DEFINITION: Final = _raw(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions"
)

ALL: Final[tuple[Kind[Any], ...]] = (
    NODE_POOL,
    NODE_CLAIM,
    NODE_OVERLAY,
    EC2_NODE_CLASS,
    CAPACITY_BUFFER,
    POD,
    NODE,
    NAMESPACE,
    CONFIG_MAP,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    POD_TEMPLATE,
    REPLICATION_CONTROLLER,
    EVENT,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    DAEMON_SET,
    DEPLOYMENT,
    REPLICA_SET,
    STATEFUL_SET,
    JOB,
    STORAGE_CLASS,
    CSI_NODE,
    VOLUME_ATTACHMENT,
    POD_DISRUPTION_BUDGET,
    PRIORITY_CLASS,
    LEASE,
    CUSTOM_RESOURCE_DEFINITION,
)
SELECTING: Final[dict[Kind[Any], type[Selecting]]] = {
    selecting(SERVICE, core.decode_service): Service,
    selecting(REPLICATION_CONTROLLER, core.decode_replication_controller): ReplicationController,
    selecting(REPLICA_SET, core.decode_replica_set): ReplicaSet,
    selecting(STATEFUL_SET, core.decode_stateful_set): StatefulSet,
}
"""What a default spread takes its selectors from, and the model type of each."""

BY_API_VERSION_AND_NAME: Final = {(kind.api_version, kind.name): kind for kind in ALL}


def kind_of(manifest: Manifest) -> Kind[Any] | None:
    """The kind of a manifest by its `apiVersion` and `kind`, or None when it is none of ours."""
    return BY_API_VERSION_AND_NAME.get((manifest.get("apiVersion") or "", manifest.get("kind") or ""))
