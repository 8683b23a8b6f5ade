"""The validator against the answers that another planner gave: it accepts them all but for slips that are known."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from nodesmith.decide.schedule.bound import lower_bound
from nodesmith.decide.schedule.validate import Code, validate
from nodesmith.plan.result import schedule_from_json
from tools.scenarios import Scenario, scenarios

DATA: Final = Path(__file__).parent / "data"
PLACING: Final = [each for each in scenarios([DATA]) if each.verb == "schedule"]

# A workload with affinity to itself is torn over two zones: the first pod's claim is given two zones and is not counted.
TORN: Final = {"benchmark-02", "mixture-07", "pod-affinity-03"}
# A claim is pinned to reserved capacity in the end, and keeps listing types that have none.
UNREACHABLE: Final = {"odd-00", "odd-03", "reserved-01", "reserved-02", "reserved-03"}


@pytest.mark.parametrize("scenario", PLACING, ids=lambda scenario: scenario.name)
def test_an_answer_that_was_given_stands(scenario: Scenario) -> None:
    codes = {violation.code for violation in validate(scenario.problem(), schedule_from_json(scenario.peer))}
    if scenario.name in TORN:
        assert codes == {Code.AFFINITY}
    elif scenario.name in UNREACHABLE:
        assert codes <= {Code.NO_OFFERING, Code.TYPE_INCOMPATIBLE}
    else:
        assert not codes


@pytest.mark.parametrize("scenario", PLACING, ids=lambda scenario: scenario.name)
def test_no_answer_costs_less_than_the_bound(scenario: Scenario) -> None:
    placed = {key for key, entry in scenario.peer["pods"].items() if not entry.get("error")}
    bound = lower_bound(scenario.problem(), placed)
    assert bound.price.dollars <= scenario.peer["totalPrice"] + 1e-6
    assert bound.covered == len(placed)


def test_the_scenarios_are_all_there() -> None:
    assert len(PLACING) == 125
