from datetime import timedelta

import pytest

from nodesmith.decide.disrupt.protection import (
    Guards,
    InvalidDoNotDisruptError,
    is_evictable,
    is_protected,
    parse_do_not_disrupt,
    prevents,
)
from nodesmith.model.labels import DO_NOT_DISRUPT
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.selector import EVERYTHING, Expression, LabelSelector
from nodesmith.model.taints import Toleration
from nodesmith.model.workload import PodDisruptionBudget
from tests.unit.decide.disrupt.build import NOW, pod


def test_true_protects_for_as_long_as_the_pod_runs() -> None:
    assert parse_do_not_disrupt("true") is None
    marked = {DO_NOT_DISRUPT: "true"}
    assert is_protected(pod("p", node="n", annotations=marked), NOW)
    assert not is_protected(pod("p", node="n", annotations=marked, phase="Succeeded"), NOW)
    assert not is_protected(pod("p", node="n", annotations=marked, deleted=True), NOW)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("1h", timedelta(hours=1)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("90s", timedelta(seconds=90)),
        ("500ms", timedelta(milliseconds=500)),
    ],
)
def test_a_duration_protects_from_the_pods_start(text: str, length: timedelta) -> None:
    assert parse_do_not_disrupt(text) == length
    marked = {DO_NOT_DISRUPT: text}
    assert is_protected(pod("p", node="n", annotations=marked, started=NOW - length / 2), NOW)
    assert not is_protected(pod("p", node="n", annotations=marked, started=NOW - length), NOW)


def test_a_duration_protects_a_pod_that_has_not_started() -> None:
    assert is_protected(pod("p", node="n", annotations={DO_NOT_DISRUPT: "1s"}, started=None), NOW)


@pytest.mark.parametrize("text", ["false", "", "0", "0s", "-1h", "1", "h", "1d", "1h later", "True"])
def test_anything_else_does_not_protect_and_is_told(text: str) -> None:
    with pytest.raises(InvalidDoNotDisruptError):
        parse_do_not_disrupt(text)
    assert not is_protected(pod("p", node="n", annotations={DO_NOT_DISRUPT: text}), NOW)


def test_a_pod_without_the_annotation_is_not_protected() -> None:
    assert not is_protected(pod("p", node="n"), NOW)


def test_pods_that_outlive_the_taint_and_mirror_pods_are_not_evicted() -> None:
    assert is_evictable(pod("p", node="n"))
    assert not is_evictable(pod("p", node="n", tolerations=(Toleration(operator="Exists"),)))
    assert not is_evictable(pod("p", node="n", owner="Node"))
    assert not is_evictable(pod("p", node="n", deleted=True))


def budget(
    name: str, selector: LabelSelector | None, allowed: int | None, *, always: bool = False
) -> PodDisruptionBudget:
    return PodDisruptionBudget(ObjectMeta(name, "default"), selector, allowed, evicts_unready_always=always)


def test_guards_are_those_of_the_namespace_that_select_the_pod() -> None:
    web = LabelSelector((Expression("app", "In", ("web",)),))
    elsewhere = PodDisruptionBudget(ObjectMeta("other", "kube-system"), EVERYTHING, 0)
    guards = Guards.of((budget("web", web, 0), budget("none", None, 0), budget("all", EVERYTHING, 1), elsewhere))
    assert [each.meta.name for each in guards.over(pod("web-1", node="n"))] == ["all", "web"]
    assert [each.meta.name for each in guards.over(pod("db-1", node="n"))] == ["all"]
    assert guards.over(pod("db-1", node="n")) is guards.over(pod("db-2", node="n"))


def test_a_budget_prevents_when_nothing_is_allowed_or_known() -> None:
    assert prevents(budget("b", EVERYTHING, 0), pod("p", node="n"))
    assert prevents(budget("b", EVERYTHING, None), pod("p", node="n"))
    assert not prevents(budget("b", EVERYTHING, 1), pod("p", node="n"))


def test_always_allow_lets_pods_go_that_are_not_ready() -> None:
    assert not prevents(budget("b", EVERYTHING, 0, always=True), pod("p", node="n", ready=False))
    assert prevents(budget("b", EVERYTHING, 0, always=True), pod("p", node="n", ready=True))
