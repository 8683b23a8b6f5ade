"""Volumes: claims get volumes where their pods go, volumes tie pods to zones, attachments come and go with pods."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from nodesmith.adapters.memory.history import Occurrence
from nodesmith.adapters.memory.objects import meta
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import (
    CSI_NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    STORAGE_CLASS,
    VOLUME_ATTACHMENT,
)
from nodesmith.api.storage import BIND_COMPLETED
from nodesmith.model.labels import ZONE
from nodesmith.model.pod import Pod
from nodesmith.sim.world import fit
from nodesmith.sim.world.engine import Engine
from nodesmith.sim.world.fit import Seat
from nodesmith.sim.world.raw import find, owned_by, remove, set_status

DETACHING: Final = timedelta(seconds=5)
EBS: Final = "ebs.csi.aws.com"


class Volumes:
    """The volume controllers and the attacher."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._server = engine.server
        self._mark_pod = engine.queue(self._make_ephemeral)
        self._mark_claim = engine.queue(self._bind_at_once)
        engine.on(POD, self._pod_changed)
        engine.on(PERSISTENT_VOLUME_CLAIM, lambda occurrence: self._mark_claim(occurrence.key))

    def why_not(self, pod: Pod, seat: Seat) -> str | None:
        """Why the pod's volumes keep it off the node, or None."""
        fresh: dict[str, int] = {}
        for claim in self._claims_of(pod):
            if claim is None:
                return "persistentvolumeclaim not found"
            volume = self._volume_of(claim)
            if volume is None:
                if self._binds_at_once(claim):
                    return "pod has unbound immediate PersistentVolumeClaims"
                if not self._may_be_made(claim, seat):
                    return "node(s) didn't find available persistent volumes to bind"
                fresh[EBS] = fresh.get(EBS, 0) + 1
                continue
            terms = PERSISTENT_VOLUME.decode(volume).terms
            if terms and not any(fit.satisfies(term, seat.labels) for term in terms):
                return "node(s) had volume node affinity conflict"
            fresh[EBS] = fresh.get(EBS, 0) + 1
        return self._too_many(fresh, seat)

    def settle(self, pod: Pod, seat: Seat) -> None:
        """The pod's claims are bound, and their volumes attached, for it to run on the node."""
        for claim in self._claims_of(pod):
            if claim is not None:
                volume = self._volume_of(claim) or self._make(claim, seat.labels.get(ZONE, ""))
                self._attach(volume, seat.node.name)

    # --- claims ---

    def _claims_of(self, pod: Pod) -> list[Manifest | None]:
        names = [
            f"{pod.meta.name}-{each.claim_name}" if each.is_ephemeral else each.claim_name for each in pod.spec.volumes
        ]
        return [self._server.find(PERSISTENT_VOLUME_CLAIM, name, namespace=pod.meta.namespace) for name in names]

    def _volume_of(self, claim: Manifest) -> Manifest | None:
        name = claim["spec"].get("volumeName")
        return self._server.find(PERSISTENT_VOLUME, name) if name else None

    def _class_of(self, claim: Manifest) -> Manifest | None:
        name = claim["spec"].get("storageClassName")
        return self._server.find(STORAGE_CLASS, name) if name else None

    def _binds_at_once(self, claim: Manifest) -> bool:
        kind = self._class_of(claim)
        return kind is None or STORAGE_CLASS.decode(kind).binds_immediately

    def _may_be_made(self, claim: Manifest, seat: Seat) -> bool:
        kind = self._class_of(claim)
        terms = STORAGE_CLASS.decode(kind).allowed_topologies if kind else ()
        return not terms or any(fit.satisfies(term, seat.labels) for term in terms)

    def _make_ephemeral(self, key: str) -> None:
        pod = find(self._server, POD, key)
        for volume in (pod or {}).get("spec", {}).get("volumes") or ():
            template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
            if pod is None or template is None:
                continue
            name, namespace = f"{meta(pod)['name']}-{volume['name']}", meta(pod)["namespace"]
            if self._server.find(PERSISTENT_VOLUME_CLAIM, name, namespace=namespace) is None:
                metadata = {"name": name, "namespace": namespace, "ownerReferences": owned_by(pod)}
                self._server.create(PERSISTENT_VOLUME_CLAIM, {"metadata": metadata, "spec": template.get("spec") or {}})

    def _bind_at_once(self, key: str) -> None:
        claim = find(self._server, PERSISTENT_VOLUME_CLAIM, key)
        if claim is None or claim["spec"].get("volumeName"):
            return
        kind = self._class_of(claim)
        if kind is not None and STORAGE_CLASS.decode(kind).binds_immediately:
            zones = sorted(
                {
                    value
                    for term in STORAGE_CLASS.decode(kind).allowed_topologies
                    for each in term
                    for value in each.values
                }
            )
            self._make(claim, zones[self._engine.rng.randrange(len(zones))] if zones else "")

    def _make(self, claim: Manifest, zone: str) -> Manifest:
        given = meta(claim)
        required = {"nodeSelectorTerms": [{"matchExpressions": [{"key": ZONE, "operator": "In", "values": [zone]}]}]}
        volume = self._server.create(
            PERSISTENT_VOLUME,
            {
                "metadata": {"name": f"pvc-{given['uid']}"},
                "spec": {
                    "csi": {"driver": EBS, "volumeHandle": f"vol-{given['uid'].replace('-', '')[:17]}"},
                    "capacity": (claim["spec"].get("resources") or {}).get("requests") or {},
                    "claimRef": {"name": given["name"], "namespace": given["namespace"], "uid": given["uid"]},
                    **({"nodeAffinity": {"required": required}} if zone else {}),
                },
            },
        )
        bound = {"metadata": {"annotations": {BIND_COMPLETED: "yes"}}, "spec": {"volumeName": meta(volume)["name"]}}
        self._server.patch(PERSISTENT_VOLUME_CLAIM, given["name"], bound, namespace=given["namespace"])
        set_status(self._server, PERSISTENT_VOLUME_CLAIM, claim, {"phase": "Bound"})
        set_status(self._server, PERSISTENT_VOLUME, volume, {"phase": "Bound"})
        return volume

    # --- attachments ---

    def _too_many(self, fresh: dict[str, int], seat: Seat) -> str | None:
        stated = self._server.find(CSI_NODE, seat.node.name)
        if stated is None:
            return None
        limits = CSI_NODE.decode(stated).limits
        for driver, count in fresh.items():
            limit = limits.get(driver)
            attached = sum(
                1 for each in self._server.list(VOLUME_ATTACHMENT) if each["spec"]["nodeName"] == seat.node.name
            )
            if limit is not None and attached + count > limit:
                return "node(s) exceed max volume count"
        return None

    def _attach(self, volume: Manifest, node: str) -> None:
        name = f"csi-{meta(volume)['uid']}-{node}"
        if self._server.find(VOLUME_ATTACHMENT, name) is None:
            source = {"persistentVolumeName": meta(volume)["name"]}
            spec = {"attacher": EBS, "nodeName": node, "source": source}
            self._server.create(VOLUME_ATTACHMENT, {"metadata": {"name": name}, "spec": spec})

    def _pod_changed(self, occurrence: Occurrence) -> None:
        if occurrence.before is None:
            self._mark_pod(occurrence.key)
        if occurrence.after is None:
            pod = occurrence.stored.value(POD)
            if pod.node_name and pod.spec.volumes:
                self._engine.after(DETACHING, lambda: self._detach(pod))

    def _detach(self, pod: Pod) -> None:
        for claim in self._claims_of(pod):
            volume = self._volume_of(claim) if claim else None
            if volume is None:
                continue
            for attachment in self._server.list(VOLUME_ATTACHMENT):
                if _is_of(attachment, meta(volume)["name"], pod.node_name) and not self._is_used(claim, pod.node_name):
                    remove(self._server, VOLUME_ATTACHMENT, attachment)

    def _is_used(self, claim: Manifest | None, node: str) -> bool:
        """Whether another pod on the node uses the claim."""
        for stored in self._server.history.table(POD).values():
            pod = stored.value(POD)
            if pod.node_name == node and pod.spec.volumes and claim in self._claims_of(pod):
                return True
        return False


def _is_of(attachment: Manifest, volume: str, node: str) -> bool:
    spec: Any = attachment["spec"]
    return bool(spec["nodeName"] == node and spec["source"]["persistentVolumeName"] == volume)
