"""What a pod's volumes ask of its node (spec 3.8), and why some pods cannot be placed for their sake (spec 3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nodesmith.model.labels import HOSTNAME
from nodesmith.model.pod import NodeSelectorTerm, Pod, PodVolume
from nodesmith.model.requirements import Requirements
from nodesmith.model.storage import PersistentVolumeClaim, StorageClass
from nodesmith.plan.reason import BlockCode, Blocked
from nodesmith.state.snapshot import Storage

ANYWHERE: Final = (Requirements(),)
_IN_TREE: Final = {"kubernetes.io/aws-ebs": "ebs.csi.aws.com"}


@dataclass(frozen=True, slots=True)
class AttachedVolume:
    """A volume as CSI attach limits count it: the driver, and the claim that tells it from others."""

    driver: str
    claim: str


def volume_alternatives(pod: Pod, storage: Storage) -> tuple[Requirements, ...] | Blocked:
    """Node requirements of which one must hold for all volumes to be reachable, or why there can be none."""
    alternatives: tuple[Requirements, ...] = ANYWHERE
    for volume in pod.spec.volumes:
        terms = _terms(pod, volume, storage)
        if isinstance(terms, Blocked):
            return terms
        alternatives = _cross(alternatives, terms)
        if not alternatives:
            return Blocked(BlockCode.VOLUME, "no node can reach all of its volumes")
    return alternatives


def attached_volumes(pod: Pod, storage: Storage) -> tuple[AttachedVolume, ...]:
    """The volumes of the pod that count against attach limits; those whose driver is unknown do not."""
    found: list[AttachedVolume] = []
    for volume in pod.spec.volumes:
        name = claim_key(pod, volume)
        driver = _driver(pod, volume, storage)
        if driver:
            found.append(AttachedVolume(driver, name))
    return tuple(found)


def claim_key(pod: Pod, volume: PodVolume) -> str:
    """`namespace/name` of the claim behind a volume."""
    name = f"{pod.meta.name}-{volume.claim_name}" if volume.is_ephemeral else volume.claim_name
    return f"{pod.meta.namespace}/{name}"


def _terms(pod: Pod, volume: PodVolume, storage: Storage) -> Iterable[NodeSelectorTerm] | Blocked:
    """The node affinity terms of one volume (ORed); an empty term where it has no say."""
    key = claim_key(pod, volume)
    claim = storage.claims.get(key)
    if claim is None:
        if not volume.is_ephemeral:
            return Blocked(BlockCode.VOLUME, f"persistentvolumeclaim {key} not found")
        return _unbound(key, _class_of(volume.storage_class, storage))
    if claim.meta.is_deleting:
        return Blocked(BlockCode.VOLUME, f"persistentvolumeclaim {key} is being deleted")
    if claim.phase == "Lost":
        return Blocked(BlockCode.VOLUME, f"persistentvolumeclaim {key} has lost its volume")
    if claim.volume_name:
        return _bound(key, claim, storage)
    return _unbound(key, _class_of(claim.storage_class, storage))


def _bound(key: str, claim: PersistentVolumeClaim, storage: Storage) -> Iterable[NodeSelectorTerm] | Blocked:
    if not claim.is_bind_completed:
        return Blocked(BlockCode.VOLUME, f"persistentvolumeclaim {key} is not bound to {claim.volume_name} yet")
    volume = storage.volumes.get(claim.volume_name)
    if volume is None or volume.meta.is_deleting:
        return Blocked(BlockCode.VOLUME, f"persistentvolume {claim.volume_name} of {key} not found or being deleted")
    if not volume.terms:
        return ((),)
    if not volume.is_local:
        return volume.terms
    return tuple(tuple(each for each in term if each.key != HOSTNAME) for term in volume.terms)


def _unbound(key: str, storage_class: StorageClass | None) -> Iterable[NodeSelectorTerm] | Blocked:
    if storage_class is None:
        return Blocked(BlockCode.VOLUME, f"persistentvolumeclaim {key} is unbound and its storage class is not found")
    if storage_class.binds_immediately:
        return Blocked(
            BlockCode.VOLUME,
            f"persistentvolumeclaim {key} is unbound and storage class {storage_class.meta.name} binds immediately",
        )
    return storage_class.allowed_topologies or ((),)


def _class_of(name: str | None, storage: Storage) -> StorageClass | None:
    """The class of that name; for None the newest default class."""
    if name is not None:
        return storage.classes.get(name)
    defaults = [each for each in storage.classes.values() if each.is_default]
    return max(defaults, key=lambda each: (each.meta.created_at, each.meta.name), default=None)


def _driver(pod: Pod, volume: PodVolume, storage: Storage) -> str:
    claim = storage.claims.get(claim_key(pod, volume))
    if claim is not None and claim.volume_name:
        bound = storage.volumes.get(claim.volume_name)
        return bound.driver if bound is not None else ""
    storage_class = _class_of(claim.storage_class if claim is not None else volume.storage_class, storage)
    provisioner = storage_class.provisioner if storage_class is not None else ""
    return _IN_TREE.get(provisioner, provisioner)


def _cross(alternatives: Iterable[Requirements], terms: Iterable[NodeSelectorTerm]) -> tuple[Requirements, ...]:
    """Every alternative narrowed by every term, those that contradict themselves left out."""
    crossed: list[Requirements] = []
    stated = [Requirements.of(term) for term in terms]
    for alternative in alternatives:
        crossed.extend(alternative & term for term in stated if alternative.intersection_conflict(term) is None)
    return tuple(dict.fromkeys(crossed))
