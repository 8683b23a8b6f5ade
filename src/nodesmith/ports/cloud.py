"""The cloud, with Karpenter's methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from nodesmith.api.ec2nodeclass import EC2NodeClass, EC2NodeClassStatus
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.resources import Resources


@dataclass(frozen=True, slots=True)
class Machine:
    """An instance, as the cloud tells of it. `claim_name` is from its tags, empty where it has none."""

    provider_id: str
    instance_type: str
    zone: str
    capacity_type: str
    image_id: str = ""
    state: str = "running"
    pool_name: str = ""
    claim_name: str = ""
    node_class_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    capacity: Resources = field(default_factory=dict)
    allocatable: Resources = field(default_factory=dict)
    launched_at_s: float = 0.0

    @property
    def is_terminating(self) -> bool:
        """Whether it is on its way out."""
        return self.state in {"shutting-down", "terminated"}


@dataclass(frozen=True, slots=True)
class RepairPolicy:
    """A node condition that, standing so long, means the node is to be replaced."""

    condition_type: str
    condition_status: str
    toleration: timedelta


class Cloud(Protocol):
    """Where machines come from. Every method may raise `Throttled`, `Unavailable`, `Refused` besides what it names."""

    async def create(self, claim: NodeClaim) -> Machine:
        """The claim's one machine: the one it has already, or a new one at the best offering it allows.

        Raises:
            CapacityUnavailable: when no offering can be had now.
            NodeClassNotReady: when its NodeClass is not fit to launch from.
            CreateFailed: when the launch failed for another reason.
        """
        ...

    async def delete(self, provider_id: str) -> None:
        """The machine is terminating.

        Raises:
            NotFound: when it is gone.
        """
        ...

    async def get(self, provider_id: str) -> Machine:
        """The machine, asked afresh.

        Raises:
            NotFound: when it is gone.
        """
        ...

    async def list(self) -> Sequence[Machine]:
        """Every machine of this cluster that nodesmith (or Karpenter) made and that is not terminated."""
        ...

    async def instance_types(self, pool: NodePool) -> Sequence[InstanceType]:
        """What can be bought for the pool, through its NodeClass, with current prices and availability.

        Raises:
            NodeClassNotReady: when its NodeClass is not there or not resolved.
        """
        ...

    async def drift_of(self, claim: NodeClaim) -> str | None:
        """Why the claim's machine is no longer what its NodeClass describes, or None."""
        ...

    async def tag(self, provider_id: str, tags: Mapping[str, str]) -> None:
        """The machine has these tags too.

        Raises:
            NotFound: when it is gone.
        """
        ...

    async def resolve(self, node_class: EC2NodeClass) -> EC2NodeClassStatus:
        """What the NodeClass stands for now: images, subnets, security groups, profile, and its conditions."""
        ...

    async def static_hash(self, node_class: EC2NodeClass) -> str:
        """The number that changes when machines of the NodeClass would have to be launched anew."""
        ...

    async def release(self, node_class: EC2NodeClass) -> None:
        """Nothing that was made for the NodeClass is left (profiles, launch templates)."""
        ...

    def mark_unavailable(self, *, instance_type: str, zone: str, capacity_type: str, reservation_id: str = "") -> None:
        """The offering is not offered for a while (an interruption told so); of a reservation, nothing is left."""
        ...

    def repair_policies(self) -> Sequence[RepairPolicy]:
        """Which node conditions call for repair."""
        ...
