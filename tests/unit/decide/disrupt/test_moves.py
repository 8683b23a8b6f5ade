"""What is written down of moves, and when a pod has had enough of them."""

from datetime import timedelta

import pytest

from nodesmith.decide.disrupt.moves import MOVED_HERE, moves_of, moves_text, weary
from nodesmith.decide.disrupt.sparing import CONSOLIDATION_RULES, DRIFT_RULES, EMPTINESS_RULES, spared
from nodesmith.model.meta import Condition
from nodesmith.model.nodeclaim import DRIFTED
from nodesmith.model.pod import Pod
from nodesmith.plan.stay import StayCode
from tests.unit.decide.disrupt.build import NOW, as_candidate, node, pod, scene, snapshot, up

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def annotated(*minutes_ago: int, key: str = "default/a") -> dict[str, str]:
    return {MOVED_HERE: moves_text({key: tuple(NOW - each * MINUTE for each in minutes_ago)}, NOW - 9 * HOUR) or ""}


def test_a_record_is_read_as_it_was_written_without_what_counts_no_more() -> None:
    moves = {"default/b": (NOW - 2 * HOUR, NOW), "default/a": (NOW - 2 * HOUR,)}
    text = moves_text(moves, NOW - HOUR)
    claim = node("n", claim_annotations={MOVED_HERE: text or ""}).claim
    assert claim is not None
    assert moves_of(claim) == {"default/b": (NOW,)}
    assert moves_text(moves, NOW) is None


@pytest.mark.parametrize("text", ["", "no", "[]", '{"a": 1}'])
def test_a_record_that_cannot_be_read_says_nothing(text: str) -> None:
    claim = node("n", claim_annotations={MOVED_HERE: text}).claim
    assert claim is not None
    assert moves_of(claim) == {}


def test_a_pod_is_weary_of_two_moves_within_half_an_hour() -> None:
    def found(*minutes_ago: int, key: str = "default/a") -> Pod | None:
        state = node("n", "medium", pod("a"), claim_annotations=annotated(*minutes_ago, key=key))
        assert state.claim is not None
        return weary(state.claim, state.pods, since=NOW - 30 * MINUTE, most=2)

    assert found(29, 1) is not None
    assert found(30, 1) is None
    assert found(1) is None
    assert found(29, 1, key="default/other") is None


def test_its_node_is_spared_by_consolidation_and_by_nothing_else() -> None:
    drifted = {**up(), DRIFTED: Condition(DRIFTED, "True")}
    state = node("n", "medium", pod("a"), claim_annotations=annotated(29, 1), conditions=drifted)
    each, view = as_candidate(state), scene(snapshot((state,)))
    stay = spared(each, view, CONSOLIDATION_RULES)
    assert stay is not None
    assert stay.code is StayCode.RECENTLY_MOVED
    assert stay.detail == "consolidation has moved pod default/a as often as it may within 0:30:00 (2)"
    assert spared(each, view, DRIFT_RULES) is None
    empty = node("n", "medium", claim_annotations=annotated(29, 1))
    assert spared(as_candidate(empty), scene(snapshot((empty,))), EMPTINESS_RULES) is None
