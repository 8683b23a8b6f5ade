"""Kubernetes quantities as integers.

Every amount is an `int` in the resource's own unit: CPU in thousandths of a core, everything else in whole units (bytes
for memory and storage, a count for the rest). Fractions of a unit are rounded up, as the API server does.
"""

from __future__ import annotations

import re
from decimal import ROUND_UP, Decimal
from functools import lru_cache
from typing import Final

CPU: Final = "cpu"
MILLI_CPU_PER_CORE: Final = 1000

_THOUSAND: Final = 1000
_FURTHEST: Final = 40
"""Exponents beyond say no more than "too much" or "nothing", and would take forever to work out."""

_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
    r"(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?"
)
_BINARY: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


class QuantityError(ValueError):
    """The text is not a Kubernetes quantity."""


@lru_cache(maxsize=65536)
def parse(text: str, scale: int = 1) -> int:
    """The quantity times `scale`, rounded up to a whole number.

    Raises:
        QuantityError: when the text is not a quantity.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        msg = f"{text!r} is not a quantity (such as 500m, 2, 1.5Gi)"
        raise QuantityError(msg)
    exact = Decimal(match["number"]) * _factor(match["suffix"] or "") * scale
    whole = int(exact)
    return whole + 1 if exact > whole else whole


def parse_resource(name: str, value: str | float) -> int:
    """The amount of resource `name`, in that resource's unit.

    Raises:
        QuantityError: when the value is not a quantity.
    """
    text = value if isinstance(value, str) else repr(value)
    return parse(text, MILLI_CPU_PER_CORE if name == CPU else 1)


def format_resource(name: str, amount: int) -> str:
    """The amount as Kubernetes writes it: `1500m`, `2`, `3Gi`."""
    if name == CPU:
        cores, rest = divmod(amount, MILLI_CPU_PER_CORE)
        return f"{amount}m" if rest else str(cores)
    if (amount and name in {"memory", "ephemeral-storage"}) or name.startswith("hugepages-"):
        for suffix in ("Ti", "Gi", "Mi", "Ki"):
            if amount and amount % _BINARY[suffix] == 0:
                return f"{amount // _BINARY[suffix]}{suffix}"
    return str(amount)


def canonical(text: str) -> str:
    """The quantity as Kubernetes prints it: the largest suffix of its kind that leaves it whole (`1024Mi`: `1Gi`).

    Raises:
        QuantityError: when the text is not a quantity.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise QuantityError(f"{text!r} is not a quantity (such as 500m, 2, 1.5Gi)")
    suffix = match["suffix"] or ""
    exact = Decimal(match["number"]) * _factor(suffix)
    if suffix in _BINARY and abs(exact) >= _BINARY["Ki"] and exact == int(exact):
        return _binary(int(exact))
    return _decimal(exact, is_exponent=suffix[:1] in {"e", "E"} and len(suffix) > 1)


def _binary(number: int) -> str:
    suffix = ""
    for each in _BINARY:
        if number % _BINARY["Ki"]:
            break
        number, suffix = number // _BINARY["Ki"], each
    return f"{number}{suffix}"


def _decimal(exact: Decimal, *, is_exponent: bool) -> str:
    """A whole number of the largest suffix, nano at the least (rounded away from zero)."""
    whole, power = int(exact.scaleb(-_DECIMAL["n"]).to_integral_value(ROUND_UP)), _DECIMAL["n"]
    while whole and whole % _THOUSAND == 0 and power < _DECIMAL["E"]:
        whole, power = whole // _THOUSAND, power + 3
    if not whole:
        return "0"
    if is_exponent:
        return f"{whole}e{power}" if power else str(whole)
    return str(whole) + next((suffix for suffix, exponent in _DECIMAL.items() if exponent == power), "")


def _factor(suffix: str) -> Decimal:
    if suffix in _BINARY:
        return Decimal(_BINARY[suffix])
    if suffix in _DECIMAL:
        return Decimal(10) ** _DECIMAL[suffix]
    return Decimal(10) ** max(-_FURTHEST, min(_FURTHEST, int(suffix[1:]))) if suffix else Decimal(1)
