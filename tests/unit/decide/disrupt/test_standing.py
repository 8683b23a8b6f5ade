"""A command is held against the rules before it is carried out."""

from nodesmith.decide.disrupt.decide import decide
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.disrupt.standing import faults_of, problem_of
from nodesmith.model import labels
from nodesmith.model.meta import Condition
from nodesmith.model.nodeclaim import DRIFTED
from nodesmith.plan.command import Command, Method
from nodesmith.plan.schedule import OnClaim
from nodesmith.state.snapshot import Snapshot
from tests.unit.decide.disrupt.build import LONG_AGO, NOW, catalog, node, pod, pool, snapshot, up

DRIFT = Condition(DRIFTED, "True", "NodePoolDrifted", changed_at=LONG_AGO)


def drifted_with_a_pod_that_waits() -> tuple[Command, Snapshot]:
    drifted = node("a", "medium", pod("w1", "3"), conditions={**up(), DRIFTED: DRIFT})
    of = snapshot([drifted], [pool(capacity_types=(labels.ON_DEMAND,))], pending=[pod("new", "1")])
    command = decide(of, catalog(of), now=NOW).command
    assert command is not None
    assert command.method is Method.DRIFT
    return command, of


def faults(command: Command, of: Snapshot) -> tuple[str, ...]:
    options = Policy().options
    return faults_of(command, problem_of(command, of, catalog(of), options))


def test_a_pod_that_waits_may_share_a_replacement() -> None:
    command, of = drifted_with_a_pod_that_waits()
    assert command.placements == {"default/w1": OnClaim(0)}
    assert set(command.replacements[0].pods) == {"default/w1", "default/new"}
    assert faults(command, of) == ()


def test_a_pod_of_a_node_that_is_leaving_may_share_a_replacement() -> None:
    leaving = node("b", "small", pod("w2", "1"), marked=True)
    drifted = node("a", "medium", pod("w1", "3"), conditions={**up(), DRIFTED: DRIFT})
    of = snapshot([drifted, leaving], [pool(capacity_types=(labels.ON_DEMAND,))])
    command = decide(of, catalog(of), now=NOW).command
    assert command is not None
    assert command.nodes == ("a",)
    assert set(command.replacements[0].pods) == {"default/w1", "default/w2"}
    assert faults(command, of) == ()
