"""What a NodePool's schema cannot say: rules between its parts, as the controller would find them (spec 1.2.2).

These look at manifests whose values have the right types only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from nodesmith.api.bar import bar_problems
from nodesmith.api.fault import Path, Problem, Repair, RepairKind, Severity, path_text
from nodesmith.api.kind import Manifest
from nodesmith.api.likeness import closest, is_certain
from nodesmith.api.scalars import requirement_of
from nodesmith.api.walk import is_placeholder, shown
from nodesmith.api.wire.checks import items_of
from nodesmith.api.wire.patterns import KEY_HINT, QUALIFIED_NAME
from nodesmith.model.labels import ARCH, CAPACITY_TYPE, CAPACITY_TYPES, OS, TENANCY, canonical
from nodesmith.model.requirements import Requirement

_QUALIFIED: Final = re.compile(QUALIFIED_NAME)
_NODE: Final[Path] = ("spec", "template", "spec")
_REQUIREMENTS: Final[Path] = (*_NODE, "requirements")

KNOWN_VALUES: Final[Mapping[str, frozenset[str]]] = {
    CAPACITY_TYPE: CAPACITY_TYPES,
    TENANCY: frozenset({"default", "dedicated"}),
}
"""Labels whose values the controller knows: with none of them the pool is invalid."""

LIKELY_VALUES: Final[Mapping[str, frozenset[str]]] = {
    ARCH: frozenset({"amd64", "arm64"}),
    OS: frozenset({"linux", "windows"}),
}
"""Labels whose values are no rule of the controller's, but no machine has others."""

_OTHER_NAMES: Final = {"x86_64": "amd64", "x86": "amd64", "aarch64": "arm64", "ondemand": "on-demand", "arm": "arm64"}


def pool_problems(manifest: Manifest) -> Iterator[Problem]:
    """Every problem between parts of a NodePool."""
    template = _object(_object(manifest.get("spec")).get("template"))
    node = _object(template.get("spec"))
    yield from bar_problems(manifest)
    yield from _labels(_object(_object(template.get("metadata")).get("labels")))
    yield from _taints(node)
    yield from _values(node.get("requirements"))
    yield from _contradictions(node.get("requirements"))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _labels(labels: Mapping[str, Any]) -> Iterator[Problem]:
    for key in labels:
        if not _QUALIFIED.search(key):
            path = ("spec", "template", "metadata", "labels", key)
            yield Problem(path, f"`{path_text(path)}`: {shown(key)} is not a label key", KEY_HINT)


def _taints(node: Mapping[str, Any]) -> Iterator[Problem]:
    seen: dict[tuple[Any, Any], str] = {}
    for field in ("taints", "startupTaints"):
        for index, taint in items_of(node.get(field)):
            path = (*_NODE, field, index)
            identity = (taint.get("key"), taint.get("effect"))
            if identity in seen:
                message = f"`{path_text(path)}`: {identity[0]}:{identity[1]} is there already, in `{seen[identity]}`"
                yield Problem(path, message, "a key may have each effect once, over taints and startupTaints")
            seen.setdefault(identity, path_text(path))


def _values(requirements: Any) -> Iterator[Problem]:
    for index, requirement in items_of(requirements):
        key, values = canonical(str(requirement.get("key"))), requirement.get("values")
        allowed = KNOWN_VALUES.get(key) or LIKELY_VALUES.get(key)
        if allowed is None or requirement.get("operator") != "In" or not isinstance(values, list):
            continue
        wrong = [
            each for each in range(len(values)) if values[each] not in allowed and not is_placeholder(values[each])
        ]
        is_error = key in KNOWN_VALUES and len(wrong) == len(values)
        for position in wrong:
            yield _unknown_value(
                (*_REQUIREMENTS, index, "values", position), values[position], allowed, is_error=is_error
            )
        yield from _too_few(index, requirement, len(values) - len(wrong), is_known=key in KNOWN_VALUES)


def _unknown_value(path: Path, value: Any, allowed: frozenset[str], *, is_error: bool) -> Problem:
    other = _OTHER_NAMES.get(str(value).lower())
    meant = other if other in allowed else closest(str(value), sorted(allowed))
    repair = Repair(RepairKind.REPLACE, meant) if meant and (meant == other or is_certain(str(value), meant)) else None
    hint = f"did you mean `{meant}`?" if meant else f"one of {', '.join(sorted(allowed))}"
    severity = Severity.ERROR if is_error else Severity.WARNING
    return Problem(path, f"`{path_text(path)}`: no node is {shown(value)}", hint, severity, repair)


def _too_few(index: int, requirement: Mapping[str, Any], valid: int, *, is_known: bool) -> Iterator[Problem]:
    least, path = requirement.get("minValues"), (*_REQUIREMENTS, index, "minValues")
    if is_known and isinstance(least, int) and 0 < valid < least <= len(requirement["values"]):
        yield Problem(
            path, f"`{path_text(path)}`: {least} are asked for, and {valid} of the values exist", "lower minValues"
        )


def _contradictions(requirements: Any) -> Iterator[Problem]:
    """Requirements of one key that no value meets together: the pool can never have a node."""
    together: dict[str, Requirement] = {}
    for index, raw in items_of(requirements):
        requirement = requirement_of(raw)
        before = together.get(requirement.key)
        joint = requirement if before is None else before & requirement
        if (
            before is not None
            and not before.overlaps(requirement)
            and not (before.is_negative and requirement.is_negative)
        ):
            path = (*_REQUIREMENTS, index)
            message = f"`{path_text(path)}`: no value of {requirement.key} meets this and the requirements before it"
            yield Problem(
                path, message, "requirements of one key must all hold: the pool can have no node", Severity.WARNING
            )
        together[requirement.key] = joint
