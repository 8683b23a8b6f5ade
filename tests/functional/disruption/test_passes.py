"""What holds for every method: who is told, what budgets allow and when, and calls that fail (spec 5.1 to 5.3)."""

from datetime import timedelta
from functools import partial

import pytest

from nodesmith.adapters.memory.faults import Fault
from nodesmith.api.kinds import NODE
from nodesmith.decide.disrupt.decide import decide
from nodesmith.model.labels import DO_NOT_DISRUPT
from nodesmith.ports.errors import Conflict, Unavailable
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool
from tests.functional.disruption.scenes import (
    BIG,
    HOUR,
    MINUTE,
    NEVER,
    SMALL,
    bought,
    has_no_trace,
    label_template,
    several,
    told,
    types,
)


def _was_told(world: SmallWorld, kind: str, sentence: str) -> bool:
    return any(event.message.startswith(sentence) for event in told(world, "DisruptionBlocked", kind))


@pytest.mark.parametrize("hold", ["node", "pod", "budget"])
def test_a_node_that_may_not_be_disrupted_and_its_claim_are_told_why(hold: str) -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            annotations = {DO_NOT_DISRUPT: "true"} if hold == "pod" else {}
            world.apply(NODE_CLASS, node_pool())
            world.app("web", 1, annotations=annotations)
            if hold == "budget":
                world.budget("web", min_available=1)
            await world.until(world.all_running)
            (before,) = world.nodes()
            if hold == "node":
                world.server.patch(NODE, before.name, {"metadata": {"annotations": {DO_NOT_DISRUPT: "true"}}})
            label_template(world, "blue")
            sentence = {
                "node": 'Disruption is blocked through the "karpenter.sh/do-not-disrupt" annotation',
                "pod": 'Pod has "karpenter.sh/do-not-disrupt" annotation',
                "budget": "Pdb prevents pod evictions",
            }[hold]
            for kind in ("Node", "NodeClaim"):
                await world.until(partial(_was_told, world, kind, sentence))
            await world.pass_time(5 * MINUTE)
            assert [node.name for node in world.nodes()] == [before.name]

    run(story)


def test_numbers_say_what_budgets_allow_before_and_what_uses_them() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await several(world, 3, disruption={"consolidateAfter": "Never", "budgets": [{"nodes": "2"}]})
            (first, *_) = world.nodes()
            sick = {"type": "Ready", "status": "False", "reason": "KubeletNotReady"}
            world.server.patch(NODE, first.name, {"status": {"conditions": [sick]}}, subresource="status")
            labels = (("nodepool", "default"), ("reason", "Drifted"))
            gauges = world.metrics.gauges
            await world.until(lambda: gauges.get(("nodepools_nodes_consuming_budgets", labels)) == 1)
            assert gauges["nodepools_allowed_disruptions", labels] == 2

    run(story)


@pytest.mark.parametrize("what", ["is not ready", "is being deleted"])
def test_a_node_that_goes_or_is_not_ready_uses_up_a_budget_in_percent(what: str) -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await several(world, 4, disruption={"consolidateAfter": "30s", "budgets": [{"nodes": "20%"}]})
            world.app("held", 1, cpu="1500m", annotations={DO_NOT_DISRUPT: "true"})
            await world.until(world.all_running)
            (held,) = world.pods("held")
            if what == "is not ready":
                _say_ready(world, held.node_name, "False")
            else:
                world.server.delete(NODE, held.node_name)
            await world.pass_time(MINUTE)
            world.app("web", 1)
            await world.pass_time(10 * MINUTE)
            assert len(world.nodes()) == 5, "a fifth of five nodes is one, and that is the other one"
            if what == "is not ready":
                _say_ready(world, held.node_name, "True")
            world.app("held", 0)
            await world.until(lambda: len(world.nodes()) == 1, within=HOUR)

    run(story)


def _say_ready(world: SmallWorld, node: str, status: str) -> None:
    ready = {"type": "Ready", "status": status, "reason": "Kubelet"}
    world.server.patch(NODE, node, {"status": {"conditions": [ready]}}, subresource="status")


def test_a_budget_with_a_schedule_holds_for_its_window_in_utc() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        start = clock.now()
        closed = {"nodes": "0", "schedule": f"{start.minute} {start.hour} * * *", "duration": "40m"}
        disruption = {"consolidateAfter": "10s", "budgets": [{"nodes": "100%"}, closed]}
        async with world.running(), world.controlled():
            await several(world, 2, disruption=disruption)
            world.app("web", 0)
            await world.pass_time(20 * MINUTE)
            assert len(world.machines()) == 2
            await world.until(lambda: not world.machines(), within=HOUR)
            assert 40 * MINUTE <= clock.now() - start < 43 * MINUTE

    run(story)


def test_a_conflict_in_the_middle_of_a_pass_leaves_nothing_behind_and_is_tried_again() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await several(world, 2, disruption=NEVER)
            before = {node.name for node in world.nodes()}
            conflict = Fault(verbs={"patch"}, kinds={"Node"}, error=lambda: Conflict("changed since"), times=1)
            world.faults.rules.append(conflict)
            label_template(world, "blue")
            await world.until(lambda: conflict.times == 0)
            await world.until(lambda: before.isdisjoint(node.name for node in world.nodes()) and world.all_running())
            assert has_no_trace(world)

    run(story)


def test_a_quiet_cluster_is_looked_at_every_five_minutes_only() -> None:
    passes = 0

    async def story(clock: VirtualClock) -> None:
        def counting(*args: object, **given: object) -> object:
            nonlocal passes
            passes += 1
            return decide(*args, **given)  # type: ignore[arg-type]

        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled(decide=counting):
            world.app("web", 2)
            await world.until(world.all_running)
            await world.pass_time(10 * MINUTE)
            before = passes
            await world.pass_time(HOUR)
            assert passes - before == 12
            world.app("web", 3)
            await world.pass_time(MINUTE)
            assert passes - before > 12, "a new pod is news"

    run(story)


def test_one_pools_failures_do_not_keep_another_from_its_turn() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        unlucky = node_pool("unlucky", requirements=types("r7g.large", "r7g.4xlarge"), labels={"team": "a"})
        lucky = node_pool("lucky", requirements=types(SMALL, BIG), labels={"team": "b"})
        async with world.running(), world.controlled():
            world.apply(NODE_CLASS, unlucky, lucky)
            for team in "ab":
                spec = {"nodeSelector": {"team": team}}
                world.app(f"big{team}", 1, cpu="12", spec=spec)
                world.app(f"small{team}", 1, cpu="500m", spec=spec)
            await world.until(world.all_running)
            assert bought(world) == [BIG, "r7g.4xlarge"]
            for zone in ("a", "b", "c"):
                world.cloud.left["r7g.large", f"ap-northeast-2{zone}", "on-demand"] = 0
            world.app("biga", 0)
            world.app("bigb", 0)
            took = await world.until(lambda: bought(world) == [SMALL, "r7g.4xlarge"], within=10 * MINUTE)
            assert took < timedelta(minutes=5)
            await world.until(lambda: has_no_trace(world) and world.all_running())

    run(story)


def test_a_command_that_could_not_be_started_is_tried_again_within_five_minutes_however_often_that_failed() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await several(world, 1)
            down = Fault(verbs={"patch"}, kinds={"Node"}, error=lambda: Unavailable("no answer"), times=6)
            world.faults.rules.append(down)
            world.app("web", 0)
            await world.until(lambda: down.times == 0, within=HOUR)
            assert world.machines(), "it has failed up to here"
            await world.until(lambda: not world.machines(), within=7 * MINUTE)

    run(story)
