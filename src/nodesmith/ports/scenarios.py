"""Where the input of a decision that went wrong is kept, for a person to try it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from nodesmith.ports.errors import PortError


class ScenarioNotKept(PortError):
    """The scenario could not be written. Go on without."""


class Scenarios(Protocol):
    """A place for a few scenarios; old ones go when new ones come."""

    def keep(self, name: str, files: Mapping[str, Mapping[str, Any]], /) -> str:
        """The JSON documents are kept under the name; returns where, for people.

        Raises:
            ScenarioNotKept: when they could not be.
        """
        ...
