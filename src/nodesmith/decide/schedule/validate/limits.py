"""Whether the plan stays within what NodePools and reservations allow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from nodesmith.decide.schedule.validate.case import Case
from nodesmith.decide.schedule.validate.violation import Code, Violation, claim_name
from nodesmith.model.labels import RESERVATION_ID
from nodesmith.model.resources import NODES, Resources, format_resources, total


def check_limits(case: Case) -> Iterator[Violation]:
    """The NodePools whose limits are passed: nodes that are there, and each claim as its cheapest type.

    A limit on `nodes` is held against the nodes that were there before: as upstream, one pass may go beyond it.
    """
    bought: dict[str, list[Resources]] = defaultdict(list)
    for claim in case.plan.claims:
        kind = case.type_of(claim, claim.cheapest.instance_type)
        if kind is not None:
            bought[claim.pool_name].append({**kind.capacity, NODES: 1})
    for name, capacities in bought.items():
        pool = case.pools.get(name)
        if pool is None or not pool.limits:
            continue
        rooms = [room for room in case.rooms.values() if room.node.pool_name == name]
        before = total({**room.node.capacity, NODES: 1} for room in rooms)
        after = total((before, *capacities))
        for resource, limit in pool.limits.items():
            used = after.get(resource, 0)
            if used > limit and (resource != NODES or before.get(NODES, 0) >= limit):
                shown = f"{format_resources({resource: used})} of {format_resources({resource: limit})}"
                yield Violation(Code.LIMITS, (f"nodepool/{name}",), shown)


def check_reservations(case: Case) -> Iterator[Violation]:
    """The claims that can only become reserved machines and find no room, however reservations are dealt out."""
    capacity: dict[str, int] = {}
    for name in case.problem.catalog:
        market = case.market(name)
        for offering in market.offerings if market is not None else ():
            if offering.reservation_id:
                known = capacity.get(offering.reservation_id, offering.reservation_capacity)
                capacity[offering.reservation_id] = min(known, offering.reservation_capacity)
    if not capacity:
        return
    choices = {index: held for index in range(len(case.plan.claims)) if (held := _reservations(case, index))}
    matching = _Matching(choices, capacity)
    for index, held in choices.items():
        if not matching.seat(index, set()):
            yield Violation(Code.RESERVATION, (claim_name(index),), f"no room in {', '.join(held)}")


def _reservations(case: Case, index: int) -> list[str]:
    """The reservations that the claim draws on, when it can become nothing else."""
    claim = case.plan.claims[index]
    shape = case.shape_of(claim)
    if shape is None:
        return []
    market = shape.market
    types = market.numbers(claim.instance_types)
    codes, values = market.offering_labels(RESERVATION_ID)
    found = {values[int(code)] for code in np.unique(codes[shape.outcomes & np.isin(market.owner, types)])}
    held = sorted(value for value in found if value is not None)
    return held if len(held) == len(found) else []


class _Matching:
    """Claims seated in reservations; a seated claim moves over where that makes room."""

    def __init__(self, choices: dict[int, list[str]], capacity: dict[str, int]) -> None:
        self._choices = choices
        self._capacity = capacity
        self._seated: dict[str, list[int]] = defaultdict(list)

    def seat(self, index: int, tried: set[str]) -> bool:
        """Whether the claim has a seat after the call."""
        for reservation in self._choices[index]:
            if reservation in tried:
                continue
            tried.add(reservation)
            seated = self._seated[reservation]
            if len(seated) < self._capacity[reservation]:
                seated.append(index)
                return True
            for position, other in enumerate(seated):
                if self.seat(other, tried):
                    seated[position] = index
                    return True
        return False
