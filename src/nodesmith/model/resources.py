"""Resource amounts by name, in the integer units of `quantity`.

A missing name means none of it. The mappings are never changed after they were made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from nodesmith.model.quantity import CPU, format_resource, parse_resource

Resources = Mapping[str, int]

MEMORY: Final = "memory"
PODS: Final = "pods"
EPHEMERAL_STORAGE: Final = "ephemeral-storage"
NODES: Final = "nodes"
NOTHING: Final[Resources] = {}


def parse_resources(raw: Mapping[str, str | int | float] | None) -> Resources:
    """The amounts written in a manifest.

    Raises:
        QuantityError: when one of them is not a quantity.
    """
    return {name: parse_resource(name, value) for name, value in (raw or {}).items()}


def format_resources(amounts: Resources) -> dict[str, str]:
    """The amounts as a manifest writes them, sorted by name."""
    return {name: format_resource(name, amounts[name]) for name in sorted(amounts)}


def total(parts: Iterable[Resources]) -> dict[str, int]:
    """The sum of all parts."""
    result: dict[str, int] = {}
    for part in parts:
        for name, amount in part.items():
            result[name] = result.get(name, 0) + amount
    return result


def minus(left: Resources, right: Resources) -> dict[str, int]:
    """What is left of `left` without `right`; below zero where `right` is more."""
    result = dict(left)
    for name, amount in right.items():
        result[name] = result.get(name, 0) - amount
    return result


def greatest(parts: Iterable[Resources]) -> dict[str, int]:
    """The largest amount of each resource in any part."""
    result: dict[str, int] = {}
    for part in parts:
        for name, amount in part.items():
            if amount > result.get(name, 0) or name not in result:
                result[name] = amount
    return result


def least(parts: Iterable[Resources]) -> dict[str, int]:
    """The smallest amount of each resource over all parts; one that any part lacks is left out."""
    parts = list(parts)
    if not parts:
        return {}
    names = set(parts[0]).intersection(*(set(part) for part in parts[1:]))
    return {name: min(part[name] for part in parts) for name in names}


def fits(request: Resources, available: Resources) -> bool:
    """Whether the request is within what is available; a request of zero always is."""
    return all(not amount or amount <= available.get(name, 0) for name, amount in request.items())


def shortfall(request: Resources, available: Resources) -> dict[str, int]:
    """How much of each resource is lacking, by name; empty when it fits."""
    return {
        name: amount - available.get(name, 0)
        for name, amount in request.items()
        if amount and amount > available.get(name, 0)
    }


__all__ = [
    "CPU",
    "EPHEMERAL_STORAGE",
    "MEMORY",
    "NODES",
    "NOTHING",
    "PODS",
    "Resources",
    "fits",
    "format_resources",
    "greatest",
    "least",
    "minus",
    "parse_resources",
    "shortfall",
    "total",
]
