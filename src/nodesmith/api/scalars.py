"""Durations, amounts, taints and selectors: the small things manifests are made of, parsed once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from nodesmith.model.quantity import QuantityError, parse_resource
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.resources import Resources
from nodesmith.model.selector import Expression, LabelSelector
from nodesmith.model.taints import Taint

NEVER: Final = "Never"

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_LONGEST: Final = timedelta(days=292 * 365)
"""About what 64 bits of nanoseconds hold."""


class DurationError(ValueError):
    """The text is not a duration."""


@lru_cache(maxsize=4096)
def parse_duration(text: str) -> timedelta:
    """The duration of a text such as `1h30m`, `90s` or `0`.

    Raises:
        DurationError: when it is none.
    """
    if text == "0":
        return timedelta(0)
    pieces = _DURATION.findall(text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        raise DurationError(f"{text!r} is not a duration (such as 30s, 10m, 1h30m)")
    try:
        total = sum((timedelta(seconds=float(number) * _UNITS[unit]) for number, unit in pieces), timedelta(0))
    except OverflowError:
        return _LONGEST
    return min(total, _LONGEST)


def format_duration(duration: timedelta) -> str:
    """The duration as manifests write it: the largest units that hold it, none of them zero (`720h`, `1h30m`, `0s`)."""
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return "".join(f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if n) or "0s"


def duration_or_never(raw: Any, default: timedelta | None) -> timedelta | None:
    """The duration; None for `Never`; the default where nothing (or nothing that can be read) is said."""
    if raw == NEVER:
        return None
    if not isinstance(raw, str):
        return default
    try:
        return parse_duration(raw)
    except DurationError:
        return default


def amounts_of(raw: Any) -> Resources:
    """Resource amounts by name; what is no quantity is left out."""
    if not raw:
        return {}
    amounts: dict[str, int] = {}
    for name, value in raw.items():
        try:
            amounts[name] = parse_resource(name, value)
        except (QuantityError, TypeError):
            continue
    return amounts


def taints_of(raw: Any) -> tuple[Taint, ...]:
    """The taints of a list."""
    return tuple(Taint(each.get("key") or "", each.get("effect") or "", each.get("value") or "") for each in raw or ())


def taints_to_json(taints: Iterable[Taint]) -> list[dict[str, str]]:
    """The taints as a manifest lists them."""
    return [
        {"key": taint.key, "effect": taint.effect} | ({"value": taint.value} if taint.value else {}) for taint in taints
    ]


def requirement_of(raw: Mapping[str, Any]) -> Requirement:
    """The requirement that an expression states; one that cannot be read allows nothing."""
    key = raw.get("key") or ""
    try:
        return Requirement.of(key, raw.get("operator") or "", raw.get("values") or (), min_values=raw.get("minValues"))
    except ValueError:
        return nothing_satisfies(key)


def nothing_satisfies(key: str) -> Requirement:
    """A requirement that no value of the label meets, nor its absence."""
    return Requirement(key, complement=True, gte=1, lte=0)


def requirements_of(raw: Any) -> Requirements:
    """The requirements of a list of expressions."""
    return Requirements.of(requirement_of(each) for each in raw or ())


def selector_of(raw: Any) -> LabelSelector | None:
    """The label selector; None where there is none, which selects nothing."""
    if raw is None:
        return None
    labels: Mapping[str, str] = raw.get("matchLabels") or {}
    equal = [Expression(key, "In", (value,)) for key, value in labels.items()]
    listed = [
        Expression(each.get("key") or "", each.get("operator") or "", tuple(sorted({*(each.get("values") or ())})))
        for each in raw.get("matchExpressions") or ()
    ]
    return LabelSelector(tuple(sorted({*equal, *listed})))


__all__ = [
    "NEVER",
    "DurationError",
    "amounts_of",
    "duration_or_never",
    "format_duration",
    "nothing_satisfies",
    "parse_duration",
    "requirement_of",
    "requirements_of",
    "selector_of",
    "taints_of",
    "taints_to_json",
]
