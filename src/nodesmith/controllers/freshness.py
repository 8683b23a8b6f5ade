"""Whether what is known of the cluster is young enough to take something away by.

A watch that hears nothing is told from one where nothing happens by its bookmarks, which come every minute. While any
kind has not been heard of for longer than that can explain, nothing is disrupted: no consolidation, drift, expiry,
repair or garbage collection, and no machine is given up because its Node did not join. Machines are still bought: one
too many is a smaller fault than one too few.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Protocol

OLDEST: Final = timedelta(minutes=5)
LOOK_AGAIN: Final = timedelta(seconds=10)


class Hearing(Protocol):
    """A watch, as far as its age goes."""

    def silence(self) -> timedelta:
        """For how long nothing was heard."""
        ...


class Freshness:
    """The age of what is known: that of the watch which has been silent longest."""

    def __init__(self) -> None:
        self._watches: dict[str, Hearing] = {}

    def watch(self, name: str, hearing: Hearing) -> None:
        """The watch of this name counts too."""
        self._watches[name] = hearing

    def stale(self) -> str | None:
        """What has not been heard of for too long, or None."""
        silences = ((hearing.silence(), name) for name, hearing in self._watches.items())
        silence, name = max(silences, default=(OLDEST, ""))
        if silence <= OLDEST:
            return None
        return f"nothing was heard of {name} for {int(silence.total_seconds())}s"
