"""Which images a NodeClass means: SSM parameters, DescribeImages questions, which image fits which type (spec 7.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from nodesmith.adapters.aws.families import FAMILIES
from nodesmith.adapters.aws.typelabels import ACCELERATOR_COUNT, GPU_COUNT
from nodesmith.api.ec2nodeclass import AMI, AMI_FAMILY_OF_ALIAS, AMISelectorTerm
from nodesmith.api.meta import parse_time
from nodesmith.api.wire.common import RequirementWire
from nodesmith.model.labels import ARCH, OS, WINDOWS_BUILD
from nodesmith.model.requirements import Requirement, Requirements

DEFAULT_OWNERS: Final = ("self", "amazon")
_ARCHITECTURES: Final = {"x86_64": "amd64", "arm64": "arm64"}
_LAST_AL2_MINOR: Final = 32
_FIRST_WINDOWS2025_MINOR: Final = 35

Wanted = tuple[RequirementWire, ...]

STANDARD: Final[Wanted] = (
    RequirementWire(key=GPU_COUNT, operator="DoesNotExist"),
    RequirementWire(key=ACCELERATOR_COUNT, operator="DoesNotExist"),
)
NVIDIA: Final[Wanted] = (RequirementWire(key=GPU_COUNT, operator="Exists"),)
NEURON: Final[Wanted] = (RequirementWire(key=ACCELERATOR_COUNT, operator="Exists"),)


class UnsupportedAlias(Exception):
    """The alias means nothing for this Kubernetes version."""


@dataclass(frozen=True, slots=True)
class ImageParameter:
    """An SSM parameter that holds an image id, and what types need to have for that image (each set on its own)."""

    path: str
    wanted: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """One DescribeImages question."""

    filters: tuple[tuple[str, tuple[str, ...]], ...]
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image as DescribeImages tells of it."""

    id: str
    name: str
    architecture: str
    created_at: datetime
    is_deprecated: bool


def parameters_of_alias(alias: str, version: str) -> tuple[ImageParameter, ...]:
    """Where SSM keeps the images that an alias such as `al2023@latest` means, for a Kubernetes minor version.

    Raises:
        UnsupportedAlias: when there are no such images for the version.
    """
    family, _, pinned = alias.partition("@")
    family = family.lower()
    minor = int(version.split(".")[1])
    if (family == "al2" and minor > _LAST_AL2_MINOR) or (family == "windows2025" and minor < _FIRST_WINDOWS2025_MINOR):
        raise UnsupportedAlias(f"AMI alias {alias} is not supported on Kubernetes {version}")
    match family:
        case "al2":
            return _al2(version, pinned)
        case "al2023":
            return _al2023(version, pinned)
        case "bottlerocket":
            return _bottlerocket(version, pinned)
        case _:
            return _windows(family, version)


def _al2(version: str, pinned: str) -> tuple[ImageParameter, ...]:
    base = f"/aws/service/eks/optimized-ami/{version}/amazon-linux-2"
    builds = (("", (STANDARD,)), ("-arm64", (STANDARD,)), ("-gpu", (NEURON, NVIDIA)))
    found: list[ImageParameter] = []
    for suffix, wanted in builds:
        release = "recommended" if pinned == "latest" else f"amazon-eks{suffix}-node-{version}-{pinned}"
        found.append(ImageParameter(f"{base}{suffix}/{release}/image_id", wanted))
    return tuple(found)


def _al2023(version: str, pinned: str) -> tuple[ImageParameter, ...]:
    base = f"/aws/service/eks/optimized-ami/{version}/amazon-linux-2023"
    builds = (
        ("x86_64", "standard", STANDARD),
        ("arm64", "standard", STANDARD),
        ("x86_64", "nvidia", NVIDIA),
        ("arm64", "nvidia", NVIDIA),
        ("x86_64", "neuron", NEURON),
    )
    return tuple(
        ImageParameter(
            f"{base}/{arch}/{variant}/"
            f"{'recommended' if pinned == 'latest' else f'amazon-eks-node-al2023-{arch}-{variant}-{version}-{pinned}'}"
            "/image_id",
            (wanted,),
        )
        for arch, variant, wanted in builds
    )


def _bottlerocket(version: str, pinned: str) -> tuple[ImageParameter, ...]:
    release = pinned.removeprefix("v")
    builds = (
        ("", "x86_64", (STANDARD, NEURON)),
        ("", "arm64", (STANDARD,)),
        ("-nvidia", "x86_64", (NVIDIA,)),
        ("-nvidia", "arm64", (NVIDIA,)),
    )
    return tuple(
        ImageParameter(f"/aws/service/bottlerocket/aws-k8s-{version}{variant}/{arch}/{release}/image_id", wanted)
        for variant, arch, wanted in builds
    )


def _windows(family: str, version: str) -> tuple[ImageParameter, ...]:
    year = family.removeprefix("windows")
    build = FAMILIES[AMI_FAMILY_OF_ALIAS[family]].windows_build
    wanted = (
        RequirementWire(key=OS, operator="In", values=("windows",)),
        RequirementWire(key=WINDOWS_BUILD, operator="In", values=(build,)),
    )
    path = f"/aws/service/ami-windows-latest/Windows_Server-{year}-English-Core-EKS_Optimized-{version}/image_id"
    return (ImageParameter(path, (wanted,)),)


def queries_of(terms: Sequence[AMISelectorTerm], parameter_ids: Sequence[str]) -> tuple[ImageQuery, ...]:
    """The questions that the terms without alias come to; ids, given or from parameters, are one question."""
    ids = (*(term.id for term in terms if term.id), *parameter_ids)
    queries = [ImageQuery((("image-id", tuple(dict.fromkeys(ids))),))] if ids else []
    for term in terms:
        if term.id or term.alias or term.ssm_parameter:
            continue
        filters = [("name", (term.name,))] if term.name else []
        filters += [
            ("tag-key", (key,)) if value == "*" else (f"tag:{key}", (value,)) for key, value in term.tags.items()
        ]
        owners = (term.owner,) if term.owner else DEFAULT_OWNERS if term.name else ()
        queries.append(ImageQuery(tuple(filters), owners))
    return tuple(queries)


def parse_image(raw: Mapping[str, Any], now: datetime) -> FoundImage | None:
    """The image, or None for an architecture that no node has."""
    arch = _ARCHITECTURES.get(raw.get("Architecture") or "")
    if arch is None:
        return None
    deprecated_at = parse_time(raw.get("DeprecationTime"))
    created = parse_time(raw.get("CreationDate")) or now
    return FoundImage(
        raw["ImageId"], raw.get("Name") or "", arch, created, deprecated_at is not None and deprecated_at <= now
    )


def choose_images(found: Iterable[FoundImage], wanted: Mapping[str, tuple[Wanted, ...]]) -> tuple[AMI, ...]:
    """One image for each set of requirements, newest first: not deprecated before deprecated, newer before older."""
    best: dict[Wanted, FoundImage] = {}
    for image in found:
        arch = (RequirementWire(key=ARCH, operator="In", values=(image.architecture,)),)
        for extra in wanted.get(image.id) or ((),):
            present = best.get(arch + extra)
            if present is None or _rank(image) > _rank(present):
                best[arch + extra] = image
    chosen = sorted(best.items(), key=lambda item: (-item[1].created_at.timestamp(), item[1].id, str(item[0])))
    return tuple(
        AMI(id=image.id, name=image.name, deprecated=image.is_deprecated, requirements=requirements)
        for requirements, image in chosen
    )


def image_requirements(image: AMI) -> Requirements:
    """What a type must be for the image to boot on it."""
    return Requirements.of(Requirement.of(each.key, each.operator, each.values) for each in image.requirements)


class ImageChoice:
    """Which of a NodeClass' images boots on a type: the first that fits. Types that are alike share an answer."""

    def __init__(self, images: Sequence[AMI]) -> None:
        self._images = [(image, image_requirements(image)) for image in images]
        self._keys = sorted({each.key for _, wanted in self._images for each in wanted})
        self._known: dict[tuple[Requirement | None, ...], AMI | None] = {}

    def of(self, labels: Requirements) -> AMI | None:
        """The image for a type with these labels, or None."""
        kind = tuple(labels.by_key.get(key) for key in self._keys)
        if kind not in self._known:
            fitting = (image for image, wanted in self._images if labels.conflict_with_new_node(wanted) is None)
            self._known[kind] = next(fitting, None)
        return self._known[kind]


def _rank(image: FoundImage) -> tuple[bool, float, str]:
    return (not image.is_deprecated, image.created_at.timestamp(), image.name)
