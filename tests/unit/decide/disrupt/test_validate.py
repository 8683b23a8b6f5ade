"""A command is decided again on a new snapshot before it is carried out (spec 5.4, 5.6)."""

from dataclasses import replace
from datetime import timedelta

from nodesmith.decide.disrupt.decide import decide, validate
from nodesmith.decide.disrupt.verdict import Rejected, RejectionReason
from nodesmith.model import labels
from nodesmith.model.meta import Condition
from nodesmith.model.nodeclaim import DRIFTED
from nodesmith.model.nodepool import Budget, NodePool
from nodesmith.plan.command import Command, Method
from nodesmith.state.snapshot import Snapshot, StateNode
from tests.unit.decide.disrupt.build import NOW, catalog, node, pod, pool, snapshot, up

LATER = NOW + timedelta(seconds=15)
FIXED = pool(capacity_types=(labels.ON_DEMAND,))


def view(*nodes: StateNode, of: NodePool = FIXED) -> Snapshot:
    return snapshot(nodes, (of,))


def decided(of: Snapshot) -> Command:
    found = decide(of, catalog(of), now=NOW).command
    assert found is not None
    return found


def again(command: Command, of: Snapshot) -> Command | Rejected:
    return validate(command, of, catalog(of), now=LATER)


def reason(outcome: Command | Rejected) -> RejectionReason:
    assert isinstance(outcome, Rejected), outcome
    assert str(outcome)
    return outcome.reason


LIGHT = node("a", "medium", pod("w1"))
BUSY = node("b", "medium", *(pod(f"x{index}", "1") for index in range(3)))


def test_a_command_that_still_holds_is_returned_as_it_is_now() -> None:
    before = view(LIGHT, BUSY)
    assert again(decided(before), before) == decided(before)


def test_a_node_that_was_nominated_since_is_churn() -> None:
    command = decided(view(LIGHT, BUSY))
    assert command.nodes == ("a",)
    promised = replace(LIGHT, nominated_until=LATER + timedelta(seconds=5))
    assert reason(again(command, view(promised, BUSY))) is RejectionReason.CHURN


def test_a_node_that_pods_came_to_since_is_churn() -> None:
    patient = pool(capacity_types=(labels.ON_DEMAND,), after=timedelta(minutes=5))
    command = decided(view(LIGHT, BUSY, of=patient))
    touched = node("a", "medium", pod("w1"), pod_event=LATER)
    assert reason(again(command, view(touched, BUSY, of=patient))) is RejectionReason.CHURN


def test_a_node_that_is_gone_is_churn() -> None:
    command = decided(view(LIGHT, BUSY))
    assert reason(again(command, view(BUSY))) is RejectionReason.CHURN


def test_a_budget_that_was_used_up_since_rejects() -> None:
    tight = pool(capacity_types=(labels.ON_DEMAND,), budgets=(Budget("1"),))
    command = decided(view(LIGHT, BUSY, of=tight))
    going = node("c", "medium", marked=True)
    assert reason(again(command, view(LIGHT, BUSY, going, of=tight))) is RejectionReason.BUDGET


def test_pods_that_no_longer_fit_reject() -> None:
    command = decided(view(LIGHT, BUSY))
    full = node("b", "medium", *(pod(f"x{index}", "1") for index in range(4)))
    outcome = again(command, view(node("a", "medium", pod("w1", "3")), full))
    assert reason(outcome) is RejectionReason.SCHEDULING


def test_a_deletion_that_would_now_need_a_machine_rejects() -> None:
    command = decided(view(LIGHT, BUSY))
    assert not command.replacements
    full = node("b", "medium", *(pod(f"x{index}", "1") for index in range(4)))
    assert reason(again(command, view(LIGHT, full))) is RejectionReason.SCHEDULING


def test_emptiness_goes_on_with_the_nodes_that_are_still_empty() -> None:
    command = decided(view(node("a"), node("b")))
    outcome = again(command, view(node("a"), node("b", "medium", pod("w"))))
    assert isinstance(outcome, Command)
    assert (outcome.method, outcome.nodes) == (Method.EMPTINESS, ("a",))


def test_emptiness_goes_on_within_a_budget_that_shrank() -> None:
    command = decided(view(node("a"), node("b")))
    outcome = again(command, view(node("a"), node("b"), of=pool(budgets=(Budget("1"),))))
    assert isinstance(outcome, Command)
    assert len(outcome.nodes) == 1


def test_emptiness_takes_no_node_that_the_command_did_not_name() -> None:
    command = decided(view(node("a")))
    outcome = again(command, view(node("a"), node("b")))
    assert isinstance(outcome, Command)
    assert outcome.nodes == ("a",)


def test_emptiness_of_nothing_is_churn() -> None:
    command = decided(view(node("a")))
    assert reason(again(command, view(node("a", "medium", pod("w"))))) is RejectionReason.CHURN


def test_drift_is_not_validated() -> None:
    drifted = node("a", "medium", pod("w"), conditions={**up(), DRIFTED: Condition(DRIFTED, "True")})
    command = decided(view(drifted, of=pool(after=None)))
    assert command.method is Method.DRIFT
    assert again(command, view()) is command
