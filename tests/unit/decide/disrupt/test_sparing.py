from datetime import timedelta

import pytest

from nodesmith.decide.disrupt.candidates import Candidate, Question, candidate
from nodesmith.decide.disrupt.policy import REPLACES_FOR, Policy
from nodesmith.decide.disrupt.sparing import (
    CONSOLIDATION_RULES,
    DRIFT_RULES,
    EMPTINESS_RULES,
    MethodRule,
    is_calming,
    spared,
)
from nodesmith.model import labels
from nodesmith.model.meta import Condition
from nodesmith.model.nodeclaim import DRIFTED
from nodesmith.model.nodepool import ConsolidationPolicy, DisruptionReason, NodePool
from nodesmith.plan.stay import StayCode
from nodesmith.state.snapshot import StateNode
from tests.unit.decide.disrupt.build import NOW, as_candidate, node, pod, pool, scene, snapshot, up


def check(
    state: StateNode, rules: tuple[MethodRule, ...], of: NodePool | None = None, *, policy: Policy | None = None
) -> StayCode | None:
    view = snapshot((state,), (of or pool(),))
    found = candidate(Question(state, scene(view, policy=policy)))
    assert isinstance(found, Candidate)
    stay = spared(found, scene(view, policy=policy), rules)
    return stay.code if stay is not None else None


BUSY = node("n", "medium", pod("web"))
PATIENT = pool(after=timedelta(hours=72))


@pytest.mark.parametrize(
    ("state", "of", "code"),
    [
        (BUSY, pool(), None),
        (BUSY, pool(replicas=1), StayCode.STATIC_POOL),
        (node("n", "unheard-of", pod("web")), pool(), StayCode.NO_INSTANCE_TYPE),
        (node("n", "medium", pod("web"), without_labels=(labels.CAPACITY_TYPE,)), pool(), StayCode.NO_CAPACITY_TYPE),
        (node("n", "medium", pod("web"), without_labels=(labels.ZONE,)), pool(), StayCode.NO_ZONE),
        (BUSY, pool(after=None), StayCode.NEVER),
        (node("n"), pool(), StayCode.POOL_BUDGET),
        (BUSY, pool(policy=ConsolidationPolicy.WHEN_EMPTY), StayCode.ONLY_EMPTY),
        (BUSY, pool(policy=ConsolidationPolicy.BALANCED), None),
        (BUSY, PATIENT, StayCode.YOUNG),
        (node("n", "medium", pod("web"), zone="z"), pool(), StayCode.UNPRICED),
    ],
)
def test_consolidation_spares(state: StateNode, of: NodePool, code: StayCode | None) -> None:
    assert check(state, CONSOLIDATION_RULES, of) is code


@pytest.mark.parametrize(
    ("state", "of", "code"),
    [
        (node("n"), pool(), None),
        (node("n"), pool(policy=ConsolidationPolicy.WHEN_EMPTY), None),
        (node("n", "unheard-of"), pool(), None),
        (node("n"), pool(replicas=1), StayCode.STATIC_POOL),
        (node("n"), pool(after=None), StayCode.NEVER),
        (BUSY, pool(), StayCode.ONLY_EMPTY),
        (node("n"), PATIENT, StayCode.YOUNG),
    ],
)
def test_emptiness_spares(state: StateNode, of: NodePool, code: StayCode | None) -> None:
    assert check(state, EMPTINESS_RULES, of) is code


def test_emptiness_spares_nodes_kept_free_on_purpose() -> None:
    assert check(node("n"), EMPTINESS_RULES, policy=Policy(buffered=frozenset({"n"}))) is StayCode.BUFFER_PODS


def test_drift_takes_what_has_drifted_unless_the_pool_is_static() -> None:
    drifted = node("n", "medium", pod("web"), conditions={**up(), DRIFTED: Condition(DRIFTED, "True")})
    assert check(drifted, DRIFT_RULES) is None
    assert check(drifted, DRIFT_RULES, pool(after=None)) is None
    assert check(drifted, DRIFT_RULES, pool(replicas=2)) is StayCode.STATIC_POOL
    assert check(BUSY, DRIFT_RULES) is StayCode.NOT_DRIFTED
    cleared = node("n", conditions={**up(), DRIFTED: Condition(DRIFTED, "False")})
    assert check(cleared, DRIFT_RULES) is StayCode.NOT_DRIFTED


def test_a_node_that_was_bought_for_the_same_reason_is_left_in_peace_for_an_hour() -> None:
    bought = {REPLACES_FOR: "Underutilized"}
    fresh = as_candidate(node("n", claim_annotations=bought, created=NOW - timedelta(minutes=59)))
    settled = as_candidate(node("n", claim_annotations=bought, created=NOW - timedelta(minutes=60)))
    view = scene(snapshot((node("n"),)))
    assert is_calming(fresh, DisruptionReason.UNDERUTILIZED, view)
    assert not is_calming(fresh, DisruptionReason.DRIFTED, view)
    assert not is_calming(settled, DisruptionReason.UNDERUTILIZED, view)
    assert not is_calming(as_candidate(node("n", created=NOW)), DisruptionReason.UNDERUTILIZED, view)
