from datetime import timedelta

from nodesmith.decide.disrupt.settling import is_consolidatable, is_settling
from tests.unit.decide.disrupt.build import NOW, node, pool, up


def test_pods_coming_and_going_start_consolidate_after_anew() -> None:
    patient = pool(after=timedelta(minutes=5))
    assert is_consolidatable(node("n"), patient, NOW)
    assert not is_consolidatable(node("n", pod_event=NOW - timedelta(minutes=4)), patient, NOW)
    assert is_consolidatable(node("n", pod_event=NOW - timedelta(minutes=5)), patient, NOW)
    assert not is_consolidatable(node("n", conditions=up(NOW)), patient, NOW)
    assert is_consolidatable(node("n", conditions=up(NOW)), pool(after=timedelta(0)), NOW)
    assert not is_consolidatable(node("n"), pool(after=None), NOW)


def test_a_young_node_takes_no_moved_pods_unless_its_pool_does_not_care() -> None:
    fresh = node("n", conditions=up(NOW))
    assert is_settling(fresh, pool(after=timedelta(minutes=5)), NOW)
    assert not is_settling(fresh, pool(after=timedelta(0)), NOW)
    assert not is_settling(fresh, pool(after=None), NOW)
    assert not is_settling(node("n"), pool(after=timedelta(minutes=5)), NOW)
