"""What can be bought now, pool by pool: one failing pool does not keep the others from being asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nodesmith.controllers.shell import Shell, is_managed
from nodesmith.decide.schedule.problem import Catalog
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.nodeclaim import READY
from nodesmith.model.nodepool import NodePool
from nodesmith.model.overlay import NodeOverlay
from nodesmith.ports.errors import PortError


def may_buy(pool: NodePool) -> bool:
    """Whether pods may get machines from the pool (spec 3.2)."""
    return may_disrupt(pool) and not pool.is_static


async def catalog_of(shell: Shell, pools: Sequence[NodePool]) -> Catalog:
    """Instance types by pool, as NodeOverlays have them; a pool that has none, or cannot tell, is left out."""
    catalog = await types_of(shell, pools)
    overlays = shell.store.all(NodeOverlay) if shell.options.gates.node_overlay else ()
    return shell.overlays.of(catalog, pools, overlays).catalog if overlays else catalog


async def types_of(shell: Shell, pools: Iterable[NodePool]) -> dict[str, Sequence[InstanceType]]:
    """Instance types by pool, as the cloud tells them."""
    catalog: dict[str, Sequence[InstanceType]] = {}
    for pool in pools:
        try:
            types = await shell.cloud.instance_types(pool)
        except PortError as error:
            shell.log.warning("nodepool skipped, its instance types are unknown", NodePool=pool.name, error=str(error))
            continue
        if types:
            catalog[pool.name] = types
    return catalog


def may_disrupt(pool: NodePool) -> bool:
    """Whether the pool's nodes may be looked at: as for buying, and static pools, whose nodes drift."""
    ready = pool.conditions.get(READY)
    return is_managed(pool) and not pool.meta.is_deleting and ready is not None and ready.is_true
