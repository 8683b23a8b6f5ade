"""Back to spot in pools that otherwise let only empty nodes go."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from nodesmith.decide.disrupt.decide import decide, validate
from nodesmith.decide.disrupt.policy import Policy, Way
from nodesmith.decide.disrupt.verdict import Rejected, Verdict
from nodesmith.model import labels
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.nodepool import Budget, ConsolidationPolicy, NodePool
from nodesmith.model.pod import Pod
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.plan.command import Command
from nodesmith.plan.stay import StayCode
from nodesmith.state.snapshot import StateNode
from tests.unit.decide.disrupt.build import LONG_AGO, NOW, TYPES, catalog, kind, node, pod, pool, snapshot

ON = Policy(return_to_spot=True)
MINUTE = timedelta(minutes=1)
WITHOUT_SPOT = tuple(kind(each.name, cores, 0.05 * cores) for each, cores in zip(TYPES, (1, 2, 4, 8, 16), strict=True))


def when_empty(*, budgets: Iterable[Budget] = (Budget("100%"),), terms: Sequence[str] = ()) -> NodePool:
    allowed = terms or (labels.ON_DEMAND, labels.SPOT)
    return pool(policy=ConsolidationPolicy.WHEN_EMPTY, budgets=budgets, capacity_types=allowed)


def passed(
    *nodes: StateNode,
    of: NodePool | None = None,
    policy: Policy = ON,
    types: Sequence[InstanceType] = TYPES,
    pending: Iterable[Pod] = (),
) -> Verdict:
    view = snapshot(nodes, (of or when_empty(),), pending=pending)
    return decide(view, catalog(view, types), now=NOW, policy=policy)


def replaced(*nodes: StateNode, of: NodePool | None = None, policy: Policy = ON) -> Command:
    found = passed(*nodes, of=of, policy=policy).command
    assert found is not None
    return found


def full(name: str, *, minutes_old: int = 0, **of_node: object) -> StateNode:
    created = NOW - minutes_old * MINUTE if minutes_old else LONG_AGO
    return node(name, "medium", pod(f"{name}-0", "3"), created=created, **of_node)  # type: ignore[arg-type]  # keywords


def stay_of(verdict: Verdict, name: str = "a") -> StayCode:
    return next(each.code for each in verdict.stays if each.node == name)


def claims_of(command: Command) -> list[frozenset[str]]:
    return [each.requirements.get(labels.CAPACITY_TYPE).values for each in command.replacements]


@pytest.mark.parametrize("way", list(Way))
def test_a_node_that_was_bought_for_want_of_spot_goes_back_though_only_empty_ones_may_go(way: Way) -> None:
    found = replaced(full("a"), policy=replace(ON, way=way))
    assert found.nodes == ("a",)
    assert claims_of(found) == [frozenset({labels.SPOT})]


def test_without_the_gate_it_stays() -> None:
    verdict = passed(full("a"), policy=Policy())
    assert (verdict.command, stay_of(verdict)) == (None, StayCode.ONLY_EMPTY)


def test_it_is_left_alone_for_an_hour() -> None:
    verdict = passed(full("a", minutes_old=59))
    assert (verdict.command, stay_of(verdict)) == (None, StayCode.RECENTLY_REPLACED)
    assert replaced(full("a", minutes_old=60)).nodes == ("a",)


def test_it_stays_while_there_is_no_spot() -> None:
    verdict = passed(full("a"), types=WITHOUT_SPOT)
    assert (verdict.command, stay_of(verdict)) == (None, StayCode.NO_SPOT)


def test_it_stays_where_spot_costs_more() -> None:
    dear = tuple(kind(each.name, 4, 0.20, spot=0.21) for each in TYPES)
    assert stay_of(passed(full("a"), types=dear)) is StayCode.NO_SPOT


def test_it_stays_where_its_pool_no_longer_wants_spot() -> None:
    assert passed(full("a"), of=when_empty(terms=(labels.ON_DEMAND,))).command is None


def test_one_that_was_bought_on_demand_on_purpose_stays() -> None:
    state = full("a")
    assert state.claim is not None
    asked = Requirements.of((Requirement(labels.CAPACITY_TYPE, frozenset((labels.ON_DEMAND,))),))
    verdict = passed(replace(state, claim=replace(state.claim, requirements=asked)))
    assert (verdict.command, stay_of(verdict)) == (None, StayCode.ONLY_EMPTY)


def test_a_spot_node_stays() -> None:
    assert stay_of(passed(full("a", capacity_type=labels.SPOT))) is StayCode.ONLY_EMPTY


def test_nothing_on_demand_is_bought_for_it() -> None:
    needs = pod("a-0", "500m", selector={labels.CAPACITY_TYPE: labels.ON_DEMAND})
    verdict = passed(node("a", "medium", needs, pod("a-1", "500m")))
    assert (verdict.command, stay_of(verdict)) == (None, StayCode.NOT_CHEAPER)


def test_a_cheaper_machine_on_demand_does_not_keep_it_from_spot() -> None:
    types = (kind("tiny", 1, 0.01), *TYPES[1:])
    view = snapshot([node("a", "medium", pod("a-0", "100m"), types=types)], (when_empty(),))
    found = decide(view, catalog(view, types), now=NOW, policy=ON).command
    assert found is not None
    assert claims_of(found) == [frozenset({labels.SPOT})]


def test_budgets_hold() -> None:
    nodes = [full(name) for name in "abc"]
    assert len(replaced(*nodes, of=when_empty(budgets=(Budget("1"),))).nodes) == 1
    assert passed(*nodes, of=when_empty(budgets=(Budget("0"),))).command is None


@pytest.mark.parametrize(
    ("kept", "code"),
    [
        (full("a", node_annotations={labels.DO_NOT_DISRUPT: "true"}), StayCode.DO_NOT_DISRUPT),
        (
            node("a", "medium", pod("a-0", "3", annotations={labels.DO_NOT_DISRUPT: "true"})),
            StayCode.POD_DO_NOT_DISRUPT,
        ),
    ],
)
def test_what_must_not_be_disrupted_stays(kept: StateNode, code: StayCode) -> None:
    assert stay_of(passed(kept)) is code


def test_a_pool_that_never_consolidates_and_one_that_waits_are_minded() -> None:
    never = pool(policy=ConsolidationPolicy.WHEN_EMPTY, after=None)
    assert stay_of(passed(full("a"), of=never)) is StayCode.NEVER
    waiting = pool(policy=ConsolidationPolicy.WHEN_EMPTY, after=timedelta(hours=2))
    assert stay_of(passed(full("a", pod_event=NOW - MINUTE), of=waiting)) is StayCode.YOUNG


def test_a_command_that_finds_no_spot_any_more_is_not_upheld() -> None:
    view = snapshot([full("a")], (when_empty(),))
    found = decide(view, catalog(view), now=NOW, policy=ON).command
    assert found is not None
    assert isinstance(validate(found, view, catalog(view), now=NOW, policy=ON), Command)
    assert isinstance(validate(found, view, catalog(view, WITHOUT_SPOT), now=NOW, policy=ON), Rejected)
