"""The process is killed at every effect of growing and of shrinking, and the world ends the same.

Every effect is cut: before it happens, or after it happened but before anybody hears of it. The two take turns, so that both
are seen by every kind of effect over the two phases.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from nodesmith.model.taints import DISRUPTED
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.cutting import CutCloud, CutCluster, Scissors
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool

MINUTES = timedelta(minutes=1)


def _grown(world: SmallWorld) -> bool:
    return world.all_running() and all(node.is_initialized for node in world.nodes())


def _shrunk(world: SmallWorld) -> bool:
    return not world.machines() and not world.nodes() and not world.claims()


async def _until_cut(world: SmallWorld, scissors: Scissors, phase: str) -> bool:
    """Run controllers until they are cut (True), or until the phase is over."""
    cluster, cloud = CutCluster(world.cluster, scissors), CutCloud(world.cloud, scissors)
    is_over = _grown if phase == "grow" else _shrunk
    async with world.controlled(cluster=cluster, cloud=cloud, seed=11):
        for _ in range(1200):
            if scissors.cut.is_set() or is_over(world):
                return scissors.cut.is_set()
            await asyncio.sleep(0.5)
    raise AssertionError(world.describe())


async def _story(clock: VirtualClock, scissors: Scissors, phase: str) -> Scissors:
    world = SmallWorld(clock)
    world.apply(NODE_CLASS, node_pool("arm"), node_pool("amd"))
    async with world.running():
        if phase == "shrink":
            _two_apps(world, 2)
            async with world.controlled():
                await world.until(lambda: _grown(world))
                await world.pass_time(timedelta(seconds=20))
            _two_apps(world, 0)
        else:
            _two_apps(world, 2)
        was_cut = await _until_cut(world, scissors, phase)
        assert was_cut or scissors.at is None
        if was_cut:
            await world.pass_time(timedelta(seconds=3))
            async with world.controlled(seed=12):
                is_over = _grown if phase == "grow" else _shrunk
                await world.until(lambda: is_over(world))
                await world.pass_time(timedelta(seconds=20))
        _check(world, phase)
    return scissors


def _two_apps(world: SmallWorld, replicas: int) -> None:
    world.app("one", replicas, spec={"nodeSelector": {"kubernetes.io/arch": "arm64"}})
    world.app("two", replicas, spec={"nodeSelector": {"kubernetes.io/arch": "amd64"}})


def _check(world: SmallWorld, phase: str) -> None:
    story = world.describe()
    made = Counter(each.claim.meta.uid for each in world.cloud.rented.values())
    assert set(made.values()) == {1}, f"a claim has two machines\n{story}"
    if phase == "grow":
        assert len(made) == 2, f"more was bought than two machines\n{story}"
        assert len(world.machines()) == len(world.nodes()) == len(world.claims()) == 2, story
        assert {node.provider_id for node in world.nodes()} == {claim.provider_id for claim in world.claims()}
        assert not any(DISRUPTED in node.taints for node in world.nodes()), story
    else:
        assert _shrunk(world), story
        assert len(made) == 2, story


def _run(scissors: Scissors, phase: str) -> Scissors:
    return run(lambda clock: _story(clock, scissors, phase))


@pytest.mark.parametrize("phase", ["grow", "shrink"])
def test_killed_at_any_effect_the_world_ends_the_same(phase: str) -> None:
    total = _run(Scissors(), phase).count
    assert total > 20
    for number in range(1, total + 1):
        _cut(phase, number, total, is_after=number % 2 == 0)


def _cut(phase: str, number: int, total: int, *, is_after: bool) -> None:
    scissors = Scissors(at=number, is_after=is_after)
    try:
        _run(scissors, phase)
    except BaseException as error:
        where = "after" if is_after else "before"
        error.add_note(f"{phase}: cut {where} effect {number} of {total}: {scissors.names[number - 1]}")
        raise
