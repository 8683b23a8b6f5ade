"""Laws of disruption, over random clusters: it never pays more, strands nobody, and keeps every budget.

The scheduler's plans are checked by the validator, which shares nothing with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from nodesmith.decide.disrupt.budgets import allowances
from nodesmith.decide.disrupt.decide import decide, validate
from nodesmith.decide.disrupt.policy import REPLACES_FOR
from nodesmith.decide.disrupt.protection import is_protected
from nodesmith.decide.disrupt.replay import apply, cluster_price
from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.validate import validate as check
from nodesmith.model import labels
from nodesmith.model.meta import Condition
from nodesmith.model.nodeclaim import DRIFTED
from nodesmith.model.nodepool import Budget, ConsolidationPolicy, DisruptionReason, NodePool
from nodesmith.model.pod import Pod
from nodesmith.plan.command import Command
from nodesmith.plan.schedule import SchedulePlan
from nodesmith.state.snapshot import Snapshot, StateNode
from tests.unit.decide.disrupt.build import NOW, catalog, node, pod, pool, snapshot, up

TYPES = ("tiny", "small", "medium", "large", "huge")
CORES = {"tiny": 1, "small": 2, "medium": 4, "large": 8, "huge": 16}
TERMS = (labels.ON_DEMAND, labels.SPOT)


@st.composite
def pools(draw: st.DrawFn, name: str) -> NodePool:
    budgets = draw(st.lists(st.sampled_from(["0", "1", "2", "20%", "50%", "100%"]), min_size=1, max_size=2))
    return pool(
        name,
        capacity_types=draw(st.sampled_from([TERMS, TERMS, TERMS[:1]])),
        policy=draw(st.sampled_from(list(ConsolidationPolicy))),
        budgets=tuple(Budget(each) for each in budgets),
    )


@st.composite
def machines(draw: st.DrawFn, name: str) -> StateNode:
    """A node with pods that fit on it."""
    type_name = draw(st.sampled_from(TYPES))
    left, pods = CORES[type_name] * 1000, list[Pod]()
    for index in range(draw(st.integers(0, 5))):
        asked = draw(st.sampled_from([100, 400, 900, 1900]))
        if asked > left:
            break
        left -= asked
        text = draw(st.sampled_from(["", "", "", "", "", "true", "1h"]))
        zone = draw(st.sampled_from([None, None, None, "a"]))
        pods.append(
            pod(
                f"{name}-{index}",
                f"{asked}m",
                annotations={labels.DO_NOT_DISRUPT: text} if text else {},
                selector={labels.ZONE: zone} if zone else {},
            )
        )
    conditions = up()
    if draw(st.integers(0, 9)) == 0:
        conditions[DRIFTED] = Condition(DRIFTED, "True")
    return node(
        name,
        type_name,
        *pods,
        zone="a" if any(each.spec.node_selector for each in pods) else draw(st.sampled_from("ab")),
        capacity_type=draw(st.sampled_from(TERMS)),
        pool_name=draw(st.sampled_from(["default", "default", "other"])),
        conditions=conditions,
        ready=draw(st.integers(0, 9)) > 0,
    )


@st.composite
def clusters(draw: st.DrawFn, most: int = 7) -> Snapshot:
    nodes = [draw(machines(f"n{index}")) for index in range(draw(st.integers(1, most)))]
    return snapshot(nodes, (draw(pools("default")), draw(pools("other"))))


def is_sound(command: Command, view: Snapshot) -> None:
    """The command moves every pod that has to move, to where it may run, and pays no more."""
    gone = [each for each in view.nodes if each.name in command.nodes]
    moving = {each.key for state in gone for each in state.pods if each.is_reschedulable}
    assert set(command.placements) == moving
    assert not any(is_protected(each, NOW) for state in gone for each in state.pods)
    if moving:
        pods = tuple(each for each in view.pods if each.key in moving)
        problem = Problem(view, catalog(view), pods, without=frozenset(command.nodes))
        assert not check(problem, SchedulePlan(command.placements, command.replacements))
    if command.reason is not DisruptionReason.DRIFTED:
        assert command.savings is not None
        assert command.savings.picos > 0


def within_budget(command: Command, view: Snapshot) -> None:
    left = allowances(view, view.pools, command.reason, NOW)
    for name, count in Counter(each.pool_name for each in command.candidates).items():
        assert count <= left[name].left


@settings(max_examples=25)
@given(clusters())
def test_until_quiet_every_step_is_sound_and_no_dearer(view: Snapshot) -> None:
    start, types = view, catalog(view)
    pods = {each.key for each in view.pods}
    for step in range(4 * len(start.nodes) + 4):
        command = decide(view, types, now=NOW).command
        if command is None:
            break
        is_sound(command, view)
        within_budget(command, view)
        assert validate(command, view, types, now=NOW) == command
        after = apply(command, view, types, step=step)
        if command.reason is not DisruptionReason.DRIFTED:
            assert cluster_price(after, types) < cluster_price(view, types)
        view = after
    else:
        raise AssertionError("the cluster does not come to rest")
    assert {each.key for each in view.pods} == pods
    assert all(each.node_name for each in view.pods)


@settings(max_examples=25)
@given(clusters(), st.lists(st.booleans(), max_size=12))
def test_budgets_hold_however_commands_overlap(view: Snapshot, starts: Sequence[bool]) -> None:
    """Commands are started before others have finished: what is under way counts, so no pool passes its budget."""
    types, under_way = catalog(view), list[Command]()
    for is_start in starts:
        if is_start:
            command = decide(view, types, now=NOW).command
            if command is None:
                continue
            within_budget(command, view)
            view = marked(view, command)
            under_way.append(command)
            for name, allowance in allowances(view, view.pools, command.reason, NOW).items():
                unready = sum(
                    each.pool_name == name and not each.is_deleting and each.node is not None and not each.node.is_ready
                    for each in view.nodes
                )
                assert allowance.disrupting <= max(allowance.budget, unready)
        elif under_way:
            view = apply(under_way.pop(0), view, types, step=len(under_way))


def marked(view: Snapshot, command: Command) -> Snapshot:
    nodes = tuple(replace(each, is_marked=True) if each.name in command.nodes else each for each in view.nodes)
    return replace(view, nodes=nodes)


@settings(max_examples=25)
@given(clusters(most=5), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(view: Snapshot, random: object) -> None:
    shuffle = random.shuffle  # type: ignore[attr-defined]  # hypothesis hands in a random.Random
    nodes, pods, own = list(view.nodes), list(view.pods), list(view.pools)
    for each in (nodes, pods, own):
        shuffle(each)
    other = replace(view, nodes=tuple(nodes), pods=tuple(pods), pools=tuple(own))
    assert decide(view, catalog(view), now=NOW).command == decide(other, catalog(view), now=NOW).command


@settings(max_examples=25)
@given(clusters(most=5))
def test_every_node_leaves_or_says_why_it_stays(view: Snapshot) -> None:
    verdict = decide(view, catalog(view), now=NOW)
    gone = set(verdict.command.nodes) if verdict.command is not None else set()
    told = {each.name for each in view.nodes} - gone - {each.node for each in verdict.stays}
    # A pass ends with the first command: the methods after it were not asked about the nodes that are left.
    assert not told or verdict.command is not None
    assert not gone & {each.node for each in verdict.stays}
    assert all(each.detail for each in verdict.stays)


HOURS = 6


@settings(max_examples=10)
@given(st.data())
def test_pods_do_not_move_more_than_once_an_hour(data: st.DataObject) -> None:
    """Pods come and go at random; what consolidation moves stays below one move for each pod and hour.

    The clusters begin wasteful: to settle them may take one move more for each pod that is there at first.
    """
    owner = pool(budgets=(Budget("50%"),))
    nodes = [node(f"n{index}", data.draw(st.sampled_from(TYPES[2:]))) for index in range(5)]
    view = snapshot(nodes, (owner,))
    types, moves, pod_hours, settling, born = catalog(view), 0, 0, 0, 0
    for hour in range(HOURS):
        now = NOW + timedelta(hours=hour)
        view = replace(view, taken_at=now)
        view, born = churned(view, data, born)
        pod_hours += len(view.pods)
        settling = settling or len(view.pods)
        for step in range(20):
            command = decide(view, types, now=now + timedelta(minutes=2 * step)).command
            if command is None:
                break
            moves += command.moves
            view = bought_at(apply(command, view, types, step=100 * hour + step), now, command)
        else:
            raise AssertionError("the cluster does not come to rest within the hour")
    assert moves <= pod_hours + settling


def churned(view: Snapshot, data: st.DataObject, born: int) -> tuple[Snapshot, int]:
    """Some pods have gone, and some have come onto nodes with room."""
    nodes: list[StateNode] = []
    for state in view.nodes:
        kept = [each for each in state.pods if data.draw(st.integers(0, 4))]
        room = state.allocatable["cpu"] - sum(each.requests["cpu"] for each in kept)
        if room >= 900 and data.draw(st.booleans()):
            kept.append(replace(pod(f"born-{born}", "900m", node=state.name)))
            born += 1
        nodes.append(replace(state, pods=tuple(kept)))
    return replace(view, nodes=tuple(nodes), pods=tuple(each for state in nodes for each in state.pods)), born


def bought_at(view: Snapshot, now: datetime, command: Command) -> Snapshot:
    """The replacements as the controller leaves them: annotated with the reason, and young."""
    known = {each.name for each in view.nodes if not each.name.startswith("replacement")}
    nodes: list[StateNode] = []
    for state in view.nodes:
        claim = state.claim
        if state.name in known or claim is None or REPLACES_FOR in claim.meta.annotations:
            nodes.append(state)
            continue
        meta = replace(claim.meta, annotations={REPLACES_FOR: command.reason.value}, created_at=now)
        nodes.append(replace(state, claim=replace(claim, meta=meta)))
    return replace(view, nodes=tuple(nodes))
