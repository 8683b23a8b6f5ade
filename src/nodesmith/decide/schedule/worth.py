"""What resources are worth: the dual prices of a small covering problem.

For pods that may go to the same offers, buying whole machines is relaxed to buying shares of machines:

    minimise  price . y    so that  room^T y >= demand,  sum(y) >= hosts,  y >= 0

The duals say what one more unit of each resource (and one more host) costs at the best mix. No machine's worth at these
prices is above its own price, so a machine that is filled to its worth is a bargain as good as the relaxation's.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.quiet import QuietHighs
from nodesmith.decide.schedule.universe import Amounts

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
