"""How registrations fare, pool by pool (spec 1.2.1): heard of here, written by the pool's own controller.

What is remembered can be rebuilt from the pool's condition, so a restart loses nothing that matters.
"""

from __future__ import annotations

from collections.abc import Callable

from nodesmith.decide.lifecycle.conditions import NODE_REGISTRATION_HEALTHY, Change, unknown
from nodesmith.decide.lifecycle.pool import Registrations, health_after
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.state.store import Store


class RegistrationHealth:
    """Remembers outcomes by the pool's uid, and what is to be written because of them."""

    def __init__(self, store: Store, mark_pool: Callable[[str], None]) -> None:
        self._store = store
        self._mark_pool = mark_pool
        self._remembered: dict[str, Registrations] = {}
        self._pending: dict[str, Change] = {}

    def record(self, claim: NodeClaim, *, succeeded: bool) -> None:
        """One more registration of the claim's pool went well, or did not come in time."""
        owner = claim.meta.owner_of_kind("NodePool")
        pool = self._store.get(NodePool, claim.pool_name)
        if owner is None or pool is None or owner.uid != pool.meta.uid:
            return
        before = self._of(pool)
        change = health_after(before, pool, claim, succeeded=succeeded)
        self._remembered[pool.meta.uid] = before.and_then(succeeded=succeeded)
        if change is not None:
            self._pending[pool.meta.uid] = change
            self._mark_pool(pool.name)

    def forget(self, pool: NodePool) -> Change:
        """Nothing that was learnt about the pool counts any more: it, or its NodeClass, is another one now."""
        self._remembered[pool.meta.uid] = Registrations()
        self._pending.pop(pool.meta.uid, None)
        return unknown(NODE_REGISTRATION_HEALTHY)

    def to_write(self, pool: NodePool) -> Change | None:
        """What the pool's condition is to become, or None."""
        return self._pending.get(pool.meta.uid)

    def written(self, pool: NodePool, change: Change) -> None:
        """The change has been written."""
        if self._pending.get(pool.meta.uid) == change:
            del self._pending[pool.meta.uid]

    def _of(self, pool: NodePool) -> Registrations:
        remembered = self._remembered.get(pool.meta.uid)
        if remembered is None:
            remembered = Registrations.remembered(pool.conditions.get(NODE_REGISTRATION_HEALTHY))
        return remembered
