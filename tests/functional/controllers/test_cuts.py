"""The process is killed at every effect of growing, shrinking, replacing and giving way, and the world ends the same.

The world changes by effects alone, and what a process knows dies with it. So every point of the story is one after some
effect, when it happened and nobody heard of it: all of those are tried, and some before an effect, when time has passed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from nodesmith.adapters.memory.cloud import MemoryCloud
from nodesmith.decide.lifecycle.command_record import COMMAND
from nodesmith.model.taints import DISRUPTED
from nodesmith.ports.queue import InterruptionKind
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.cutting import CutCloud, CutCluster, CutQueue, Scissors
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool

SETTLE = timedelta(seconds=20)
SIZES = [
    {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["m7g.large", "m7g.4xlarge"]},
    {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
]


@dataclass(frozen=True)
class Phase:
    """What is there before, what happens, when it is over, and how many machines it may have taken."""

    before: Callable[[SmallWorld], None]
    happens: Callable[[SmallWorld], None]
    is_over: Callable[[SmallWorld], bool]
    most_machines: int


def _two_apps(world: SmallWorld, replicas: int) -> None:
    world.app("one", replicas, spec={"nodeSelector": {"kubernetes.io/arch": "arm64"}})
    world.app("two", replicas, spec={"nodeSelector": {"kubernetes.io/arch": "amd64"}})


def _outgrown(world: SmallWorld) -> None:
    world.app("big", 1, cpu="12")
    world.app("small", 1)


def _is_grown(world: SmallWorld) -> bool:
    return world.all_running() and all(node.is_initialized for node in world.nodes())


def _is_gone(world: SmallWorld) -> bool:
    return not world.machines() and not world.nodes() and not world.claims()


def _is_small(world: SmallWorld) -> bool:
    types = [each.machine.instance_type for each in world.machines()]
    return types == ["m7g.large"] and len(world.nodes()) == 1 and world.all_running()


def _interrupt(world: SmallWorld) -> None:
    (machine,) = world.machines()
    world.queue.send(InterruptionKind.SPOT_INTERRUPTED, machine.machine.provider_id.rsplit("/", 1)[-1])


def _is_elsewhere(world: SmallWorld) -> bool:
    return len(world.cloud.rented) > 1 and len(world.machines()) == len(world.claims()) == 1 and _is_grown(world)


PHASES = {
    "grow": Phase(lambda _: None, lambda world: _two_apps(world, 2), _is_grown, 2),
    "shrink": Phase(lambda world: _two_apps(world, 2), lambda world: _two_apps(world, 0), _is_gone, 2),
    # A command that is taken back leaves its replacement, to which the pods then move.
    "replace": Phase(_outgrown, lambda world: world.app("big", 0), _is_small, 3),
    "interrupt": Phase(lambda world: world.app("web", 1), _interrupt, _is_elsewhere, 2),
}


EFFECTS = {
    "grow": {"create NodeClaim", "create Machine", "patch NodeClaim", "patch Node", "tag Machine"},
    "shrink": {"delete NodeClaim", "delete Machine", "delete Node", "patch Node"},
    "replace": {"create NodeClaim", "create Machine", "delete NodeClaim", "evict Pod", "delete Machine"},
    "interrupt": {"create NodeClaim", "delete NodeClaim", "evict Pod", "delete Machine", "delete messages"},
}
"""What is sure to be among the effects of each."""


async def _story(clock: VirtualClock, scissors: Scissors, phase: Phase) -> list[tuple[str, ...]]:
    world = SmallWorld(clock)
    if phase in (PHASES["replace"], PHASES["interrupt"]):
        world.apply(NODE_CLASS, node_pool(requirements=SIZES))
    else:
        world.apply(NODE_CLASS, node_pool("arm"), node_pool("amd"))
    async with world.running():
        phase.before(world)
        if world.wanted():
            async with world.controlled():
                await world.until(lambda: _is_grown(world))
                await world.pass_time(SETTLE)
        phase.happens(world)
        was_cut = await _until_cut(world, scissors, phase)
        assert was_cut or scissors.at is None
        if was_cut:
            await world.pass_time(timedelta(seconds=3))
            async with world.controlled(seed=12):
                await world.until(lambda: phase.is_over(world), within=timedelta(minutes=15))
                await world.pass_time(SETTLE)
        _check(world, phase)
        return _end(world)


async def _until_cut(world: SmallWorld, scissors: Scissors, phase: Phase) -> bool:
    """Run controllers until they are cut (True), or until the phase is over."""
    cluster, cloud = CutCluster(world.cluster, scissors), CutCloud(world.cloud, scissors)
    queue = CutQueue(world.queue, scissors)
    async with world.controlled(cluster=cluster, cloud=cloud, queue=queue, seed=11):
        for _ in range(1200):
            if scissors.cut.is_set() or phase.is_over(world):
                return scissors.cut.is_set()
            await asyncio.sleep(0.5)
    raise AssertionError(world.describe())


def _check(world: SmallWorld, phase: Phase) -> None:
    story = world.describe()
    assert phase.is_over(world), story
    made = Counter(each.claim.meta.uid for each in world.cloud.rented.values())
    assert set(made.values()) == {1}, f"a claim has two machines\n{story}"
    assert len(made) <= phase.most_machines, f"more was bought than needed\n{story}"
    assert len(world.machines()) == len(world.nodes()) == len(world.claims()), story
    assert {node.provider_id for node in world.nodes()} == {claim.provider_id for claim in world.claims()}, story
    assert not any(DISRUPTED in node.taints for node in world.nodes()), story
    assert not any(COMMAND in claim.meta.annotations for claim in world.claims()), story


def _end(world: SmallWorld) -> list[tuple[str, ...]]:
    """The machines that are left, each with what it is and whose pods it runs; names and zones may differ."""
    nodes = {node.provider_id: node.name for node in world.nodes()}
    ends = []
    for each in world.machines():
        machine = each.machine
        apps = (pod.meta.labels["app"] for pod in world.pods() if pod.node_name == nodes[machine.provider_id])
        ends.append((machine.pool_name, machine.instance_type, machine.capacity_type, *sorted(apps)))
    return sorted(ends)


def _run(scissors: Scissors, phase: Phase) -> list[tuple[str, ...]]:
    return run(lambda clock: _story(clock, scissors, phase))


def _cuts(total: int) -> Iterator[Scissors]:
    for number in range(1, total + 1):
        yield Scissors(at=number, is_after=True)
        if number % 8 == 1:
            yield Scissors(at=number, is_after=False)


@pytest.mark.parametrize("name", PHASES)
def test_killed_at_any_effect_the_world_ends_the_same(name: str) -> None:
    phase, uncut = PHASES[name], Scissors()
    end = _run(uncut, phase)
    assert uncut.count > 20
    assert EFFECTS[name] <= {each.split(" {")[0].split("  ")[0] for each in uncut.names}
    for scissors in _cuts(uncut.count):
        try:
            assert _run(scissors, phase) == end
        except BaseException as error:
            where = "after" if scissors.is_after else "before"
            error.add_note(f"{name}: cut {where} effect {scissors.at} of {uncut.count}: {scissors.names[-1]}")
            raise


def test_a_kill_that_loses_a_machine_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cloud that forgets whose machine it is, so that a launch is not adopted, buys twice."""
    monkeypatch.setattr(MemoryCloud, "_of_claim", lambda *_: None)
    launch = 1 + _names(PHASES["grow"]).index("create Machine")
    noticed = pytest.RaisesExc(AssertionError, match="a claim has two machines")
    with pytest.RaisesGroup(noticed, flatten_subgroups=True):
        _run(Scissors(at=launch, is_after=True), PHASES["grow"])


def _names(phase: Phase) -> list[str]:
    scissors = Scissors()
    _run(scissors, phase)
    return scissors.names
