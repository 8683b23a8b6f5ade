"""What is wrong with a NodePool that an API server let through (spec 1.2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from nodesmith.model.labels import CAPACITY_TYPE, CAPACITY_TYPES, NODEPOOL, TENANCY, is_restricted
from nodesmith.model.nodepool import NodePool
from nodesmith.model.requirements import Requirement
from nodesmith.model.taints import EFFECTS

_NAME: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_PREFIX: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_LENGTH: Final = 63
_PREFIX_LENGTH: Final = 253
_KNOWN_VALUES: Final = {CAPACITY_TYPE: CAPACITY_TYPES, TENANCY: frozenset({"default", "dedicated"})}


def pool_faults(pool: NodePool) -> tuple[str, ...]:
    """Every fault, in the order of labels, taints, requirements."""
    return (*_label_faults(pool), *_taint_faults(pool), *_requirement_faults(pool))


def is_qualified(key: str) -> bool:
    """Whether the key is one that Kubernetes accepts: a name, with or without a domain."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (_PREFIX.fullmatch(prefix) and len(prefix) <= _PREFIX_LENGTH):
        return False
    return bool(_NAME.fullmatch(name)) and len(name) <= _NAME_LENGTH


def is_label_value(value: str) -> bool:
    """Whether Kubernetes accepts the value."""
    return not value or (bool(_NAME.fullmatch(value)) and len(value) <= _NAME_LENGTH)


def _label_faults(pool: NodePool) -> Iterator[str]:
    for key, value in sorted(pool.labels.items()):
        if key == NODEPOOL:
            yield f'invalid key name "{key}" in labels, restricted'
        elif not is_qualified(key):
            yield f'invalid key name "{key}" in labels'
        elif not is_label_value(value):
            yield f'invalid value: "{value}" for label[{key}]'
        elif is_restricted(key):
            yield f"invalid key name in labels, label {key} is restricted"


def _taint_faults(pool: NodePool) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for taint in (*pool.taints, *pool.startup_taints):
        if not is_qualified(taint.key):
            yield f'invalid taint key "{taint.key}"'
        if taint.value and not is_qualified(taint.value):
            yield f'invalid taint value "{taint.value}"'
        if taint.effect and taint.effect not in EFFECTS:
            yield f'invalid taint effect "{taint.effect}"'
        if (taint.key, taint.effect) in seen:
            yield f"duplicate taint Key/Effect pair {taint.key}={taint.effect}"
        seen.add((taint.key, taint.effect))


def _requirement_faults(pool: NodePool) -> Iterator[str]:
    for key in sorted(pool.requirements.by_key):
        yield from requirement_faults(pool.requirements.by_key[key])


def requirement_faults(requirement: Requirement) -> Iterator[str]:
    """Every fault of one requirement."""
    key = requirement.key
    if key == NODEPOOL:
        yield f'invalid key: "{key}" in requirements, restricted'
    elif not is_qualified(key):
        yield f'invalid key: "{key}" in requirements'
    elif is_restricted(key):
        yield f"invalid key in requirements, label {key} is restricted"
    if requirement.gte is not None and requirement.lte is not None and requirement.gte > requirement.lte:
        yield f"invalid requirement: nothing satisfies the expressions on {key}"
    wrong = sorted(value for value in requirement.values if not is_label_value(value))
    if wrong:
        yield f'invalid value "{wrong[0]}" in requirements for key {key}'
    known = _KNOWN_VALUES.get(key)
    if known and not requirement.complement and requirement.values and not requirement.values & known:
        yield f"no valid values found in {sorted(requirement.values)} for {key}, expected one of {sorted(known)}"
    allowed = len(requirement.values)
    if requirement.min_values and not requirement.complement and allowed < requirement.min_values:
        yield f"requirements with 'minValues' must have at least that many values specified, {key} has {allowed}"
