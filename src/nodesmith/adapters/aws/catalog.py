"""DescribeInstanceTypes, read once into small values, with the network facts that it does not tell.

The data file beside this module states bandwidth and branch interfaces by type; upstream generates the same table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from nodesmith.model.labels import ON_DEMAND, SPOT

TYPE_FILTERS: Final = (
    {"Name": "supported-virtualization-type", "Values": ["hvm"]},
    {"Name": "processor-info.supported-architecture", "Values": ["x86_64", "arm64"]},
)
_ARCHITECTURES: Final = {"x86_64": "amd64", "arm64": "arm64"}
_CATEGORY: Final = re.compile(r"(?P<category>^[a-z]+)(?:-[0-9]+tb)?(?P<generation>[0-9]+).*\.")


@dataclass(frozen=True, slots=True)
class Limits:
    """Network facts of a type; None where the table says nothing."""

    network_mbps: int | None = None
    branch_interfaces: int | None = None
    ipv4_per_interface: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A kind of accelerator in the machine."""

    name: str
    manufacturer: str
    count: int
    memory_mib: int = 0
    cores: int = 0


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """What is known of an instance type without any NodeClass."""

    name: str
    arch: str
    arches: tuple[str, ...]
    vcpus: int
    memory_mib: int
    is_metal: bool
    hypervisor: str
    capacity_types: frozenset[str]
    has_capacity_blocks: bool
    manufacturer: str
    clock_mhz: int
    features: frozenset[str]
    category: str
    generation: str
    ebs_mbps: int | None
    nvme_gb: int | None
    local_disk_gb: int
    gpus: tuple[Device, ...]
    accelerators: tuple[Device, ...]
    neurons: tuple[Device, ...]
    card_interfaces: tuple[tuple[int, int], ...]
    """Maximum interfaces of each network card, by card index."""
    default_card: int
    ipv4_per_interface: int
    max_efas: int
    is_encrypted_in_transit: bool
    placement_strategies: frozenset[str]
    limits: Limits

    @property
    def family(self) -> str:
        """`m5` of `m5.large`."""
        return self.name.split(".", 1)[0]

    @property
    def size(self) -> str:
        """`large` of `m5.large`."""
        return self.name.partition(".")[2]

    @property
    def interfaces(self) -> int:
        """How many network interfaces the default card takes."""
        return dict(self.card_interfaces).get(self.default_card, 0)


def parse_type(raw: Mapping[str, Any]) -> TypeFacts:
    """The facts in one entry of DescribeInstanceTypes."""
    name = raw["InstanceType"]
    arches = tuple(raw["ProcessorInfo"].get("SupportedArchitectures") or ())
    recognised = [_ARCHITECTURES[each] for each in arches if each in _ARCHITECTURES]
    usages = frozenset(raw.get("SupportedUsageClasses") or ())
    network, processor = raw["NetworkInfo"], raw["ProcessorInfo"]
    named = _CATEGORY.match(name)
    storage = raw.get("InstanceStorageInfo") or {}
    ebs = raw.get("EbsInfo") or {}
    is_ebs_optimized = ebs.get("EbsOptimizedSupport") == "default"
    return TypeFacts(
        name=name,
        arch=recognised[0] if recognised else "",
        arches=arches,
        vcpus=raw["VCpuInfo"]["DefaultVCpus"],
        memory_mib=raw["MemoryInfo"]["SizeInMiB"],
        is_metal=bool(raw.get("BareMetal")),
        hypervisor=raw.get("Hypervisor") or "",
        capacity_types=usages & {SPOT, ON_DEMAND},
        has_capacity_blocks="capacity-block" in usages,
        manufacturer=processor.get("Manufacturer") or "",
        clock_mhz=round((processor.get("SustainedClockSpeedInGhz") or 0) * 1000),
        features=frozenset(processor.get("SupportedFeatures") or ()),
        category=named["category"] if named else "",
        generation=named["generation"] if named else "",
        ebs_mbps=(ebs.get("EbsOptimizedInfo") or {}).get("MaximumBandwidthInMbps") if is_ebs_optimized else None,
        nvme_gb=storage.get("TotalSizeInGB") if storage.get("NvmeSupport") not in {None, "unsupported"} else None,
        local_disk_gb=storage.get("TotalSizeInGB") or 0,
        gpus=_devices(raw, "GpuInfo", "Gpus"),
        accelerators=_devices(raw, "InferenceAcceleratorInfo", "Accelerators"),
        neurons=_devices(raw, "NeuronInfo", "NeuronDevices"),
        card_interfaces=_cards(network),
        default_card=network.get("DefaultNetworkCardIndex") or 0,
        ipv4_per_interface=network.get("Ipv4AddressesPerInterface") or 0,
        max_efas=(network.get("EfaInfo") or {}).get("MaximumEfaInterfaces") or 0,
        is_encrypted_in_transit=bool(network.get("EncryptionInTransitSupported")),
        placement_strategies=frozenset((raw.get("PlacementGroupInfo") or {}).get("SupportedStrategies") or ()),
        limits=limits_table().get(name, Limits()),
    )


def parse_offerings(raw: Sequence[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """The zones in which each type is offered."""
    zones: dict[str, set[str]] = {}
    for each in raw:
        zones.setdefault(each["InstanceType"], set()).add(each["Location"])
    return {name: frozenset(found) for name, found in zones.items()}


@cache
def limits_table() -> Mapping[str, Limits]:
    """The network facts by type, from the data file."""
    text = resources.files("nodesmith.adapters.aws").joinpath("data/limits.csv").read_text()
    rows = (line.split(",") for line in text.splitlines() if line and not line.startswith(("#", "type,")))
    return {name: Limits(_number(mbps), _number(branches), _number(ipv4)) for name, mbps, branches, ipv4 in rows}


def _number(text: str) -> int | None:
    return int(text) if text else None


def _devices(raw: Mapping[str, Any], group: str, entries: str) -> tuple[Device, ...]:
    return tuple(
        Device(
            name=each.get("Name") or "",
            manufacturer=each.get("Manufacturer") or "",
            count=each.get("Count") or 0,
            memory_mib=(each.get("MemoryInfo") or {}).get("SizeInMiB") or 0,
            cores=(each.get("CoreInfo") or {}).get("Count") or 0,
        )
        for each in (raw.get(group) or {}).get(entries) or ()
    )


def _cards(network: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    return tuple(
        (card.get("NetworkCardIndex") or 0, card.get("MaximumNetworkInterfaces") or 0)
        for card in network.get("NetworkCards") or ()
    )
