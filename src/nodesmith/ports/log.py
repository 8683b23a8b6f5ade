"""Where log lines go: a sentence and fields. Logging never fails and never waits."""

from __future__ import annotations

from typing import Protocol


class Log(Protocol):
    """A sink for structured lines; a `bind`-ed one adds its fields to each."""

    def debug(self, message: str, /, **fields: object) -> None:
        """Told to developers."""
        ...

    def info(self, message: str, /, **fields: object) -> None:
        """Told to operators."""
        ...

    def warning(self, message: str, /, **fields: object) -> None:
        """Told to operators, who may have to act."""
        ...

    def error(self, message: str, /, **fields: object) -> None:
        """Told to operators, who have to act; `error` in the fields is the exception's text."""
        ...


class NoLog:
    """Says nothing; for tests and for one-shot commands."""

    def debug(self, message: str, /, **fields: object) -> None:
        """Nothing happens."""

    def info(self, message: str, /, **fields: object) -> None:
        """Nothing happens."""

    def warning(self, message: str, /, **fields: object) -> None:
        """Nothing happens."""

    def error(self, message: str, /, **fields: object) -> None:
        """Nothing happens."""
