"""Kinds of pods and kinds of machines, as far as a lower bound of the cost is concerned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from nodesmith.decide.schedule.validate.case import Case
from nodesmith.decide.schedule.validate.claims import summed
from nodesmith.decide.schedule.validate.labels import NodeConstraint
from nodesmith.decide.schedule.validate.market import LARGEST, Market, Mask
from nodesmith.decide.schedule.validate.shape import Shape, repelling
from nodesmith.model.labels import HOSTNAME
from nodesmith.model.money import PICOS_PER_DOLLAR
from nodesmith.model.pod import Pod
from nodesmith.model.requirements import Requirements
from nodesmith.model.taints import Toleration

Values = npt.NDArray[np.float64]
Reach = tuple[tuple[NodeConstraint, ...], tuple[Toleration, ...]]
"""What decides which machines may take a pod: constraints on labels, and what it tolerates."""

_ANY: Final = Requirements()
_MANY: Final = 50_000
"""Pairs of a node and a group of pods, from which on nodes are not looked at one by one."""


@dataclass(slots=True)
class Groups:
    """Pods that the bound treats alike: how many, what each asks, which machines may take them.

    `cliques` are sets of groups of which one machine takes one pod in all.
    """

    counts: Values
    requests: Values
    reach: npt.NDArray[np.int64]
    reaches: list[Reach]
    alone: Mask
    cliques: list[npt.NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.counts)


@dataclass(slots=True)
class Columns:
    """Kinds of machines: room, dollars an hour, how many pods of each group a whole one holds.

    `reservation` numbers the reservation that each draws on, -1 for none; `slots` is how many machines each reservation
    holds.
    """

    room: Values
    price: Values
    most: Values
    reservation: npt.NDArray[np.int64]
    slots: Values

    def __len__(self) -> int:
        return len(self.price)


@dataclass(frozen=True, slots=True)
class FreeRoom:
    """Room that costs nothing: rows of amounts, how many pods of each group each holds, of how many nodes it is."""

    room: Values
    most: Values
    number: Values


def pod_groups(case: Case, names: Sequence[str], pods: Iterable[Pod]) -> Groups:
    """The groups of these pods; those whose volumes keep them from every machine are left out."""
    found: dict[tuple[object, ...], int] = {}
    counts: list[int] = []
    rows: list[list[int]] = []
    reaches: dict[Reach, int] = {}
    reach: list[int] = []
    members: dict[object, list[int]] = {}
    for pod in pods:
        volumes = case.volumes(pod)
        if any(volume.problem for volume in volumes):
            continue
        constraints = (case.constraint(pod.spec), *(each.constraint for each in volumes if each.constraint is not None))
        where = (constraints, pod.spec.tolerations)
        cliques = frozenset(_cliques(pod))
        key = (where, pod.spec.requests, cliques)
        number = found.setdefault(key, len(found))
        if number == len(counts):
            counts.append(0)
            asked = dict(pod.spec.requests)
            rows.append([asked.get(name, 0) for name in names])
            reach.append(reaches.setdefault(where, len(reaches)))
            for clique in cliques:
                members.setdefault(clique, []).append(number)
        counts[number] += 1
    alone = np.zeros(len(counts), np.bool_)
    for numbers in members.values():
        alone[numbers] = True
    shared = sorted({tuple(numbers) for numbers in members.values() if len(numbers) > 1})
    return Groups(
        np.array(counts, np.float64),
        np.array(rows, np.float64).reshape(-1, len(names)),
        np.array(reach, np.int64),
        list(reaches),
        alone,
        [np.array(numbers, np.int64) for numbers in shared],
    )


def machine_kinds(case: Case, names: Sequence[str], groups: Groups) -> Columns:
    """Every kind of machine that can take some pods, but those that another beats throughout."""
    parts = [part for name in sorted(case.pools) for part in _of_pool(case, name, names, groups)]
    reservations = sorted({part.reservation for part in parts if part.reservation})
    number = {name: index for index, name in enumerate(reservations)}
    slots = {part.reservation: part.slots for part in parts if part.reservation}
    parts.sort(key=lambda part: part.price)
    most = np.array([part.most for part in parts], np.float64).reshape(len(parts), len(groups))
    found = Columns(
        np.array([part.room for part in parts], np.float64).reshape(len(parts), len(names)),
        np.array([part.price for part in parts], np.float64),
        most,
        np.array([number.get(part.reservation, -1) for part in parts], np.int64),
        np.array([slots[name] for name in reservations], np.float64),
    )
    return _undominated(found)


def free_room(case: Case, names: Sequence[str], groups: Groups) -> FreeRoom:
    """The room of nodes that are there; where it is much, the nodes that take the same groups are put together."""
    rooms, most = [], []
    for place in case.rooms.values():
        used = summed(pod.spec for pod in place.staying)
        room = np.array([max(0, place.allocatable.get(name, 0) - used.get(name, 0)) for name in names], np.float64)
        able = [
            repelling(place.taints, tolerations) is None and all(each.admits(place.labels) for each in constraints)
            for constraints, tolerations in groups.reaches
        ]
        held = np.where(np.array(able, np.bool_)[groups.reach], _held(room, groups), 0.0)
        if held.any():
            rooms.append(room)
            most.append(held)
    room, held = np.array(rooms).reshape(-1, len(names)), np.array(most).reshape(-1, len(groups))
    number = np.ones(len(room))
    if held.size > _MANY:
        _, kinds = np.unique(np.packbits(held > 0, axis=1), axis=0, return_inverse=True)
        together = (np.arange(kinds.max() + 1)[:, None] == kinds).astype(np.float64)
        room, held, number = together @ room, together @ held, together @ number
    return FreeRoom(room, held, number)


@dataclass(slots=True)
class _Part:
    room: Values
    price: float
    most: Values
    reservation: str
    slots: int


def _of_pool(case: Case, name: str, names: Sequence[str], groups: Groups) -> Iterator[_Part]:
    pool, market = case.pools[name], case.market(name)
    if market is None or pool.is_static or pool.meta.is_deleting:
        return
    shape = case.shape(pool, market, _ANY)
    able = np.array([_reaches(shape, reach) for reach in groups.reaches], np.bool_)
    able = able.reshape(len(groups.reaches), len(market.offerings))
    usable = shape.outcomes & (market.price < LARGEST) & able.any(axis=0)
    runs = np.array([mask for _, mask in shape.running], np.bool_).reshape(-1, len(market.offerings))
    load = np.array([dict(d.spec.requests).get(n, 0) for d, _ in shape.running for n in names], np.float64)
    load = load.reshape(-1, len(names))
    allocatable = np.array([[each.allocatable.get(n, 0) for n in names] for each in market.types], np.float64)
    for index in _representatives(market, usable, np.concatenate([able, runs])):
        room = allocatable[market.owner[index]] - runs[:, index].astype(np.float64) @ load
        most = np.where(able[groups.reach, index], _held(room, groups), 0.0)
        if most.any():
            offering = market.offerings[index]
            price = float(market.price[index]) / PICOS_PER_DOLLAR
            yield _Part(room, price, most, offering.reservation_id, offering.reservation_capacity)


def _representatives(market: Market, usable: Mask, features: Mask) -> Iterator[int]:
    """Of the offerings of one type that differ in nothing but price, the cheapest."""
    signatures = np.packbits(features, axis=0).T
    best: dict[tuple[int, bytes, str], int] = {}
    for index in np.flatnonzero(usable):
        key = (int(market.owner[index]), signatures[index].tobytes(), market.offerings[index].reservation_id)
        if key not in best or market.price[index] < market.price[best[key]]:
            best[key] = int(index)
    yield from best.values()


def _reaches(shape: Shape, reach: Reach) -> Mask:
    """The offerings that pods of this reach may be on."""
    constraints, tolerations = reach
    mask = np.ones(len(shape.market.offerings), np.bool_)
    if repelling(shape.pool.taints, tolerations) is not None:
        return ~mask
    for constraint in constraints:
        mask &= shape.market.satisfies(constraint, shape.asked, surely=False)
    return mask


def _held(room: Values, groups: Groups) -> Values:
    """How many pods of each group a machine with that room holds."""
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(groups.requests > 0, np.floor(room / groups.requests), np.inf)
    most = np.maximum(each.min(axis=1, initial=np.inf), 0)
    return np.asarray(np.where(groups.alone, np.minimum(most, 1), np.minimum(most, groups.counts)))


def _undominated(found: Columns) -> Columns:
    """The columns that no cheaper, roomier one makes needless; they come by price."""
    kept: list[int] = []
    for index in range(len(found)):
        others = [other for other in kept if found.reservation[other] < 0]
        beaten = (found.room[others] >= found.room[index]).all(axis=1) & (found.most[others] >= found.most[index]).all(
            axis=1
        )
        if not beaten.any():
            kept.append(index)
    return Columns(found.room[kept], found.price[kept], found.most[kept], found.reservation[kept], found.slots)


def _cliques(pod: Pod) -> Iterator[object]:
    """What of the pod allows a machine only one of its kind: its host ports, and its shyness of itself by host."""
    yield from pod.spec.host_ports
    for term in pod.spec.required_anti_affinity:
        selects_itself = (
            term.topology_key == HOSTNAME
            and term.selector is not None
            and pod.meta.namespace in term.namespaces
            and term.selector.matches(pod.meta.labels)
        )
        if selects_itself:
            yield term
