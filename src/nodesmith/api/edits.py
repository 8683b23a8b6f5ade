"""Putting problems of a YAML text right, one small change of the text each, so that comments and layout stay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from nodesmith.api.fault import Edit, Path, Repair, RepairKind

Found = tuple[yaml.Node, yaml.Node]
"""The key of an entry (of a list's item, the item itself) and its value."""


def child(node: yaml.Node | None, step: str | int) -> Found | None:
    """The entry of a map or list, the last of a name when there are several."""
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            if key.value == step:
                return key, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def edit_for(repair: Repair, root: yaml.Node | None, path: Path, text: str, first_line: int) -> Edit | None:
    """The change that the repair means in a text from `first_line` of its file on; None where it is not plain."""
    found: Found | None = None
    node = root
    for step in path:
        found = child(node, step)
        if found is None:
            return None
        node = found[1]
    if found is None:
        return None
    key, value = found
    match repair.kind:
        case RepairKind.RENAME_KEY:
            return _replaced(key, _like(key, repair.text), first_line)
        case RepairKind.REPLACE:
            return _replaced(value, repair.text, first_line) if isinstance(value, yaml.ScalarNode) else None
        case RepairKind.QUOTE:
            return _replaced(value, f'"{value.value}"', first_line) if isinstance(value, yaml.ScalarNode) else None
        case RepairKind.DROP:
            return _dropped(key, value, text, first_line)


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """The text after the changes; of two that overlap, the later in the text is made."""
    lines = text.splitlines(keepends=True)
    done_from = (len(lines) + 2, 0)
    for edit in sorted(set(edits), key=lambda each: (each.line, each.column), reverse=True):
        if (edit.end_line, edit.end_column) > done_from:
            continue
        head = lines[edit.line - 1][: edit.column] if edit.line <= len(lines) else ""
        tail = lines[edit.end_line - 1][edit.end_column :] if edit.end_line <= len(lines) else ""
        lines[edit.line - 1 : edit.end_line] = (head + edit.text + tail).splitlines(keepends=True)
        done_from = (edit.line, edit.column)
    return "".join(lines)


def _like(key: yaml.Node, text: str) -> str:
    """The new key with the old one's quotes."""
    style: Any = getattr(key, "style", None)
    return f"{style}{text}{style}" if style in {'"', "'"} else text


def _replaced(node: yaml.Node, text: str, first_line: int) -> Edit:
    start, end = node.start_mark, node.end_mark
    return Edit(first_line + start.line, start.column, first_line + end.line, end.column, text)


def _dropped(key: yaml.Node, value: yaml.Node, text: str, first_line: int) -> Edit | None:
    """The whole line of an entry whose value is nothing, where the entry has the line for itself."""
    line = key.start_mark.line
    lines = text.splitlines()
    if lines[line][: key.start_mark.column].strip() or value.end_mark.line > line + 1:
        return None
    return Edit(first_line + line, 0, first_line + line + 1, 0, "")
