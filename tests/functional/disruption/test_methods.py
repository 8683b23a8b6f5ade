"""Emptiness, drift and consolidation in a running cluster: what they take, what they wait for, what they tell."""

from datetime import timedelta
from functools import partial

import pytest

from nodesmith.adapters.memory.catalog import ZONES
from nodesmith.api.bar import MAX_MOVES
from nodesmith.api.kinds import NODE_POOL
from nodesmith.controllers.shell import Gates, Options
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.lifecycle.command_record import COMMAND
from nodesmith.model.labels import CAPACITY_TYPE, DO_NOT_DISRUPT, INSTANCE_TYPE, ON_DEMAND, SPOT
from nodesmith.model.nodeclaim import DRIFTED, INSTANCE_TERMINATING, NodeClaim
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool
from tests.functional.disruption.scenes import (
    BIG,
    HOUR,
    MINUTE,
    NEVER,
    SMALL,
    bought,
    eligible,
    has_no_trace,
    label_template,
    outgrown,
    several,
    told,
    types,
)

SOON = timedelta(seconds=15)


def test_an_empty_node_that_a_pod_comes_to_within_the_wait_stays() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await several(world, 1, disruption={"consolidateAfter": "0s", "budgets": [{"nodes": "100%"}]})
            world.app("web", 0)
            await world.until(lambda: eligible(world, "empty") == 1)
            world.app("late", 1)
            await world.until(lambda: world.metrics.total("voluntary_disruption_failed_validations_total") == 1)
            assert has_no_trace(world)
            (rejected, *_) = told(world, "ConsolidationRejected", "Node")
            assert rejected.message.endswith("reason: churn")
            await world.until(world.all_running)
            assert len(world.cloud.rented) == 1

    run(story)


def test_empty_nodes_leave_together_after_fifteen_seconds() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await several(world, 3, disruption={"consolidateAfter": "10s", "budgets": [{"nodes": "100%"}]})
            world.app("web", 0)
            await world.until(lambda: eligible(world, "empty") == 3)
            took = await world.until(lambda: all(claim.meta.is_deleting for claim in world.claims()))
            assert SOON <= took <= SOON + timedelta(seconds=2)
            assert world.metrics.total("voluntary_disruption_decisions_total", decision="delete", reason="empty") == 1
            assert len(told(world, "DisruptionTerminating", "Node")) == 3

    run(story)


def _teams(world: SmallWorld) -> list[str]:
    return [claim.labels.get("team", "") for claim in world.claims()]


def test_drift_replaces_side_by_side_up_to_the_budget() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await several(world, 6, disruption={"consolidateAfter": "Never", "budgets": [{"nodes": "3"}]})
            seen: set[int] = set()

            def watch() -> None:
                under_way = [claim for claim in world.claims() if COMMAND in claim.meta.annotations]
                seen.add(sum(not claim.has(INSTANCE_TERMINATING) for claim in under_way))

            world.on_step.append(watch)
            label_template(world, "blue")
            took = await world.until(lambda: _teams(world) == ["blue"] * 6 and world.all_running(), within=20 * MINUTE)
            assert max(seen) == 3, "as many at once as the budget allows, and never more"
            assert took < 5 * MINUTE, "two rounds, not six"
            assert world.metrics.total("nodeclaims_disrupted_total", reason="drifted") == 6

    run(story)


def test_a_drifted_node_whose_pods_have_no_place_is_told_of_and_the_next_one_has_its_turn() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            world.apply(NODE_CLASS, node_pool(requirements=types(SMALL), labels={"team": "red"}, disruption=NEVER))
            world.app("bound", 1, cpu="1500m", spec={"nodeSelector": {"team": "red"}})
            await world.until(world.all_running)
            (bound,) = world.nodes()
            world.app("free", 1, cpu="1500m")
            await world.until(world.all_running)
            label_template(world, "blue")
            await world.until(lambda: sorted(node.labels["team"] for node in world.nodes()) == ["blue", "red"])
            await world.until(world.all_running)
            await world.pass_time(10 * MINUTE)
            assert any(
                "Not all pods would schedule" in each.message for each in told(world, "DisruptionBlocked", "Node")
            )
            assert bound.name in {node.name for node in world.nodes()}

    run(story)


def test_a_machine_of_a_type_that_is_no_longer_wanted_becomes_several() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            world.apply(NODE_CLASS, node_pool(requirements=types(BIG), disruption=NEVER))
            world.app("web", 3, cpu="1500m")
            await world.until(world.all_running)
            (before,) = world.claims()
            world.server.patch(NODE_POOL, "default", {"spec": {"template": {"spec": {"requirements": types(SMALL)}}}})
            await world.until(lambda: before.name not in {claim.name for claim in world.claims()}, within=20 * MINUTE)
            await world.until(world.all_running)
            assert bought(world) == [SMALL] * 3
            assert (
                world.metrics.total("voluntary_disruption_decisions_total", decision="replace", reason="drifted") == 1
            )

    run(story)


def test_a_node_that_replaced_a_drifted_one_is_left_in_peace_for_an_hour() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await several(world, 1, disruption=NEVER)
            for team in ("blue", "green"):
                label_template(world, team)
                await world.until(
                    partial(lambda wanted: _teams(world) == [wanted], team),
                    within=2 * HOUR,
                )
                await world.until(world.all_running)
            first, second = [each.meta.created_at for each in _bought_for_drift(world)]
            assert second - first >= HOUR
            assert second - first < HOUR + 10 * MINUTE

    run(story)


def _bought_for_drift(world: SmallWorld) -> list[NodeClaim]:
    claims = [rented.claim for rented in world.cloud.rented.values()]
    return sorted(claims, key=lambda claim: claim.meta.created_at)[1:]


def test_a_grace_period_lets_drift_take_a_node_with_a_protected_pod() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            world.apply(NODE_CLASS, node_pool(disruption=NEVER, template={"terminationGracePeriod": "5m"}))
            world.app("pinned", 1, annotations={DO_NOT_DISRUPT: "true"})
            await world.until(world.all_running)
            (before,) = world.claims()
            label_template(world, "blue")
            took = await world.until(lambda: before.name not in {each.name for each in world.claims()})
            assert took > 5 * MINUTE, "the pod has the whole grace period"
            assert told(world, "Disrupted", "Pod")
            await world.until(world.all_running)

    run(story)


def test_a_static_pools_drifted_nodes_are_replaced_one_for_one_within_its_budget() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool("fixed", replicas=3, disruption={"budgets": [{"nodes": "1"}]}))
        async with world.running(), world.controlled(Options(gates=Gates(static_capacity=True))):
            await world.until(lambda: len(world.nodes()) == 3 and all(node.is_initialized for node in world.nodes()))
            most = 0

            def watch() -> None:
                nonlocal most
                most = max(most, sum(not claim.has(INSTANCE_TERMINATING) for claim in world.claims()))

            world.on_step.append(watch)
            label_template(world, "blue", "fixed")
            await world.until(lambda: _teams(world) == ["blue"] * 3, within=20 * MINUTE)
            assert most == 4

    run(story)


def test_a_pool_that_keeps_nodes_with_pods_says_so() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            disruption = {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "10s", "budgets": [{"nodes": "100%"}]}
            await outgrown(world, node_pool(requirements=types(SMALL, BIG), disruption=disruption))
            await world.pass_time(10 * MINUTE)
            assert bought(world) == [BIG]
            for kind in ("Node", "NodeClaim"):
                assert 'NodePool "default" has non-empty consolidation disabled' in {
                    event.message for event in told(world, "Unconsolidatable", kind)
                }

    run(story)


def test_spot_is_not_exchanged_for_spot_while_that_is_switched_off() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await outgrown(world, node_pool(requirements=types(SMALL, BIG, terms=[SPOT])))
            await world.pass_time(10 * MINUTE)
            assert bought(world) == [BIG]
            sentences = {event.message for event in told(world, "Unconsolidatable", "Node")}
            assert any("SpotToSpotConsolidation is disabled" in each for each in sentences)

    run(story)


SPOT_TO_SPOT = Options(cluster_name="small", policy=Policy(spot_to_spot=True))


@pytest.mark.parametrize("options", [SPOT_TO_SPOT, Options(cluster_name="small")], ids=["on", "off"])
def test_spot_is_exchanged_for_cheaper_spot_where_that_is_switched_on(options: Options) -> None:
    """One that is too large goes for one of the fifteen cheapest types, once: then it is left in peace."""

    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        is_on = options is SPOT_TO_SPOT
        async with world.running(), world.controlled(options):
            only_spot = [{"key": CAPACITY_TYPE, "operator": "In", "values": [SPOT]}]
            world.apply(NODE_CLASS, node_pool(requirements=only_spot))
            world.app("big", 1, cpu="12")
            world.app("small", 1)
            await world.until(world.all_running)
            (large,) = world.machines()
            assert large.machine.capacity_type == SPOT
            world.app("big", 0)
            await world.pass_time(HOUR)
            assert world.all_running()
            (left,) = world.machines()
            assert left.machine.capacity_type == SPOT
            assert (left is not large) is is_on
            assert len(world.cloud.rented) == 1 + is_on
            if is_on:
                (claim,) = world.claims()
                assert len(claim.requirements.get(INSTANCE_TYPE).values) == 15
                assert claim.requirements.get(CAPACITY_TYPE).values == {SPOT}
                assert world.metrics.total("nodeclaims_disrupted_total", reason="underutilized") == 1

    run(story)


def test_spot_is_not_exchanged_for_spot_of_few_types() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled(SPOT_TO_SPOT):
            await outgrown(world, node_pool(requirements=types(SMALL, BIG, terms=[SPOT])))
            await world.pass_time(10 * MINUTE)
            assert bought(world) == [BIG]
            sentences = {event.message for event in told(world, "Unconsolidatable", "Node")}
            few = "SpotToSpotConsolidation requires 15 cheaper instance type options than the current candidate"
            assert any(each.startswith(few) and each.endswith("got 1") for each in sentences), sentences

    run(story)


def test_machines_go_back_to_spot_when_there_is_spot_again() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            for name in (SMALL, BIG):
                for zone in ZONES:
                    world.cloud.left[name, zone, SPOT] = 0
            world.apply(NODE_CLASS, node_pool(requirements=types(SMALL, terms=[SPOT, ON_DEMAND])))
            world.app("web", 1)
            await world.until(world.all_running)
            assert [each.machine.capacity_type for each in world.machines()] == [ON_DEMAND]
            world.cloud.left.clear()
            await world.until(lambda: [each.machine.capacity_type for each in world.machines()] == [SPOT])
            await world.until(world.all_running)
            assert len(world.cloud.rented) <= 4

    run(story)


def test_two_machines_become_four_smaller_ones() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            world.apply(NODE_CLASS, node_pool(requirements=types(SMALL, BIG)))
            world.app("big", 2, cpu="12")
            world.app("web", 4, cpu="1500m")
            await world.until(world.all_running)
            assert bought(world) == [BIG, BIG]
            world.app("big", 0)
            await world.until(lambda: bought(world) == [SMALL] * 4 and world.all_running())
            moved = {pod.meta.name for pod in world.pods()}
            await world.pass_time(20 * MINUTE)
            assert {pod.meta.name for pod in world.pods()} == moved

    run(story)


def test_candidates_hear_of_a_replacement_and_balanced_tells_its_score() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            disruption = {"consolidationPolicy": "Balanced", "consolidateAfter": "10s", "budgets": [{"nodes": "100%"}]}
            await outgrown(world, node_pool(requirements=types(SMALL, BIG), disruption=disruption))
            await world.until(lambda: bought(world) == [SMALL] and world.all_running())
            for kind in ("Node", "NodeClaim"):
                (candidate, *_) = told(world, "ConsolidationCandidate", kind)
                assert candidate.message.startswith("Consolidation candidate: replace: [")
                assert candidate.message.endswith("] -> [1 replacement] (savings: $0.70)")
                (approved, *_) = told(world, "ConsolidationApproved", kind)
                assert approved.message.startswith("score ")
            labels = {"decision": "approved", "nodepool": "default", "policy": "Balanced"}
            assert world.metrics.total("consolidation_moves_total", **labels) >= 1
            assert ("consolidation_score", tuple(sorted(labels.items()))) in world.metrics.observations

    run(story)


def test_a_command_whose_pods_grew_within_the_wait_is_not_upheld() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await outgrown(world)
            await world.until(lambda: bool(told(world, "ConsolidationCandidate", "Node")))
            world.app("big", 1)
            await world.until(lambda: bool(told(world, "ConsolidationRejected", "Node")))
            assert has_no_trace(world)
            await world.until(world.all_running)
            assert len(world.cloud.rented) == 1
            labels = {"consolidation_type": "single"}
            assert world.metrics.total("voluntary_disruption_failed_validations_total", **labels) == 1

    run(story)


@pytest.mark.parametrize(("most", "moves"), [("0", False), ("5", True)])
def test_a_pools_own_bar_holds_in_a_running_cluster(most: str, moves: bool) -> None:  # noqa: FBT001 - a table
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            pool = node_pool(requirements=types(SMALL, BIG))
            await outgrown(world, {**pool, "metadata": {"name": "default", "annotations": {MAX_MOVES: most}}})
            await world.pass_time(10 * MINUTE)
            assert bought(world) == [SMALL if moves else BIG]

    run(story)


def test_a_replacement_is_not_replaced_again_within_the_hour() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await outgrown(world)
            await world.until(lambda: bought(world) == [SMALL] and world.all_running())
            since = clock.now()
            cheaper = {"spec": {"template": {"spec": {"requirements": types(SMALL, "t4g.large")}}}}
            world.server.patch(NODE_POOL, "default", cheaper)
            await world.until(lambda: bought(world) == ["t4g.large"] and world.all_running(), within=2 * HOUR)
            assert clock.now() - since > HOUR - 3 * MINUTE
            assert not any(claim.has(DRIFTED) for claim in world.claims())

    run(story)
