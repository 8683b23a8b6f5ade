"""Lint over files and folders: which checks a file gets, and writing the corrected ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from nodesmith.api.documents import STDIN, SUFFIXES, Document, files_of, read_documents, read_text
from nodesmith.api.edits import apply_edits
from nodesmith.api.fault import Fault
from nodesmith.api.lint.helm import is_values, values_problems
from nodesmith.api.lint.terraform import Needs, module_faults
from nodesmith.api.validation import validate

TERRAFORM: Final = ".tf"
_ROUNDS: Final = 10
"""A change may show another fault, so fixing goes on until nothing changes; no file has needed more than three."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is wrong in how many files; `fixed` are faults that are no more."""

    faults: tuple[Fault, ...]
    file_count: int
    fixed: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class _File:
    """A file to look at; one that was named itself must be something that lint knows."""

    path: Path
    text: str
    is_named: bool


def lint(paths: Iterable[Path], needs: Needs, *, stdin: str = "") -> Report:
    """Every fault of the files, and of the manifests, values and Terraform in the folders; `-` is `stdin`."""
    files, unreadable = _read(paths, stdin)
    faults = [*unreadable, *_faults({file.path: file for file in files}, needs)]
    return Report(tuple(sorted(faults, key=lambda fault: (fault.file, fault.line))), len(files) + len(unreadable))


def fix(paths: Iterable[Path], needs: Needs) -> Report:
    """As `lint`, and what can plainly be put right is; files are written only when that changes them.

    Raises:
        OSError: when a file cannot be written.
    """
    paths = list(paths)
    files, unreadable = _read(paths, "")
    texts = {file.path: file for file in files}
    fixed: list[Fault] = []
    for _ in range(_ROUNDS):
        done = [fault for fault in _faults(texts, needs) if fault.edit is not None]
        if not done:
            break
        fixed.extend(done)
        texts = {path: _corrected(file, done) for path, file in texts.items()}
    for file in files:
        if texts[file.path].text != file.text:
            file.path.write_text(texts[file.path].text, "utf-8")
    faults = sorted((*unreadable, *_faults(texts, needs)), key=lambda fault: (fault.file, fault.line))
    return Report(tuple(faults), len(files) + len(unreadable), tuple(fixed))


def _corrected(file: _File, faults: Iterable[Fault]) -> _File:
    edits = [fault.edit for fault in faults if fault.file == str(file.path) and fault.edit is not None]
    return replace(file, text=apply_edits(file.text, edits)) if edits else file


def _read(paths: Iterable[Path], stdin: str) -> tuple[list[_File], list[Fault]]:
    files: dict[Path, _File] = {}
    faults: list[Fault] = []
    for named in paths:
        if str(named) == STDIN:
            files[named] = _File(named, stdin, is_named=True)
            continue
        for path in files_of(named, (*SUFFIXES, TERRAFORM)):
            try:
                files.setdefault(path, _File(path, read_text(path), is_named=path == named))
            except (OSError, UnicodeDecodeError, EOFError) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                faults.append(Fault(str(path), 1, "", f"cannot be read: {reason}"))
    return list(files.values()), faults


def _faults(files: Mapping[Path, _File], needs: Needs) -> list[Fault]:
    faults: list[Fault] = []
    modules: dict[Path, dict[str, str]] = {}
    for path, file in files.items():
        if path.suffix == TERRAFORM:
            modules.setdefault(path.parent, {})[str(path)] = file.text
        else:
            faults.extend(_of_manifests(file))
    for folder, texts in modules.items():
        faults.extend(module_faults({**_rest_of_module(folder, texts), **texts}, needs, about=frozenset(texts)))
    return faults


def _rest_of_module(folder: Path, known: Mapping[str, str]) -> dict[str, str]:
    """The module's files that were not asked about."""
    texts = {}
    for path in sorted(folder.glob(f"*{TERRAFORM}")):
        if str(path) not in known:
            try:
                texts[str(path)] = read_text(path)
            except (OSError, UnicodeDecodeError):
                continue
    return texts


def _of_manifests(file: _File) -> list[Fault]:
    reading = read_documents(file.text, str(file.path))
    faults = list(reading.faults)
    for document in reading.documents:
        if is_values(document):
            faults.extend(document.fault(problem) for problem in values_problems(document.data))
        elif file.is_named or _is_manifest(document):
            faults.extend(validate(document))
    return faults


def _is_manifest(document: Document) -> bool:
    """Whether a document in a folder claims to be a Kubernetes object: other files are none of our business."""
    return isinstance(document.data, dict) and ("kind" in document.data or "apiVersion" in document.data)
