import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from nodesmith import app
from nodesmith.app import options_of, solver
from nodesmith.controllers.freshness import Freshness
from nodesmith.decide.schedule.problem import MinValuesPolicy, PreferencePolicy, PricingPolicy, Problem
from nodesmith.model.meta import EPOCH
from nodesmith.plan.schedule import SchedulePlan
from nodesmith.settings import load
from nodesmith.state.snapshot import Snapshot
from tests.unit.decide.schedule.build import pods


def test_settings_reach_the_parts_that_they_are_for() -> None:
    flags = [
        "--cluster-name=blue",
        "--batch-idle-duration=2s",
        "--batch-max-duration=20s",
        "--preference-policy=Ignore",
        "--min-values-policy=BestEffort",
        "--pricing-policy=karpenter",
        "--scheduler-config={kind: KubeSchedulerConfiguration}",
        "--feature-gates=NodeRepair=true,SpotToSpotConsolidation=true,ReturnToSpot=true",
        "--ignore-dra-requests=false",
    ]
    options = options_of(load(flags, {}))
    assert options.cluster_name == "blue"
    assert (options.batch.idle, options.batch.longest) == (timedelta(seconds=2), timedelta(seconds=20))
    assert options.schedule.preferences is PreferencePolicy.IGNORE
    assert options.policy.options.min_values is MinValuesPolicy.BEST_EFFORT
    assert options.schedule.pricing is PricingPolicy.KARPENTER
    assert len(options.schedule.default_spread) == 2
    assert options.policy.options.default_spread == options.schedule.default_spread
    assert options.policy.spot_to_spot
    assert options.policy.return_to_spot
    assert options.gates.node_repair
    assert not options.gates.static_capacity
    assert not options.ignores_resource_claims


def test_without_settings_everything_is_as_upstream_has_it() -> None:
    options = options_of(load(["--cluster-name=blue"], {}))
    assert options.schedule.preferences is PreferencePolicy.RESPECT
    assert not options.policy.spot_to_spot
    assert not options.policy.return_to_spot
    assert not options.gates.node_repair
    assert options.ignores_resource_claims


@pytest.mark.parametrize(("told", "seconds"), [(None, 0.4), (timedelta(seconds=3), 3.0), (timedelta(0), 0.0)])
def test_a_plan_is_improved_as_long_as_its_pods_are_worth_or_as_told(
    told: timedelta | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: list[timedelta] = []
    monkeypatch.setattr(app, "Stopwatch", allowed.append)
    monkeypatch.setattr(app, "schedule", lambda problem, *, is_time_up: SchedulePlan({}))
    solver(told)(Problem(Snapshot(EPOCH), {}, pods("web", 1000)))
    assert [each.total_seconds() for each in allowed] == pytest.approx([seconds])


class Silent:
    def silence(self) -> timedelta:
        return timedelta(minutes=6)


@pytest.mark.parametrize(
    ("warms_up", "leads", "is_listed", "is_old", "says"),
    [
        (False, False, False, False, None),
        (False, True, False, False, "not everything has been listed"),
        (False, True, True, False, None),
        (False, True, True, True, "nothing was heard of pods for 360s"),
        (True, False, False, False, "not everything has been listed"),
        (True, False, True, False, None),
    ],
)
def test_ready_is_who_waits_for_his_turn_and_who_knows_everything(
    *, warms_up: bool, leads: bool, is_listed: bool, is_old: bool, says: str | None
) -> None:
    settings = load(["--cluster-name=blue", f"--disable-controller-warmup={str(not warms_up).lower()}"], {})
    elected, synced, freshness = asyncio.Event(), asyncio.Event(), Freshness()
    if leads:
        elected.set()
    if is_listed:
        synced.set()
    if is_old:
        freshness.watch("pods", Silent())
    controllers: Any = SimpleNamespace(synced=synced, freshness=freshness)
    assert app._unsynced(controllers, elected, settings) == says
