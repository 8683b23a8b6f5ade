"""Workloads of a manifest file stand for the pods that their controllers would make of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from nodesmith.api.kind import Manifest
from nodesmith.api.meta import derived_uid, meta_of, parse_meta
from nodesmith.api.podspec import PodSpecs
from nodesmith.model.meta import ObjectMeta, OwnerReference
from nodesmith.model.pod import Pod, PodVolume
from nodesmith.model.storage import PersistentVolumeClaim

EXPANDED: Final = ("Deployment", "ReplicaSet", "StatefulSet")


@dataclass(frozen=True, slots=True)
class Expansion:
    """The pods of a workload, and the claims of a StatefulSet's."""

    pods: tuple[Pod, ...]
    claims: tuple[PersistentVolumeClaim, ...] = ()


@dataclass(frozen=True, slots=True)
class Owned:
    """The pods that are listed beside the workloads, by who owns them and by name."""

    count_by_owner: Mapping[tuple[str, str, str], int]
    keys: frozenset[str]

    @classmethod
    def of(cls, pods: Iterable[Pod], workloads: Iterable[Manifest]) -> Owned:
        """Counts of the listed pods; one of a Deployment's ReplicaSet counts for the Deployment as well."""
        owner_of = {_identity(each): _owner_identity(meta_of(each)) for each in workloads}
        counts: dict[tuple[str, str, str], int] = {}
        keys = set()
        for pod in pods:
            keys.add(pod.key)
            owner = _owner_identity(pod.meta)
            while owner is not None:
                counts[owner] = counts.get(owner, 0) + 1
                owner = owner_of.get(owner)
        return cls(counts, frozenset(keys))


def expand(manifest: Manifest, owned: Owned, specs: PodSpecs) -> Expansion:
    """The pods NAME-0 to NAME-(replicas-1) that are not listed themselves; none for what another workload owns."""
    meta = meta_of(manifest)
    if meta.owners:
        return Expansion(())
    spec: Manifest = manifest.get("spec") or {}
    replicas = 1 if spec.get("replicas") is None else int(spec["replicas"])
    names = _free_names(meta, replicas, owned, _identity(manifest))
    claims = list(_claims(manifest, names)) if manifest.get("kind") == "StatefulSet" else []
    return Expansion(tuple(_pods(manifest, names, specs)), tuple(claims))


def _free_names(meta: ObjectMeta, replicas: int, owned: Owned, identity: tuple[str, str, str]) -> list[str]:
    missing = replicas - owned.count_by_owner.get(identity, 0)
    names = (f"{meta.name}-{number}" for number in range(replicas))
    free = [name for name in names if f"{meta.namespace}/{name}" not in owned.keys]
    return free[: max(0, missing)]


def _pods(manifest: Manifest, names: list[str], specs: PodSpecs) -> Iterator[Pod]:
    meta = meta_of(manifest)
    template: Manifest = (manifest.get("spec") or {}).get("template") or {}
    template_meta = parse_meta(template.get("metadata") or {})
    shape = specs.shape_of(template.get("spec") or {}, namespace=meta.namespace, labels=template_meta.labels)
    owner = OwnerReference(
        api_version=manifest.get("apiVersion") or "",
        kind=manifest.get("kind") or "",
        name=meta.name,
        uid=meta.uid,
        controller=True,
        block_owner_deletion=True,
    )
    templates = _claim_templates(manifest)
    is_gated = bool((template.get("spec") or {}).get("schedulingGates"))
    for name in names:
        spec = shape.spec
        if templates:
            volumes = tuple(PodVolume(f"{each}-{name}") for each in templates)
            spec = replace(spec, volumes=(*spec.volumes, *volumes))
        yield Pod(
            meta=ObjectMeta(
                name=name,
                namespace=meta.namespace,
                uid=derived_uid(f"{meta.namespace}/{name}"),
                labels=template_meta.labels,
                annotations=template_meta.annotations,
                owners=(owner,),
                created_at=meta.created_at,
            ),
            spec=spec,
            is_unschedulable=True,
            has_scheduling_gates=is_gated,
            limits=shape.limits,
        )


def _claim_templates(manifest: Manifest) -> dict[str, Manifest]:
    if manifest.get("kind") != "StatefulSet":
        return {}
    listed = (manifest.get("spec") or {}).get("volumeClaimTemplates") or ()
    return {(each.get("metadata") or {}).get("name") or "": each.get("spec") or {} for each in listed}


def _claims(manifest: Manifest, names: list[str]) -> Iterator[PersistentVolumeClaim]:
    namespace = meta_of(manifest).namespace
    for name in names:
        for template, spec in _claim_templates(manifest).items():
            claim = f"{template}-{name}"
            yield PersistentVolumeClaim(
                meta=ObjectMeta(name=claim, namespace=namespace, uid=f"{namespace}/{claim}"),
                storage_class=spec.get("storageClassName"),
                access_modes=tuple(spec.get("accessModes") or ()),
            )


def _identity(manifest: Manifest) -> tuple[str, str, str]:
    meta = meta_of(manifest)
    return manifest.get("kind") or "", meta.namespace, meta.name


def _owner_identity(meta: ObjectMeta) -> tuple[str, str, str] | None:
    owner: Any = next((each for each in meta.owners if each.kind in EXPANDED), None)
    return (owner.kind, meta.namespace, owner.name) if owner is not None else None
