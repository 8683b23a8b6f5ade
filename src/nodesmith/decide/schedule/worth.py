"""What resources are worth: the dual prices of a small covering problem.

For pods that may go to the same offers, buying whole machines is relaxed to buying shares of machines:

    minimise  price . y    so that  room^T y >= demand,  sum(y) >= hosts,  y >= 0

The duals say what one more unit of each resource (and one more host) costs at the best mix. No machine's worth at these
prices is above its own price, so a machine that is filled to its worth is a bargain as good as the relaxation's.

Several groups of pods may be looked at together: then those who may go anywhere use what others leave of the machines
that these have to buy anyway, and it is worth little to them.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.bound.program import Program
from nodesmith.decide.schedule.quiet import QuietHighs
from nodesmith.decide.schedule.universe import Amounts, Flags

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Worth:
    """Dollars an hour for one unit of each dimension, and for a host."""

    units: Values
    host: float
    total: float

    def of(self, amounts: Amounts) -> float:
        """What the amounts are worth."""
        return float(self.units @ amounts)


def worth_of(demand: Values, hosts: float, rooms: Amounts, prices: Values) -> Worth:
    """The dual prices for a demand, given what each machine holds and costs.

    Args:
        demand: amounts by dimension.
        hosts: how many machines there must be at least, whatever they hold.
        rooms: a row of amounts a machine.
        prices: dollars an hour a machine.
    """
    columns, dimensions = rooms.shape
    scale = np.maximum(rooms.max(axis=0), 1).astype(np.float64)
    values = np.ones((columns, dimensions + 1))
    values[:, :dimensions] = np.maximum(rooms, 0) / scale
    problem = highspy.HighsLp()
    problem.num_col_, problem.num_row_ = columns, dimensions + 1
    problem.col_cost_ = prices
    problem.col_lower_, problem.col_upper_ = np.zeros(columns), np.full(columns, np.inf)
    problem.row_lower_, problem.row_upper_ = np.append(demand / scale, hosts), np.full(dimensions + 1, np.inf)
    problem.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    problem.a_matrix_.start_ = np.arange(0, columns * (dimensions + 1) + 1, dimensions + 1)
    problem.a_matrix_.index_ = np.tile(np.arange(dimensions + 1), columns)
    problem.a_matrix_.value_ = values.ravel()
    solver = QuietHighs()
    solver.setOptionValue("presolve", "off")
    solver.passModel(problem)
    solver.run()
    duals = np.maximum(np.array(solver.getSolution().row_dual), 0)
    if len(duals) != dimensions + 1:
        duals = np.zeros(dimensions + 1)
    return Worth(duals[:-1] / scale, float(duals[-1]), float(solver.getInfo().objective_function_value))


def worth_together(demand: Values, hosts: Values, admits: Flags, rooms: Amounts, prices: Values) -> list[Worth]:
    """The dual prices for each of several groups that share machines; their totals add up to the cost of all.

    Args:
        demand: amounts by dimension, a row a group.
        hosts: how many machines there must be at least for each group.
        admits: which machines a group may go to, a row a group; each demand must have some.
        rooms: a row of amounts a machine.
        prices: dollars an hour a machine.
    """
    groups, dimensions = demand.shape
    scale = np.maximum(rooms.max(axis=0), 1).astype(np.float64)
    # Machines that the same groups may go to are one place: what they hold is shared out as a whole.
    places, place_of = np.unique(admits, axis=1, return_inverse=True)
    place_of = place_of.reshape(-1)
    program = Program()
    machines = np.arange(len(prices)) + program.add_variables(prices)
    group, place, kind = np.nonzero(places[:, :, None] & (demand > 0)[:, None, :])
    shares = np.arange(len(group)) + program.add_variables(np.zeros(len(group)))
    asked = program.add_rows((demand / scale).ravel(), None)
    program.add_entries(asked + group * dimensions + kind, shares, 1.0)
    held = program.add_rows(np.zeros(places.shape[1] * dimensions), None)
    program.add_entries(held + place * dimensions + kind, shares, -1.0)
    for dimension in range(dimensions):
        room = np.maximum(rooms[:, dimension], 0) / scale[dimension]
        program.add_entries(held + place_of * dimensions + dimension, machines, room)
    apart = program.add_rows(hosts, None)
    group, machine = np.nonzero(admits)
    program.add_entries(apart + group, machines[machine], 1.0)
    duals = np.maximum(program.solve().duals, 0)
    units = duals[asked:held].reshape(groups, dimensions) / scale
    alone = duals[apart:]
    totals = (units * demand).sum(axis=1) + alone * hosts
    return [Worth(*each) for each in zip(units, alone.tolist(), totals.tolist(), strict=True)]
