"""Instances on which a kubelet runs, and what each says when it joins.

On AWS in a box a kubelet believes its instance's user data, and is let in only if its role is; in memory it believes
the claim that the machine was made for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nodesmith.adapters.memory.cloud import MemoryCloud
from nodesmith.model.labels import ARCH, CAPACITY_TYPE, INSTANCE_TYPE, OS, REGION, ZONE
from nodesmith.model.requirements import Operator
from nodesmith.model.resources import Resources
from nodesmith.model.taints import UNREGISTERED, Taint, merge


@dataclass(frozen=True, slots=True)
class Host:
    """A running instance."""

    instance_id: str
    provider_id: str
    name: str
    """Its private DNS name, which is the node's name."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What the kubelet creates its Node with, and what the cloud's controller adds to it a moment later."""

    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    capacity: Resources
    allocatable: Resources
    cloud_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """Why the instance does not become a node."""

    reason: str


class Hosts(Protocol):
    """Where machines run."""

    def running(self) -> Mapping[str, Host]:
        """The instances whose kubelet is up, by instance id."""
        ...

    def exists(self, provider_id: str) -> bool:
        """Whether the cloud still knows the instance as anything but terminated."""
        ...

    def register(self, host: Host) -> Registration | TurnedAway:
        """What its kubelet says when it joins, or why it cannot."""
        ...


class MemoryHosts:
    """The machines of a cloud in memory."""

    def __init__(self, cloud: MemoryCloud) -> None:
        self._cloud = cloud

    def running(self) -> Mapping[str, Host]:
        """The machines that are running."""
        hosts = {}
        for rented in self._cloud.living():
            provider_id = rented.machine.provider_id
            if self._cloud.state_of(provider_id) == "running":
                instance_id = provider_id.rpartition("/")[2]
                hosts[instance_id] = Host(instance_id, provider_id, f"{instance_id}.compute.internal")
        return hosts

    def exists(self, provider_id: str) -> bool:
        """Whether the machine is not terminated."""
        return self._cloud.state_of(provider_id) != "terminated"

    def register(self, host: Host) -> Registration | TurnedAway:
        """What the claim says, as its user data would."""
        rented = self._cloud.rented[host.provider_id]
        claim, machine = rented.claim, rented.machine
        single = {
            each.key: next(iter(each.values))
            for each in claim.requirements
            if each.operator is Operator.IN and len(each.values) == 1
        }
        from_cloud = {key: machine.labels[key] for key in (INSTANCE_TYPE, ZONE, REGION) if key in machine.labels}
        own = {key: machine.labels[key] for key in (ARCH, OS, CAPACITY_TYPE) if key in machine.labels}
        return Registration(
            labels={**single, **claim.labels, **own},
            taints=merge((*claim.taints, *claim.startup_taints), (UNREGISTERED,)),
            capacity=machine.capacity,
            allocatable=machine.allocatable,
            cloud_labels=from_cloud,
        )
