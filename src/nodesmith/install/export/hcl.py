"""HCL as `terraform fmt` leaves it: blocks, attributes and expressions.

The one thing to know: `=` signs of neighbouring lines stand under each other, unless a value goes over several lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_STEP: Final = "  "
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_ALONE: Final = re.compile(r"\$\{([^{}]*)\}")
_WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class Expression:
    """HCL that is not a value but to be worked out, as it stands."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function with one argument."""

    function: str
    argument: Any


@dataclass(frozen=True, slots=True)
class Block:
    """`kind "label" { ... }`; attributes first, then blocks, with an empty line between them."""

    kind: str
    labels: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    blocks: Sequence[Block] = ()


def document(head: str, blocks: Sequence[Block]) -> str:
    """A whole file."""
    return head + "\n" + "\n\n".join("\n".join(_block(each, "")) for each in blocks) + "\n"


def _block(block: Block, indent: str) -> Iterator[str]:
    labels = "".join(f' "{label}"' for label in block.labels)
    inner = [*_items(block.attributes, indent + _STEP)]
    for each in block.blocks:
        inner += [*([""] if inner else []), *_block(each, indent + _STEP)]
    if not inner:
        yield f"{indent}{block.kind}{labels} {{}}"
        return
    yield f"{indent}{block.kind}{labels} {{"
    yield from inner
    yield f"{indent}}}"


def _items(items: Mapping[str, Any], indent: str) -> Iterator[str]:
    """`key = value`, aligned over each run of values that take one line."""
    run: list[tuple[str, str]] = []
    for key, value in items.items():
        name = key if _NAME.fullmatch(key) else json.dumps(key)
        written = _expression(value, indent)
        if "\n" in written:
            yield from _aligned(run, indent)
            run = []
            yield f"{indent}{name} = {written}"
        else:
            run.append((name, written))
    yield from _aligned(run, indent)


def _aligned(run: Sequence[tuple[str, str]], indent: str) -> Iterator[str]:
    width = max((len(name) for name, _ in run), default=0)
    for name, written in run:
        yield f"{indent}{name:{width}} = {written}"


def _expression(value: Any, indent: str) -> str:
    match value:
        case Expression(text):
            return text
        case Call(function, argument):
            return f"{function}({_expression(argument, indent)})"
        case Mapping():
            return "\n".join(["{", *_items(value, indent + _STEP), f"{indent}}}"]) if value else "{}"
        case list() | tuple():
            return _list(value, indent)
        case str() if alone := _ALONE.fullmatch(value):
            return alone[1]
        case _:
            return json.dumps(value, ensure_ascii=False)


def _list(values: Sequence[Any], indent: str) -> str:
    inline = [_expression(each, indent) for each in values]
    joined = f"[{', '.join(inline)}]"
    if len(joined) + len(indent) <= _WIDTH and not any("\n" in each for each in inline):
        return joined
    inner = indent + _STEP
    return "\n".join(["[", *(f"{inner}{_expression(each, inner)}," for each in values), f"{indent}]"])
