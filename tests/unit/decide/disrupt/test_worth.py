from math import inf

import pytest

from nodesmith.api.bar import MAX_MOVES, MIN_SAVINGS, Bar, bar_from
from nodesmith.decide.disrupt.candidates import Candidate, Question, candidate
from nodesmith.decide.disrupt.pricing import Refused
from nodesmith.decide.disrupt.worth import Bench, PoolTotals, Score, score_of
from nodesmith.model.money import UsdPerHour
from nodesmith.model.nodepool import ConsolidationPolicy, NodePool
from nodesmith.plan.stay import StayCode
from nodesmith.state.snapshot import StateNode
from tests.unit.decide.disrupt.build import as_candidate, node, pod, pool, scene, snapshot


def judge(states: list[StateNode], leaving: list[str], savings: float, *pools: NodePool) -> str | Refused:
    """What the pools say in favour, or the refusal."""
    view = scene(snapshot(states, pools))
    found = [candidate(Question(each, view)) for each in states if each.name in leaving]
    chosen = [each for each in found if isinstance(each, Candidate)]
    assert len(chosen) == len(leaving)
    answer = Bench.of(view).judge(chosen, UsdPerHour.of(savings))
    return answer if isinstance(answer, Refused) else "; ".join(str(each.score) for each in answer)


def two() -> list[StateNode]:
    return [node("a", "medium", pod("w1")), node("b", "medium", pod("w2"))]


@pytest.mark.parametrize(
    ("savings", "disruption", "value", "approved"),
    [
        (0.5, 0.5, 1.0, True),
        (0.6, 0.3, 2.0, True),
        (0.25, 0.5, 0.5, True),
        (0.2, 0.5, 0.4, False),
        (0.0, 0.5, 0.0, False),
    ],
)
def test_the_score_is_the_share_of_savings_by_the_share_of_disruption(
    savings: float,
    disruption: float,
    value: float,
    approved: bool,  # noqa: FBT001 - a table's column
) -> None:
    score = Score(savings, disruption)
    assert score.value == pytest.approx(value)
    assert score.is_approved is approved


def test_what_disturbs_nothing_is_approved_and_what_saves_nothing_is_not() -> None:
    assert Score(0.1, 0.0).value == inf
    assert not Score(-0.1, 0.0).is_approved


def test_the_score_does_not_depend_on_the_size_of_the_pool() -> None:
    one = as_candidate(node("a", "medium", pod("w")))
    small = score_of([one], [one], 0.1, PoolTotals(1.0, 10.0))
    large = score_of([one], [one], 1.0, PoolTotals(10.0, 10.0))
    assert small.value == pytest.approx(large.value)


def test_a_pool_that_costs_or_disturbs_nothing_approves_nothing() -> None:
    one = as_candidate(node("a", "medium", pod("w")))
    assert not score_of([one], [one], 0.1, PoolTotals(0.0, 10.0)).is_approved
    assert not score_of([one], [one], 0.1, PoolTotals(1.0, 0.0)).is_approved


def test_balanced_asks_for_half_the_share_and_tells_its_score() -> None:
    balanced = pool(policy=ConsolidationPolicy.BALANCED)
    note = judge(two(), ["a"], 0.2, balanced)
    assert note == "score 1.00 >= threshold 0.50 (k: 2, savings 50.0%, disruption 50.0%)"
    refused = judge(two(), ["a"], 0.05, balanced)
    assert isinstance(refused, Refused)
    assert refused.code is StayCode.BELOW_BAR
    assert refused.detail == "score 0.25 < threshold 0.50 (k: 2, savings 12.5%, disruption 50.0%)"


def test_pools_that_are_not_balanced_have_no_say() -> None:
    assert judge(two(), ["a"], 0.0001, pool()) == ""


def test_every_balanced_pool_has_to_approve_its_share() -> None:
    mixed = [node("a", "medium", pod("w1")), node("b", "huge", pod("w2"), pool_name="other")]
    cheap = pool("other", policy=ConsolidationPolicy.BALANCED)
    assert judge(mixed, ["a", "b"], 0.5, pool(), cheap) == (
        "score 0.50 >= threshold 0.50 (k: 2, savings 50.0%, disruption 100.0%)"
    )
    assert isinstance(judge(mixed, ["a", "b"], 0.4, pool(), cheap), Refused)


@pytest.mark.parametrize(
    ("annotations", "bar"),
    [
        ({}, Bar()),
        ({MIN_SAVINGS: "0.01"}, Bar(per_move=UsdPerHour.of(0.01))),
        ({MIN_SAVINGS: "15%"}, Bar(share=0.15)),
        ({MAX_MOVES: "20"}, Bar(max_moves=20)),
        ({MIN_SAVINGS: "0.5", MAX_MOVES: "0"}, Bar(per_move=UsdPerHour.of(0.5), max_moves=0)),
        ({MIN_SAVINGS: "a lot"}, Bar(is_readable=False)),
        ({MAX_MOVES: "-1"}, Bar(is_readable=False)),
    ],
)
def test_a_pools_bar_is_read_from_its_annotations(annotations: dict[str, str], bar: Bar) -> None:
    assert bar_from(annotations) == bar


@pytest.mark.parametrize(
    ("annotations", "passes"),
    [
        ({MIN_SAVINGS: "0.1"}, True),
        ({MIN_SAVINGS: "0.11"}, False),
        ({MIN_SAVINGS: "50%"}, True),
        ({MIN_SAVINGS: "51%"}, False),
        ({MAX_MOVES: "1"}, True),
        ({MAX_MOVES: "0"}, False),
        ({MIN_SAVINGS: "cheap"}, False),
    ],
)
def test_a_command_below_a_pools_bar_is_refused(
    annotations: dict[str, str],
    passes: bool,  # noqa: FBT001 - a table's column
) -> None:
    found = judge(two(), ["a"], 0.1, pool(annotations=annotations))
    assert isinstance(found, Refused) is not passes
