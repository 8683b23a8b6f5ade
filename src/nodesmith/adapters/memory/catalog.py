"""A small catalog of instance types to test with: real names, shapes that scale as AWS's do, round prices.

The true catalog comes from EC2; this one needs no AWS at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from nodesmith.model.instancetype import InstanceType, Offering, Overhead
from nodesmith.model.labels import (
    ARCH,
    AWS_GROUP,
    CAPACITY_TYPE,
    INSTANCE_CPU,
    INSTANCE_FAMILY,
    INSTANCE_TYPE,
    ON_DEMAND,
    OS,
    REGION,
    SPOT,
    ZONE,
)
from nodesmith.model.money import PICOS_PER_DOLLAR, UsdPerHour
from nodesmith.model.requirements import Requirement, Requirements

GIB: Final = 2**30
MIB: Final = 2**20
REGION_NAME: Final = "ap-northeast-2"
ZONES: Final = tuple(f"{REGION_NAME}{letter}" for letter in "abc")
SPOT_PERCENT: Final = 35
"""What a spot machine costs of the on-demand price in the first zone; a little more in each further one."""


@dataclass(frozen=True, slots=True)
class Family:
    """Sizes of one kind of machine: a price for each vCPU, and memory for each."""

    name: str
    arch: str
    memory_gib_per_cpu: int
    dollars_per_cpu: str
    sizes: tuple[tuple[str, int], ...] = (("large", 2), ("xlarge", 4), ("2xlarge", 8), ("4xlarge", 16))


FAMILIES: Final = (
    Family("c7g", "arm64", 2, "0.041"),
    Family("m7g", "arm64", 4, "0.050"),
    Family("r7g", "arm64", 8, "0.0645"),
    Family("m7i", "amd64", 4, "0.062"),
    Family("c7i", "amd64", 2, "0.0504"),
    Family("t4g", "arm64", 4, "0.0416", (("large", 2), ("xlarge", 4), ("2xlarge", 8))),
)


def catalog(families: Iterable[Family] = FAMILIES, zones: Sequence[str] = ZONES) -> tuple[InstanceType, ...]:
    """Every size of every family, spot and on demand, in every zone."""
    return tuple(_instance_type(family, size, cpus, zones) for family in families for size, cpus in family.sizes)


def _instance_type(family: Family, size: str, cpus: int, zones: Sequence[str]) -> InstanceType:
    name, memory_mib = f"{family.name}.{size}", cpus * family.memory_gib_per_cpu * 1024
    labels = {
        INSTANCE_TYPE: name,
        ARCH: family.arch,
        OS: "linux",
        REGION: zones[0][:-1],
        INSTANCE_FAMILY: family.name,
        INSTANCE_CPU: str(cpus),
        f"{AWS_GROUP}/instance-memory": str(memory_mib),
        f"{AWS_GROUP}/instance-size": size,
        f"{AWS_GROUP}/instance-category": family.name[0],
        f"{AWS_GROUP}/instance-generation": family.name[1],
    }
    places = Requirements(
        {
            ZONE: Requirement(ZONE, frozenset(zones)),
            CAPACITY_TYPE: Requirement(CAPACITY_TYPE, frozenset((SPOT, ON_DEMAND))),
        }
    )
    return InstanceType(
        name=name,
        requirements=Requirements.from_labels(labels) & places,
        capacity={
            "cpu": cpus * 1000,
            "memory": memory_mib * MIB * 37 // 40,
            "pods": min(110, 29 * cpus // 2),
            "ephemeral-storage": 20 * GIB,
        },
        overhead=Overhead(
            kube_reserved={"cpu": 60 + 5 * cpus, "memory": 255 * MIB + 11 * MIB * 15 * cpus, "ephemeral-storage": GIB},
            eviction_threshold={"memory": 100 * MIB, "ephemeral-storage": 2 * GIB},
        ),
        offerings=tuple(_offerings(family, cpus, zones)),
    )


def _offerings(family: Family, cpus: int, zones: Sequence[str]) -> Iterable[Offering]:
    picos = round(float(family.dollars_per_cpu) * 1_000_000) * (PICOS_PER_DOLLAR // 1_000_000) * cpus
    for number, zone in enumerate(zones):
        yield Offering(zone, ON_DEMAND, UsdPerHour(picos))
        yield Offering(zone, SPOT, UsdPerHour(picos * (SPOT_PERCENT + number) // 100))
