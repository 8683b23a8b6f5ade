"""What the API server's refusals mean for the caller: the one place that knows its codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from nodesmith.ports.errors import (
    AlreadyExists,
    Conflict,
    EvictionBlocked,
    Expired,
    NotFound,
    PortError,
    Refused,
    Throttled,
    Unavailable,
)

BAD_REQUEST: Final = 400
UNAUTHORIZED: Final = 401
NOT_FOUND: Final = 404
CONFLICT: Final = 409
GONE: Final = 410
TOO_MANY_REQUESTS: Final = 429
SERVER_ERRORS: Final = 500
_DISRUPTION_BUDGET: Final = "DisruptionBudget"


class Status(msgspec.Struct):
    """The part of a `Status` object that matters here."""

    reason: str = ""
    message: str = ""
    code: int = 0
    details: dict[str, Any] | None = None


def parse_status(body: bytes) -> Status:
    """The Status in an answer's body, or one that has the body's beginning as its message."""
    try:
        return msgspec.json.decode(body, type=Status)
    except msgspec.DecodeError:
        return Status(message=body[:300].decode("utf-8", "replace").strip())


def translate(status_code: int, status: Status, *, about: str, headers: Mapping[str, str] | None = None) -> PortError:
    """The port error for an answer that was not a success."""
    message = f"{about}: {status.message or status.reason or f'HTTP {status_code}'}"
    if status_code == TOO_MANY_REQUESTS:
        return _too_many(status, message, _retry_after_s(status, headers or {}))
    if status_code == NOT_FOUND:
        return NotFound(message)
    if status_code == CONFLICT:
        return AlreadyExists(message) if status.reason == "AlreadyExists" else Conflict(message)
    if status_code == GONE:
        return Expired(message)
    if status_code >= SERVER_ERRORS:
        return _broken(status, message, headers or {})
    return Refused(message)


def _too_many(status: Status, message: str, retry_after_s: float | None) -> PortError:
    """An eviction that a budget blocks is told by a cause, and also comes as 429."""
    if any(cause.get("reason") == _DISRUPTION_BUDGET for cause in _causes(status)):
        return EvictionBlocked(message, retry_after_s=retry_after_s)
    return Throttled(message, retry_after_s=retry_after_s)


def _broken(status: Status, message: str, headers: Mapping[str, str]) -> PortError:
    """Two budgets over one pod come as 500, always; a server that says when to come back is throttling."""
    if "more than one PodDisruptionBudget" in status.message:
        return Refused(message)
    wait = _retry_after_s(status, headers)
    return Throttled(message, retry_after_s=wait) if wait is not None else Unavailable(message)


def _causes(status: Status) -> list[dict[str, Any]]:
    causes = (status.details or {}).get("causes") or []
    return [cause for cause in causes if isinstance(cause, dict)]


def _retry_after_s(status: Status, headers: Mapping[str, str]) -> float | None:
    for text in (headers.get("Retry-After"), (status.details or {}).get("retryAfterSeconds")):
        try:
            if text:
                return float(text)
        except (TypeError, ValueError):
            continue
    return None
