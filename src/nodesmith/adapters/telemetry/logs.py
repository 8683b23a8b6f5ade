"""The Log port on structlog: one JSON object a line for machines, or one readable line for people.

The keys are those of upstream's logs (`level`, `time`, `logger`, `message`, `commit`), so that queries written for it
find ours.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC
from pathlib import Path
from typing import Any, Final, Protocol, TextIO

import structlog

from nodesmith.ports.clock import Clock

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SHOWN_AS: Final = {"warning": "WARN"}
Fields = dict[str, Any]


class StructuredLog:
    """Lines from a level on. `bind` makes a log whose lines carry more fields."""

    def __init__(self, write: Callable[[Fields], None], *, level: str = "info", fields: Fields | None = None) -> None:
        self._write = write
        self._threshold = LEVELS[level]
        self._level = level
        self._fields = fields or {}

    def bind(self, **fields: object) -> StructuredLog:
        """A log that adds these fields to each line."""
        return StructuredLog(self._write, level=self._level, fields={**self._fields, **fields})

    def debug(self, message: str, /, **fields: object) -> None:
        """Told to developers."""
        self._tell("debug", message, fields)

    def info(self, message: str, /, **fields: object) -> None:
        """Told to operators."""
        self._tell("info", message, fields)

    def warning(self, message: str, /, **fields: object) -> None:
        """Told to operators, who may have to act."""
        self._tell("warning", message, fields)

    def error(self, message: str, /, **fields: object) -> None:
        """Told to operators, who have to act."""
        self._tell("error", message, fields)

    def _tell(self, level: str, message: str, fields: Fields) -> None:
        if LEVELS[level] >= self._threshold:
            told = {name: value for name, value in {**self._fields, **fields}.items() if value is not None}
            self._write({"level": level, "message": message, **told})


class Output(Protocol):
    """Where text goes."""

    def write(self, text: str, /) -> object:
        """The text is on its way."""
        ...

    def flush(self) -> None:
        """It has arrived."""
        ...


class Outputs:
    """Several places as one: `stdout`, `stderr`, or a file that is added to.

    Raises:
        OSError: when a file cannot be written.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._files = ExitStack()
        self._outputs = [self._open(path) for path in paths]

    def _open(self, path: str) -> Output:
        if path in {"stdout", "stderr"}:
            return sys.stdout if path == "stdout" else sys.stderr
        return self._files.enter_context(Path(path).open("a", encoding="utf-8"))

    def close(self) -> None:
        """Nothing is written any more."""
        self._files.close()

    def write(self, text: str) -> None:
        """The text is on its way to all."""
        for output in self._outputs:
            output.write(text)

    def flush(self) -> None:
        """It has arrived at all."""
        for output in self._outputs:
            output.flush()


def json_log(stream: Output, clock: Clock, *, level: str = "info", commit: str = "") -> StructuredLog:
    """A log of JSON lines, as the controller writes it."""
    render = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)

    def write(fields: Fields) -> None:
        head = {
            "level": _SHOWN_AS.get(fields["level"], fields["level"].upper()),
            "time": clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "logger": "controller",
            "message": fields.pop("message"),
        }
        if commit:
            head["commit"] = commit
        fields.pop("level")
        stream.write(str(render(None, "", {**head, **_with_stack(fields)})) + "\n")
        stream.flush()

    return StructuredLog(write, level=level)


def console_log(stream: TextIO, clock: Clock, *, level: str = "info", colors: bool = False) -> StructuredLog:
    """A log for people who look at a terminal."""
    renderer = structlog.dev.ConsoleRenderer(colors=colors, event_key="message", pad_event_to=36)

    def write(fields: Fields) -> None:
        line = {"timestamp": clock.now().strftime("%H:%M:%S"), **_with_stack(fields)}
        stream.write(str(renderer(None, "", line)) + "\n")
        stream.flush()

    return StructuredLog(write, level=level)


def _with_stack(fields: Fields) -> Fields:
    """An exception in `exc_info` becomes the text of its traceback."""
    error = fields.pop("exc_info", None)
    if not isinstance(error, BaseException):
        return fields
    return {**fields, "stacktrace": "".join(traceback.format_exception(error)).rstrip()}
