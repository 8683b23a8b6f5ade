"""A node that a command is about to take may yet stay, with its pods and with what it holds of its pool's limits."""

import json
from dataclasses import replace

from nodesmith.decide.lifecycle.command_record import COMMAND
from nodesmith.decide.lifecycle.promises import keep_promises
from nodesmith.decide.lifecycle.undecided import may_stay, staying_pods, within_limits
from nodesmith.state.snapshot import Snapshot, StateNode
from tests.unit.decide.lifecycle.making import NOW, ago, claim, node, pod, pool

SIZE = {"cpu": "4", "memory": "8Gi", "pods": "10"}
UP = {
    "labels": {
        "karpenter.sh/nodepool": "default",
        "karpenter.sh/registered": "true",
        "karpenter.sh/initialized": "true",
    }
}


def taken(**meta: object) -> StateNode:
    record = {"annotations": {COMMAND: "{}"}, **meta}
    status = {"capacity": SIZE, "allocatable": SIZE}
    moving = pod("a", meta={"namespace": "default"})
    return StateNode(node(meta=UP, status=status), claim("old", meta=record), (moving,), is_marked=True)


def test_a_node_may_stay_until_it_is_being_deleted() -> None:
    assert may_stay(taken())
    assert not may_stay(replace(taken(), is_marked=False)), "no command has it"
    assert not may_stay(taken(annotations={})), "it was marked for another cause"
    assert not may_stay(taken(deletionTimestamp=ago(seconds=1)))


def test_what_it_holds_of_the_limits_is_not_free() -> None:
    limited = pool(spec={"limits": {"cpu": "10", "nodes": "3"}})
    view = Snapshot(taken_at=NOW, nodes=(taken(),), pools=(limited, pool("other")))
    held = within_limits(view)
    assert held.pools[0].limits == {"cpu": 6000, "nodes": 2}
    assert held.pools[1] is view.pools[1]
    settled = replace(view, nodes=(replace(taken(), is_marked=False),))
    assert within_limits(settled) is settled


def test_a_static_pool_counts_its_own_nodes() -> None:
    static = pool(spec={"replicas": 1, "limits": {"nodes": "2"}})
    assert within_limits(Snapshot(taken_at=NOW, nodes=(taken(),), pools=(static,))).pools == (static,)


def test_its_pods_are_on_the_replacement_that_comes_up_for_them() -> None:
    keys = {"annotations": {"nodesmith.dev/planned-pods": json.dumps(["default/a"])}}
    new = claim("new", meta=keys, status={"providerID": "aws:///a/i-2", "allocatable": SIZE})
    view = Snapshot(taken_at=NOW, nodes=(StateNode(None, new), taken()), pods=taken().pods)
    assert set(staying_pods(view)) == {"default/a"}
    kept = keep_promises(view).snapshot
    assert [(each.name, [pod.meta.name for pod in each.pods]) for each in kept.nodes] == [("new", ["a"]), ("node", [])]
    assert [each.node_name for each in kept.pods] == ["new"]
    assert not staying_pods(kept)
