"""Terraform's language as far as lint looks at it: blocks, texts and lists, each with its place in the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hcl2
from lark import Token, Tree
from lark.exceptions import LarkError, UnexpectedInput

Node = Tree[Token]


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted text. The line counts from 1, columns from 0; the quotes are left out."""

    value: str
    line: int
    column: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Block:
    """`type "label" "label" { ... }`."""

    type: str
    labels: tuple[str, ...]
    line: int
    body: Node

    @property
    def address(self) -> str:
        """How Terraform calls it: `aws_sqs_queue.main`, `data.aws_iam_policy_document.main`."""
        prefix = () if self.type == "resource" else (self.type,)
        return ".".join((*prefix, *self.labels))

    def blocks(self, of_type: str) -> list[Block]:
        """The blocks of a type directly in it."""
        return [block for block in _blocks(self.body) if block.type == of_type]

    def attribute(self, name: str) -> Node | None:
        """The expression that an attribute has."""
        for child in _trees(self.body):
            if child.data == "attribute" and _word(child.children[0]) == name:
                return child
        return None

    def texts(self, name: str) -> list[Text]:
        """The texts in an attribute's expression."""
        attribute = self.attribute(name)
        return list(texts_in(attribute)) if attribute is not None else []

    def words(self) -> frozenset[str]:
        """Every name that is used in it, of resources among others."""
        return frozenset(map(str, _tokens(self.body)))


class HclError(ValueError):
    """The text is no HCL; `line` is where."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def parse(text: str) -> tuple[Node, list[Block]]:
    """The tree of a file, and its blocks.

    Raises:
        HclError: when it is no HCL.
    """
    try:
        tree: Any = hcl2.parses_to_tree(text)
    except UnexpectedInput as error:
        raise HclError(max(1, getattr(error, "line", 1)), "not valid HCL") from error
    except LarkError as error:
        raise HclError(1, "not valid HCL") from error
    body = next(_trees(tree))
    return tree, list(_blocks(body))


def texts_in(node: Node) -> Iterator[Text]:
    """Every quoted text below a node, in order; an expression in it stays as it is written."""
    for string in _below(node, "string"):
        parts = _tokens(string)
        if parts:
            inner = parts[1:-1]
            line, column = parts[0].line or 1, (parts[0].end_column or 1) - 1
            yield Text("".join(str(part) for part in inner), line, column, (parts[-1].column or 1) - 1)


def object_keys(node: Node) -> Iterator[Text]:
    """The quoted keys of every map below a node."""
    for key in _below(node, "object_elem_key"):
        yield from texts_in(key)


def _blocks(body: Node) -> Iterator[Block]:
    for child in _trees(body):
        if child.data == "block":
            head = [each for each in child.children if not (isinstance(each, Tree) and each.data == "body")]
            inner = next(each for each in _trees(child) if each.data == "body")
            names = [_word(each) for each in head if isinstance(each, Tree)]
            yield Block(names[0], tuple(names[1:]), _line(child), inner)


def _trees(node: Node) -> Iterator[Node]:
    return (child for child in node.children if isinstance(child, Tree))


def _word(node: Any) -> str:
    """An identifier, or the text of a string."""
    return "".join(part for part in map(str, _tokens(node)) if part != '"')


def _line(node: Node) -> int:
    first = next(iter(_tokens(node)), None)
    return (first.line if first is not None else None) or 1


def _tokens(node: Node) -> list[Token]:
    return list(node.scan_values(lambda value: isinstance(value, Token)))


def _below(node: Node, rule: str) -> Iterator[Node]:
    """The nodes of a rule below a node and the node itself, in order."""
    if node.data == rule:
        yield node
    for child in _trees(node):
        yield from _below(child, rule)
