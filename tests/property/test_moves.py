"""Nobody is moved about: pods come and go every ten minutes, kube-scheduler puts them where it likes, and the bounds hold.

No pod is moved by consolidation more than twice within half an hour. No replacement is replaced again for the same reason
within the hour. What the world writes down of moves is what the controller writes down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from nodesmith.decide.disrupt.decide import decide
from nodesmith.decide.disrupt.moves import MOVED_HERE, moves_of, moves_text
from nodesmith.decide.disrupt.policy import REPLACES_FOR, Policy
from nodesmith.decide.disrupt.replay import apply
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.nodepool import Budget
from nodesmith.plan.command import Command
from nodesmith.plan.schedule import OnClaim, OnNode
from nodesmith.state.snapshot import Snapshot, StateNode
from tests.property.test_disrupt_laws import CORES, TERMS, TYPES, bought_at
from tests.unit.decide.disrupt.build import NOW, kind, node, pod, pool, snapshot
from tests.unit.decide.disrupt.build import TYPES as KINDS

ROUNDS = 8
EVERY = timedelta(minutes=10)
HOUR = timedelta(hours=1)
REST = timedelta(minutes=30)
MOST = 2
POLICY = Policy(effort=500, foresight=0)
"""A short look: what must hold whatever is decided does not need the best decisions."""

CHEAPER_BY_SIZE = [kind("tiny", 1, 0.06), kind("small", 2, 0.10), kind("medium", 4, 0.17), kind("large", 8, 0.30)]
"""A larger machine costs less than smaller ones with as many cores: so it is not cut up, it shrinks."""


@dataclass
class Moved:
    """When each pod was moved by consolidation."""

    times: dict[str, list[datetime]] = field(default_factory=dict)

    def note(self, command: Command, now: datetime) -> None:
        """The command moves its pods; none of them has been moved too often in the half hour before."""
        for key in (key for each in command.candidates for key in each.pods):
            times = self.times.setdefault(key, [])
            lately = [at for at in times if now - at < REST]
            assert len(lately) < MOST, f"{key} is moved at {now:%H:%M} after {[f'{at:%H:%M}' for at in lately]}"
            times.append(now)


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.sampled_from(["1", "1", "30%", "100%"]))
def test_no_pod_is_moved_about_by_nodes_that_leave_one_after_the_other(seed: int, budget: str) -> None:
    rng = Random(seed)
    owner = pool(capacity_types=TERMS, budgets=(Budget(budget),))
    nodes = [_node(index, rng.choice(TYPES[2:4]), rng.choice([1, 1, 2, 3])) for index in range(6)]
    lived(snapshot(nodes, (owner,)), lambda view, number: churned(view, rng, number), KINDS)


@settings(max_examples=8)
@given(st.integers(0, 10**6))
def test_no_machine_is_replaced_by_a_smaller_one_twice_within_an_hour(seed: int) -> None:
    rng = Random(seed)
    nodes = [_node(0, "large", CORES["large"])]
    lived(snapshot(nodes, (pool(capacity_types=TERMS[:1]),)), lambda view, _: dwindled(view, rng), CHEAPER_BY_SIZE)


def lived(view: Snapshot, change: Callable[[Snapshot, int], Snapshot], types: Sequence[InstanceType]) -> None:
    """Every ten minutes something changes, and consolidation does in steps of a minute what it has to: within bounds."""
    moved, catalog = Moved(), {"default": types}
    for number in range(ROUNDS):
        view = change(view, number)
        for step in range(int(EVERY / timedelta(minutes=1))):
            now = NOW + EVERY * number + timedelta(minutes=step)
            view = replace(view, taken_at=now)
            command = decide(view, catalog, now=now, policy=POLICY).command
            if command is None:
                break
            if command.moves:
                is_no_second_replacement(command, view, now)
                moved.note(command, now)
            command = scattered(command, view)
            after = bought_at(apply(command, view, catalog, step=100 * number + step), now, command)
            view = written_down(command, view, after, now)


def _node(index: int, kind: str, count: int) -> StateNode:
    return node(f"n{index}", kind, *(pod(f"old-{index}-{number}", "900m") for number in range(count)))


def churned(view: Snapshot, rng: Random, number: int) -> Snapshot:
    """Some pods have gone, at times half of them, and some have come onto nodes with room."""
    leaving = rng.choice([0.0, 0.2, 0.5])
    nodes: list[StateNode] = []
    for state in view.nodes:
        kept = [each for each in state.pods if rng.random() >= leaving]
        if state.allocatable["cpu"] - sum(each.requests["cpu"] for each in kept) >= 900 and rng.random() < 0.5:
            kept.append(pod(f"new-{number}-{state.name}", "900m", node=state.name))
        nodes.append(replace(state, pods=tuple(kept)))
    return _with_nodes(view, nodes)


def dwindled(view: Snapshot, rng: Random) -> Snapshot:
    """A pod or two have gone from each node, which is not left without any."""
    gone = [rng.randint(1, 2) for _ in view.nodes]
    left = [state.pods[count:] or state.pods[-1:] for state, count in zip(view.nodes, gone, strict=True)]
    return _with_nodes(view, [replace(state, pods=pods) for state, pods in zip(view.nodes, left, strict=True)])


def _with_nodes(view: Snapshot, nodes: Sequence[StateNode]) -> Snapshot:
    return replace(view, nodes=tuple(nodes), pods=tuple(each for state in nodes for each in state.pods))


def is_no_second_replacement(command: Command, view: Snapshot, now: datetime) -> None:
    """None of the nodes that are replaced was itself bought for the same reason within the hour."""
    claims = {state.name: state.claim for state in view.nodes}
    for each in command.candidates if command.replacements else ():
        claim = claims[each.node]
        assert claim is not None
        is_same = claim.meta.annotations.get(REPLACES_FOR) == command.reason.value
        assert not is_same or now - claim.meta.created_at >= HOUR, f"{each.node} is replaced again"


def scattered(command: Command, view: Snapshot) -> Command:
    """The command, with its pods where kube-scheduler puts them: on the emptiest node there is, if that has room.

    It knows nothing of what we had in mind. Pods for which a machine is bought wait for that.
    """
    sizes = {each.key: each.requests["cpu"] for each in view.pods}
    free = {each.name: _free(each) for each in view.nodes if each.name not in command.nodes}
    places: dict[str, OnNode | OnClaim] = dict(command.placements)
    for key, place in sorted(places.items()):
        if isinstance(place, OnNode):
            target = max(free, key=lambda name: (free[name], name))
            if free[target] < sizes[key]:
                return command
            free[target] -= sizes[key]
            places[key] = OnNode(target)
    return replace(command, placements=places)


def _free(state: StateNode) -> int:
    return state.allocatable["cpu"] - sum(each.requests["cpu"] for each in state.pods)


def written_down(command: Command, before: Snapshot, after: Snapshot, now: datetime) -> Snapshot:
    """The claims say which pods came to their nodes, as the controller has them say."""
    earlier = {key: times for state in before.nodes if state.claim for key, times in moves_of(state.claim).items()}
    came = {key: (*earlier.get(key, ()), now) for each in command.candidates for key in each.pods}
    return replace(after, nodes=tuple(_with_moves(state, came, now) for state in after.nodes))


def _with_moves(state: StateNode, came: Mapping[str, tuple[datetime, ...]], now: datetime) -> StateNode:
    keys: Iterable[str] = [each.key for each in state.pods if each.key in came]
    if not keys or state.claim is None:
        return state
    text = moves_text({**moves_of(state.claim), **{key: came[key] for key in keys}}, now - REST)
    annotations = {**state.claim.meta.annotations, MOVED_HERE: text or ""}
    return replace(state, claim=replace(state.claim, meta=replace(state.claim.meta, annotations=annotations)))
