"""Reading manifests: files and folders to JSON values that still know the line each part came from.

A file is cut at its `---` lines, so that one broken document does not hide the others. YAML is read as Kubernetes reads
it: timestamps stay text, keys are text, and 1:30 is not a number.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Any, Final

import msgspec
import yaml

from nodesmith.api.edits import child, edit_for
from nodesmith.api.fault import Edit, Fault, Path, Problem, path_text

SUFFIXES: Final = (".yaml", ".yml", ".json", ".yaml.gz", ".yml.gz", ".json.gz")
STDIN: Final = "-"

_SEPARATOR: Final = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_INTEGER: Final = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$")


class _Loader(yaml.CSafeLoader):
    """YAML to JSON by Kubernetes' rules."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        """The mapping, with every key as the text it was written as."""
        self.flatten_mapping(node)
        return {
            key.value if isinstance(key, yaml.ScalarNode) else str(self.construct_object(key, deep=True)): (
                self.construct_object(value, deep=deep)
            )
            for key, value in node.value
        }


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """PyYAML's, without timestamps and without numbers in base sixty."""
    kept: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items():
        kept[first] = [
            (tag, _INTEGER if tag == "tag:yaml.org,2002:int" else pattern)
            for tag, pattern in resolvers
            if tag != "tag:yaml.org,2002:timestamp"
        ]
    return kept


_Loader.yaml_implicit_resolvers = _resolvers()


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON value of a file. `first_line` is the file's line, counted from 1, at which `text` begins."""

    file: str
    first_line: int
    text: str
    data: Any
    prefix: Path = ()

    def line_of(self, path: Path = ()) -> int:
        """The file's line of the value at the path, or of the nearest part above it that is there."""
        try:
            node = compose(self.text)
        except yaml.YAMLError:
            return self.first_line
        return self.first_line + _line_in(node, (*self.prefix, *path))

    def fault(self, problem: Problem) -> Fault:
        """The problem with its file and line."""
        return Fault(
            file=self.file,
            line=self.line_of(problem.path),
            path=path_text((*self.prefix, *problem.path)),
            message=problem.message,
            hint=problem.hint,
            severity=problem.severity,
            edit=self._edit(problem),
        )

    def _edit(self, problem: Problem) -> Edit | None:
        if problem.repair is None or self.file.endswith(".gz") or self.file == STDIN:
            return None
        node = compose(self.text)
        return edit_for(problem.repair, node, (*self.prefix, *problem.path), self.text, self.first_line)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read, and what could not be."""

    documents: tuple[Document, ...]
    faults: tuple[Fault, ...] = ()


def read_paths(paths: Iterable[FilePath]) -> Reading:
    """Every document of the files, and of the manifest files in the folders and below, in order of path."""
    documents: list[Document] = []
    faults: list[Fault] = []
    for path in paths:
        for file in files_of(path):
            try:
                text = read_text(file)
            except (OSError, UnicodeDecodeError, EOFError) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                faults.append(Fault(str(file), 1, "", f"cannot be read: {reason}"))
                continue
            reading = read_documents(text, str(file))
            documents.extend(reading.documents)
            faults.extend(reading.faults)
    return Reading(tuple(documents), tuple(faults))


def files_of(path: FilePath, suffixes: tuple[str, ...] = SUFFIXES) -> list[FilePath]:
    """The file, or the folder's files with these suffixes, hidden ones left out."""
    if not path.is_dir():
        return [path]
    found = (file for file in path.rglob("*") if file.name.endswith(suffixes) and file.is_file())
    return sorted(file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts))


def read_text(file: FilePath) -> str:
    """The file's text, unpacked when it is gzipped.

    Raises:
        OSError: when it cannot be read.
        UnicodeDecodeError: when it is not text.
    """
    packed = file.read_bytes()
    return (gzip.decompress(packed) if file.name.endswith(".gz") else packed).decode("utf-8-sig")


def read_documents(text: str, file: str) -> Reading:
    """Every document of a text; the items of a List each for itself."""
    documents: list[Document] = []
    faults: list[Fault] = []
    for first_line, part in _parts(text):
        try:
            data = _parse(part)
        except yaml.YAMLError as error:
            faults.append(_unreadable(error, part, file, first_line))
            continue
        if data is not None:
            documents.extend(_items(Document(file, first_line, part, data)))
    return Reading(tuple(documents), tuple(faults))


@lru_cache(maxsize=4)
def compose(text: str) -> yaml.Node | None:
    """The YAML node tree of one document.

    Raises:
        yaml.YAMLError: when it is no YAML.
    """
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
        return node
    finally:
        loader.dispose()


def duplicate_keys(document: Document) -> list[Problem]:
    """A problem for every key that its map has already: only the last counts, and the others are lost."""
    if "\n" not in document.text:
        return []
    node: yaml.Node | None = compose(document.text)
    for step in document.prefix:
        found = child(node, step)
        node = found[1] if found is not None else None
    return [] if node is None else list(_duplicates(node, ()))


def _duplicates(node: yaml.Node, path: Path) -> Iterator[Problem]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _duplicates(item, (*path, index))
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            here = (*path, str(key.value))
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                yield Problem(here, f"`{path_text(here)}` is there twice: only the last counts", "leave one out")
            seen.add(str(key.value))
            yield from _duplicates(value, here)


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """The documents' texts and first lines."""
    line, start = 1, 0
    for separator in _SEPARATOR.finditer(text):
        yield line, text[start : separator.start()]
        line += text.count("\n", start, separator.end())
        start = separator.end()
    yield line, text[start:]


def _parse(text: str) -> Any:
    stripped = text.strip()
    if not stripped or (stripped.startswith("%") and "\n" not in stripped):
        return None
    if stripped.startswith("{"):
        try:
            return msgspec.json.decode(stripped)
        except msgspec.DecodeError:
            pass  # YAML's own flow style
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _items(document: Document) -> list[Document]:
    data = document.data
    is_list = isinstance(data, dict) and str(data.get("kind")).endswith("List") and isinstance(data.get("items"), list)
    if not is_list:
        return [document]
    return [
        Document(document.file, document.first_line, document.text, item, (*document.prefix, "items", index))
        for index, item in enumerate(data["items"])
    ]


def _unreadable(error: yaml.YAMLError, text: str, file: str, first_line: int) -> Fault:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    index = mark.line if mark is not None else 0
    hint = ""
    if "\t" in _line_of_text(text, index):
        hint = "indent with spaces"
    elif "{{" in text:
        hint = "this looks like a Helm template: render it first (`helm template`)"
    return Fault(file, first_line + index, "", f"not YAML: {problem}", hint)


def _line_of_text(text: str, index: int) -> str:
    lines = text.splitlines()
    return lines[index] if index < len(lines) else ""


def _line_in(node: yaml.Node | None, path: Path) -> int:
    """The line of the path's last part that is there, counted from the document's first."""
    line = node.start_mark.line if node is not None else 0
    for step in path:
        found = child(node, step)
        if found is None:
            break
        line, node = found[0].start_mark.line, found[1]
    return line
