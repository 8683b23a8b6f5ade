"""When time alone may let a node go that stays."""

from dataclasses import replace
from datetime import datetime, timedelta

from nodesmith.decide.disrupt.chances import LONGEST, next_chance
from nodesmith.decide.disrupt.verdict import Memory, Verdict
from nodesmith.model.nodepool import Budget
from nodesmith.plan.stay import Stay, StayCode
from nodesmith.state.snapshot import Snapshot
from tests.unit.decide.disrupt.build import NOW, node, pool, snapshot

SOON = NOW + timedelta(seconds=40)


def _chance(code: StayCode, view: Snapshot | None = None, memory: Memory | None = None) -> datetime:
    return next_chance(Verdict(None, (Stay("n", code, ""),), memory=memory or Memory()), view or _view())


def _view(*budgets: Budget, **more: object) -> Snapshot:
    return snapshot([replace(node("n", "large"), **more)], (pool(budgets=budgets),))  # type: ignore[arg-type]  # by name


def test_what_only_a_change_can_free_is_looked_at_after_five_minutes() -> None:
    assert _chance(StayCode.NOT_CHEAPER) == NOW + LONGEST
    assert _chance(StayCode.POOL_BUDGET) == NOW + LONGEST


def test_a_pass_that_was_cut_short_goes_on_at_once() -> None:
    assert next_chance(Verdict(None, is_cut_short=True), _view()) == NOW


def test_a_rest_a_nomination_and_a_young_node_come_to_their_end() -> None:
    assert _chance(StayCode.RESTING, memory=Memory(resting={"n": SOON})) == SOON
    assert _chance(StayCode.NOMINATED, _view(nominated_until=SOON)) == SOON
    young = node("n", "large")
    assert young.claim is not None
    quiet_since = NOW - timedelta(seconds=20)
    view = snapshot(
        [replace(young, claim=replace(young.claim, last_pod_event_at=quiet_since))],
        (pool(after=timedelta(minutes=1)),),
    )
    assert _chance(StayCode.YOUNG, view) == SOON


def test_nodes_that_come_free_soon_after_one_another_are_looked_at_together() -> None:
    later = [SOON, SOON + timedelta(seconds=8), SOON + timedelta(seconds=11)]
    nodes = [replace(node(f"n{index}", "large"), nominated_until=at) for index, at in enumerate(later)]
    stays = tuple(Stay(each.name, StayCode.NOMINATED, "") for each in nodes)
    assert next_chance(Verdict(None, stays), snapshot(nodes, (pool(),))) == later[1]


def test_a_budget_with_a_schedule_changes_at_full_minutes() -> None:
    scheduled = Budget("0", schedule="0 9 * * *", duration=timedelta(hours=8))
    chance = _chance(StayCode.POOL_BUDGET, _view(scheduled))
    assert NOW < chance <= NOW + timedelta(minutes=1)
    assert chance.second == 0
