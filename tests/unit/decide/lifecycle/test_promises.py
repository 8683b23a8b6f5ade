"""Pods are planned for as if they were on the machines that were bought for them, while those come."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from nodesmith.decide.lifecycle.promises import SETTLING, is_settled, keep_promises, settled_at
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.pod import Pod
from nodesmith.state.snapshot import Snapshot, StateNode
from tests.unit.decide.lifecycle.making import NOW, ago, claim, condition, node, pod

KEYS = ["default/a", "default/b", "default/gone"]
SIZE = {"cpu": "2", "memory": "4Gi", "pods": "10"}


def waiting(name: str, cpu: str = "500m") -> Pod:
    spec = {"nodeName": "", "containers": [{"name": "main", "resources": {"requests": {"cpu": cpu}}}]}
    told = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return pod(name, spec=spec, status={"phase": "Pending", "conditions": [told]})


def bought(*conditions: Any, keys: list[str] = KEYS, provider_id: str = "aws:///a/i-1") -> NodeClaim:
    meta = {"annotations": {"nodesmith.dev/planned-pods": json.dumps(keys)}}
    return claim("claim", *conditions, meta=meta, status={"providerID": provider_id, "allocatable": SIZE})


def seen(state: StateNode, *pods: Pod) -> Snapshot:
    return Snapshot(taken_at=NOW, nodes=(state,), pods=pods)


def promised(state: StateNode, *pods: Pod) -> list[str]:
    return [each.meta.name for each in keep_promises(seen(state, *pods)).nodes.get(state.name, ())]


def fit(seconds_ago: float) -> StateNode:
    labels = {"karpenter.sh/registered": "true", "karpenter.sh/initialized": "true"}
    on = node(meta={"labels": labels}, status={"allocatable": SIZE})
    return StateNode(on, bought(condition("Initialized", since=ago(seconds=seconds_ago))))


def test_they_are_on_their_machine_and_wait_no_more() -> None:
    state = StateNode(None, bought())
    a, b, c = waiting("a"), waiting("b"), waiting("c")
    kept = keep_promises(seen(state, a, b, c))
    [on] = kept.snapshot.nodes
    assert [(each.meta.name, each.node_name) for each in on.pods] == [("a", "claim"), ("b", "claim")]
    assert [each.meta.name for each in kept.snapshot.pods if each.is_provisionable] == ["c"]
    assert set(kept.nodes) == {"claim"}


def test_what_has_no_room_any_more_waits_like_the_rest() -> None:
    other = replace(waiting("other", cpu="1200m"), node_name="node", phase="Running")
    state = replace(StateNode(None, bought()), pods=(other,))
    assert promised(state, waiting("a"), waiting("b")) == ["a"]


def test_a_promise_ends_a_moment_after_the_machine_is_fit() -> None:
    assert promised(fit(5), waiting("a")) == ["a"]
    assert promised(fit(30), waiting("a")) == []


def test_a_machine_that_is_not_known_or_leaves_promises_nothing() -> None:
    assert promised(StateNode(None, bought(provider_id="")), waiting("a")) == []
    assert promised(StateNode(None, bought(), is_marked=True), waiting("a")) == []
    assert promised(StateNode(None, bought(keys=[])), waiting("a")) == []


def test_a_pod_that_is_nominated_is_promised_where_it_is_nominated_to() -> None:
    here, elsewhere = (replace(waiting(name), nominated_node_name=node) for name, node in (("a", "claim"), ("b", "x")))
    assert promised(StateNode(None, bought()), here, elsewhere) == ["a"]


def test_settling_begins_when_the_machine_is_fit() -> None:
    assert settled_at(bought()) is None
    fit_since = bought(condition("Initialized", since=ago(seconds=5)))
    assert settled_at(fit_since) == NOW - timedelta(seconds=5) + SETTLING
    assert not is_settled(fit_since, NOW)


def test_nothing_changes_where_nothing_was_promised() -> None:
    snapshot = seen(StateNode(None, bought(keys=[])), waiting("a"))
    assert keep_promises(snapshot).snapshot is snapshot
