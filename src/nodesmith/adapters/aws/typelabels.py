"""The requirements of an instance type: every label that a node of it will have (spec 7.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from nodesmith.adapters.aws.catalog import Device, TypeFacts
from nodesmith.adapters.aws.families import Family
from nodesmith.model.labels import (
    ARCH,
    AWS_GROUP,
    CAPACITY_TYPE,
    INSTANCE_CPU,
    INSTANCE_FAMILY,
    INSTANCE_TYPE,
    OS,
    PLACEMENT_GROUP_ID,
    PLACEMENT_GROUP_PARTITION,
    REGION,
    RESERVATION_ID,
    RESERVATION_INTERRUPTIBLE,
    RESERVATION_TYPE,
    RESERVED,
    TENANCY,
    WINDOWS_BUILD,
    ZONE,
    ZONE_ID,
)
from nodesmith.model.requirements import Requirement, Requirements

GPU_COUNT: Final = f"{AWS_GROUP}/instance-gpu-count"
ACCELERATOR_COUNT: Final = f"{AWS_GROUP}/instance-accelerator-count"
INSTANCE_SIZE: Final = f"{AWS_GROUP}/instance-size"
TENANCIES: Final = ("default", "dedicated")


@dataclass(frozen=True, slots=True)
class Reservation:
    """A capacity reservation as far as labels and offerings need it; `available` is how many instances are left."""

    id: str
    instance_type: str
    zone: str
    type: str = "default"
    interruptible: bool = False
    state: str = "active"
    available: int = 0


@dataclass(frozen=True, slots=True)
class PlacementGroup:
    """The placement group of a NodeClass; `partitions` is 0 unless its strategy is `partition`."""

    id: str
    strategy: str
    partitions: int = 0
    name: str = ""

    @property
    def numbers(self) -> tuple[str, ...]:
        """The partitions as label values."""
        return tuple(str(number) for number in range(1, self.partitions + 1))


@dataclass(frozen=True, slots=True)
class Place:
    """Where nodes of a NodeClass may be: zones by name with their ids, and what was set aside for it."""

    region: str
    zones: Mapping[str, str] = field(default_factory=dict)
    """Zone name to zone id; an id may be empty."""
    reservations: Sequence[Reservation] = ()
    placement_group: PlacementGroup | None = None


def requirements_of(facts: TypeFacts, offered_in: Iterable[str], place: Place, family: Family) -> Requirements:
    """The labels of a node of this type, in the zones that are both offered and in the NodeClass."""
    zones = sorted(set(offered_in) & place.zones.keys())
    reservations = [each for each in place.reservations if each.instance_type == facts.name]
    stated = {
        INSTANCE_TYPE: (facts.name,),
        ARCH: (facts.arch,) if facts.arch else (),
        OS: _systems(facts, family),
        ZONE: zones,
        REGION: (place.region,),
        WINDOWS_BUILD: (family.windows_build,) if family.windows_build else (),
        CAPACITY_TYPE: (*facts.capacity_types, *((RESERVED,) if reservations else ())),
        TENANCY: TENANCIES,
        RESERVATION_ID: {each.id for each in reservations},
        RESERVATION_TYPE: {each.type for each in reservations},
        RESERVATION_INTERRUPTIBLE: {_flag(value=each.interruptible) for each in reservations},
        **_shape(facts),
        **_hardware(facts),
    }
    if zone_ids := {place.zones[zone] for zone in zones} - {""}:
        stated[ZONE_ID] = zone_ids
    if group := place.placement_group:
        stated[PLACEMENT_GROUP_ID] = (group.id,)
        if group.partitions:
            stated[PLACEMENT_GROUP_PARTITION] = group.numbers
    return Requirements({key: _one_of(key, frozenset(values)) for key, values in stated.items()})


@cache
def _one_of(key: str, values: frozenset[str]) -> Requirement:
    """The requirement; the same one for all types that share it, which keeps the catalogue small."""
    return Requirement(key, values)


def _systems(facts: TypeFacts, family: Family) -> Sequence[str]:
    if family.is_windows:
        return ("windows",) if facts.arch == "amd64" else ()
    return ("linux",)


def _shape(facts: TypeFacts) -> dict[str, Iterable[str]]:
    return {
        f"{AWS_GROUP}/instance-category": _known(facts.category),
        f"{AWS_GROUP}/instance-generation": _known(facts.generation),
        INSTANCE_FAMILY: (facts.family,),
        INSTANCE_SIZE: (facts.size,),
        f"{AWS_GROUP}/instance-capability-flex": (_flag(value="-flex" in facts.family),),
        INSTANCE_CPU: (str(facts.vcpus),),
        f"{AWS_GROUP}/instance-memory": (str(facts.memory_mib),),
        f"{AWS_GROUP}/instance-hypervisor": (facts.hypervisor,),
        f"{AWS_GROUP}/instance-encryption-in-transit-supported": (_flag(value=facts.is_encrypted_in_transit),),
    }


def _hardware(facts: TypeFacts) -> dict[str, Iterable[str]]:
    gpu = facts.gpus[0] if len(facts.gpus) == 1 else None
    accelerator = _accelerator(facts)
    return {
        f"{AWS_GROUP}/instance-cpu-manufacturer": _known(_kebab(facts.manufacturer)),
        f"{AWS_GROUP}/instance-cpu-sustained-clock-speed-mhz": (str(facts.clock_mhz),),
        f"{AWS_GROUP}/instance-ebs-bandwidth": _amount(facts.ebs_mbps),
        f"{AWS_GROUP}/instance-network-bandwidth": _amount(facts.limits.network_mbps),
        f"{AWS_GROUP}/instance-local-nvme": _amount(facts.nvme_gb),
        f"{AWS_GROUP}/instance-gpu-name": (_kebab(gpu.name),) if gpu else (),
        f"{AWS_GROUP}/instance-gpu-manufacturer": (_kebab(gpu.manufacturer),) if gpu else (),
        GPU_COUNT: (str(gpu.count),) if gpu else (),
        f"{AWS_GROUP}/instance-gpu-memory": (str(gpu.memory_mib),) if gpu else (),
        f"{AWS_GROUP}/instance-accelerator-name": (_kebab(accelerator.name),) if accelerator else (),
        f"{AWS_GROUP}/instance-accelerator-manufacturer": (_kebab(accelerator.manufacturer),) if accelerator else (),
        ACCELERATOR_COUNT: (str(accelerator.count),) if accelerator else (),
    }


def _accelerator(facts: TypeFacts) -> Device | None:
    """The Neuron device, or the one inference accelerator of a type without Neuron."""
    if facts.neurons:
        first = facts.neurons[0]
        return Device(first.name, "aws", first.count)
    return facts.accelerators[0] if len(facts.accelerators) == 1 else None


def _amount(value: int | None) -> tuple[str, ...]:
    return () if value is None else (str(value),)


def _known(value: str) -> tuple[str, ...]:
    return (value,) if value else ()


def _flag(*, value: bool) -> str:
    return "true" if value else "false"


def _kebab(text: str) -> str:
    return text.lower().replace(" ", "-")
