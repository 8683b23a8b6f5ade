"""The EBS driver's part in a cluster: volumes are made where their first pod goes, and are attached when asked for."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any, Final

from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, VOLUME_ATTACHMENT
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import AlreadyExists, NotFound
from nodesmith.sim.live.joining import EBS_DRIVER
from tests.e2e.mirror import Mirror, as_written

SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
ZONE: Final = "topology.kubernetes.io/zone"


@dataclass
class Driver:
    """Looks at the mirror; `run` it beside everything."""

    cluster: Cluster
    mirror: Mirror
    _made: dict[str, str] = field(default_factory=dict)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            for key, claim in list(self.mirror.tables[PERSISTENT_VOLUME_CLAIM.name].items()):
                if SELECTED_NODE in (claim["metadata"].get("annotations") or {}) and key not in self._made:
                    await self._provision(key, claim)
            for name, attachment in list(self.mirror.tables[VOLUME_ATTACHMENT.name].items()):
                if not (attachment.get("status") or {}).get("attached"):
                    await self._quietly(VOLUME_ATTACHMENT, name, {"status": {"attached": True}})
            for key in [each for each in self._made if self.mirror.get(PERSISTENT_VOLUME_CLAIM, each) is None]:
                try:
                    await self.cluster.delete(PERSISTENT_VOLUME, self._made.pop(key))
                except NotFound:
                    continue
            await asyncio.sleep(0.3)

    async def _provision(self, key: str, claim: Manifest) -> None:
        meta = claim["metadata"]
        node = self.mirror.get(NODE, meta["annotations"][SELECTED_NODE])
        if node is None:
            return
        name = f"pvc-{meta['uid']}"
        term = {"key": ZONE, "operator": "In", "values": [node["metadata"]["labels"][ZONE]]}
        spec: dict[str, Any] = {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "storageClassName": claim["spec"]["storageClassName"],
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta["uid"],
            },
            "csi": {"driver": EBS_DRIVER, "volumeHandle": f"vol-{meta['uid'][:8]}"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}},
        }
        annotations = {"pv.kubernetes.io/provisioned-by": EBS_DRIVER}
        manifest = {"metadata": {"name": name, "annotations": annotations}, "spec": spec}
        with contextlib.suppress(AlreadyExists):
            await self.cluster.create(as_written(PERSISTENT_VOLUME), manifest)
        self._made[key] = name

    async def _quietly(self, kind: Kind[Any], name: str, patch: Manifest) -> None:
        try:
            await self.cluster.patch(as_written(kind), name, patch, subresource="status")
        except NotFound:
            return
