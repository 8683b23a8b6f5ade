"""What the cluster is like after a command: for `--until-quiet`, tests and benchmarks.

The one thing to know: the clock stands. Replacements are there at once, at their cheapest offering, and have settled
(pods may be moved onto them, they may be consolidated in turn), and the daemons of what left are gone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from nodesmith.decide.disrupt.costs import Types, hourly_price, index_types
from nodesmith.decide.schedule.problem import Catalog
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.labels import (
    CAPACITY_TYPE,
    HOSTNAME,
    INITIALIZED,
    INSTANCE_TYPE,
    NODECLASS,
    NODEPOOL,
    REGISTERED,
    ZONE,
    ZONE_ID,
)
from nodesmith.model.meta import EPOCH, Condition, ObjectMeta
from nodesmith.model.money import UsdPerHour, total_price
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import INITIALIZED as IS_INITIALIZED
from nodesmith.model.nodeclaim import LAUNCHED, NodeClaim
from nodesmith.model.nodeclaim import REGISTERED as IS_REGISTERED
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod
from nodesmith.model.requirements import Requirements
from nodesmith.plan.command import Command
from nodesmith.plan.schedule import OnNode, PlannedClaim
from nodesmith.state.snapshot import Snapshot, StateNode

_UP: Final = {kind: Condition(kind, "True", changed_at=EPOCH) for kind in (LAUNCHED, IS_REGISTERED, IS_INITIALIZED)}


def apply(
    command: Command, snapshot: Snapshot, catalog: Catalog, *, step: int = 0, prefix: str = "replacement"
) -> Snapshot:
    """The snapshot after the command: its nodes gone, its replacements there, its pods where it puts them.

    Replacements are called PREFIX-STEP-INDEX, both counted from 0.
    """
    gone = frozenset(command.nodes)
    pools = {pool.name: pool for pool in snapshot.pools}
    types = index_types(catalog)
    bought = [
        _machine(
            _identity(f"{prefix}-{step:04d}-{index}", claim, pools[claim.pool_name], types, born=snapshot.taken_at),
            claim,
            pools[claim.pool_name],
            types[claim.pool_name][claim.cheapest.instance_type],
        )
        for index, claim in enumerate(command.replacements)
    ]
    target = {
        key: place.node if isinstance(place, OnNode) else bought[place.index].name
        for key, place in command.placements.items()
    }
    left_behind = {pod.key for node in snapshot.nodes if node.name in gone for pod in node.pods}
    arrivals: dict[str, list[Pod]] = {}
    pods: list[Pod] = []
    for pod in snapshot.pods:
        node = target.get(pod.key)
        if node is not None:
            moved = replace(pod, node_name=node, is_unschedulable=False)
            arrivals.setdefault(node, []).append(moved)
            pods.append(moved)
        elif pod.key not in left_behind:
            pods.append(pod)
    kept = [node for node in snapshot.nodes if node.name not in gone]
    nodes = [_with_arrivals(node, arrivals.get(node.name, ())) for node in (*kept, *bought)]
    return replace(snapshot, nodes=tuple(sorted(nodes, key=lambda node: node.name)), pods=tuple(pods))


def cluster_price(snapshot: Snapshot, catalog: Catalog) -> UsdPerHour:
    """What the nodes with a NodeClaim cost an hour; those of unknown price count as nothing."""
    return price_of(snapshot, index_types(catalog))


def price_of(snapshot: Snapshot, types: Types) -> UsdPerHour:
    """The same, with the catalog indexed already."""
    prices = [hourly_price(node, types) for node in snapshot.nodes if node.claim is not None]
    return total_price(price for price in prices if price is not None)


def _with_arrivals(node: StateNode, arrivals: list[Pod] | tuple[()]) -> StateNode:
    return replace(node, pods=(*node.pods, *arrivals)) if arrivals else node


def _identity(name: str, claim: PlannedClaim, pool: NodePool, types: Types, *, born: datetime) -> ObjectMeta:
    kind = types[claim.pool_name][claim.cheapest.instance_type]
    return ObjectMeta(name, labels={**_labels(claim, pool, kind), HOSTNAME: name}, created_at=born)


def _machine(meta: ObjectMeta, claim: PlannedClaim, pool: NodePool, kind: InstanceType) -> StateNode:
    """The node that the claim becomes at its cheapest offering."""
    provider_id = f"replay:///{claim.cheapest.zone}/{meta.name}"
    node = Node(meta, provider_id, taints=pool.taints, capacity=kind.capacity, allocatable=kind.allocatable)
    node_claim = NodeClaim(
        meta,
        requirements=claim.requirements,
        requests=claim.requests,
        taints=pool.taints,
        node_class=pool.node_class,
        expire_after=pool.expire_after,
        termination_grace_period=pool.termination_grace_period,
        provider_id=provider_id,
        node_name=meta.name,
        capacity=kind.capacity,
        allocatable=kind.allocatable,
        conditions=_UP,
    )
    return StateNode(node, node_claim)


def _labels(claim: PlannedClaim, pool: NodePool, kind: InstanceType) -> dict[str, str]:
    purchase = claim.cheapest
    offering = next(
        (
            each
            for each in kind.offerings
            if each.zone == purchase.zone and each.capacity_type == purchase.capacity_type and each.is_available
        ),
        None,
    )
    labels = {
        **_definite(claim.requirements & kind.requirements),
        **pool.labels,
        NODEPOOL: pool.name,
        NODECLASS: pool.node_class.name,
        INSTANCE_TYPE: kind.name,
        ZONE: purchase.zone,
        CAPACITY_TYPE: purchase.capacity_type,
        REGISTERED: "true",
        INITIALIZED: "true",
    }
    if offering is not None and offering.zone_id:
        labels[ZONE_ID] = offering.zone_id
    return labels


def _definite(requirements: Requirements) -> dict[str, str]:
    """A label for each requirement that names values; a launch has to settle on one, `default` where there is that."""
    return {
        each.key: "default" if "default" in each.values else min(each.values)
        for each in requirements
        if each.values and not each.complement
    }
