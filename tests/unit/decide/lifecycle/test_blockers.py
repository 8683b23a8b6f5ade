"""Who holds a leaving node, by name."""

from typing import Any

import pytest

from nodesmith.decide.disrupt.protection import Guards
from nodesmith.decide.lifecycle.blockers import Blocker, named, pod_blockers, volume_blockers
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.selector import Expression, LabelSelector
from nodesmith.model.storage import VolumeAttachment
from nodesmith.model.workload import PodDisruptionBudget
from tests.unit.decide.lifecycle.making import NOW, ago, later, pod

ANNOTATED = {"annotations": {"karpenter.sh/do-not-disrupt": "true"}}


def guard(name: str, allowed: int) -> PodDisruptionBudget:
    selector = LabelSelector((Expression("app", "In", ("web",)),))
    return PodDisruptionBudget(ObjectMeta(name, "default"), selector, disruptions_allowed=allowed)


@pytest.mark.parametrize(
    ("meta", "guards", "why"),
    [
        ({}, [], ""),
        ({}, [guard("web", 1)], ""),
        ({"labels": {"app": "web"}}, [guard("web", 0)], "PodDisruptionBudget web lets no pod go"),
        ({"labels": {"app": "web"}}, [guard("a", 1), guard("b", 1)], "several PodDisruptionBudgets select it: a b"),
        (ANNOTATED, [], "annotated karpenter.sh/do-not-disrupt"),
        ({"deletionTimestamp": ago(seconds=30)}, [], "was to be gone by now"),
        ({"deletionTimestamp": later(seconds=30)}, [], ""),
    ],
)
def test_a_pod_in_the_way_is_named_with_the_reason(meta: Any, guards: list[PodDisruptionBudget], why: str) -> None:
    found = pod_blockers([pod("web", meta=meta)], Guards.of(guards), NOW)
    assert found == ((Blocker("pod default/web", why),) if why else ())


def test_pods_that_are_not_waited_for_hold_nothing() -> None:
    done = pod("done", meta=ANNOTATED, status={"phase": "Succeeded"})
    given_up = pod("given-up", meta={"deletionTimestamp": ago(minutes=5)})
    assert not pod_blockers([done, given_up], Guards.of(()), NOW)


def test_a_long_list_is_cut_and_counted() -> None:
    attached = [VolumeAttachment(ObjectMeta(f"csi-{index}"), "node", f"pv-{index}") for index in range(7)]
    blockers = volume_blockers(attached)
    assert str(blockers[0]) == "volume pv-0 (csi-0 is still attached)"
    assert named(blockers).endswith("(csi-4 is still attached) and 2 more")
    assert named(()) == ""
