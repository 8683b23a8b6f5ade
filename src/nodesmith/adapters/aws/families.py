"""AMI families: which disks, which bootstrap, which pod density (spec 7.3, 7.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nodesmith.api.ec2nodeclass import BlockDevice, BlockDeviceMapping


@dataclass(frozen=True, slots=True)
class Family:
    """What an AMI family decides. `ephemeral_device` empty: the last block device holds the pods' storage."""

    name: str
    disks: tuple[BlockDeviceMapping, ...]
    ephemeral_device: str
    windows_build: str = ""
    is_pods_per_core_supported: bool = True
    is_eni_limited: bool = True
    is_memory_reserved_by_enis: bool = True

    @property
    def is_windows(self) -> bool:
        """Whether its nodes run Windows."""
        return bool(self.windows_build)


def _disk(device: str, size: str) -> BlockDeviceMapping:
    return BlockDeviceMapping(device_name=device, ebs=BlockDevice(encrypted=True, volume_size=size, volume_type="gp3"))


def _windows(name: str, build: str) -> Family:
    return Family(
        name,
        (_disk("/dev/sda1", "50Gi"),),
        "/dev/sda1",
        windows_build=build,
        is_eni_limited=False,
        is_memory_reserved_by_enis=False,
    )


AL2: Final = Family("AL2", (_disk("/dev/xvda", "20Gi"),), "/dev/xvda")
AL2023: Final = Family("AL2023", (_disk("/dev/xvda", "20Gi"),), "/dev/xvda")
BOTTLEROCKET: Final = Family(
    "Bottlerocket",
    (_disk("/dev/xvda", "6Gi"), _disk("/dev/xvdb", "20Gi")),
    "/dev/xvdb",
    is_pods_per_core_supported=False,
    is_memory_reserved_by_enis=False,
)
CUSTOM: Final = Family("Custom", (), "")

FAMILIES: Final = {
    family.name: family
    for family in (
        AL2,
        AL2023,
        BOTTLEROCKET,
        CUSTOM,
        _windows("Windows2019", "10.0.17763"),
        _windows("Windows2022", "10.0.20348"),
        _windows("Windows2025", "10.0.26100"),
    )
}


def family_of(name: str) -> Family:
    """The family of this name; Custom for one that is not known."""
    return FAMILIES.get(name, CUSTOM)
