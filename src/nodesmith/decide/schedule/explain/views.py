"""What one NodePool, and the nodes that are there, have for a pod."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nodesmith.decide.schedule.explain.asked import Asked, PoolAsks
from nodesmith.decide.schedule.explain.company import CompanyRule
from nodesmith.decide.schedule.explain.explanation import Constraint, Miss, NodesView, PoolView, Refusal
from nodesmith.decide.schedule.validate.case import Case, Room
from nodesmith.decide.schedule.validate.claims import summed
from nodesmith.decide.schedule.validate.market import LARGEST, Mask
from nodesmith.decide.schedule.validate.shape import repelling
from nodesmith.model.labels import HOSTNAME
from nodesmith.model.money import UsdPerHour
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod
from nodesmith.model.resources import format_resources, minus, shortfall
from nodesmith.plan.reason import BlockCode


@dataclass(frozen=True, slots=True)
class PoolStudy:
    """A NodePool's offerings with all that is asked of them; `view` is what people are told."""

    asks: PoolAsks
    demands: tuple[Asked, ...]
    sold: Mask
    fitting: Mask
    view: PoolView

    def miss(self, offering: int) -> Miss:
        """The offering, and which demands it does not meet."""
        market = self.asks.market
        found, price = market.offerings[offering], int(market.price[offering])
        return Miss(
            market.types[int(market.owner[offering])].name,
            found.zone,
            found.capacity_type,
            None if price >= LARGEST else UsdPerHour(price),
            tuple(_failing(self.asks, each, offering) for each in self.demands if not each.met[offering]),
        )


def study_pool(case: Case, pod: Pod, pool: NodePool, rules: list[CompanyRule]) -> PoolStudy:
    """What the pool's offerings fail by."""
    asks = PoolAsks(case, pod, pool, rules)
    selling, asking = tuple(asks.sold()), tuple(asks.asked())
    everything = np.ones(len(asks.market.offerings), np.bool_)
    sold = np.logical_and.reduce([everything, *(each.met for each in selling)])
    fitting = np.logical_and.reduce([sold, *(each.met for each in asking)])
    demands = (*selling, *asking)
    failures = np.add.reduce([~each.met for each in demands], dtype=np.int64)
    constraints = [
        _constraint(asks, each, failures, sold if each in asking else everything)
        for each in demands
        if not each.met.all()
    ]
    if fitting.any() and (too_few := asks.diversity(fitting)) is not None:
        count = int(fitting.sum())
        constraints.append(Constraint(too_few.code, too_few.by, too_few.text, count, count, too_few.change))
        demands, fitting = (*demands, too_few), np.zeros_like(fitting)
    view = PoolView(pool.name, len(everything), int(sold.sum()), int(fitting.sum()), tuple(constraints), None)
    study = PoolStudy(asks, demands, sold, fitting, view)
    nearest = None if fitting.any() or not len(everything) else study.miss(_nearest(asks, failures))
    view = PoolView(pool.name, view.known, view.sold, view.left, view.constraints, nearest)
    return PoolStudy(asks, demands, sold, fitting, view)


def _constraint(
    asks: PoolAsks, each: Asked, failures: np.ndarray[tuple[int], np.dtype[np.int64]], base: Mask
) -> Constraint:
    """The demand in numbers: what it removes of `base`, and what would be left without it."""
    without = np.flatnonzero((failures == 1) & ~each.met)
    others = (failures == 0) | ((failures == 1) & ~each.met)
    left = int(others.sum()) if asks.diversity(others) is None else 0
    change = each.change
    if each.resource:
        change = _smaller(asks, each.resource, without)
    return Constraint(each.code, each.by, each.text, int((base & ~each.met).sum()), left, change)


def _smaller(asks: PoolAsks, resource: str, candidates: np.ndarray[tuple[int], np.dtype[np.int64]]) -> str:
    """How much of the resource the pod may ask for so that one of the offerings takes it."""
    column = asks.market.resources[resource]
    rooms = asks.room[candidates, column] if len(candidates) else asks.room[:, column]
    most = max(0, int(rooms.max(initial=0)))
    if not most:
        return f"let NodePool {asks.pool.name} have instance types with {resource}"
    return f"ask for at most {format_resources({resource: most})[resource]} of {resource}"


def _nearest(asks: PoolAsks, failures: np.ndarray[tuple[int], np.dtype[np.int64]]) -> int:
    """The offering that fails the fewest demands; of those the one that lacks the least of what the pod asks for."""
    need = asks.market.amounts([dict(asks.pod.spec.requests)])[0]
    lacking = np.maximum(need - asks.room, 0) / np.maximum(need, 1)
    return int(np.lexsort((asks.market.price, lacking.max(axis=1, initial=0), failures))[0])


def _failing(asks: PoolAsks, each: Asked, offering: int) -> str:
    if not each.resource:
        return each.text
    room = max(0, int(asks.room[offering, asks.market.resources[each.resource]]))
    return f"{each.text}, it has {format_resources({each.resource: room})[each.resource]}"


def study_nodes(case: Case, pod: Pod, rules: list[CompanyRule]) -> NodesView:
    """Why the nodes that are there refuse the pod."""
    refusals: Counter[BlockCode] = Counter()
    best: tuple[int, float, str] | None = None
    nearest: Miss | None = None
    fit = 0
    for room in case.rooms.values():
        failing = list(_node_failures(case, pod, room, rules))
        if not failing:
            fit += 1
            continue
        refusals[failing[0][0]] += 1
        rank = (len(failing), _lack(case, pod, room), room.name)
        if best is None or rank < best:
            best = rank
            texts = tuple(text for _, text in failing)
            nearest = Miss(room.name, room.node.zone, room.node.capacity_type, None, texts)
    counts = sorted(refusals.items(), key=lambda item: (-item[1], item[0]))
    return NodesView(
        len(case.rooms), fit, tuple(Refusal(code, count) for code, count in counts), None if fit else nearest
    )


def _node_failures(case: Case, pod: Pod, room: Room, rules: Sequence[CompanyRule]) -> Iterator[tuple[BlockCode, str]]:
    """Why the node refuses the pod, with the plan's other pods on it."""
    taint = repelling(room.taints, pod.spec.tolerations)
    if taint is not None:
        yield BlockCode.TAINTS, f"taint {taint}"
    constraint = case.constraint(pod.spec)
    if not constraint.admits(room.labels):
        yield BlockCode.REQUIREMENTS, f"node selector on {', '.join(sorted(constraint.keys))}"
    for volume in case.volumes(pod):
        if volume.problem or (volume.constraint is not None and not volume.constraint.admits(room.labels)):
            yield BlockCode.VOLUME, f"volume {volume.key} {volume.problem or 'cannot be reached from it'}"
    lacking = shortfall(pod.requests, _left(case, pod, room))
    if lacking:
        shown = ", ".join(f"{name} {amount} short" for name, amount in format_resources(lacking).items())
        yield BlockCode.RESOURCES, shown
    others = [*room.staying, *(each for each in case.on_node.get(room.name, ()) if each.key != pod.key)]
    taken = [port for other in others for port in other.spec.host_ports]
    if any(mine.conflicts_with(port) for mine in pod.spec.host_ports for port in taken):
        yield BlockCode.HOST_PORTS, "a host port of the pod is taken"
    for rule in rules:
        if not rule.admits(room.host if rule.key == HOSTNAME else room.labels.get(rule.key)):
            yield rule.code, rule.text


def _left(case: Case, pod: Pod, room: Room) -> dict[str, int]:
    placed = [each for each in case.on_node.get(room.name, ()) if each.key != pod.key]
    return minus(room.allocatable, summed(each.spec for each in (*room.staying, *placed)))


def _lack(case: Case, pod: Pod, room: Room) -> float:
    lacking = shortfall(pod.requests, _left(case, pod, room))
    return max((amount / max(1, pod.requests[name]) for name, amount in lacking.items()), default=0.0)
