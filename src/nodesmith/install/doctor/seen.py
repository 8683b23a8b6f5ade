"""Facts that may not have been seen: a check that needs one it cannot have says so, and never guesses."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from nodesmith.ports.errors import PortError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unseen:
    """A fact that could not be read, and why."""

    reason: str


Seen: TypeAlias = T | Unseen
"""A fact, or why there is none."""


class NotSeenError(Exception):
    """A check needs a fact that was not seen."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def need(fact: T | Unseen) -> T:
    """The fact.

    Raises:
        NotSeenError: when it was not seen; the check that asked has no answer then.
    """
    if isinstance(fact, Unseen):
        raise NotSeenError(fact.reason)
    return fact


async def seen(question: Awaitable[T]) -> T | Unseen:
    """The answer, or why there is none."""
    try:
        return await question
    except PortError as error:
        return Unseen(str(error))
    except NotSeenError as error:
        return Unseen(error.reason)
