"""By whom a pod is succeeded that was moved."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from nodesmith.controllers.nodeclaim.succession import Succession
from nodesmith.model.pod import Pod
from tests.unit.decide.disrupt.build import NOW, pod

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def made(name: str, at: datetime, *, on: str = "n") -> Pod:
    found = pod(name, node=on)
    return replace(found, meta=replace(found.meta, created_at=at))


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
