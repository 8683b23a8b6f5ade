"""Manifest files as the cluster that they describe: `load` is `kubectl apply` followed by a look at everything.

What controllers and the API server would add is added: pods of workloads, priorities, PodDisruptionBudget status,
namespaces' labels, default storage classes. A node without conditions is ready; a NodeClaim without is initialised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from nodesmith.api import kinds
from nodesmith.api.capacitybuffer import SCALABLE_KINDS, shape_of_template, shape_of_workload
from nodesmith.api.check import check
from nodesmith.api.core import DEFAULT_NAMESPACE, POD_SPECS, decode_deployment, decode_pod
from nodesmith.api.documents import Document, Reading, read_paths
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.fault import Fault
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.meta import derived_uid
from nodesmith.api.settle import settle
from nodesmith.api.validation import manifest_problems, validate
from nodesmith.api.workloads import EXPANDED, Owned, expand
from nodesmith.model.buffer import BufferShape, CapacityBuffer
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.overlay import NodeOverlay
from nodesmith.model.pod import Pod
from nodesmith.model.storage import CSINode, PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttachment
from nodesmith.model.workload import (
    DaemonSet,
    Deployment,
    Namespace,
    PodDisruptionBudget,
    PriorityClass,
    Selecting,
)
from nodesmith.state.snapshot import Snapshot
from nodesmith.state.store import Store

DEFAULT_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Where the clock stands for manifests, so that the same files give the same answer on every day."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The cluster, its node classes, and what was wrong with the files.

    `buffers` are CapacityBuffers with what they keep room for; None where that is not among the manifests.
    """

    snapshot: Snapshot
    node_classes: tuple[EC2NodeClass, ...] = ()
    faults: tuple[Fault, ...] = ()
    overlays: tuple[NodeOverlay, ...] = ()
    buffers: tuple[tuple[CapacityBuffer, BufferShape | None], ...] = ()


@dataclass(slots=True)
class Objects:
    """Model values by kind, as they are collected."""

    by_kind: dict[str, list[Any]] = field(default_factory=dict)
    workloads: list[Manifest] = field(default_factory=list)
    templates: list[Manifest] = field(default_factory=list)

    def of(self, kind: Kind[Any]) -> list[Any]:
        """The list of this kind's values."""
        return self.by_kind.setdefault(kind.name, [])


_KEPT: Final[tuple[tuple[Kind[Any], type[Any]], ...]] = (
    (kinds.NODE, Node),
    (kinds.NODE_CLAIM, NodeClaim),
    (kinds.NODE_POOL, NodePool),
    (kinds.POD, Pod),
    (kinds.DAEMON_SET, DaemonSet),
    (kinds.NAMESPACE, Namespace),
    (kinds.POD_DISRUPTION_BUDGET, PodDisruptionBudget),
    (kinds.PERSISTENT_VOLUME, PersistentVolume),
    (kinds.PERSISTENT_VOLUME_CLAIM, PersistentVolumeClaim),
    (kinds.STORAGE_CLASS, StorageClass),
    (kinds.CSI_NODE, CSINode),
    (kinds.VOLUME_ATTACHMENT, VolumeAttachment),
)
_ALSO: Final[tuple[tuple[Kind[Any], type[Any]], ...]] = (
    (kinds.PRIORITY_CLASS, PriorityClass),
    (kinds.EC2_NODE_CLASS, EC2NodeClass),
    (kinds.NODE_OVERLAY, NodeOverlay),
    (kinds.CAPACITY_BUFFER, CapacityBuffer),
)
_DEPLOYMENT: Final = kinds.selecting(kinds.DEPLOYMENT, decode_deployment)
_SELECTING: Final[dict[Kind[Any], type[Selecting]]] = {**kinds.SELECTING, _DEPLOYMENT: Deployment}
_DECODED: Final = {kind.name: kind for kind in _SELECTING}
_WRITTEN: Final = (kinds.NODE_POOL, kinds.EC2_NODE_CLASS, kinds.NODE_OVERLAY, kinds.CAPACITY_BUFFER)
_READ: Final = frozenset(kind.name for kind, _ in (*_KEPT, *_ALSO))


def load(paths: Iterable[Path], *, now: datetime = DEFAULT_NOW) -> Loaded:
    """The cluster that the manifests in these files and folders describe."""
    return assemble(read_paths(paths), now=now)


def assemble(reading: Reading, *, now: datetime = DEFAULT_NOW) -> Loaded:
    """The cluster that the documents describe; what cannot be understood is a fault and left out."""
    faults = list(reading.faults)
    objects = Objects()
    for document in reading.documents:
        faults.extend(_collect(document, objects))
    _expand(objects)
    settle(objects.by_kind, now=now)
    store = Store()
    for kind, model in (*_KEPT, *_SELECTING.items()):
        store.replace(model, objects.of(kind))
    return Loaded(
        store.snapshot(now),
        tuple(objects.of(kinds.EC2_NODE_CLASS)),
        tuple(faults),
        tuple(objects.of(kinds.NODE_OVERLAY)),
        tuple((buffer, _shape_for(buffer, objects)) for buffer in objects.of(kinds.CAPACITY_BUFFER)),
    )


def _collect(document: Document, objects: Objects) -> list[Fault]:
    manifest = document.data
    if not is_object(manifest):
        return []
    kind = kinds.kind_of(manifest)
    if kind is None:
        return [document.fault(problem) for problem in manifest_problems(manifest)]
    faults = _faults(kind, document)
    if any(fault.is_error for fault in faults):
        return faults
    manifest = _in_namespace(manifest) if kind.is_namespaced else manifest
    if kind.name in _DECODED:
        objects.of(kind).append(_DECODED[kind.name].decode(manifest))
    if kind.name in EXPANDED:
        objects.workloads.append(manifest)
    elif kind is kinds.POD_TEMPLATE:
        objects.templates.append(manifest)
    elif kind.name in _READ:
        objects.of(kind).append(_listed_pod(manifest) if kind is kinds.POD else kind.decode(manifest))
    return faults


def is_object(manifest: Any) -> bool:
    """Whether a document is meant to be a Kubernetes object; values files and catalogues are not."""
    return isinstance(manifest, dict) and bool(manifest.get("kind") or manifest.get("apiVersion"))


def _faults(kind: Kind[Any], document: Document) -> list[Fault]:
    """What is wrong with a document: all that is wrong in what users write, of others what cannot be read."""
    if kind in _WRITTEN:
        return validate(document, with_advice=False)
    return [document.fault(problem) for problem in check(kind, document.data)]


def _listed_pod(manifest: Manifest) -> Pod:
    """The pod; where its status says nothing, a bound one runs, and another waits for a node."""
    pod = decode_pod(manifest)
    status = manifest.get("status") or {}
    if pod.node_name:
        says_ready = any(each.get("type") == "Ready" for each in status.get("conditions") or ())
        phase = status.get("phase") or "Running"
        is_ready = pod.is_ready if says_ready else phase == "Running"
        pod = replace(pod, phase=phase, is_ready=is_ready)
    elif not status.get("conditions"):
        pod = replace(pod, is_unschedulable=True)
    return pod if pod.meta.uid else replace(pod, meta=replace(pod.meta, uid=derived_uid(pod.key)))


def _in_namespace(manifest: Manifest) -> Manifest:
    metadata = manifest.get("metadata") or {}
    if metadata.get("namespace"):
        return manifest
    return {**manifest, "metadata": {**metadata, "namespace": DEFAULT_NAMESPACE}}


def _shape_for(buffer: CapacityBuffer, objects: Objects) -> BufferShape | None:
    """What the buffer keeps room for, if it is among the manifests."""
    reference = buffer.scalable
    if reference is None:
        named = _named(objects.templates, "PodTemplate", buffer.template_name, buffer.meta.namespace)
        return shape_of_template(named) if named is not None else None
    named = _named(objects.workloads, reference.kind, reference.name, buffer.meta.namespace)
    return shape_of_workload(named) if named is not None and reference.kind in SCALABLE_KINDS else None


def _named(manifests: Iterable[Manifest], kind: str, name: str, namespace: str) -> Manifest | None:
    wanted = (kind, name, namespace)
    for each in manifests:
        meta = each["metadata"]
        if (each["kind"], meta.get("name"), meta.get("namespace")) == wanted:
            return each
    return None


def _expand(objects: Objects) -> None:
    pods: list[Pod] = objects.of(kinds.POD)
    claims: list[PersistentVolumeClaim] = objects.of(kinds.PERSISTENT_VOLUME_CLAIM)
    owned = Owned.of(pods, objects.workloads)
    listed = {claim.meta.key for claim in claims}
    for workload in objects.workloads:
        expansion = expand(workload, owned, POD_SPECS)
        pods.extend(expansion.pods)
        claims.extend(claim for claim in expansion.claims if claim.meta.key not in listed)
