"""How much a node of a type holds, and what it keeps for itself (spec 7.3).

The arithmetic is upstream's to the byte: a pod that fits on paper here fits on the node, and the reverse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from nodesmith.adapters.aws.catalog import Device, TypeFacts
from nodesmith.adapters.aws.families import CUSTOM, Family
from nodesmith.adapters.aws.names import (
    AMD_GPU,
    EFA,
    GAUDI,
    MIB,
    NEURON,
    NEURON_CORE,
    NVIDIA_GPU,
    POD_ENI,
    PRIVATE_IPV4,
)
from nodesmith.api.ec2nodeclass import BlockDeviceMapping, EC2NodeClassSpec, KubeletConfiguration, kubelet_of
from nodesmith.model.instancetype import Overhead
from nodesmith.model.quantity import CPU, QuantityError, parse, parse_resource
from nodesmith.model.resources import EPHEMERAL_STORAGE, MEMORY, PODS, Resources

DEFAULT_DISK: Final = "20Gi"
_ARM_RESERVED_MIB: Final = 64
_CORE_STEPS: Final = ((1000, 60), (1000, 10), (2000, 5))
"""Milli-cores, and how many thousandths of them are reserved; 0.25 % of all above."""
_REST_OF_CORES: Final = Decimal("2.5")


@dataclass(frozen=True, slots=True)
class NodeShape:
    """What of a NodeClass and the settings bears on capacity."""

    family: Family
    kubelet: KubeletConfiguration
    disks: tuple[BlockDeviceMapping, ...]
    is_raid: bool = False
    efa_interfaces: int | None = None
    """How many efa-only interfaces the NodeClass lists; None when it lists no interfaces at all."""
    efa_on_first_card: int = 0
    memory_overhead: float = 0.075
    reserved_enis: int = 0


def shape_of(spec: EC2NodeClassSpec, family: Family, *, memory_overhead: float, reserved_enis: int) -> NodeShape:
    """The shape that a NodeClass gives its nodes."""
    efas = [each for each in spec.network_interfaces if each.interface_type == "efa-only"]
    return NodeShape(
        family=family,
        kubelet=kubelet_of(spec),
        disks=spec.block_device_mappings,
        is_raid=spec.instance_store_policy == "RAID0",
        efa_interfaces=len(efas) if spec.network_interfaces else None,
        efa_on_first_card=sum(each.network_card_index == 0 for each in efas),
        memory_overhead=memory_overhead,
        reserved_enis=reserved_enis,
    )


def capacity_of(facts: TypeFacts, shape: NodeShape, *, learnt_memory: int | None = None) -> Resources:
    """What a node of the type holds; `learnt_memory` (bytes) is what a real node of it reported."""
    neuron_cores = facts.neurons[0].count * facts.neurons[0].cores if facts.neurons else 0
    held = {
        CPU: facts.vcpus * 1000,
        MEMORY: learnt_memory if learnt_memory is not None else _memory(facts, shape),
        EPHEMERAL_STORAGE: _ephemeral_storage(facts, shape),
        PODS: pods_of(facts, shape),
        POD_ENI: facts.limits.branch_interfaces or 0,
        NVIDIA_GPU: _count(facts.gpus, "NVIDIA"),
        AMD_GPU: _count(facts.gpus, "AMD"),
        GAUDI: _count(facts.gpus, "Habana"),
        NEURON: sum(each.count for each in facts.neurons),
        NEURON_CORE: neuron_cores,
        EFA: facts.max_efas if shape.efa_interfaces is None else shape.efa_interfaces,
    }
    if shape.family.is_windows and facts.arch == "amd64":
        held[PRIVATE_IPV4] = max(0, (facts.limits.ipv4_per_interface or 1) - 1)
    return held


def overhead_of(facts: TypeFacts, shape: NodeShape, capacity: Resources) -> Overhead:
    """What a node of the type keeps for itself."""
    pods = _eni_pods(facts, shape, 0) if shape.family.is_memory_reserved_by_enis else capacity[PODS]
    kube = {
        CPU: _reserved_cpu(facts.vcpus * 1000),
        MEMORY: (11 * pods + 255) * MIB,
        EPHEMERAL_STORAGE: 2**30,
        **_quantities(shape.kubelet.kube_reserved),
    }
    return Overhead(
        kube_reserved=kube,
        system_reserved=_quantities(shape.kubelet.system_reserved),
        eviction_threshold=_eviction(shape.kubelet.eviction_hard or {}, capacity),
    )


def pods_of(facts: TypeFacts, shape: NodeShape) -> int:
    """How many pods the node takes."""
    if isinstance(shape.kubelet.max_pods, int):
        pods = shape.kubelet.max_pods
    elif shape.family.is_eni_limited:
        pods = _eni_pods(facts, shape, shape.reserved_enis)
    else:
        pods = 110
    if shape.kubelet.pods_per_core and shape.family.is_pods_per_core_supported:
        pods = min(pods, shape.kubelet.pods_per_core * facts.vcpus)
    return pods


def _eni_pods(facts: TypeFacts, shape: NodeShape, reserved: int) -> int:
    usable = max(0, facts.interfaces - reserved - shape.efa_on_first_card)
    return usable * (facts.ipv4_per_interface - 1) + 2 if usable else 0


def _memory(facts: TypeFacts, shape: NodeShape) -> int:
    total = facts.memory_mib - (_ARM_RESERVED_MIB if facts.arches[:1] == ("arm64",) else 0)
    overhead = math.ceil(total * MIB * shape.memory_overhead / MIB)
    return (total - overhead) * MIB


def _ephemeral_storage(facts: TypeFacts, shape: NodeShape) -> int:
    if shape.is_raid and facts.local_disk_gb:
        return facts.local_disk_gb * 10**9
    return parse(_disk_size(shape) or DEFAULT_DISK)


def _disk_size(shape: NodeShape) -> str | None:
    if not shape.disks:
        return _size_of(shape.family.disks, shape.family.ephemeral_device)
    root = next((disk for disk in shape.disks if disk.root_volume), None)
    if root is not None:
        return root.ebs.volume_size if root.ebs else None
    if shape.family is CUSTOM:
        last = shape.disks[-1]
        return last.ebs.volume_size if last.ebs else None
    return _size_of(shape.disks, shape.family.ephemeral_device)


def _size_of(disks: tuple[BlockDeviceMapping, ...], device: str) -> str | None:
    return next((disk.ebs.volume_size for disk in disks if disk.device_name == device and disk.ebs), None)


def _count(devices: tuple[Device, ...], manufacturer: str) -> int:
    return sum(each.count for each in devices if each.manufacturer == manufacturer)


def _reserved_cpu(milli_cpu: int) -> int:
    reserved, left = 0, milli_cpu
    for step, per_mille in _CORE_STEPS:
        part = min(left, step)
        reserved += part * per_mille // 1000
        left -= part
    return reserved + int(left * _REST_OF_CORES / 1000)


def _eviction(hard: Mapping[str, str], capacity: Resources) -> Resources:
    memory = _signal(hard, "memory.available", capacity[MEMORY])
    storage = _signal(hard, "nodefs.available", capacity[EPHEMERAL_STORAGE])
    tenth = -(-capacity[EPHEMERAL_STORAGE] // 10)
    return {
        MEMORY: 100 * MIB if memory is None else memory,
        EPHEMERAL_STORAGE: tenth if storage is None else storage,
    }


def _signal(hard: Mapping[str, str], name: str, total: int) -> int | None:
    """The threshold in whole units, or None where the user set none; 100 % turns it off."""
    text = hard.get(name)
    if text is None:
        return None
    if not text.endswith("%"):
        return parse(text)
    percent = Decimal(text.removesuffix("%"))
    return 0 if percent == 100 else math.ceil(total * percent / 100)  # noqa: PLR2004 - 100 % means never


def _quantities(raw: Mapping[str, str] | None) -> dict[str, int]:
    """The amounts; an entry that is no quantity (an expression of a gated feature) counts as not set."""
    amounts: dict[str, int] = {}
    for name, text in (raw or {}).items():
        with suppress(QuantityError):
            amounts[name] = parse_resource(name, text)
    return amounts
