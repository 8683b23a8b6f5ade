"""Errors of the outside world, sorted by what the caller does next.

Adapters translate into these in one place each. Whatever is not here is a bug, not an answer.
"""

from __future__ import annotations


class PortError(Exception):
    """The outside said no."""


class NotFound(PortError):
    """It is not there. For a delete that means done."""


class AlreadyExists(PortError):
    """Somebody made it before. Adopt it."""


class Conflict(PortError):
    """It changed since it was read, or a precondition failed. Read again and decide again."""


class Expired(PortError):
    """The watch's resource version is too old (410). List again."""


class Throttled(PortError):
    """Asked too often, or not now. Wait, then ask the same again; `retry_after_s` when the server said how long."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class EvictionBlocked(Throttled):
    """A PodDisruptionBudget does not allow it now. Try the same later."""


class Unavailable(PortError):
    """Did not answer, or broke while answering. Ask the same again; it may have been done."""


class Refused(PortError):
    """Not allowed, or not valid. Asking again will not help: tell a person."""


class CapacityUnavailable(PortError):
    """No machine of any offering asked for now. Give the claim up; its pods will be planned anew."""


class NodeClassNotReady(PortError):
    """The NodeClass cannot be launched from now. Give the claim up."""


class CreateFailed(PortError):
    """The launch failed for a reason a person should see. Keep the claim, show the reason, try again later."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
