"""What the clock does to a NodeClaim: it may launch or register too late, or have lived its time (spec 4.1, 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from nodesmith.model.nodeclaim import LAUNCHED, REGISTERED, NodeClaim

LAUNCH_TIMEOUT: Final = timedelta(minutes=5)
REGISTRATION_TIMEOUT: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Overdue:
    """The claim is to be deleted; `reason` is the metric's label."""

    reason: str


@dataclass(frozen=True, slots=True)
class Due:
    """Nothing is overdue before that moment."""

    at: datetime


def liveness(claim: NodeClaim, now: datetime) -> Overdue | Due | None:
    """Whether the claim has come up in time; None once it is registered."""
    if claim.has(REGISTERED):
        return None
    launched = claim.condition(LAUNCHED)
    if launched is None or not launched.is_true:
        since = launched.changed_at if launched is not None else claim.meta.created_at
        return _deadline(since + LAUNCH_TIMEOUT, now, "launch_timeout")
    registered = claim.condition(REGISTERED)
    since = registered.changed_at if registered is not None else claim.meta.created_at
    return _deadline(since + REGISTRATION_TIMEOUT, now, "registration_timeout")


def expiration(claim: NodeClaim, now: datetime) -> Overdue | Due | None:
    """Whether the claim has lived its `expireAfter`; None when it lives for ever."""
    if claim.expire_after is None:
        return None
    return _deadline(claim.meta.created_at + claim.expire_after, now, "expired")


def _deadline(at: datetime, now: datetime, reason: str) -> Overdue | Due:
    return Overdue(reason) if now >= at else Due(at)
