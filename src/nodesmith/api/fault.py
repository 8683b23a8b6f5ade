"""What is wrong with a manifest, where, what was likely meant, and how to put it right where that is plain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum

Path = tuple[str | int, ...]
"""The way to a value in a JSON document: names and list positions."""


class Severity(StrEnum):
    """Whether it must be put right."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a file: what is between two places becomes `text`. Lines count from 1, columns from 0."""

    line: int
    column: int
    end_line: int
    end_column: int
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `path` is empty where it is the file; `hint` where nobody can guess what was meant.

    `edit` puts it right; None where a person has to decide.
    """

    file: str
    line: int
    path: str
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    edit: Edit | None = None

    def __str__(self) -> str:
        told = f"{self.severity}: {self.file}:{self.line}: {self.message}"
        return f"{told}\n\nhint: {self.hint}" if self.hint else told

    @property
    def is_error(self) -> bool:
        """Whether it must be put right."""
        return self.severity is Severity.ERROR


class RepairKind(Enum):
    """How a problem goes away."""

    RENAME_KEY = "rename the key"
    DROP = "leave the entry out"
    REPLACE = "write another value"
    QUOTE = "put the value in quotes"


@dataclass(frozen=True, slots=True)
class Repair:
    """What to do at a problem's path; `text` is the new key or value."""

    kind: RepairKind
    text: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault before its file and line are known; `is_misshapen`: the value is of the wrong type altogether."""

    path: Path
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    repair: Repair | None = None
    is_misshapen: bool = False


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
