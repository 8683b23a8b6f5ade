"""Every candidate has its turn within few passes, however little a pass may do; nobody's failures are the others'."""

from dataclasses import replace
from datetime import timedelta

import pytest

from nodesmith.api.bar import MIN_SAVINGS
from nodesmith.decide.disrupt.decide import decide, validate
from nodesmith.decide.disrupt.policy import REPLACES_FOR, Policy
from nodesmith.decide.disrupt.verdict import Memory, Rejected, RejectionReason
from nodesmith.model import labels
from nodesmith.model.meta import Condition
from nodesmith.model.nodeclaim import DRIFTED
from nodesmith.plan.command import Command
from nodesmith.plan.stay import StayCode
from nodesmith.state.snapshot import StateNode
from tests.unit.decide.disrupt.build import NOW, TYPES, catalog, node, pod, pool, snapshot, up

ON_DEMAND = pool(capacity_types=(labels.ON_DEMAND,))


def stuck(number: int) -> StateNode:
    """A drifted node whose pod fits no machine that is sold."""
    conditions = {**up(), DRIFTED: Condition(DRIFTED, "True", changed_at=NOW - timedelta(hours=2))}
    return node(f"stuck-{number:02d}", "huge", pod(f"w{number}", "15"), conditions=conditions)


def drifted(name: str, since: timedelta, **of_node: object) -> StateNode:
    conditions = {**up(), DRIFTED: Condition(DRIFTED, "True", changed_at=NOW - since)}
    return node(name, "small", pod(f"{name}-w"), conditions=conditions, **of_node)  # type: ignore[arg-type]  # the builder's


def test_drift_looks_at_the_others_in_the_next_pass_when_the_effort_is_short() -> None:
    nodes = [*(stuck(number) for number in range(12)), drifted("late", timedelta(minutes=5))]
    view, memory = snapshot(nodes, (pool(after=None),)), Memory()
    policy, passes = Policy(effort=100), 0
    for _ in range(8):
        passes += 1
        verdict = decide(view, catalog(view, TYPES[:3]), now=NOW, policy=policy, memory=memory)
        memory = verdict.memory
        if verdict.command is not None:
            break
        assert verdict.is_cut_short, "the loop comes back at once"
    else:
        raise AssertionError("the node that could be replaced never had its turn")
    assert verdict.command.nodes == ("late",)
    assert 1 < passes <= 6


def test_a_round_of_drift_in_vain_begins_anew() -> None:
    view, memory = snapshot([stuck(number) for number in range(4)], (pool(after=None),)), Memory()
    sizes = []
    for _ in range(6):
        memory = decide(view, catalog(view, TYPES[:3]), now=NOW, policy=Policy(effort=60), memory=memory).memory
        sizes.append(len(memory.tried))
    assert 0 in sizes
    assert max(sizes) > 0


@pytest.mark.parametrize(("effort", "most_passes"), [(400, 12), (60, 24)])
def test_consolidation_asks_about_every_candidate_within_few_passes(effort: int, most_passes: int) -> None:
    """With the smaller effort the sets that are asked about first take it all."""
    nodes = [node(f"n{index:02d}", "medium", pod(f"w{index}", "3500m")) for index in range(20)]
    view, memory = snapshot(nodes, (ON_DEMAND,)), Memory()
    policy, asked, passes = Policy(effort=effort), set[str](), 0
    for _ in range(30):
        passes += 1
        verdict = decide(view, catalog(view), now=NOW, policy=policy, memory=memory)
        assert verdict.command is None
        asked |= verdict.memory.looked_at
        memory = verdict.memory
        if not verdict.memory.looked_at:
            break
    else:
        raise AssertionError("the round never ended")
    assert len(asked) >= len(nodes) - 6, "all but those of the last pass, which ended the round"
    assert passes <= most_passes


def test_a_node_bought_for_a_drifted_one_rests_from_drift_for_an_hour() -> None:
    young = drifted("a", timedelta(minutes=5))
    claim = young.claim
    assert claim is not None
    meta = replace(claim.meta, annotations={REPLACES_FOR: "Drifted"}, created_at=NOW - timedelta(minutes=50))
    view = snapshot([replace(young, claim=replace(claim, meta=meta))], (pool(after=None),))
    verdict = decide(view, catalog(view), now=NOW)
    assert verdict.command is None
    assert {each.code for each in verdict.stays} == {StayCode.RECENTLY_REPLACED}
    found = decide(view, catalog(view), now=NOW + timedelta(minutes=11)).command
    assert found is not None
    assert found.nodes == ("a",)


def two_of_three() -> tuple[Command, list[StateNode]]:
    """A command over several nodes."""
    nodes = [node(name, "huge", pod(f"{name}-w")) for name in ("a", "b", "c")]
    view = snapshot(nodes, (ON_DEMAND,))
    found = decide(view, catalog(view), now=NOW).command
    assert found is not None
    assert len(found.nodes) > 1
    return found, nodes


def test_a_command_goes_on_without_the_node_that_may_not_leave_any_more() -> None:
    command, nodes = two_of_three()
    lost = command.nodes[0]
    now = [replace(each, nominated_until=NOW + timedelta(minutes=1)) if each.name == lost else each for each in nodes]
    view = snapshot(now, (ON_DEMAND,))
    answer = validate(command, view, catalog(view), now=NOW + timedelta(seconds=15))
    assert isinstance(answer, Command)
    assert set(answer.nodes) == set(command.nodes) - {lost}


def test_only_those_that_changed_are_to_rest() -> None:
    command, nodes = two_of_three()
    lost = command.nodes[0]
    now = [replace(each, nominated_until=NOW + timedelta(minutes=1)) if each.name == lost else each for each in nodes]
    view = snapshot(now, (pool(capacity_types=(labels.ON_DEMAND,), annotations={MIN_SAVINGS: "100"}),))
    answer = validate(command, view, catalog(view), now=NOW + timedelta(seconds=15))
    assert isinstance(answer, Rejected)
    assert answer.reason is RejectionReason.CHURN
    assert lost in answer.culprits
