"""A linear program, put together from arrays and given to HiGHS."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
import numpy.typing as npt

from nodesmith.decide.schedule.quiet import QuietHighs

Values = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


class InfeasibleError(ValueError):
    """There is no solution."""


@dataclass(frozen=True, slots=True)
class Solution:
    """An optimum: what it costs, the variables, and what one more of each row's bound would cost."""

    cost: float
    values: Values
    duals: Values


class Program:
    """Minimise a cost over variables that are not negative."""

    def __init__(self) -> None:
        self._cost: list[Values] = []
        self._most: list[Values] = []
        self._entries: list[tuple[Numbers, Numbers, Values]] = []
        self._lower: list[Values] = []
        self._upper: list[Values] = []
        self._variables = 0
        self._rows = 0

    def add_variables(self, cost: Values, most: Values | None = None) -> int:
        """Variables with these costs and upper bounds; the number of the first."""
        self._cost.append(cost)
        self._most.append(np.full(len(cost), np.inf) if most is None else most)
        self._variables += len(cost)
        return self._variables - len(cost)

    def add_rows(self, lower: Values | None, upper: Values | None) -> int:
        """Rows within these bounds, of which one may be missing; the number of the first."""
        count = len(lower) if lower is not None else len(upper) if upper is not None else 0
        self._lower.append(np.full(count, -np.inf) if lower is None else lower)
        self._upper.append(np.full(count, np.inf) if upper is None else upper)
        self._rows += count
        return self._rows - count

    def add_entries(self, rows: Numbers, variables: Numbers, values: Values | float) -> None:
        """Coefficients, one for each pair of row and variable."""
        self._entries.append((rows, variables, np.broadcast_to(np.asarray(values, np.float64), rows.shape)))

    def solve(self) -> Solution:
        """The optimum.

        Raises:
            InfeasibleError: when there is none.
        """
        rows, variables, values = (np.concatenate(parts) for parts in zip(*self._entries, strict=True))
        order = np.lexsort((variables, rows))
        problem = highspy.HighsLp()
        problem.num_col_, problem.num_row_ = self._variables, self._rows
        problem.col_cost_ = np.concatenate(self._cost)
        problem.col_lower_, problem.col_upper_ = np.zeros(self._variables), np.concatenate(self._most)
        problem.row_lower_, problem.row_upper_ = np.concatenate(self._lower), np.concatenate(self._upper)
        problem.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        problem.a_matrix_.start_ = np.searchsorted(rows[order], np.arange(self._rows + 1))
        problem.a_matrix_.index_ = variables[order]
        problem.a_matrix_.value_ = values[order]
        solver = QuietHighs()
        solver.passModel(problem)
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise InfeasibleError(f"no optimum: {solver.modelStatusToString(solver.getModelStatus())}")
        solution = solver.getSolution()
        return Solution(
            float(solver.getInfo().objective_function_value),
            np.array(solution.col_value),
            np.array(solution.row_dual),
        )
