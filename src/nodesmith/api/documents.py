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

from nodesmith.api.fault import Fault, Path, Problem, path_text

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
        )


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
            faults.append(_unreadable(error, file, first_line))
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


def _unreadable(error: yaml.YAMLError, file: str, first_line: int) -> Fault:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    line = first_line + (mark.line if mark is not None else 0)
    hint = ""
    if "\\t" in problem or "'\t'" in problem:
        hint = "indent with spaces"
    elif mark is not None and mark.buffer is not None and "{{" in mark.buffer:
        hint = "this looks like a Helm template: render it first (`helm template`)"
    return Fault(file, line, "", f"not YAML: {problem}", hint)


def _line_in(node: yaml.Node | None, path: Path) -> int:
    """The line of the path's last part that is there, counted from the document's first."""
    line = node.start_mark.line if node is not None else 0
    for step in path:
        found = _child(node, step)
        if found is None:
            break
        line, node = found
    return line


def _child(node: yaml.Node | None, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            if key.value == step:
                return key.start_mark.line, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line, node.value[step]
    return None
