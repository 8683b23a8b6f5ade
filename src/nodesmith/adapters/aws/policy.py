"""An evaluator of IAM identity policies. Pure: documents, an action, a resource and a request context go in.

It follows IAM's rules: an explicit deny wins, then an allow, else the answer is no. A condition operator that it does
not know is an error and never a yes.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ARN_PARTS: Final = 6


class PolicyError(ValueError):
    """A policy document that cannot be evaluated."""


class Decision(StrEnum):
    """What the policies say together."""

    ALLOWED = "allowed"
    IMPLICIT_DENY = "implicitDeny"
    EXPLICIT_DENY = "explicitDeny"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, its lists made of single values."""

    label: str
    """Its Sid, or its place in the policy."""
    is_allow: bool
    actions: tuple[str, ...]
    is_not_action: bool
    resources: tuple[str, ...]
    is_not_resource: bool
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]
    """(operator, key, values)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision, and the statements that made it."""

    decision: Decision
    statements: tuple[Statement, ...]

    @property
    def is_allowed(self) -> bool:
        """Whether the action may happen."""
        return self.decision is Decision.ALLOWED


def parse(document: str | Mapping[str, Any], *, name: str = "") -> tuple[Statement, ...]:
    """The statements of a policy document.

    Raises:
        PolicyError: the document is not a policy that can be evaluated.
    """
    try:
        content = json.loads(document) if isinstance(document, str) else document
        statements = content["Statement"]
    except (ValueError, KeyError, TypeError) as error:
        raise PolicyError(f"not a policy document: {error}") from error
    rows = [statements] if isinstance(statements, dict) else statements
    prefix = f"{name}/" if name else ""
    return tuple(_statement(row, f"{prefix}{row.get('Sid') or index}") for index, row in enumerate(rows))


def evaluate(
    statements: Iterable[Statement], action: str, resource: str, context: Mapping[str, str | Sequence[str]]
) -> Verdict:
    """What the statements say of an action on a resource.

    Raises:
        PolicyError: a condition operator that is not known.
    """
    known = {key.lower(): value for key, value in context.items()}
    matching = [s for s in statements if applies(s, action, resource, known)]
    denying = tuple(s for s in matching if not s.is_allow)
    if denying:
        return Verdict(Decision.EXPLICIT_DENY, denying)
    return Verdict(Decision.ALLOWED if matching else Decision.IMPLICIT_DENY, tuple(matching))


def applies(statement: Statement, action: str, resource: str, context: Mapping[str, str | Sequence[str]]) -> bool:
    """Whether a statement speaks of this request; the context's keys are in lower case."""
    is_named = any(_glob(pattern, action, is_case_blind=True) for pattern in statement.actions)
    if is_named == statement.is_not_action:
        return False
    patterns = (_filled(pattern, context) for pattern in statement.resources)
    is_on = any(_resource_matches(pattern, resource) for pattern in patterns)
    if is_on == statement.is_not_resource:
        return False
    return all(_holds(operator, key, values, context) for operator, key, values in statement.conditions)


def _statement(row: Mapping[str, Any], label: str) -> Statement:
    effect = row.get("Effect")
    if effect not in {"Allow", "Deny"}:
        raise PolicyError(f"{label}: Effect is {effect!r}")
    for first, second in (("Action", "NotAction"), ("Resource", "NotResource")):
        if (first in row) == (second in row):
            raise PolicyError(f"{label}: needs one of {first} and {second}")
    conditions = tuple(
        (operator, key, _texts(values))
        for operator, keys in (row.get("Condition") or {}).items()
        for key, values in keys.items()
    )
    for operator, _, _ in conditions:
        _operator(operator)
    return Statement(
        label=label,
        is_allow=effect == "Allow",
        actions=_texts(row.get("Action", row.get("NotAction"))),
        is_not_action="NotAction" in row,
        resources=_texts(row.get("Resource", row.get("NotResource"))),
        is_not_resource="NotResource" in row,
        conditions=conditions,
    )


def _texts(value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(str(v).lower() if isinstance(v, bool) else str(v) for v in values)


@lru_cache(maxsize=8192)
def _pattern(pattern: str, *, is_case_blind: bool) -> re.Pattern[str]:
    text = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.compile(text, re.DOTALL | (re.IGNORECASE if is_case_blind else 0))


def _glob(pattern: str, text: str, *, is_case_blind: bool = False) -> bool:
    return _pattern(pattern, is_case_blind=is_case_blind).fullmatch(text) is not None


def _resource_matches(pattern: str, resource: str) -> bool:
    return pattern == "*" or _arn_like(pattern, resource)


def _arn_like(pattern: str, arn: str) -> bool:
    """Colon by colon: a wildcard does not reach over a colon of the first five."""
    wanted, found = pattern.split(":", ARN_PARTS - 1), arn.split(":", ARN_PARTS - 1)
    return len(wanted) == len(found) and all(_glob(w, f) for w, f in zip(wanted, found, strict=True))


_VARIABLE: Final = re.compile(r"\$\{([^}]+)\}")


def _filled(text: str, context: Mapping[str, str | Sequence[str]]) -> str:
    """The text with policy variables put in; an unknown one matches nothing."""

    def value(found: re.Match[str]) -> str:
        name, _, default = (part.strip() for part in found[1].partition(","))
        if name in {"*", "?", "$"}:
            return name
        known = context.get(name.lower())
        if isinstance(known, str):
            return known
        return default.strip("'") if default else found[0]

    return _VARIABLE.sub(value, text) if "${" in text else text


# --- conditions -----------------------------------------------------------------------------------------------------


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda want, have: compare(float(have), float(want))


def _date(compare: Callable[[datetime, datetime], bool]) -> Callable[[str, str], bool]:
    return lambda want, have: compare(datetime.fromisoformat(have), datetime.fromisoformat(want))


def _address(want: str, have: str) -> bool:
    return ipaddress.ip_address(have) in ipaddress.ip_network(want, strict=False)


_MATCHERS: Final[dict[str, Callable[[str, str], bool]]] = {
    "StringEquals": lambda want, have: want == have,
    "StringEqualsIgnoreCase": lambda want, have: want.lower() == have.lower(),
    "StringLike": _glob,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda want, have: want.lower() == have.lower(),
    "IpAddress": _address,
    "NumericEquals": _number(lambda a, b: a == b),
    "NumericLessThan": _number(lambda a, b: a < b),
    "NumericLessThanEquals": _number(lambda a, b: a <= b),
    "NumericGreaterThan": _number(lambda a, b: a > b),
    "NumericGreaterThanEquals": _number(lambda a, b: a >= b),
    "DateEquals": _date(lambda a, b: a == b),
    "DateLessThan": _date(lambda a, b: a < b),
    "DateLessThanEquals": _date(lambda a, b: a <= b),
    "DateGreaterThan": _date(lambda a, b: a > b),
    "DateGreaterThanEquals": _date(lambda a, b: a >= b),
}
_NEGATED: Final = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}


@dataclass(frozen=True, slots=True)
class _Operator:
    quantifier: str | None
    matcher: Callable[[str, str], bool] | None
    """None for `Null`."""
    is_negated: bool
    if_exists: bool


@lru_cache(maxsize=256)
def _operator(name: str) -> _Operator:
    quantifier, _, rest = name.rpartition(":")
    if quantifier not in {"", "ForAllValues", "ForAnyValue"}:
        raise PolicyError(f"unknown condition qualifier in {name!r}")
    if rest == "Null":
        return _Operator(None, None, is_negated=False, if_exists=False)
    base = rest.removesuffix("IfExists")
    matcher = _MATCHERS.get(_NEGATED.get(base, base))
    if matcher is None:
        raise PolicyError(f"unknown condition operator {name!r}")
    return _Operator(quantifier or None, matcher, is_negated=base in _NEGATED, if_exists=base != rest)


def _holds(name: str, key: str, wanted: Sequence[str], context: Mapping[str, str | Sequence[str]]) -> bool:
    operator = _operator(name)
    found = context.get(key.lower())
    have = [found] if isinstance(found, str) else list(found or ())
    if operator.matcher is None:
        return (found is None) == (wanted[0].lower() == "true")
    if not have:
        if operator.quantifier == "ForAnyValue":
            return operator.if_exists
        return operator.if_exists or operator.is_negated or operator.quantifier == "ForAllValues"
    values = [_filled(want, context) for want in wanted]
    matcher = operator.matcher
    hits = [any(matcher(want, value) for want in values) != operator.is_negated for value in have]
    if operator.quantifier == "ForAllValues":
        return all(hits)
    if operator.quantifier == "ForAnyValue":
        return any(hits)
    return all(hits) if operator.is_negated else any(hits)
