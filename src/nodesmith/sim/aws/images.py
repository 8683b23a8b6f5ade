"""The public images and SSM parameters of EKS: which exist, under which names, with which ids.

Pure data: ids depend on the region and the name only. Two releases of each family are published, so that `@latest`,
a pinned version and drift between the two all have something to find.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MINORS: Final = tuple(f"1.{minor}" for minor in range(29, 37))
DEFAULT_MINOR: Final = "1.35"
AL2_LAST_MINOR: Final = 32

EKS_OWNER: Final = "602401143452"
BOTTLEROCKET_OWNER: Final = "092701018921"
WINDOWS_OWNER: Final = "801119661308"

_ARCHITECTURES: Final = ("x86_64", "arm64")


@dataclass(frozen=True, slots=True)
class Image:
    """One published image."""

    name: str
    architecture: str
    owner: str
    created: datetime
    root_device: str
    parameters: tuple[str, ...]
    """The SSM parameters that point at it."""
    is_windows: bool = False

    def id_in(self, region: str) -> str:
        """The image's id in a region."""
        return "ami-" + hashlib.sha256(f"{region}/{self.name}".encode()).hexdigest()[:17]


@dataclass(frozen=True, slots=True)
class Release:
    """A day's builds of all families."""

    day: datetime
    bottlerocket: str

    @property
    def stamp(self) -> str:
        """The version as EKS writes it, without the `v`."""
        return self.day.strftime("%Y%m%d")


RELEASES: Final = (
    Release(datetime(2026, 6, 3, tzinfo=UTC), "1.49.0"),
    Release(datetime(2026, 7, 1, tzinfo=UTC), "1.50.0"),
)


def published(releases: tuple[Release, ...] = RELEASES) -> Iterator[Image]:
    """Every public image, older releases first."""
    for release in releases:
        is_latest = release is releases[-1]
        for minor in MINORS:
            yield from _al2023(minor, release, is_latest=is_latest)
            yield from _bottlerocket(minor, release, is_latest=is_latest)
            yield from _windows(minor, release, is_latest=is_latest)
            if int(minor.partition(".")[2]) <= AL2_LAST_MINOR:
                yield from _al2(minor, release, is_latest=is_latest)


def _al2023(minor: str, release: Release, *, is_latest: bool) -> Iterator[Image]:
    builds = [(arch, kind) for arch in _ARCHITECTURES for kind in ("standard", "nvidia")] + [("x86_64", "neuron")]
    for arch, kind in builds:
        base = f"/aws/service/eks/optimized-ami/{minor}/amazon-linux-2023/{arch}/{kind}"
        pinned = f"{base}/amazon-eks-node-al2023-{arch}-{kind}-{minor}-v{release.stamp}/image_id"
        yield Image(
            name=f"amazon-eks-node-al2023-{arch}-{kind}-{minor}-v{release.stamp}",
            architecture=arch,
            owner=EKS_OWNER,
            created=release.day,
            root_device="/dev/xvda",
            parameters=(pinned, *([f"{base}/recommended/image_id"] if is_latest else [])),
        )


def _al2(minor: str, release: Release, *, is_latest: bool) -> Iterator[Image]:
    for suffix, part, arch in (("", "", "x86_64"), ("-arm64", "-arm64", "arm64"), ("-gpu", "-gpu", "x86_64")):
        base = f"/aws/service/eks/optimized-ami/{minor}/amazon-linux-2{suffix}"
        name = f"amazon-eks{part}-node-{minor}-v{release.stamp}"
        yield Image(
            name=name,
            architecture=arch,
            owner=EKS_OWNER,
            created=release.day,
            root_device="/dev/xvda",
            parameters=(f"{base}/{name}/image_id", *([f"{base}/recommended/image_id"] if is_latest else [])),
        )


def _bottlerocket(minor: str, release: Release, *, is_latest: bool) -> Iterator[Image]:
    for variant in ("", "-nvidia"):
        for arch in _ARCHITECTURES:
            base = f"/aws/service/bottlerocket/aws-k8s-{minor}{variant}/{arch}"
            build = hashlib.sha256(f"{release.bottlerocket}{minor}{variant}{arch}".encode()).hexdigest()[:8]
            yield Image(
                name=f"bottlerocket-aws-k8s-{minor}{variant}-{arch}-v{release.bottlerocket}-{build}",
                architecture=arch,
                owner=BOTTLEROCKET_OWNER,
                created=release.day,
                root_device="/dev/xvda",
                parameters=(
                    f"{base}/{release.bottlerocket}/image_id",
                    *([f"{base}/latest/image_id"] if is_latest else []),
                ),
            )


def _windows(minor: str, release: Release, *, is_latest: bool) -> Iterator[Image]:
    for year in ("2019", "2022", "2025"):
        core = f"Windows_Server-{year}-English-Core-EKS_Optimized-{minor}"
        yield Image(
            name=f"{core}-{release.day:%Y.%m.%d}",
            architecture="x86_64",
            owner=WINDOWS_OWNER,
            created=release.day,
            root_device="/dev/sda1",
            parameters=((f"/aws/service/ami-windows-latest/{core}/image_id",) if is_latest else ()),
            is_windows=True,
        )
