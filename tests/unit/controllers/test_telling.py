"""Disruption passes that come too seldom are told of."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from nodesmith.controllers.disruption.telling import Telling
from nodesmith.controllers.shell import Shell


class Lines:
    """A log that keeps its warnings."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def warning(self, message: str, /, **_: Any) -> None:
        self.said.append(message)


def test_a_quarter_of_an_hour_without_a_pass_is_told() -> None:
    now, log = datetime(2026, 1, 1, tzinfo=UTC), Lines()
    shell = SimpleNamespace(now=lambda: now, log=log)
    telling = Telling(cast("Shell", shell))
    for minutes in (0, 10, 15):
        now += timedelta(minutes=minutes)
        telling.looks()
    assert not log.said
    now += timedelta(minutes=16)
    telling.looks()
    assert log.said == ["abnormal time between disruption passes"]
