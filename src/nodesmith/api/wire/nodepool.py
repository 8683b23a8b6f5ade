"""NodePool's and NodeClaim's JSON (spec 1.2, 1.3)."""

from __future__ import annotations

from nodesmith.api.wire.base import Wire


class RequirementWire(Wire, frozen=True, kw_only=True):
    """One label requirement."""

    key: str
    operator: str
    values: tuple[str, ...] = ()
    min_values: int | None = None
