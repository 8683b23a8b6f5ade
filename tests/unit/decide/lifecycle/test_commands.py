from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from nodesmith.decide.lifecycle.command_record import COMMAND, CommandRecord, is_stale, read, resumable
from nodesmith.decide.lifecycle.quiet import Sight
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.requirements import Requirements
from nodesmith.plan.command import Command, Decision, Leaving, Method
from nodesmith.plan.schedule import PlannedClaim, Purchase
from nodesmith.state.snapshot import Snapshot, StateNode
from tests.unit.decide.lifecycle.making import NOW, ago, claim, condition, node, pod, pool

RECORD = CommandRecord("c1", Method.MULTI, ("a", "b"), ("new",), ((0, 1),), NOW)
TAINT = {"taints": [{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]}
GOING = {"deletionTimestamp": ago(seconds=1)}


def _state(
    name: str, *, is_marked: bool = True, is_tainted: bool = True, meta: Mapping[str, str] | None = None
) -> StateNode:
    annotations = {COMMAND: RECORD.to_text()} if is_marked else {}
    return StateNode(
        node(name, spec=TAINT if is_tainted else {}),
        claim(name, meta={"annotations": annotations, **(meta or {})}),
    )


def _exists(*names: str) -> Any:
    def find(name: str) -> NodeClaim | None:
        return claim(name) if name in names else None

    return find


def _planned(*pods: str) -> PlannedClaim:
    return PlannedClaim("p", Requirements({}), (), {}, pods, Purchase("m", "a", "spot", None))


def test_a_record_knows_for_whose_sake_a_replacement_is_bought() -> None:
    leaving = tuple(Leaving(f"node-{each}", each, "", "p", pods=(f"default/{each}",)) for each in "abc")
    command = Command(Method.MULTI, leaving, (_planned("default/a", "default/c"), _planned("default/b"), _planned()))
    record = CommandRecord.of(command, id_="c1", replacements=("one", "two", "three"), now=NOW)
    assert record.served_by(["one"]) == {"a", "c"}
    assert record.served_by(["two"]) == {"b"}
    assert record.served_by(["three"]) == {"a", "b", "c"}, "nothing says whose it is"


def test_a_record_is_read_as_it_was_written() -> None:
    assert read(claim(meta={"annotations": {COMMAND: RECORD.to_text()}})) == RECORD
    leaving = Leaving("node-a", "a", "", "p", pods=("default/x",)), Leaving("node-b", "b", "", "p", pods=("default/y",))
    command = Command(Method.MULTI, leaving, (_planned("default/x", "default/y"),))
    assert CommandRecord.of(command, id_="c1", replacements=("new",), now=NOW) == RECORD
    assert RECORD.decision is Decision.REPLACE
    assert RECORD.reason == "Underutilized"


@pytest.mark.parametrize(
    "text", ["", "nothing", "{}", '{"id":"x","method":"magic","candidates":[],"replacements":[],"serves":[]}', "[]"]
)
def test_a_record_that_cannot_be_read_is_none(text: str) -> None:
    assert read(claim(meta={"annotations": {COMMAND: text}})) is None


@pytest.mark.parametrize(
    ("nodes", "existing", "goes_on"),
    [
        ([_state("a"), _state("b")], ["new"], True),
        ([_state("a")], ["new"], True),
        ([_state("a", meta=GOING), _state("b")], ["new"], True),
        ([_state("a"), _state("b")], [], False),
        ([_state("a"), _state("b", is_marked=False)], ["new"], False),
        ([_state("a"), _state("b", is_tainted=False)], ["new"], False),
    ],
    ids=["complete", "one-gone", "one-going", "no-replacement", "one-not-marked", "one-not-tainted"],
)
def test_only_what_was_fully_set_up_goes_on(nodes: Any, existing: Any, goes_on: bool) -> None:  # noqa: FBT001 - a table
    assert resumable(nodes, _exists(*existing)) == ((RECORD,) if goes_on else ())


def test_traces_of_nothing_are_stale() -> None:
    assert not is_stale(_state("a"), frozenset({"c1"}))
    assert is_stale(_state("a"), frozenset())
    assert is_stale(_state("a", is_marked=False), frozenset())
    assert not is_stale(_state("a", is_marked=False, is_tainted=False), frozenset())
    assert not is_stale(_state("a", meta=GOING), frozenset())
    reasoned = StateNode(node("a"), claim("a", condition("DisruptionReason")))
    assert is_stale(reasoned, frozenset())
    assert not is_stale(StateNode(node("a", spec=TAINT), None), frozenset())


def _snapshot(*nodes: StateNode, **parts: Any) -> Snapshot:
    return Snapshot(taken_at=NOW, nodes=nodes, **parts)


def test_a_heartbeat_is_nothing_new_and_a_pod_is() -> None:
    before = Sight.of(_snapshot(StateNode(node(), claim())))
    heartbeat = _snapshot(StateNode(node(meta={"resourceVersion": "99"}), claim(meta={"resourceVersion": "98"})))
    assert Sight.of(heartbeat).is_as_before(before)
    assert not Sight.of(_snapshot(StateNode(node(), claim(), (pod(),)))).is_as_before(before)
    assert not Sight.of(_snapshot(StateNode(node(spec=TAINT), claim()))).is_as_before(before)
    assert not Sight.of(_snapshot(StateNode(node(), claim("claim", condition("Drifted"))))).is_as_before(before)
    assert not Sight.of(_snapshot(StateNode(node(), claim()), pools=(pool(),))).is_as_before(before)
    assert not Sight.of(heartbeat).is_as_before(None)


def test_a_promise_is_seen_when_it_begins_and_not_when_it_is_renewed() -> None:
    free, promised, renewed = (
        Sight.of(_snapshot(StateNode(node(), claim(), nominated_until=until)))
        for until in (None, NOW + timedelta(seconds=20), NOW + timedelta(seconds=30))
    )
    assert not promised.is_as_before(free)
    assert renewed.is_as_before(promised), "when it ends is known, and looked at then"
