from nodesmith.decide.disrupt.budgets import allowances
from nodesmith.decide.disrupt.rationing import Ration
from nodesmith.model.nodepool import Budget, DisruptionReason
from nodesmith.plan.stay import StayCode
from tests.unit.decide.disrupt.build import NOW, as_candidate, node, pool, snapshot

POOLS = (pool(budgets=(Budget("2"),)), pool("other", budgets=(Budget("0"),)))
NODES = [node(name) for name in "abc"] + [node("x", pool_name="other")]
RATION = Ration(allowances(snapshot(NODES, POOLS), POOLS, DisruptionReason.EMPTY, NOW))
ALL = [as_candidate(each, *(other for other in NODES if other is not each), pools=POOLS) for each in NODES]


def test_each_pool_gives_as_many_as_its_budget_the_first_ones_first() -> None:
    assert [each.name for each in RATION.take(ALL)] == ["a", "b"]
    assert [each.name for each in RATION.take(reversed(ALL))] == ["c", "b"]


def test_what_was_taken_counts() -> None:
    assert [each.name for each in RATION.also(ALL[:1], ALL[1:])] == ["b"]


def test_a_set_is_allowed_when_every_pool_allows_its_part() -> None:
    assert RATION.allows(ALL[:2])
    assert not RATION.allows(ALL[:3])
    assert not RATION.allows(ALL[3:])


def test_a_pool_that_nobody_heard_of_has_nothing_left() -> None:
    assert RATION.left("unknown") == 0


def test_who_stays_for_lack_of_budget_is_told_the_numbers() -> None:
    assert RATION.stay(ALL[0]) is None
    stay = RATION.stay(ALL[3])
    assert stay is not None
    assert stay.code is StayCode.POOL_BUDGET
    assert stay.detail == (
        "the budget of nodepool other for Empty allows 0 of 1 nodes, 0 are being disrupted or not ready"
    )
