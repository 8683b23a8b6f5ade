"""A Cloud that is timed and whose errors are counted, under upstream's names of methods and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from nodesmith.api.ec2nodeclass import EC2NodeClass, EC2NodeClassStatus
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.ports.clock import Clock
from nodesmith.ports.cloud import Cloud, Machine, RepairPolicy
from nodesmith.ports.errors import CapacityUnavailable, NodeClassNotReady, NotFound, PortError
from nodesmith.ports.metrics import Metrics

PROVIDER: Final = "aws"
_ERRORS: Final[Mapping[type[PortError], str]] = {
    NotFound: "NodeClaimNotFoundError",
    NodeClassNotReady: "NodeClassNotReadyError",
    CapacityUnavailable: "InsufficientCapacityError",
}


@dataclass(frozen=True, slots=True)
class MeteredCloud:
    """Does what `cloud` does, and tells how long it took."""

    cloud: Cloud
    clock: Clock
    metrics: Metrics

    async def create(self, claim: NodeClaim) -> Machine:
        """The claim's one machine."""
        with self._measured("Create"):
            return await self.cloud.create(claim)

    async def delete(self, provider_id: str) -> None:
        """The machine is terminating."""
        with self._measured("Delete"):
            await self.cloud.delete(provider_id)

    async def get(self, provider_id: str) -> Machine:
        """The machine, asked afresh."""
        with self._measured("Get"):
            return await self.cloud.get(provider_id)

    async def list(self) -> Sequence[Machine]:
        """Every machine of this cluster."""
        with self._measured("List"):
            return await self.cloud.list()

    async def instance_types(self, pool: NodePool) -> Sequence[InstanceType]:
        """What can be bought for the pool."""
        with self._measured("GetInstanceTypes"):
            return await self.cloud.instance_types(pool)

    async def drift_of(self, claim: NodeClaim) -> str | None:
        """Why the claim's machine is no longer what its NodeClass describes, or None."""
        with self._measured("IsDrifted"):
            return await self.cloud.drift_of(claim)

    async def tag(self, provider_id: str, tags: Mapping[str, str]) -> None:
        """The machine has these tags too."""
        await self.cloud.tag(provider_id, tags)

    async def resolve(self, node_class: EC2NodeClass) -> EC2NodeClassStatus:
        """What the NodeClass stands for now."""
        return await self.cloud.resolve(node_class)

    async def static_hash(self, node_class: EC2NodeClass) -> str:
        """The number that changes when machines of the NodeClass would have to be launched anew."""
        return await self.cloud.static_hash(node_class)

    async def release(self, node_class: EC2NodeClass) -> None:
        """Nothing that was made for the NodeClass is left."""
        await self.cloud.release(node_class)

    def mark_unavailable(self, *, instance_type: str, zone: str, capacity_type: str, reservation_id: str = "") -> None:
        """The offering is not offered for a while."""
        self.cloud.mark_unavailable(
            instance_type=instance_type, zone=zone, capacity_type=capacity_type, reservation_id=reservation_id
        )

    def repair_policies(self) -> Sequence[RepairPolicy]:
        """Which node conditions call for repair."""
        return self.cloud.repair_policies()

    @contextmanager
    def _measured(self, method: str) -> Iterator[None]:
        started = self.clock.monotonic()
        labels = {"controller": "", "method": method, "provider": PROVIDER}
        try:
            yield
        except PortError as error:
            self.metrics.count("cloudprovider_errors_total", error=_ERRORS.get(type(error), ""), **labels)
            raise
        finally:
            self.metrics.observe("cloudprovider_duration_seconds", self.clock.monotonic() - started, **labels)
