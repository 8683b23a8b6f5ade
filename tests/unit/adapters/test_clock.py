from datetime import timedelta

import pytest

from nodesmith.adapters.clock import Stopwatch


def test_time_counts_from_the_first_question(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter((100.0, 101.9, 102.0, 200.0))
    monkeypatch.setattr("nodesmith.adapters.clock.time.monotonic", lambda: next(seconds))
    is_time_up = Stopwatch(timedelta(seconds=2))
    assert [is_time_up() for _ in range(4)] == [False, False, True, True]


def test_no_time_is_up_at_once() -> None:
    assert Stopwatch(timedelta(0))()
