import itertools

from nodesmith.decide.disrupt.curve import frontier
from nodesmith.decide.disrupt.explain import explain_node
from nodesmith.model import labels
from nodesmith.model.nodepool import Budget, DisruptionReason
from nodesmith.plan.stay import StayCode
from tests.unit.decide.disrupt.build import NOW, catalog, node, pod, pool, snapshot

FIXED = pool(capacity_types=(labels.ON_DEMAND,))
VIEW = snapshot(
    (
        node("blocked", "huge", pod("p", annotations={labels.DO_NOT_DISRUPT: "true"})),
        node("fit", "tiny", pod("f", "900m")),
        node("large", "huge", pod("l", "900m")),
    ),
    (FIXED,),
)


def test_a_node_that_is_no_candidate_has_one_reason() -> None:
    found = explain_node("blocked", VIEW, catalog(VIEW), now=NOW)
    assert found is not None
    assert found.blocked is not None
    assert found.blocked.code is StayCode.POD_DO_NOT_DISRUPT
    assert not found.stays


def test_a_node_that_leaves_now_shows_the_command() -> None:
    found = explain_node("large", VIEW, catalog(VIEW), now=NOW)
    assert found is not None
    assert found.now is not None
    assert "large" in found.now.nodes
    assert found.alone is not None


def test_a_node_that_stays_has_a_reason_for_every_method_and_the_nearest_saving() -> None:
    alone = snapshot((node("fit", "tiny", pod("f", "900m")),), (FIXED,))
    found = explain_node("fit", alone, catalog(alone), now=NOW)
    assert found is not None
    assert found.now is None
    assert found.alone is None
    by_reason = dict(found.stays)
    assert by_reason.keys() == set(DisruptionReason)
    assert by_reason[DisruptionReason.EMPTY].code is StayCode.ONLY_EMPTY
    assert by_reason[DisruptionReason.DRIFTED].code is StayCode.NOT_DRIFTED
    nearest = by_reason[DisruptionReason.UNDERUTILIZED]
    assert nearest.code is StayCode.NOT_CHEAPER
    assert nearest.saving is not None
    assert nearest.saving.picos == 0


def test_rules_and_budgets_of_consolidation_are_told() -> None:
    closed = snapshot((node("a", "huge", pod("w")),), (pool(budgets=(Budget("0"),)),))
    found = explain_node("a", closed, catalog(closed), now=NOW)
    assert found is not None
    assert dict(found.stays)[DisruptionReason.UNDERUTILIZED].code is StayCode.POOL_BUDGET
    never = snapshot((node("a", "huge", pod("w")),), (pool(after=None),))
    found = explain_node("a", never, catalog(never), now=NOW)
    assert found is not None
    assert dict(found.stays)[DisruptionReason.UNDERUTILIZED].code is StayCode.NEVER


def test_nobody_has_no_answer() -> None:
    assert explain_node("nobody", VIEW, catalog(VIEW), now=NOW) is None


def test_the_curve_saves_more_only_where_more_moves() -> None:
    nodes = [
        node(f"n{index}", "huge", *(pod(f"w{index}-{each}", "1") for each in range(1 + 2 * index)))
        for index in range(5)
    ]
    view = snapshot(nodes, (FIXED,))
    curve = frontier(view, catalog(view), now=NOW)
    assert len(curve) > 2
    moves = [each.moves for each in curve]
    savings = [each.savings for each in curve if each.savings is not None]
    assert moves == sorted(moves)
    assert len(savings) == len(curve)
    assert all(one < other for one, other in itertools.pairwise(savings))
