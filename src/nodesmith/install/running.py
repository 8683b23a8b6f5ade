"""Whether the controller runs, and what it leaves behind in the cluster when it does not any more: its lease."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from nodesmith.adapters.kubernetes.lease import LeaseTerms
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import DEPLOYMENT, LEASE, POD
from nodesmith.api.meta import parse_time
from nodesmith.install.chart import APP, RELEASE
from nodesmith.install.objects import find, is_marked, listed, metadata
from nodesmith.install.setup import ABSENT, Finding
from nodesmith.ports.clock import Clock
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import NotFound

FRESH: Final = timedelta(minutes=2)
"""A lease renewed within this time is held; far more than it lasts, as this machine's clock may differ."""

GONE_WITHIN: Final = timedelta(minutes=1)
_LOOK_EVERY: Final = timedelta(seconds=1)


async def does_controller_run(cluster: Cluster, clock: Clock, namespace: str) -> bool:
    """Whether a pod of it is available, or somebody keeps its lease."""
    deployment = await find(cluster, DEPLOYMENT, RELEASE, namespace=namespace)
    if deployment is not None and (deployment.get("status") or {}).get("availableReplicas"):
        return True
    lease: Mapping[str, Any] = (await find(cluster, LEASE, LeaseTerms().name, namespace=namespace) or {}).get(
        "spec", {}
    )
    renewed_at = parse_time(str(lease.get("renewTime") or ""))
    return bool(lease.get("holderIdentity")) and renewed_at is not None and clock.now() - renewed_at < FRESH


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease by which the controller's replicas choose who leads; the controller makes it, nobody else."""

    cluster: Cluster
    clock: Clock
    namespace: str
    cluster_name: str
    name: str = "lease"
    target: str = LeaseTerms().name

    async def look(self) -> Finding:
        """Whether it is there, and no controller of others is that may need it."""
        if await find(self.cluster, LEASE, self.target, namespace=self.namespace) is None:
            return ABSENT
        deployment = await find(self.cluster, DEPLOYMENT, RELEASE, namespace=self.namespace)
        is_free = deployment is None or is_marked(deployment, self.cluster_name)
        return Finding(exists=True, is_own=is_free, note="made by the controller" if is_free else "")

    async def ensure(self) -> None:
        """The controller makes it, when it starts."""

    async def undo(self) -> None:
        """It is gone: the pods that could have made it anew are gone first."""
        end = self.clock.now() + GONE_WITHIN
        while await self._pods() and self.clock.now() < end:
            await self.clock.sleep(_LOOK_EVERY)
        try:
            await self.cluster.delete(LEASE, self.target, namespace=self.namespace)
        except NotFound:
            return

    async def _pods(self) -> list[Manifest]:
        pods = await listed(self.cluster, POD)
        return [
            each
            for each in pods
            if metadata(each).get("namespace") == self.namespace
            and (metadata(each).get("labels") or {}).get("app.kubernetes.io/name") == APP
        ]
