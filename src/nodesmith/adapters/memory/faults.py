"""What goes wrong, by rule and by a seeded source: the same seed fails the same calls."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from nodesmith.ports.errors import Unavailable


def did_not_answer() -> Exception:
    """The usual failure."""
    return Unavailable("the server did not answer")


@dataclass(slots=True)
class Fault:
    """One rule. Empty `verbs` or `kinds` mean all; `after` fails when the call has acted, as a lost answer does."""

    probability: float = 1.0
    verbs: Collection[str] = ()
    kinds: Collection[str] = ()
    error: Callable[[], Exception] = did_not_answer
    after: bool = False
    times: int | None = None
    """How often it may still happen; None is without limit."""

    def concerns(self, verb: str, kind: str, *, after: bool) -> bool:
        """Whether the rule is about such a call, before or after it acted."""
        return (
            self.times != 0
            and self.after == after
            and (not self.verbs or verb in self.verbs)
            and (not self.kinds or kind in self.kinds)
        )


class Faults:
    """The rules in force, and how slow the outside is."""

    def __init__(
        self,
        rng: random.Random,
        *rules: Fault,
        latency: tuple[timedelta, timedelta] = (timedelta(0), timedelta(0)),
        watch_lag: timedelta = timedelta(0),
        watch_cut: float = 0.0,
    ) -> None:
        self.rules = list(rules)
        self.latency = latency
        self.watch_lag = watch_lag
        self.watch_cut = watch_cut
        self._rng = rng

    def strike(self, verb: str, kind: str, *, after: bool = False) -> None:
        """Raise the error of the first rule that hits this call, if any does."""
        for rule in self.rules:
            if rule.concerns(verb, kind, after=after) and self._rng.random() < rule.probability:
                if rule.times is not None:
                    rule.times -= 1
                raise rule.error()

    def delay(self) -> timedelta:
        """How long this call takes."""
        least, most = self.latency
        return least if least == most else least + (most - least) * self._rng.random()

    def cuts_watch(self) -> bool:
        """Whether the watch ends before its next event."""
        return self.watch_cut > 0 and self._rng.random() < self.watch_cut


def no_faults() -> Faults:
    """Nothing goes wrong, and nothing takes time."""
    return Faults(random.Random(0))  # noqa: S311 - repeatable on purpose; with no rules it is never drawn from
