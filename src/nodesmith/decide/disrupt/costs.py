"""What it costs to move pods, and what nodes cost (spec 5.2, Costs)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from nodesmith.decide.schedule.problem import Catalog
from nodesmith.model.instancetype import InstanceType, Offering
from nodesmith.model.labels import POD_DELETION_COST, RESERVATION_ID
from nodesmith.model.money import UsdPerHour
from nodesmith.model.pod import Pod
from nodesmith.state.snapshot import StateNode

_DELETION_COST_SCALE: Final = 2.0**27
_PRIORITY_SCALE: Final = 2.0**25
_BOUND: Final = 10.0
EMPTY_COST: Final = 1.0
"""The reschedule cost of a node without pods that mind; a node is empty when it costs no more."""


def eviction_cost(pod: Pod) -> float:
    """How much evicting the pod hurts: 1 for an ordinary pod, between -10 and 10."""
    return max(-_BOUND, min(_BOUND, 1.0 + _deletion_cost(pod) + (pod.spec.priority or 0) / _PRIORITY_SCALE))


def reschedule_cost(pods: Iterable[Pod]) -> float:
    """How much moving these pods hurts; `pods` are those that have to find another node."""
    return EMPTY_COST + sum(max(0.0, eviction_cost(pod)) for pod in pods)


def lifetime_remaining(created_at: datetime, expire_after: timedelta | None, now: datetime) -> float:
    """The share of a node's life that is left, between 0 and 1; 1 for a node that never expires."""
    if expire_after is None:
        return 1.0
    if expire_after <= timedelta(0):
        return 0.0
    return max(0.0, min(1.0, (expire_after - (now - created_at)) / expire_after))


Types = Mapping[str, Mapping[str, InstanceType]]
"""Instance types by pool name and type name."""


def index_types(catalog: Catalog) -> Types:
    """The catalog, to look types up by name; pools that share one list share one index."""
    known: dict[int, Mapping[str, InstanceType]] = {}
    indexed: dict[str, Mapping[str, InstanceType]] = {}
    for pool, types in catalog.items():
        found = known.get(id(types))
        if found is None:
            found = known[id(types)] = {each.name: each for each in types}
        indexed[pool] = found
    return indexed


def hourly_price(node: StateNode, types: Types) -> UsdPerHour | None:
    """What the node costs, whether or not its like can be bought now; None where the catalog does not say."""
    labels = node.labels
    instance_type = types.get(node.pool_name, {}).get(node.instance_type)
    if instance_type is None:
        return None
    offering = _offering(instance_type.offerings, node.zone, node.capacity_type, labels.get(RESERVATION_ID, ""))
    return offering.price if offering is not None else None


def _offering(offerings: Sequence[Offering], zone: str, capacity_type: str, reservation_id: str) -> Offering | None:
    same = [each for each in offerings if each.zone == zone and each.capacity_type == capacity_type]
    if reservation_id:
        same = [each for each in same if each.reservation_id == reservation_id] or same
    return same[0] if same else None


def _deletion_cost(pod: Pod) -> float:
    text = pod.meta.annotations.get(POD_DELETION_COST)
    if text is None:
        return 0.0
    try:
        cost = float(text)
    except ValueError:
        return 0.0
    return cost / _DELETION_COST_SCALE if cost == cost else 0.0  # noqa: PLR0124 - NaN is what differs from itself
