"""Why a pod goes nowhere: for each NodePool, the first thing that leaves no machine for it."""

from __future__ import annotations

import numpy as np

from nodesmith.decide.schedule.classes import PodClass, Stance
from nodesmith.decide.schedule.machines import Template
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.universe import Flags
from nodesmith.decide.schedule.world import World
from nodesmith.model.quantity import format_resource
from nodesmith.model.taints import untolerated
from nodesmith.plan.reason import BlockCode, Blocked, PoolBlocked, Unplaced


def why_unplaced(packing: Packing, each: PodClass) -> Unplaced:
    """The reasons, pool by pool, against the class as it is when it gives up all preferences."""
    world = packing.world
    if not world.templates:
        return Unplaced(Blocked(BlockCode.NO_POOLS, "no dynamic nodepools found"))
    stance = each.stances[-1]
    found: dict[str, Blocked] = {}
    for template in world.templates:
        found.setdefault(template.pool.name, _why_not(packing, each, stance, template))
    pools = tuple(PoolBlocked(pool, blocked) for pool, blocked in found.items())
    return Unplaced(pools[0].blocked, pools)


def _why_not(packing: Packing, each: PodClass, stance: Stance, template: Template) -> Blocked:
    world, size = packing.world, len(packing.world.universe)
    taint = untolerated(template.taints, stance.tolerations)
    if taint is not None:
        return Blocked(BlockCode.TAINTS, f"did not tolerate {taint}")
    conflicts = [template.requirements.conflict_with_new_node(each_) for each_ in stance.alternatives]
    if all(conflict is not None for conflict in conflicts):
        return Blocked(BlockCode.REQUIREMENTS, f"incompatible requirements, {conflicts[0]}")
    part = slice(template.index * size, (template.index + 1) * size)
    admitted = world.admitted_offers((stance.alternatives, stance.tolerations, each.spec.host_ports))[part]
    if not admitted.any():
        return _no_offering(world, stance, template)
    fitting = admitted & world.fitting_offers(world.requests[each.index])[part]
    if not fitting.any():
        return _too_large(world, each, template, admitted)
    still_open = packing.ledger.open_offers()
    if still_open is not None and not (fitting & still_open[part]).any():
        return Blocked(BlockCode.LIMITS, "all available instance types exceed limits for nodepool")
    return _rule(packing, each)


def _no_offering(world: World, stance: Stance, template: Template) -> Blocked:
    known = np.zeros(len(world.universe), dtype=np.bool_)
    for alternative in stance.alternatives:
        known |= world.universe.admitted_by_all(world.known(alternative))
    if (known & template.possible).any():
        return Blocked(BlockCode.OFFERINGS, "no instance type met the requirements that has an available offering")
    return Blocked(BlockCode.REQUIREMENTS, "no instance type met all requirements")


def _too_large(world: World, each: PodClass, template: Template, admitted: Flags) -> Blocked:
    kinds = np.unique(world.universe.type_of[admitted])
    most = template.room[kinds].max(axis=0)
    request = world.requests[each.index]
    over = [
        f"{name} {format_resource(name, int(request[at]))} of at most {format_resource(name, max(int(most[at]), 0))}"
        for at, name in enumerate(world.dimensions.names)
        if request[at] > most[at]
    ]
    detail = ", ".join(over) if over else "no one type has enough of everything"
    return Blocked(BlockCode.RESOURCES, f"no instance type has enough resources: {detail}")


def _rule(packing: Packing, each: PodClass) -> Blocked:
    rules = packing.world.rulebook.rules[each.index][-1]
    lonely = [rule for rule in (*rules.affinity, *rules.host_affinity) if not packing.tally.total(rule.counter)]
    if lonely:
        return Blocked(BlockCode.POD_AFFINITY, f"no pod to be near to on {lonely[0].counter.key}")
    if rules.host_affinity or rules.affinity:
        return Blocked(BlockCode.POD_AFFINITY, "no room where the pods that it wants to be near to are")
    if rules.shunned:
        return Blocked(BlockCode.POD_ANTI_AFFINITY, f"every {rules.shunned[0].key} has pods that it keeps off")
    if rules.spread:
        return Blocked(BlockCode.TOPOLOGY_SPREAD, f"unsatisfiable spread over {rules.spread[0].counter.key}")
    return Blocked(BlockCode.MIN_VALUES, "minValues requirement is not met")
