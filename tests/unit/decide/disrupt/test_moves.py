"""Who was moved, by whom he is succeeded, and when he has had enough of it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from nodesmith.decide.disrupt.candidates import CONSOLIDATION_RULES, DRIFT_RULES, EMPTINESS_RULES, spared
from nodesmith.decide.disrupt.moves import MOVED_HERE, Succession, moves_of, moves_text, weary
from nodesmith.model.meta import Condition
from nodesmith.model.nodeclaim import DRIFTED
from nodesmith.model.pod import Pod
from nodesmith.plan.stay import StayCode
from tests.unit.decide.disrupt.build import NOW, as_candidate, node, pod, scene, snapshot, up

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def made(name: str, at: datetime, *, on: str = "n") -> Pod:
    found = pod(name, node=on)
    return replace(found, meta=replace(found.meta, created_at=at))


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


def test_a_successor_takes_over_the_moves_and_the_next_one_does_not() -> None:
    succession = Succession()
    succession.leave(made("a", NOW - HOUR), (NOW - HOUR,), now=NOW)
    assert succession.arrive(made("b", NOW, on="m"), now=NOW + MINUTE)
    assert not succession.arrive(made("c", NOW, on="m"), now=NOW + MINUTE)
    assert succession.came_to("m") == {"default/b": (NOW - HOUR, NOW)}
    succession.forget("m", succession.came_to("m"))
    assert succession.came_to("m") == {}


def test_what_came_while_it_was_written_down_is_not_forgotten() -> None:
    succession = Succession()
    for name in "ab":
        succession.leave(made(name, NOW - HOUR), (), now=NOW)
    succession.arrive(made("c", NOW, on="m"), now=NOW)
    written = succession.came_to("m")
    succession.arrive(made("d", NOW, on="m"), now=NOW)
    succession.forget("m", written)
    assert succession.came_to("m") == {"default/d": (NOW,)}


def test_moves_that_are_not_written_down_yet_are_taken_along() -> None:
    succession = Succession()
    succession.leave(made("a", NOW - HOUR), (), now=NOW)
    succession.arrive(made("b", NOW, on="m"), now=NOW)
    succession.leave(made("b", NOW, on="m"), (), now=NOW + MINUTE)
    assert succession.arrive(made("c", NOW + MINUTE, on="o"), now=NOW + MINUTE)
    assert succession.came_to("o") == {"default/c": (NOW, NOW + MINUTE)}


@pytest.mark.parametrize("late", [timedelta(seconds=-2), 10 * MINUTE], ids=["before", "long-after"])
def test_a_pod_that_was_made_at_another_time_succeeds_nobody(late: timedelta) -> None:
    succession = Succession()
    succession.leave(made("a", NOW - HOUR), (), now=NOW)
    assert not succession.arrive(made("b", NOW + late), now=NOW + max(late, MINUTE))


def test_nobody_succeeds_a_pod_without_a_controller_nor_one_that_went_long_ago() -> None:
    succession = Succession()
    succession.leave(pod("bare", node="n", owner=""), (), now=NOW)
    assert not succession.arrive(replace(made("b", NOW), meta=pod("b", owner="").meta), now=NOW)
    succession.leave(made("a", NOW - HOUR), (), now=NOW)
    assert not succession.arrive(made("b", NOW), now=NOW + 20 * MINUTE)
