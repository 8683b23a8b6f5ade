"""What every rule and every simulation of a pass may look at, worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from nodesmith.decide.disrupt.costs import Types, index_types
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.disrupt.protection import Guards
from nodesmith.decide.disrupt.quotes import PriceList
from nodesmith.decide.schedule.problem import Catalog
from nodesmith.decide.schedule.stock import Stock
from nodesmith.model.nodepool import NodePool
from nodesmith.state.snapshot import Snapshot


@dataclass(slots=True)
class Shared:
    """What passes over the same catalog have in common: memories that change no answer, and the effort spent so far."""

    catalog: Catalog
    stock: Stock = field(default_factory=Stock)
    prices: PriceList = field(default_factory=PriceList)
    effort: int = 0

    def serves(self, catalog: Catalog) -> bool:
        """Whether what is remembered is about these very types."""
        return self.catalog.keys() == catalog.keys() and all(
            self.catalog[name] is types for name, types in catalog.items()
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """The scene of one pass."""

    snapshot: Snapshot
    catalog: Catalog
    now: datetime
    policy: Policy
    pools: Mapping[str, NodePool]
    types: Types
    guards: Guards
    shared: Shared

    @classmethod
    def of(
        cls,
        snapshot: Snapshot,
        catalog: Catalog,
        *,
        now: datetime,
        policy: Policy,
        shared: Shared | None = None,
    ) -> Scene:
        """The scene of a pass over this snapshot, sharing with the pass before or the one that looks ahead."""
        pools = {pool.name: pool for pool in snapshot.pools}
        guards, types = Guards.of(snapshot.budgets), index_types(catalog)
        kept = shared if shared is not None and shared.serves(catalog) else Shared(catalog)
        return cls(snapshot, catalog, now, policy, pools, types, guards, kept)
