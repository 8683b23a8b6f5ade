"""A plan that breaks a rule is not acted on: it is told, kept for a person to try, and a plainer one is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from nodesmith.adapters.scenarios import FolderScenarios
from nodesmith.cli import build
from nodesmith.decide.disrupt.decide import decide
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.disrupt.verdict import Memory, Verdict
from nodesmith.decide.schedule.problem import Catalog, PricingPolicy, Problem
from nodesmith.decide.schedule.solve import schedule
from nodesmith.plan.command import Command
from nodesmith.plan.schedule import OnClaim, OnNode, SchedulePlan
from nodesmith.sim.clock import VirtualClock, run
from nodesmith.state.snapshot import Snapshot
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool


def crams(problem: Problem) -> SchedulePlan:
    """Everybody on the first machine, whether it holds them or not."""
    plan = schedule(problem)
    if len(plan.claims) < 2:
        return plan
    keys = tuple(sorted(plan.placements))
    return replace(plan, placements=dict.fromkeys(keys, OnClaim(0)), claims=(replace(plan.claims[0], pods=keys),))


def gives_up(problem: Problem) -> SchedulePlan:
    raise ZeroDivisionError(f"{len(problem.pods)} pods are too many")


def spread_app(world: SmallWorld, replicas: int) -> None:
    """Pods that need a machine each."""
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    world.app("web", replicas, spec={"affinity": apart})


def refusals(world: SmallWorld, **labels: str) -> float:
    return world.metrics.total("scheduler_refused_plans_total", **labels)


def test_pods_run_by_the_plain_greedys_plan_when_the_solvers_breaks_a_rule() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled(solve=crams):
            spread_app(world, 3)
            await world.until(world.all_running, within=timedelta(minutes=3))
        assert len(world.machines()) == 3
        assert refusals(world, controller="provisioner", outcome="plain greedy") == 1
        told = [event for _, event in world.events.told if event.reason == "PlanRefused"]
        assert [event.about.name for event in told] == ["default"]
        assert "it breaks a rule: requests claim/0" in told[0].message
        (scenario,) = world.scenarios.kept.values()
        assert len(scenario["scenario.json"]["pods"]) == 3
        assert any(fault.startswith("anti-affinity") for fault in scenario["scenario.json"]["faults"])

    run(story)


def test_the_kept_scenario_is_one_that_plan_reads(tmp_path: Path) -> None:
    kept: dict[str, Mapping[str, Mapping[str, Any]]] = {}

    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled(solve=crams):
            spread_app(world, 3)
            await world.until(world.all_running, within=timedelta(minutes=3))
        kept.update(world.scenarios.kept)

    run(story)
    ((name, files),) = kept.items()
    place = FolderScenarios(tmp_path).keep(name, files)
    catalog = Path(place) / "catalog.json.gz"
    done = CliRunner().invoke(build(["plan"]), ["plan", "-f", place, "--catalog", str(catalog), "-o", "json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert sorted(answer["pods"]) == files["scenario.json"]["pods"]
    assert len(answer["nodeClaims"]) == 3


def test_pods_run_when_the_solver_fails_altogether() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled(solve=gives_up):
            world.app("web", 3)
            await world.until(world.all_running, within=timedelta(minutes=3))
        assert refusals(world, outcome="plain greedy") >= 1
        assert any("ZeroDivisionError" in event.message for _, event in world.events.told)

    run(story)


def test_nothing_is_bought_when_no_plan_is_valid() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled(solve=crams, fallback=gives_up):
            spread_app(world, 3)
            await world.pass_time(timedelta(minutes=2))
        assert not world.claims()
        assert not world.machines()
        assert refusals(world, outcome="none") > 1
        assert "FailedScheduling" in world.events.reasons()

    run(story)


class Careless:
    """Decides as it should by Karpenter's rule; else it puts every pod that has to move on one node."""

    def __init__(self) -> None:
        self.misled = 0

    def __call__(self, snapshot: Snapshot, catalog: Catalog, *, now: Any, policy: Policy, memory: Memory) -> Verdict:
        verdict = decide(snapshot, catalog, now=now, policy=policy, memory=memory)
        command = verdict.command
        if policy.options.pricing is PricingPolicy.KARPENTER or command is None or not command.placements:
            return verdict
        self.misled += 1
        astray = replace(command, placements=dict.fromkeys(command.placements, OnNode("nowhere")), replacements=())
        return replace(verdict, command=astray)


def as_it_was(command: Command, *_: object, **__: object) -> Command:
    return command


def test_a_disruption_that_would_strand_pods_is_not_carried_out() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        on_demand = {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]}
        world.apply(NODE_CLASS, node_pool(requirements=[on_demand]))
        careless = Careless()
        async with world.running(), world.controlled(decide=careless, validate=as_it_was):
            spread_app(world, 3)
            world.app("big", 1, cpu="3")
            await world.until(world.all_running, within=timedelta(minutes=3))
            world.app("big", 0)
            await world.until(lambda: refusals(world, controller="disruption") > 0, within=timedelta(minutes=10))
            await world.until(world.all_running, within=timedelta(minutes=5))
        assert careless.misled
        assert any(name.endswith("-disruption") for name in world.scenarios.kept)

    run(story)
