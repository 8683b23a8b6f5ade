"""Nobody is moved about: pods come and go every ten minutes, and what consolidation moves is bounded by the hour.

A replacement is not replaced again for the same reason within the hour. A pod may be moved once to where it is packed
well, and from then on once for each hour of its life; all of them together stay below that by far more than a few.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from nodesmith.decide.disrupt.decide import decide
from nodesmith.decide.disrupt.policy import REPLACES_FOR
from nodesmith.decide.disrupt.replay import apply
from nodesmith.model.nodepool import Budget
from nodesmith.plan.command import Command
from nodesmith.state.snapshot import Snapshot
from tests.property.test_disrupt_laws import TYPES, bought_at, churned
from tests.unit.decide.disrupt.build import NOW, catalog, node, pool, snapshot

ROUNDS = 18
EVERY = timedelta(minutes=10)
HOUR = timedelta(hours=1)


@dataclass
class Lives:
    """How long each pod was there, in rounds, and how often it was moved."""

    rounds: Counter[str] = field(default_factory=Counter)
    moved: Counter[str] = field(default_factory=Counter)

    def check(self) -> None:
        for key, count in self.moved.items():
            hours = math.ceil(self.rounds[key] * (EVERY / HOUR))
            assert count <= 1 + hours, f"{key} was moved {count} times in {hours} hours"
        pod_hours = self.rounds.total() * (EVERY / HOUR)
        assert self.moved.total() <= pod_hours + len(self.rounds)


@settings(max_examples=15)
@given(st.data())
def test_moves_are_bounded_by_the_pod_hour_and_no_node_is_replaced_twice_in_an_hour(data: st.DataObject) -> None:
    owner = pool(budgets=(Budget(data.draw(st.sampled_from(["1", "50%", "100%"]))),))
    nodes = [node(f"n{index}", data.draw(st.sampled_from(TYPES[2:]))) for index in range(4)]
    view, lives, born = snapshot(nodes, (owner,)), Lives(), 0
    types = catalog(view)
    for number in range(ROUNDS):
        now = NOW + EVERY * number
        view, born = churned(view, data, born)
        lives.rounds.update(each.key for each in view.pods)
        for step in range(int(EVERY / timedelta(minutes=1))):
            view = replace(view, taken_at=now + timedelta(minutes=step))
            command = decide(view, types, now=view.taken_at).command
            if command is None:
                break
            is_no_second_replacement(command, view, view.taken_at)
            lives.moved.update(key for each in command.candidates for key in each.pods)
            view = bought_at(apply(command, view, types, step=100 * number + step), view.taken_at, command)
    lives.check()


def is_no_second_replacement(command: Command, view: Snapshot, now: datetime) -> None:
    """None of the nodes that are replaced was itself bought for the same reason within the hour."""
    claims = {state.name: state.claim for state in view.nodes}
    for each in command.candidates if command.replacements else ():
        claim = claims[each.node]
        assert claim is not None
        is_same = claim.meta.annotations.get(REPLACES_FOR) == command.reason.value
        assert not is_same or now - claim.meta.created_at >= HOUR, f"{each.node} is replaced again"
