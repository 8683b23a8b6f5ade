"""Which nodes are dear for the room they give: a linear relaxation over all candidates at once.

Nodes and machines may be divided, and pods are nothing but resources: so the answer is no plan, only a direction. Its
dual prices say what a core and a byte are worth; a node that costs more than its room is worth should leave, the
dearest first. The search that follows asks the scheduler, which knows every rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.decide.disrupt.rationing import Ration
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.decide.disrupt.settling import is_settling
from nodesmith.decide.schedule.machines import usable_pools
from nodesmith.decide.schedule.quiet import QuietHighs
from nodesmith.model.labels import SPOT
from nodesmith.model.nodepool import NodePool
from nodesmith.model.requirements import Requirements
from nodesmith.model.resources import Resources, total
from nodesmith.model.taints import untolerated
from nodesmith.plan.schedule import PlannedClaim
from nodesmith.state.snapshot import StateNode

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pressure:
    """How much more each candidate costs than its room is worth, in dollars an hour; and which ones to remove.

    `removed` within the budgets, `eventually` when they have let everything go; `is_bound` says that this takes more
    than one step. `excess` is the same as overprice of machines that can be bought, by pool and type.
    """

    overprice: Mapping[str, float]
    removed: frozenset[str]
    is_bound: bool = False
    eventually: frozenset[str] = frozenset()
    excess: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def waste(self, claims: Iterable[PlannedClaim]) -> float:
        """How much more these machines cost than their room is worth in the end, in dollars an hour."""
        return sum(self.excess.get((claim.pool_name, claim.cheapest.instance_type), 0.0) for claim in claims)

    def order(self, candidates: Sequence[Candidate], *, by_disruption: bool = False) -> list[Candidate]:
        """The candidates, those that should leave first first: the most overpriced, or so by unit of disruption."""
        costs = {each.name: each.reschedule_cost if by_disruption else 1.0 for each in candidates}
        return sorted(candidates, key=lambda each: (-self.overprice[each.name] / costs[each.name], each.name))


def pressure(candidates: Sequence[Candidate], scene: Scene, ration: Ration) -> Pressure:
    """The relaxation's view of the candidates, which have known prices; of one alone there is nothing to order."""
    if len(candidates) <= 1:
        return Pressure({each.name: 0.0 for each in candidates}, frozenset())
    names = sorted({name for each in candidates for pod in each.pods for name, _ in pod.spec.requests})
    scale = _demand(candidates, names)
    loads = np.array([_row(total(pod.requests for pod in each.pods), names) for each in candidates]) / scale
    room = np.array([_row(_own_room(each), names) for each in candidates]) / scale
    prices = np.array([each.price.dollars if each.price else 0.0 for each in candidates])
    which, machines, costs = _machines(candidates, scene, names)
    machines = machines / scale
    spare = _spare(candidates, scene, names) / scale
    demand, caps = loads.sum(axis=0) - spare, _caps(candidates, ration)
    kept, worth = _solve(_Program(prices, room, costs, machines, demand, ()))
    eventually = _going(candidates, kept)
    if caps:
        kept, _ = _solve(_Program(prices, room, costs, machines, demand, caps))
    overprice = prices - room @ worth
    return Pressure(
        {each.name: float(over) for each, over in zip(candidates, overprice, strict=True)},
        _going(candidates, kept),
        bool(caps),
        eventually,
        {key: max(0.0, float(over)) for key, over in zip(which, costs - machines @ worth, strict=True)},
    )


def _going(candidates: Sequence[Candidate], kept: Vector) -> frozenset[str]:
    return frozenset(each.name for each, share in zip(candidates, kept, strict=True) if share < 0.5)  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class _Program:
    """Candidates that may be kept (at most once each) and machines that may be bought, to cover a demand.

    `caps` are the budgets: of which candidates so many may go at most.
    """

    prices: Vector
    room: Vector
    costs: Vector
    machines: Vector
    demand: Vector
    caps: Sequence[tuple[Sequence[int], int]]

    def columns(self) -> list[list[tuple[int, float]]]:
        """The entries of each column; rows are the resources, then the budgets."""
        columns = [list(enumerate(row)) for row in (*self.room, *self.machines)]
        for index, (members, _) in enumerate(self.caps):
            for member in members:
                columns[member].append((len(self.demand) + index, 1.0))
        return [[(row, value) for row, value in column if value] for column in columns]


def _solve(program: _Program) -> tuple[Vector, Vector]:
    """How much of each candidate is kept, and what a unit of each resource is worth."""
    columns = program.columns()
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(columns), len(program.demand) + len(program.caps)
    model.col_cost_ = np.concatenate([program.prices, program.costs])
    model.col_lower_ = np.zeros(len(columns))
    model.col_upper_ = np.concatenate([np.ones(len(program.prices)), np.full(len(program.costs), highspy.kHighsInf)])
    model.row_lower_ = np.concatenate([program.demand, [float(len(members) - cap) for members, cap in program.caps]])
    model.row_upper_ = np.full(model.num_row_, highspy.kHighsInf)
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = np.cumsum([0, *(len(column) for column in columns)])
    model.a_matrix_.index_ = np.array([row for column in columns for row, _ in column])
    model.a_matrix_.value_ = np.array([value for column in columns for _, value in column])
    solver: Any = QuietHighs()
    solver.passModel(model)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return np.ones(len(program.prices)), np.zeros(len(program.demand))
    solution = solver.getSolution()
    return np.array(solution.col_value[: len(program.prices)]), np.array(solution.row_dual[: len(program.demand)])


def _demand(candidates: Sequence[Candidate], names: Sequence[str]) -> Vector:
    amounts = total(pod.requests for each in candidates for pod in each.pods)
    return np.maximum(_row(amounts, names), 1.0)


def _row(amounts: Resources, names: Sequence[str]) -> Vector:
    return np.array([float(amounts.get(name, 0)) for name in names])


def _own_room(each: Candidate) -> Resources:
    """What the node has for pods that could move: all but what its other pods take."""
    movable = {pod.key for pod in each.pods}
    bound = total(pod.requests for pod in each.node.pods if pod.key not in movable and not pod.is_terminal)
    return {name: max(0, amount - bound.get(name, 0)) for name, amount in each.node.allocatable.items()}


def _spare(candidates: Sequence[Candidate], scene: Scene, names: Sequence[str]) -> Vector:
    """What is free on nodes that stay in any case and may take pods."""
    leaving = {each.name for each in candidates}
    spare = np.zeros(len(names))
    for node in scene.snapshot.nodes:
        if node.name in leaving or not _may_take_pods(node, scene):
            continue
        used = total(pod.requests for pod in node.pods if not pod.is_terminal)
        spare += np.maximum(_row(node.allocatable, names) - _row(used, names), 0.0)
    return spare


def _may_take_pods(node: StateNode, scene: Scene) -> bool:
    if node.is_deleting or not node.is_initialized or (node.node is not None and node.node.is_cordoned):
        return False
    pool = scene.pools.get(node.pool_name)
    return pool is None or not is_settling(node, pool, scene.now)


def _machines(
    candidates: Sequence[Candidate], scene: Scene, names: Sequence[str]
) -> tuple[list[tuple[str, str]], Vector, Vector]:
    """Every machine that could be bought, by pool and type: its room and its price.

    None where only spot would replace spot and that is not wanted.
    """
    can_buy = scene.policy.spot_to_spot or any(each.capacity_type != SPOT for each in candidates)
    which: list[tuple[str, str]] = []
    rows: list[Vector] = []
    costs: list[float] = []
    for pool in usable_pools(scene.pools.values()) if can_buy else ():
        for kind, room, price in _on_offer(pool, scene):
            which.append((pool.name, kind))
            rows.append(_row(room, names))
            costs.append(price)
    return which, np.array(rows).reshape(len(rows), len(names)), np.array(costs)


def _on_offer(pool: NodePool, scene: Scene) -> list[tuple[str, dict[str, int], float]]:
    own = pool.requirements & Requirements.from_labels(pool.labels)
    daemons = total(
        dict(each.template.requests)
        for each in scene.snapshot.daemonsets
        if untolerated(pool.taints, each.template.tolerations) is None
    )
    offers: list[tuple[str, dict[str, int], float]] = []
    for kind, quote in scene.shared.prices.quotes(scene.catalog.get(pool.name, ()), own):
        price = quote.cheapest.price
        if price is not None and kind.requirements.intersection_conflict(own) is None:
            room = {name: max(0, amount - daemons.get(name, 0)) for name, amount in kind.allocatable.items()}
            offers.append((kind.name, room, price.dollars))
    return offers


def _caps(candidates: Sequence[Candidate], ration: Ration) -> list[tuple[Sequence[int], int]]:
    """For each pool whose budget is less than its candidates: which they are, and how many may go."""
    members: dict[str, list[int]] = {}
    for index, each in enumerate(candidates):
        members.setdefault(each.pool.name, []).append(index)
    return [(found, ration.left(name)) for name, found in members.items() if ration.left(name) < len(found)]
