"""The ports that soaked controllers act through: each act is shown to the laws, and may be the process's last."""

from __future__ import annotations

from typing import Any

from nodesmith.adapters.memory.cloud import MemoryCloud
from nodesmith.adapters.memory.cluster import MemoryCluster
from nodesmith.api.kind import Kind
from nodesmith.api.kinds import NODE_CLAIM, POD
from nodesmith.ports.log import NoLog
from tests.functional.controllers.cutting import CutCloud, CutCluster, Scissors
from tests.functional.soak.laws import Laws


class LawfulCluster(CutCluster):
    """A cluster on which nodesmith's own deletions are looked at."""

    def __init__(self, inner: MemoryCluster, scissors: Scissors, laws: Laws) -> None:
        super().__init__(inner, scissors)
        self._laws = laws

    async def delete(self, kind: Kind[Any], name: str, **options: Any) -> None:
        if kind is POD:
            self._laws.pod_deleted(f"{options.get('namespace', '')}/{name}", options.get("uid", ""))
        elif kind is NODE_CLAIM:
            self._laws.claim_deleted(name)
        await super().delete(kind, name, **options)

    async def evict(self, name: str, *, namespace: str, uid: str) -> None:
        self._laws.pod_evicted(f"{namespace}/{name}", uid)
        try:
            await super().evict(name, namespace=namespace, uid=uid)
        finally:
            self._laws.eviction_answered(f"{namespace}/{name}")


class LawfulCloud(CutCloud):
    """A cloud on which nodesmith's own terminations are looked at."""

    def __init__(self, inner: MemoryCloud, scissors: Scissors, laws: Laws) -> None:
        super().__init__(inner, scissors)
        self._laws = laws

    async def delete(self, provider_id: str) -> None:
        self._laws.machine_deleted(provider_id)
        await super().delete(provider_id)


class LawfulLog(NoLog):
    """A log in which an error is a fault of ours: what the outside does to us is a warning at most."""

    def __init__(self, laws: Laws) -> None:
        self._laws = laws

    def error(self, message: str, /, **fields: object) -> None:
        self._laws.error_told(message, fields)


class NoMetrics:
    """Numbers that nobody looks at."""

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        pass

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        pass

    def set(self, name: str, value: float, /, **labels: str) -> None:
        pass
