"""Which node a pod's volumes tie it to, or why they keep it from every node."""

from __future__ import annotations

from dataclasses import dataclass

from nodesmith.decide.schedule.validate.labels import Constraints, NodeConstraint
from nodesmith.model.labels import HOSTNAME
from nodesmith.model.pod import Pod, PodVolume
from nodesmith.model.storage import PersistentVolumeClaim, StorageClass
from nodesmith.state.snapshot import Storage


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of a pod: its claim's key, its CSI driver, where it can be reached (None: anywhere), what is wrong."""

    key: str
    driver: str = ""
    constraint: NodeConstraint | None = None
    problem: str = ""


class Volumes:
    """The volumes of pods, read from the cluster's storage objects."""

    def __init__(self, storage: Storage, constraints: Constraints) -> None:
        self._storage = storage
        self._constraints = constraints
        defaults = [each for each in storage.classes.values() if each.is_default]
        newest = sorted(defaults, key=lambda each: (each.meta.created_at, each.meta.name))
        self._default_class = newest[-1].meta.name if newest else None

    def of(self, pod: Pod) -> tuple[Volume, ...]:
        """The pod's persistent volumes."""
        return tuple(self._volume(pod, volume) for volume in pod.spec.volumes)

    def _volume(self, pod: Pod, volume: PodVolume) -> Volume:
        name = f"{pod.meta.name}-{volume.claim_name}" if volume.is_ephemeral else volume.claim_name
        key = f"{pod.meta.namespace}/{name}"
        claim = self._storage.claims.get(key)
        if claim is None:
            if volume.is_ephemeral:
                return self._unbound(key, volume.storage_class)
            return Volume(key, problem="its claim does not exist")
        if claim.meta.is_deleting:
            return Volume(key, problem="its claim is being deleted")
        if claim.phase == "Lost":
            return Volume(key, problem="its claim has lost its volume")
        return self._bound(key, claim) if claim.volume_name else self._unbound(key, claim.storage_class)

    def _bound(self, key: str, claim: PersistentVolumeClaim) -> Volume:
        volume = self._storage.volumes.get(claim.volume_name)
        if volume is None:
            return Volume(key, problem=f"its volume {claim.volume_name} does not exist")
        if not claim.is_bind_completed:
            return Volume(key, problem=f"its claim names volume {claim.volume_name} but is not bound to it yet")
        terms = volume.terms
        if volume.is_local:  # as upstream: the disk may be remade elsewhere, so the host alone is not asked for
            terms = tuple(tuple(each for each in term if each.key != HOSTNAME) for term in terms)
            if not all(terms):
                return Volume(key, volume.driver)
        return Volume(key, volume.driver, self._constraints.of((), terms) if terms else None)

    def _unbound(self, key: str, named: str | None) -> Volume:
        name = self._default_class if named is None else named
        if not name:
            return Volume(key, problem="its claim is unbound and names no storage class")
        storage_class: StorageClass | None = self._storage.classes.get(name)
        if storage_class is None:
            return Volume(key, problem=f"its storage class {name} does not exist")
        if storage_class.binds_immediately:
            return Volume(key, problem="its claim is unbound and its storage class binds immediately")
        terms = storage_class.allowed_topologies
        return Volume(key, storage_class.provisioner, self._constraints.of((), terms) if terms else None)
