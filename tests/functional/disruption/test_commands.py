"""Commands under way: set up, waited for, carried out, taken back (spec 5.7); static pools and conditions (5.8 to 5.10)."""

from datetime import timedelta

from nodesmith.adapters.memory.faults import Fault
from nodesmith.api.kinds import NODE, NODE_CLAIM, NODE_POOL
from nodesmith.controllers.shell import Gates, Options
from nodesmith.decide.lifecycle.command_record import COMMAND, CommandRecord
from nodesmith.model.labels import DO_NOT_DISRUPT
from nodesmith.model.nodeclaim import CONSOLIDATABLE, DRIFTED
from nodesmith.model.taints import DISRUPTED
from nodesmith.plan.command import Method
from nodesmith.ports.errors import Unavailable
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool
from tests.functional.disruption.scenes import (
    BIG,
    MINUTE,
    NEVER,
    SMALL,
    bought,
    has_no_trace,
    label_template,
    outgrown,
    several,
    told,
    types,
)


def test_a_command_that_cannot_be_set_up_leaves_no_trace_and_is_taken_up_again() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await outgrown(world)
            down = Fault(verbs={"create"}, kinds={"NodeClaim"}, error=lambda: Unavailable("no API server"), times=20)
            world.faults.rules.append(down)
            await world.until(lambda: down.times != 20)
            down.times = 0
            await world.until(lambda: has_no_trace(world))
            assert bought(world) == [BIG]
            await world.until(lambda: bought(world) == [SMALL] and world.all_running(), within=20 * MINUTE)

    run(story)


def test_a_command_whose_replacement_is_deleted_is_taken_back() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await outgrown(world)
            await world.until(lambda: len(world.claims()) == 2)
            old, new = sorted(world.claims(), key=lambda claim: claim.meta.created_at)
            assert COMMAND in old.meta.annotations
            world.server.delete(NODE_CLAIM, new.name)
            await world.until(lambda: has_no_trace(world))
            assert not next(claim for claim in world.claims() if claim.name == old.name).meta.is_deleting
            failures = "voluntary_disruption_queue_failures_total"
            assert world.metrics.total(failures, decision="replace", reason="underutilized") == 1
            assert world.all_running()

    run(story)


def test_pods_that_move_are_told_where_to_and_the_node_they_go_to_is_kept_for_them() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await several(world, 2)
            for number in (1, 2):
                world.app(f"tiny{number}", 1, cpu="100m")
            await world.until(world.all_running)
            assert len({pod.node_name for pod in world.pods() if pod.meta.labels["app"] != "web"}) == 2
            world.events.told.clear()
            world.app("web", 0)
            await world.until(lambda: len(world.nodes()) == 1 and world.all_running(), within=20 * MINUTE)
            (moved,) = told(world, "Nominated")
            assert moved.message == f"Pod should schedule on: node/{world.nodes()[0].name}"
            assert world.metrics.total("voluntary_disruption_decisions_total", decision="delete") == 1
            labels = {"nodepool": "default", "reason": "underutilized", "consolidation_type": "single"}
            assert world.metrics.total("voluntary_disruption_decisions_by_nodepool_total", **labels) == 1

    run(story)


def test_a_static_pool_that_shrinks_keeps_the_node_with_a_protected_pod() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool("fixed", replicas=3, requirements=types(SMALL), disruption=NEVER))
        async with world.running(), world.controlled(Options(gates=Gates(static_capacity=True))):
            await world.until(lambda: len(world.nodes()) == 3 and all(node.is_initialized for node in world.nodes()))
            world.app("pinned", 1, cpu="1500m", annotations={DO_NOT_DISRUPT: "true"})
            world.app("web", 1, cpu="1500m")
            await world.until(world.all_running)
            (pinned,), (web,) = world.pods("pinned"), world.pods("web")
            world.server.patch(NODE_POOL, "fixed", {"spec": {"replicas": 2}})
            await world.until(lambda: len(world.nodes()) == 2)
            assert {node.name for node in world.nodes()} == {pinned.node_name, web.node_name}, "the empty one goes"
            world.app("web", 0)
            world.server.patch(NODE_POOL, "fixed", {"spec": {"replicas": 1}})
            await world.until(lambda: [node.name for node in world.nodes()] == [pinned.node_name])
            assert world.metrics.total("voluntary_disruption_decisions_total") == 0

    run(story)


def test_the_condition_consolidatable_comes_after_quiet_and_goes_with_a_pod() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await several(world, 1, disruption={"consolidateAfter": "5m", "budgets": [{"nodes": "0"}]})
            assert not world.claims()[0].has(CONSOLIDATABLE)
            await world.pass_time(4 * MINUTE)
            assert not world.claims()[0].has(CONSOLIDATABLE)
            await world.pass_time(2 * MINUTE)
            assert world.claims()[0].has(CONSOLIDATABLE)
            world.app("late", 1, cpu="100m")
            await world.until(lambda: not world.claims()[0].has(CONSOLIDATABLE))
            world.server.patch(NODE_POOL, "default", {"spec": {"disruption": {"consolidateAfter": "Never"}}})
            await world.pass_time(10 * MINUTE)
            assert not world.claims()[0].has(CONSOLIDATABLE)

    run(story)


def test_the_condition_drifted_goes_when_its_cause_does() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await several(world, 1, disruption={"consolidateAfter": "Never", "budgets": [{"nodes": "0"}]})
            label_template(world, "blue")
            await world.until(lambda: world.claims()[0].has(DRIFTED))
            assert world.condition(DRIFTED).reason == "NodePoolDrifted"
            world.server.patch(NODE_POOL, "default", {"spec": {"template": {"metadata": None}}})
            await world.until(lambda: not world.claims()[0].has(DRIFTED))
            narrower = {"spec": {"template": {"spec": {"requirements": types(BIG)}}}}
            world.server.patch(NODE_POOL, "default", narrower)
            await world.until(lambda: world.claims()[0].has(DRIFTED))
            assert world.condition(DRIFTED).reason == "RequirementsDrifted"

    run(story)


def test_a_passing_fault_of_the_api_only_delays_a_command() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await outgrown(world)
            await world.until(lambda: len(world.claims()) == 2)
            down = Fault(verbs={"delete"}, kinds={"NodeClaim"}, error=lambda: Unavailable("no API server"), times=3)
            world.faults.rules.append(down)
            await world.until(lambda: bought(world) == [SMALL] and world.all_running())
            assert down.times == 0
            assert world.metrics.total("voluntary_disruption_queue_failures_total") == 0
            assert world.metrics.total("voluntary_disruption_decisions_total") == 1

    run(story)


def test_a_node_is_told_that_it_goes_only_when_its_replacement_is_up() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await outgrown(world)
            await world.until(lambda: bool(told(world, "DisruptionLaunching")))
            launching, waiting = told(world, "DisruptionLaunching")[0], told(world, "DisruptionWaitingReadiness")[0]
            assert launching.message == "Launching NodeClaim: Underutilized"
            assert waiting.about == launching.about
            await world.pass_time(timedelta(seconds=20))
            assert not told(world, "DisruptionTerminating")
            await world.until(lambda: bought(world) == [SMALL])
            assert told(world, "DisruptionTerminating", "Node")[0].message == "Disrupting Node: Underutilized"
            assert told(world, "DisruptionTerminating", "NodeClaim")[0].message == "Disrupting NodeClaim: Underutilized"

    run(story)


def test_a_replacement_whose_making_was_never_answered_goes_before_the_node_is_open_again() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await outgrown(world)
            (old,) = world.claims()
            world.faults.watch_lag = timedelta(seconds=20)
            lost = Fault(verbs={"create"}, kinds={"NodeClaim"}, error=lambda: Unavailable("lost"), after=True, times=1)
            world.faults.rules.append(lost)
            seen: list[bool] = []

            def watch() -> None:
                more = [each for each in world.claims() if each.name != old.name and not each.meta.is_deleting]
                if lost.times == 0 and not seen and has_no_trace(world):
                    seen.append(not more)

            world.on_step.append(watch)
            await world.until(lambda: bool(seen))
            assert seen == [True], "both together may be more than the pool's limits allow"

    run(story)


def test_nobody_buys_for_pods_whose_node_a_command_is_about_to_take() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled() as controllers:
            await several(world, 1, disruption=NEVER, limits={"cpu": "2"})
            (claim,), (node,) = world.claims(), world.nodes()
            record = CommandRecord("c", Method.SINGLE, (claim.name,), ("not-there",), ((0,),), clock.now())
            world.server.patch(NODE_CLAIM, claim.name, {"metadata": {"annotations": {COMMAND: record.to_text()}}})
            controllers.store.mark(claim.name)
            taints = [{"key": DISRUPTED.key, "effect": DISRUPTED.effect}]
            world.server.patch(NODE, node.name, {"spec": {"taints": taints}})
            world.app("more", 1, cpu="1500m")
            await world.pass_time(timedelta(seconds=40))
            assert len(world.claims()) == 1, "the command may be taken back, and the limit is the limit"
            world.server.delete(NODE_CLAIM, claim.name)
            await world.until(lambda: len(world.claims()) == 2)

    run(story)
