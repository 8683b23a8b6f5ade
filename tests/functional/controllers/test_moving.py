"""Nodes that are replaced: underutilized, drifted, expired, sick; and commands that fail or are cut off."""

from datetime import timedelta

import pytest

from nodesmith.adapters.memory.catalog import ZONES, catalog
from nodesmith.api.kinds import NODE, NODE_CLAIM, NODE_POOL
from nodesmith.api.meta import format_time
from nodesmith.controllers.shell import Gates, Options
from nodesmith.decide.lifecycle.command_record import COMMAND
from nodesmith.model.labels import DO_NOT_DISRUPT, INSTANCE_TYPE, ON_DEMAND, ZONE
from nodesmith.model.nodeclaim import DISRUPTION_REASON, DRIFTED, INITIALIZED, INSTANCE_TERMINATING
from nodesmith.model.taints import DISRUPTED
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool

MINUTE = timedelta(minutes=1)
TYPE = "node.kubernetes.io/instance-type"


def _types(*names: str) -> list[dict[str, object]]:
    return [
        {"key": TYPE, "operator": "In", "values": list(names)},
        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
    ]


async def _outgrown(world: SmallWorld) -> None:
    """One big machine with little left to do, when a small one would be enough."""
    world.apply(NODE_CLASS, node_pool(requirements=_types("m7g.large", "m7g.4xlarge")))
    world.app("big", 1, cpu="12")
    world.app("small", 1, cpu="500m")
    await world.until(world.all_running)
    assert [each.machine.instance_type for each in world.machines()] == ["m7g.4xlarge"]
    world.app("big", 0)


def test_a_cheaper_machine_is_ready_before_the_dear_one_is_drained() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await _outgrown(world)
            (dear,) = world.nodes()
            seen: list[tuple[int, bool]] = []

            def watch() -> None:
                ready = sum(node.is_initialized and node.is_ready for node in world.nodes())
                claims = [claim for claim in world.claims() if claim.node_name == dear.name]
                seen.append((ready, any(claim.meta.is_deleting for claim in claims)))

            world.on_step.append(watch)
            await world.until(lambda: [each.machine.instance_type for each in world.machines()] == ["m7g.large"])
            await world.until(lambda: len(world.nodes()) == 1 and world.all_running())
            assert all(ready == 2 for ready, is_deleting in seen if is_deleting and ready != 1)
            assert next(ready for ready, is_deleting in seen if is_deleting) == 2
            assert world.metrics.total("voluntary_disruption_decisions_total", decision="replace") == 1
            assert {"DisruptionLaunching", "DisruptionWaitingReadiness"} <= set(world.events.reasons())
            assert not any(DISRUPTED in node.taints for node in world.nodes())

    run(story)


def test_a_replacement_that_cannot_be_had_is_taken_back_and_leaves_no_trace() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await _outgrown(world)
            for zone in ZONES:
                world.cloud.left["m7g.large", zone, ON_DEMAND] = 0
            await world.until(
                lambda: world.metrics.total("voluntary_disruption_queue_failures_total") > 0, within=10 * MINUTE
            )
            await world.pass_time(timedelta(seconds=15))
            (node,), (claim,) = world.nodes(), world.claims()
            assert DISRUPTED not in node.taints
            assert claim.condition(DISRUPTION_REASON) is None
            assert COMMAND not in claim.meta.annotations
            assert world.all_running()

    run(story)


def test_a_replacement_that_never_comes_up_is_given_up_and_the_node_stays() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await _outgrown(world)
            world.hosts.are_silent = True
            await world.until(lambda: len(world.claims()) == 2)
            await world.pass_time(timedelta(minutes=11))
            old = min(world.claims(), key=lambda claim: claim.meta.created_at)
            assert not old.meta.is_deleting
            assert not any(DISRUPTED in node.taints for node in world.nodes())
            assert world.all_running()

    run(story)


@pytest.mark.parametrize("pause_s", [1, 40], ids=["at-once", "late"])
def test_a_command_goes_on_after_a_restart(pause_s: int) -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running():
            async with world.controlled():
                await _outgrown(world)
                await world.until(lambda: len(world.claims()) == 2)
                await world.pass_time(timedelta(seconds=3))
            (record,) = [claim for claim in world.claims() if COMMAND in claim.meta.annotations]
            assert any(DISRUPTED in node.taints for node in world.nodes())
            await world.pass_time(timedelta(seconds=pause_s))
            async with world.controlled(seed=99):
                await world.until(lambda: record.name not in {claim.name for claim in world.claims()})
                await world.until(world.all_running)
                assert [each.machine.instance_type for each in world.machines()] == ["m7g.large"]
                assert len(world.cloud.rented) == 2, "the replacement was bought once"

    run(story)


def test_what_another_process_left_half_done_is_taken_back() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 2)
            await world.until(world.all_running)
            (node,) = world.nodes()
            taints = [{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]
            world.server.patch(NODE, node.name, {"spec": {"taints": taints}})
            await world.until(lambda: not any(DISRUPTED in each.taints for each in world.nodes()))
            assert world.all_running()

    run(story)


def test_budgets_bound_how_many_nodes_leave_at_once() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        disruption = {"consolidateAfter": "10s", "budgets": [{"nodes": "2"}]}
        world.apply(NODE_CLASS, node_pool(requirements=_types("m7g.large"), disruption=disruption))
        async with world.running(), world.controlled():
            world.app("web", 7, cpu="1500m")
            await world.until(world.all_running)
            assert len(world.nodes()) == 7
            most = 0

            def watch() -> None:
                nonlocal most
                leaving = [
                    each for each in world.claims() if each.meta.is_deleting and not each.has(INSTANCE_TERMINATING)
                ]
                most = max(most, len(leaving))

            world.on_step.append(watch)
            world.app("web", 0)
            await world.until(lambda: not world.machines(), within=20 * MINUTE)
            assert most == 2

    run(story)


def test_a_budget_of_none_keeps_empty_nodes_and_says_so() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        disruption = {"consolidateAfter": "10s", "budgets": [{"nodes": "0"}]}
        world.apply(NODE_CLASS, node_pool(disruption=disruption))
        async with world.running(), world.controlled():
            world.app("web", 2)
            await world.until(world.all_running)
            world.app("web", 0)
            await world.pass_time(10 * MINUTE)
            assert world.machines()
            told = [event for _, event in world.events.told if event.about.kind == "NodePool"]
            assert any("due to blocking budget" in event.message for event in told)

    run(story)


def test_consolidate_after_counts_from_the_last_pod() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool(disruption={"consolidateAfter": "10m", "budgets": [{"nodes": "100%"}]}))
        async with world.running(), world.controlled():
            world.app("web", 2)
            await world.until(world.all_running)
            await world.pass_time(8 * MINUTE)
            world.app("web", 0)
            left_at = clock.now()
            await world.until(lambda: not world.machines(), within=20 * MINUTE)
            assert 10 * MINUTE < clock.now() - left_at < 12 * MINUTE

    run(story)


def test_a_drifted_node_is_replaced_and_do_not_disrupt_keeps_it() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 2)
            await world.until(world.all_running)
            (before,) = world.nodes()
            world.server.patch(NODE, before.name, {"metadata": {"annotations": {DO_NOT_DISRUPT: "true"}}})
            labels = {"spec": {"template": {"metadata": {"labels": {"team": "blue"}}}}}
            world.server.patch(NODE_POOL, "default", labels)
            await world.until(lambda: world.claims()[0].has(DRIFTED))
            assert world.condition(DRIFTED).reason == "NodePoolDrifted"
            await world.pass_time(5 * MINUTE)
            assert [node.name for node in world.nodes()] == [before.name]
            world.server.patch(NODE, before.name, {"metadata": {"annotations": {DO_NOT_DISRUPT: None}}})
            await world.until(lambda: before.name not in {node.name for node in world.nodes()} and world.all_running())
            assert [claim.labels["team"] for claim in world.claims()] == ["blue"]

    run(story)


def test_drift_that_the_cloud_sees_is_told_and_acted_on() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 1)
            await world.until(world.all_running)
            (claim,) = world.claims()
            world.cloud.drifted[claim.name] = "AMIDrift"
            await world.until(lambda: claim.name not in {each.name for each in world.claims()}, within=20 * MINUTE)
            await world.until(world.all_running)
            assert world.metrics.total("nodeclaims_disrupted_total", reason="drifted") == 1

    run(story)


def test_an_expired_node_goes_although_nothing_else_may_take_it() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool(expire_after="2h", disruption={"consolidateAfter": "Never", "budgets": []}))
        async with world.running(), world.controlled():
            world.app("web", 2)
            await world.until(world.all_running)
            (before,) = world.nodes()
            await world.pass_time(timedelta(hours=1, minutes=55))
            assert [node.name for node in world.nodes()] == [before.name]
            await world.until(lambda: before.name not in {node.name for node in world.nodes()} and world.all_running())
            assert world.metrics.total("nodeclaims_disrupted_total", reason="expired") == 1

    run(story)


@pytest.mark.parametrize("gates", [Gates(node_repair=True), Gates()], ids=["on", "off"])
def test_a_sick_node_is_repaired_past_everything_if_the_gate_is_on(gates: Gates) -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool(disruption={"consolidateAfter": "Never"}))
        options = Options(gates=gates)
        async with world.running(), world.controlled(options):
            world.app("web", 1, annotations={DO_NOT_DISRUPT: "true"})
            await world.until(world.all_running)
            (node,) = world.nodes()
            sick = {"type": "Ready", "status": "Unknown", "lastTransitionTime": format_time(clock.now())}
            world.server.patch(NODE, node.name, {"status": {"conditions": [sick]}}, subresource="status")
            await world.pass_time(29 * MINUTE)
            assert node.name in {each.name for each in world.nodes()}, world.describe()
            await world.pass_time(5 * MINUTE)
            assert (node.name in {each.name for each in world.nodes()}) is not gates.node_repair
            repaired = world.metrics.total("nodeclaims_unhealthy_disrupted_total", condition="Ready")
            assert repaired == gates.node_repair

    run(story)


def test_claims_without_machine_and_machines_without_claim_are_cleared() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running():
            async with world.controlled():
                world.app("web", 1)
                await world.until(world.all_running)
            (claim,) = world.claims()
            world.server.patch(NODE_CLAIM, claim.name, {"metadata": {"finalizers": []}})
            world.server.delete(NODE_CLAIM, claim.name)
            (orphan,) = world.machines()
            began = clock.now()
            async with world.controlled():
                await world.until(lambda: orphan.terminated_at is not None)
                assert clock.now() - began < 3 * MINUTE
                await world.until(world.all_running)

    run(story)


def test_consistency_and_tags_are_seen_to() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 1)
            await world.until(lambda: bool(world.claims()) and world.claims()[0].has(INITIALIZED))
            await world.pass_time(timedelta(seconds=5))
            (machine,), (claim,), (node,) = world.machines(), world.claims(), world.nodes()
            assert machine.tags == {
                "Name": node.name,
                "karpenter.sh/nodeclaim": claim.name,
                "eks:eks-cluster-name": "small",
            }
            assert claim.has("ConsistentStateFound")
            less = {"status": {"capacity": {"cpu": "1"}}}
            world.server.patch(NODE, node.name, less, subresource="status")
            await world.pass_time(timedelta(minutes=11))
            assert world.condition("ConsistentStateFound").reason == "ConsistencyCheckFailed"

    run(story)


def test_nothing_moves_without_cause_for_a_day() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 6)
            world.app("api", 3, cpu="1", memory="2Gi")
            await world.until(world.all_running)
            await world.pass_time(timedelta(minutes=30))
            rented, names = len(world.cloud.rented), {pod.meta.name for pod in world.pods()}
            await world.pass_time(timedelta(hours=2))
            assert len(world.cloud.rented) == rented
            assert {pod.meta.name for pod in world.pods()} == names

    run(story)


def test_a_spot_zone_label_is_what_the_cloud_said() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 1)
            await world.until(world.all_running)
            (machine,), (node,) = world.machines(), world.nodes()
            assert node.labels[ZONE] == machine.machine.zone
            assert node.labels[INSTANCE_TYPE] == machine.machine.instance_type
            assert machine.machine.instance_type in {kind.name for kind in catalog()}

    run(story)
