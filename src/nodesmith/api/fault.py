"""What is wrong with a manifest, where, and what was likely meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

Path = tuple[str | int, ...]
"""The way to a value in a JSON document: names and list positions."""


class Severity(StrEnum):
    """Whether it must be put right."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `path` is empty where it is the file; `hint` where nobody can guess what was meant."""

    file: str
    line: int
    path: str
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        told = f"{self.severity}: {self.file}:{self.line}: {self.message}"
        return f"{told}\n\nhint: {self.hint}" if self.hint else told

    @property
    def is_error(self) -> bool:
        """Whether it must be put right."""
        return self.severity is Severity.ERROR


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault before its file and line are known."""

    path: Path
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR


def path_text(path: Path) -> str:
    """The path as people write it: `spec.limits`, `spec.taints[0].key`, `metadata.labels["a/b"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.isidentifier():
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def errors(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Those that must be put right."""
    return tuple(fault for fault in faults if fault.is_error)
