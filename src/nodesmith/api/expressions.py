"""Expressions in an EC2NodeClass' kubelet settings (`vcpus * 10`): the part of CEL that makes a number of facts.

Types are checked before anything is computed, as CEL does: an int is not mixed with a double in arithmetic, a
condition is a bool. What CEL has beyond that (macros, maps, timestamps) an expression of a number does not need. Why
this is not a library: docs/decisions/0006-expressions-are-read-here.md.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

Value = Any
Facts = Mapping[str, Value]
_Run = Callable[[Facts], Value]

_LARGEST: Final = 2**63 - 1
_LEAST: Final = -(2**63)

_GRAMMAR: Final = r"""
    ?start: choice
    ?choice: either | either "?" either ":" choice -> choice
    ?either: both | either "||" both -> either
    ?both: relation | both "&&" relation -> both
    ?relation: sum | relation RELATION sum -> relation
    ?sum: product | sum SIGN product -> arithmetic
    ?product: unary | product TIMES unary -> arithmetic
    ?unary: member | "!" unary -> negation | "-" unary -> minus
    ?member: primary | member "." NAME "(" [arguments] ")" -> method
    ?primary: "(" choice ")" | NAME "(" [arguments] ")" -> call | NAME -> name | "[" [arguments] "]" -> list
        | FLOAT -> double | INT -> integer | HEX -> integer | STRING -> text
    arguments: choice ("," choice)*
    RELATION: "<=" | ">=" | "==" | "!=" | "<" | ">" | /in(?!\w)/
    SIGN: "+" | "-"
    TIMES: "*" | "/" | "%"
    NAME: /(?!(?:in|true|false|null)(?!\w))[A-Za-z_]\w*/ | "true" | "false"
    FLOAT: /\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+/
    HEX: /0x[0-9a-fA-F]+/
    INT: /\d+/
    STRING: /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/
    %ignore /\s+/
"""


class ExpressionError(Exception):
    """The text is no expression of a number: its grammar, a name or a type is wrong."""


class EvaluationError(Exception):
    """The expression has no value for these facts: it divides by zero, or a number is out of range."""


class Kind(StrEnum):
    """The type of a value."""

    INT = "int"
    DOUBLE = "double"
    STRING = "string"
    BOOL = "bool"
    LIST = "list"


NUMBERS: Final = frozenset({Kind.INT, Kind.DOUBLE})
VARIABLES: Final[Mapping[str, Kind]] = {
    "instance_type": Kind.STRING,
    "vcpus": Kind.INT,
    "memory_mib": Kind.INT,
    "default_enis": Kind.INT,
    "ips_per_eni": Kind.INT,
    "max_pods": Kind.INT,
}
"""What an expression may name (spec 1.6.3)."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression whose types are right."""

    text: str
    _run: _Run

    def number(self, facts: Facts) -> int:
        """Its value for the facts, which name all of `VARIABLES`; what a double has after the point is cut off.

        Raises:
            EvaluationError: when it has none.
        """
        try:
            value = self._run(facts)
        except RecursionError:
            raise EvaluationError("it is nested too deeply") from None
        if isinstance(value, float):
            if not math.isfinite(value):
                raise EvaluationError(f"the result is {value}")
            return _in_range(int(value))
        return int(value)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an expression: its type, and how it is computed."""

    kind: Kind
    run: _Run


@lru_cache(maxsize=256)
def compiled(text: str) -> Expression:
    """The expression that the text is.

    Raises:
        ExpressionError: saying what is wrong with it.
    """
    try:
        part = _part(_tree(text))
    except RecursionError:
        raise ExpressionError("is nested too deeply") from None
    if part.kind not in NUMBERS:
        raise ExpressionError(f"makes a {part.kind}, not a number")
    return Expression(text, part.run)


def _tree(text: str) -> Any:
    from lark.exceptions import LarkError  # noqa: PLC0415 - 8 MB that only clusters with expressions pay for

    try:
        return _parser().parse(text)
    except LarkError as error:
        where = getattr(error, "column", -1)
        raise ExpressionError(f"cannot be read {f'at column {where}' if where > 0 else 'to its end'}") from None


@lru_cache(maxsize=1)
def _parser() -> Lark:
    from lark import Lark  # noqa: PLC0415 - as above

    return Lark(_GRAMMAR, parser="lalr", maybe_placeholders=True)


def _part(tree: Any) -> _Part:
    return _BUILDERS[tree.data](tree.children)


def _parts(arguments: Tree[Token] | None) -> list[_Part]:
    return [] if arguments is None else [_part(each) for each in arguments.children]


def _name(children: Sequence[Any]) -> _Part:
    name = str(children[0])
    if name in {"true", "false"}:
        return _constant(Kind.BOOL, name == "true")
    if name not in VARIABLES:
        raise ExpressionError(f"`{name}` is not known; there are {', '.join(VARIABLES)}")
    return _Part(VARIABLES[name], operator.itemgetter(name))


def _constant(kind: Kind, value: Value) -> _Part:
    return _Part(kind, lambda _: value)


def _integer(children: Sequence[Any]) -> _Part:
    number = int(children[0], 0) if children[0].startswith("0x") else int(children[0])
    if number > _LARGEST:
        raise ExpressionError(f"{number} is too large")
    return _constant(Kind.INT, number)


def _choice(children: Sequence[Any]) -> _Part:
    condition, yes, no = map(_part, children)
    if condition.kind is not Kind.BOOL or yes.kind is not no.kind:
        raise ExpressionError(f"there is no {condition.kind} ? {yes.kind} : {no.kind}")
    return _Part(yes.kind, lambda facts: yes.run(facts) if condition.run(facts) else no.run(facts))


def _logic(sign: str, *, decides: bool) -> Callable[[Sequence[Any]], _Part]:
    """`||` and `&&`: a side that decides does so whatever becomes of the other, as in CEL."""

    def build(children: Sequence[Any]) -> _Part:
        left, right = map(_part, children)
        if {left.kind, right.kind} != {Kind.BOOL}:
            raise ExpressionError(f"there is no {left.kind} {sign} {right.kind}")

        def run(facts: Facts) -> Value:
            try:
                if left.run(facts) is decides:
                    return decides
            except EvaluationError:
                if right.run(facts) is decides:
                    return decides
                raise
            return right.run(facts)

        return _Part(Kind.BOOL, run)

    return build


def _relation(children: Sequence[Any]) -> _Part:
    left, sign, right = _part(children[0]), str(children[1]), _part(children[2])
    if sign == "in":
        if right.kind is not Kind.LIST:
            raise ExpressionError(f"there is no {left.kind} in {right.kind}")
        return _Part(Kind.BOOL, lambda facts: operator.contains(right.run(facts), left.run(facts)))
    is_ordered = left.kind in NUMBERS | {Kind.STRING} or sign in {"==", "!="}
    if not is_ordered or (left.kind is not right.kind and not {left.kind, right.kind} <= NUMBERS):
        raise ExpressionError(f"there is no {left.kind} {sign} {right.kind}")
    compare = _RELATIONS[sign]
    return _Part(Kind.BOOL, lambda facts: compare(left.run(facts), right.run(facts)))


def _arithmetic(children: Sequence[Any]) -> _Part:
    left, sign, right = _part(children[0]), str(children[1]), _part(children[2])
    compute = _ARITHMETIC.get((left.kind, sign)) if left.kind is right.kind else None
    if compute is None:
        hint = ": write double(...) round the int" if {left.kind, right.kind} == NUMBERS else ""
        raise ExpressionError(f"there is no {left.kind} {sign} {right.kind}{hint}")
    return _Part(left.kind, lambda facts: compute(left.run(facts), right.run(facts)))


def _negation(children: Sequence[Any]) -> _Part:
    part = _part(children[0])
    if part.kind is not Kind.BOOL:
        raise ExpressionError(f"there is no !{part.kind}")
    return _Part(Kind.BOOL, lambda facts: not part.run(facts))


def _minus(children: Sequence[Any]) -> _Part:
    part = _part(children[0])
    if part.kind not in NUMBERS:
        raise ExpressionError(f"there is no -{part.kind}")
    if part.kind is Kind.INT:
        return _Part(Kind.INT, lambda facts: _in_range(-part.run(facts)))
    return _Part(part.kind, lambda facts: -part.run(facts))


def _call(children: Sequence[Any]) -> _Part:
    name, parts = str(children[0]), _parts(children[1])
    kinds = tuple(each.kind for each in parts)
    if name in {"max", "min"} and len(parts) == 2 and set(kinds) <= NUMBERS:  # noqa: PLR2004 - there are two, not more
        left, right = parts
        chosen: Callable[..., Value] = max if name == "max" else min
        if kinds == (Kind.INT, Kind.INT):
            return _Part(Kind.INT, lambda facts: chosen(left.run(facts), right.run(facts)))
        return _Part(Kind.DOUBLE, lambda facts: float(chosen(left.run(facts), right.run(facts))))
    found = _FUNCTIONS.get((name, *kinds))
    if found is None:
        raise ExpressionError(f"there is no {name}({', '.join(kinds)})")
    kind, compute = found
    return _Part(kind, lambda facts: compute(*(each.run(facts) for each in parts)))


def _method(children: Sequence[Any]) -> _Part:
    on, name, parts = _part(children[0]), str(children[1]), _parts(children[2])
    compute = _METHODS.get(name)
    if compute is None or {on.kind, *(each.kind for each in parts)} != {Kind.STRING} or len(parts) != 1:
        raise ExpressionError(f"there is no {on.kind}.{name}({', '.join(each.kind for each in parts)})")
    return _Part(Kind.BOOL, lambda facts: compute(on.run(facts), parts[0].run(facts)))


def _list(children: Sequence[Any]) -> _Part:
    parts = _parts(children[0])
    return _Part(Kind.LIST, lambda facts: [each.run(facts) for each in parts])


def _in_range(number: int) -> int:
    if not _LEAST <= number <= _LARGEST:
        raise EvaluationError(f"{number} is out of range")
    return number


def _whole(text: str) -> int:
    try:
        return _in_range(int(text))
    except ValueError:
        raise EvaluationError(f'"{text}" is not a number') from None


def _cut(number: float) -> int:
    if not math.isfinite(number):
        raise EvaluationError(f"{number} is out of range")
    return _in_range(int(number))


def _quotient(left: int, right: int) -> int:
    """Towards zero, as CEL and Go divide."""
    if right == 0:
        raise EvaluationError("division by zero")
    return _in_range(abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1))


def _remainder(left: int, right: int) -> int:
    return left - right * _quotient(left, right)


def _ratio(left: float, right: float) -> float:
    if right:
        return left / right
    sign = math.copysign(1, left) * math.copysign(1, right)
    return math.nan if left == 0 or math.isnan(left) else sign * math.inf


def _matches(text: str, pattern: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error as error:
        raise EvaluationError(f'"{pattern}" is no pattern: {error}') from None


_BUILDERS: Final[Mapping[str, Callable[[Sequence[Any]], _Part]]] = {
    "arithmetic": _arithmetic,
    "both": _logic("&&", decides=False),
    "call": _call,
    "choice": _choice,
    "double": lambda children: _constant(Kind.DOUBLE, float(children[0])),
    "either": _logic("||", decides=True),
    "integer": _integer,
    "list": _list,
    "method": _method,
    "minus": _minus,
    "name": _name,
    "negation": _negation,
    "relation": _relation,
    "text": lambda children: _constant(Kind.STRING, ast.literal_eval(str(children[0]))),
}
_RELATIONS: Final[Mapping[str, Callable[[Value, Value], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_ARITHMETIC: Final[Mapping[tuple[Kind, str], Callable[[Value, Value], Value]]] = {
    (Kind.INT, "+"): lambda left, right: _in_range(left + right),
    (Kind.INT, "-"): lambda left, right: _in_range(left - right),
    (Kind.INT, "*"): lambda left, right: _in_range(left * right),
    (Kind.INT, "/"): _quotient,
    (Kind.INT, "%"): _remainder,
    (Kind.DOUBLE, "+"): operator.add,
    (Kind.DOUBLE, "-"): operator.sub,
    (Kind.DOUBLE, "*"): operator.mul,
    (Kind.DOUBLE, "/"): _ratio,
    (Kind.STRING, "+"): operator.add,
}
_FUNCTIONS: Final[Mapping[tuple[str, ...], tuple[Kind, Callable[..., Value]]]] = {
    ("int", Kind.INT): (Kind.INT, int),
    ("int", Kind.DOUBLE): (Kind.INT, _cut),
    ("int", Kind.STRING): (Kind.INT, _whole),
    ("double", Kind.INT): (Kind.DOUBLE, float),
    ("double", Kind.DOUBLE): (Kind.DOUBLE, float),
    ("size", Kind.STRING): (Kind.INT, len),
    ("size", Kind.LIST): (Kind.INT, len),
}
_METHODS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "contains": operator.contains,
    "endsWith": str.endswith,
    "matches": _matches,
    "startsWith": str.startswith,
}
