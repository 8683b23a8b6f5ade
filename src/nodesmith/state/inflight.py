"""What we did that the watch has not shown yet.

A claim that was just created, a node that was just chosen to leave, a node that a pod was just promised: without them
the next decision would do the same once more. An entry goes when the watch shows it, or when its time is over.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from nodesmith.model.nodeclaim import NodeClaim

CREATED_GRACE: Final = timedelta(seconds=15)
"""How long a created claim is believed in without being seen (spec 6)."""

DOOMED_FOR: Final = timedelta(minutes=10)
"""How long a machine is taken for lost after it was announced. Longer than AWS warns ahead of taking a spot machine
back (2 minutes), and than a queue hides a message that could not be acted on; that message announces it anew."""


class InFlight:
    """Created claims, marked nodes, doomed and nominated ones with the moment when that is over; all by name."""

    def __init__(self) -> None:
        self.created: dict[str, NodeClaim] = {}
        self.marked: set[str] = set()
        self.doomed: dict[str, datetime] = {}
        self.nominated: dict[str, datetime] = {}
        self._created_at: dict[str, datetime] = {}

    def create(self, claim: NodeClaim, *, now: datetime) -> None:
        """The claim counts although no watch has shown it."""
        self.created[claim.name] = claim
        self._created_at[claim.name] = now

    def shown(self, claim_name: str) -> None:
        """The watch has shown the claim, or that it is gone."""
        self.created.pop(claim_name, None)
        self._created_at.pop(claim_name, None)

    def forget(self, name: str) -> None:
        """The node or claim is gone: no mark, no promise."""
        self.marked.discard(name)
        self.doomed.pop(name, None)
        self.nominated.pop(name, None)

    def expire(self, now: datetime) -> list[str]:
        """Let go of what is over; returns the names whose state changed by it."""
        unseen = [name for name, at in self._created_at.items() if now - at >= CREATED_GRACE]
        for name in unseen:
            self.shown(name)
        over = list[str]()
        for timed in (self.doomed, self.nominated):
            ended = [name for name, until in timed.items() if until <= now]
            for name in ended:
                del timed[name]
            over += ended
        return [*unseen, *over]
