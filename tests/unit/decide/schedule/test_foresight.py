"""What a trial foresees of a machine, and which machines are given up together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from nodesmith.decide.schedule.buyer import Buyer
from nodesmith.decide.schedule.claims import Claims
from nodesmith.decide.schedule.classes import PodClass
from nodesmith.decide.schedule.crowd import Crowd
from nodesmith.decide.schedule.filler import Filler
from nodesmith.decide.schedule.foresight import ForesightShop, Trials
from nodesmith.decide.schedule.improve import Improver
from nodesmith.decide.schedule.market import Market
from nodesmith.decide.schedule.packing import Packing
from nodesmith.decide.schedule.placer import Placer
from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.world import World
from nodesmith.model import labels
from nodesmith.model.pod import Pod
from tests.unit.decide.schedule.build import near, pods, problem, spread


def foreseen(asked: Problem) -> tuple[float, float]:
    """What one pod of the first class is worth alone, and the most that a trial which starts with it finds."""
    world = World(asked)
    crowd = Crowd(world, Market(world))
    trials = Trials(crowd, Packing(world))
    shelf = crowd.market.shelf(world.offer_flags(world.classes[0], world.classes[0].stances[0]))
    alone = crowd.market.worth[crowd.market.group_of[0]].of(world.requests[0])
    return alone, float(trials.trial(int(trials.of[0]), shelf, np.arange(len(shelf.offers))).max())


def lonely(key: str) -> tuple[Pod, ...]:
    """Pods of one app in two sizes, no two of which may be in one domain of the key."""
    shunned = (near("web", key),)
    return tuple(
        each
        for number, cpu in enumerate((900, 800))
        for each in pods(f"web{number}", 3, app="web", cpu=cpu, required_anti_affinity=shunned)
    )


@pytest.mark.parametrize("key", [labels.HOSTNAME, labels.ZONE])
def test_pods_that_shun_one_another_are_not_expected_on_one_machine(key: str) -> None:
    alone, most = foreseen(problem(lonely(key)))
    assert most == pytest.approx(alone)


def test_a_zone_is_expected_to_take_what_spread_lets_it() -> None:
    narrow = pods("web", 6, cpu=500, topology_spread=(spread("web"),))
    alone, most = foreseen(problem(narrow))
    assert most == pytest.approx(alone)
    wide = pods("web", 6, cpu=500, topology_spread=(spread("web", skew=3),))
    alone, most = foreseen(problem(wide))
    assert most == pytest.approx(3 * alone)


class Watched(Improver):
    """Writes down what would be given up, and improves nothing."""

    seen: list[list[int]]

    def _step(self, order: Sequence[PodClass], given_up: list[int], *, fits: bool) -> bool:
        del order, fits
        self.seen.append(given_up)
        return False


def test_every_other_step_gives_up_machines_of_one_place() -> None:
    shunned = (near("web"),)
    waiting = [
        each
        for zone in ("a", "b")
        for each in pods(
            f"web{zone}", 6, app="web", node_selector=((labels.ZONE, zone),), required_anti_affinity=shunned
        )
    ]
    world = World(problem(waiting))
    crowd, packing = Crowd(world, Market(world)), Packing(world)
    buyer = Buyer(packing, ForesightShop(crowd, packing))
    placer = Placer(packing, crowd, buyer)
    filler = Filler(packing, crowd, buyer, placer)
    filler.build(world.classes)
    improver = Watched(packing, crowd, filler, placer, Claims(packing))
    improver.seen = []
    improver.run((world.classes,), 16)
    offerings = world.universe.offerings
    zones = [{offerings[int(packing.offer[bin_])].zone for bin_ in given_up} for given_up in improver.seen]
    assert all(len(each) == 1 for each in zones[1::2])
    assert any(len(each) > 1 for each in zones[::2])
