"""What is allowed and yet worth a word: little choice of machines, labels that no node has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from nodesmith.api.fault import Path, Problem, Repair, RepairKind, Severity, path_text
from nodesmith.api.kind import Manifest
from nodesmith.api.likeness import slip_of
from nodesmith.api.wire.checks import items_of
from nodesmith.model.labels import (
    ALIASES,
    CAPACITY_TYPE,
    INSTANCE_FAMILY,
    INSTANCE_TYPE,
    SPOT,
    WELL_KNOWN,
    ZONE,
    canonical,
    is_restricted,
)

_REQUIREMENTS: Final[Path] = ("spec", "template", "spec", "requirements")
_FEW_TYPES: Final = 5
_SELECTORS: Final = ("subnetSelectorTerms", "securityGroupSelectorTerms")

TAG_KEYS: Final = ("karpenter.sh/discovery", "kubernetes.io/role/elb", "kubernetes.io/role/internal-elb")
"""Tags that load balancers and selectors go by."""


def advise(kind: str, manifest: Manifest) -> Iterator[Problem]:
    """Warnings about a manifest that is otherwise right."""
    if kind == "EC2NodeClass":
        yield from _selector_tags(manifest)
    if kind == "NodePool":
        yield from _little_choice(manifest)


def _little_choice(manifest: Manifest) -> Iterator[Problem]:
    listed = _listed(manifest)
    yield from _typos(listed)
    values = {key: (index, found) for index, key, found in _single_sets(listed)}
    if ZONE in values and len(values[ZONE][1]) == 1:
        yield _warning(values[ZONE][0], f"only the zone {values[ZONE][1][0]}", _breadth_hint(values, "more zones"))
    if INSTANCE_FAMILY in values and len(values[INSTANCE_FAMILY][1]) == 1:
        index, (family,) = values[INSTANCE_FAMILY]
        yield _warning(index, f"only the family {family}", _breadth_hint(values, "more families"))
    if INSTANCE_TYPE in values and len(values[INSTANCE_TYPE][1]) < _FEW_TYPES and _wants_spot(values):
        index, types = values[INSTANCE_TYPE]
        yield _warning(index, f"only {len(types)} instance types for spot", _breadth_hint(values, "more types"))


Single = Mapping[str, tuple[int, list[str]]]


def _listed(manifest: Manifest) -> list[tuple[int, Mapping[str, Any]]]:
    here: Any = manifest
    for step in _REQUIREMENTS:
        here = here.get(step) if isinstance(here, Mapping) else None
    return list(items_of(here))


def _single_sets(listed: list[tuple[int, Mapping[str, Any]]]) -> Iterator[tuple[int, str, list[str]]]:
    """The requirements that list what is allowed: position, key, values."""
    for index, requirement in listed:
        values = requirement.get("values")
        if requirement.get("operator") == "In" and isinstance(values, list) and values:
            yield index, canonical(str(requirement.get("key"))), [str(value) for value in values]


def _wants_spot(values: Single) -> bool:
    return CAPACITY_TYPE in values and SPOT in values[CAPACITY_TYPE][1]


def _breadth_hint(values: Single, more: str) -> str:
    why = "spot is cheaper and taken back less often" if _wants_spot(values) else "a machine is found more often"
    return f"with {more} to choose from {why}"


def _warning(index: int, told: str, hint: str) -> Problem:
    path = (*_REQUIREMENTS, index)
    return Problem(path, f"`{path_text(path)}` allows {told}", hint, Severity.WARNING)


def _typos(listed: list[tuple[int, Mapping[str, Any]]]) -> Iterator[Problem]:
    """Keys that no node has, and that one that nodes have is missed by a letter or two."""
    for index, requirement in listed:
        key = str(requirement.get("key"))
        meant = None if key in ALIASES else slip_of(key, WELL_KNOWN)
        if meant is not None and not is_restricted(key):
            path = (*_REQUIREMENTS, index, "key")
            yield Problem(
                path,
                f"`{path_text(path)}`: nodes have no label {key} by themselves",
                f"did you mean `{meant}`?",
                Severity.WARNING,
                Repair(RepairKind.REPLACE, meant),
            )


def _selector_tags(manifest: Manifest) -> Iterator[Problem]:
    """Tags to find things by that look misspelt."""
    spec = manifest.get("spec")
    for field in _SELECTORS:
        for index, term in items_of(spec.get(field) if isinstance(spec, Mapping) else None):
            tags = term.get("tags")
            for key in tags if isinstance(tags, Mapping) else ():
                meant = slip_of(key, TAG_KEYS)
                if meant is not None:
                    path = ("spec", field, index, "tags", key)
                    told = f"`{path_text(path)}`: {key} is no tag that EKS or nodesmith knows"
                    repair = Repair(RepairKind.RENAME_KEY, meant)
                    yield Problem(path, told, f"did you mean `{meant}`?", Severity.WARNING, repair)
