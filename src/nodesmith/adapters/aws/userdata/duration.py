"""Go's spelling of durations: upstream writes `90s` as `1m30s`, and a node's user data is compared by its text."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

_PART: Final = re.compile(r"(?P<number>[0-9]*\.?[0-9]+)(?P<unit>ns|us|µs|ms|s|m|h)")
_NANOSECONDS: Final = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def canonical_duration(text: str) -> str:
    """The duration as Go prints it; a text that is no duration as it was."""
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return text
    total = int(sum(Fraction(part["number"]) * _NANOSECONDS[part["unit"]] for part in parts))
    if total == 0:
        return "0s"
    if total < _NANOSECONDS["s"]:
        unit = "ms" if total >= _NANOSECONDS["ms"] else "µs" if total >= _NANOSECONDS["us"] else "ns"
        return f"{_decimal(total, _NANOSECONDS[unit])}{unit}"
    minutes, rest = divmod(total, _NANOSECONDS["m"])
    hours, minutes = divmod(minutes, 60)
    seconds = f"{_decimal(rest, _NANOSECONDS['s'])}s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _decimal(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    if not rest:
        return str(whole)
    return f"{whole}.{str(rest).zfill(len(str(unit)) - 1).rstrip('0')}"
