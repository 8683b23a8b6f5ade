"""Budgets, policies and static pools: what they let go in a running cluster, and what not."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from nodesmith.api.kinds import NODE, NODE_POOL
from nodesmith.api.kinds import POD_DISRUPTION_BUDGET as GUARD
from nodesmith.controllers.shell import Gates, Options
from nodesmith.model.labels import DO_NOT_DISRUPT, NODEPOOL
from nodesmith.model.nodeclaim import DRIFTED, INSTANCE_TERMINATING
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool
from tests.functional.disruption.scenes import (
    HOUR,
    MINUTE,
    NEVER,
    SMALL,
    label_template,
    several,
    types,
)

ALL = [{"nodes": "100%"}]


def test_a_share_of_all_nodes_is_rounded_up_to_whole_ones() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await several(world, 5, disruption={"consolidateAfter": "30s", "budgets": [{"nodes": "30%"}]})
            at_once: set[int] = set()

            def watch() -> None:
                going = [each for each in world.claims() if each.meta.is_deleting]
                at_once.add(sum(not each.has(INSTANCE_TERMINATING) for each in going))

            world.on_step.append(watch)
            world.app("web", 0)
            await world.until(lambda: not world.machines(), within=20 * MINUTE)
            assert max(at_once) == 2, "a part of a node is a whole one"

    run(story)


@pytest.mark.parametrize(("closed", "goes"), [("Empty", "drifted"), ("Drifted", "empty")])
def test_a_budget_holds_for_its_reasons_only(closed: str, goes: str) -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            budgets = [*ALL, {"nodes": "0", "reasons": [closed]}]
            await several(world, 2, disruption={"consolidateAfter": "30s", "budgets": budgets})
            if goes == "empty":
                world.app("web", 0)
            label_template(world, "blue")
            gone = partial(world.metrics.total, "nodeclaims_disrupted_total")
            await world.until(lambda: gone(reason=goes) == 2, within=HOUR)
            await world.pass_time(10 * MINUTE)
            assert gone() == 2

    run(story)


def test_a_closed_reason_keeps_its_nodes() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            budgets = [*ALL, {"nodes": "0", "reasons": ["Drifted"]}]
            await several(world, 2, disruption={"consolidateAfter": "30s", "budgets": budgets})
            label_template(world, "blue")
            await world.until(lambda: all(each.has(DRIFTED) for each in world.claims()), within=20 * MINUTE)
            await world.pass_time(20 * MINUTE)
            assert len(world.cloud.rented) == 2
            world.server.patch(NODE_POOL, "default", {"spec": {"disruption": {"budgets": ALL}}})
            await world.until(lambda: len(world.cloud.rented) == 4 and world.all_running(), within=20 * MINUTE)

    run(story)


def test_each_pool_has_a_budget_of_its_own() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            world.apply(NODE_CLASS)
            for name, nodes in (("open", "100%"), ("closed", "0")):
                disruption = {"consolidateAfter": "30s", "budgets": [{"nodes": nodes}]}
                world.apply(node_pool(name, requirements=types(SMALL), disruption=disruption))
                world.app(name, 2, cpu="1500m", spec={"nodeSelector": {NODEPOOL: name}})
            await world.until(world.all_running)
            for name in ("open", "closed"):
                world.app(name, 0)
            await world.pass_time(10 * MINUTE)
            assert [each.labels[NODEPOOL] for each in world.nodes()] == ["closed"] * 2

    run(story)


@pytest.mark.parametrize("policy", ["WhenEmpty", "WhenEmptyOrUnderutilized", "Balanced"])
def test_empty_nodes_go_under_every_policy(policy: str) -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            disruption = {"consolidateAfter": "30s", "consolidationPolicy": policy, "budgets": ALL}
            await several(world, 2, disruption=disruption)
            world.app("web", 0)
            await world.until(lambda: not world.machines())

    run(story)


@pytest.mark.parametrize(("policy", "goes"), [("WhenEmptyOrUnderutilized", True), ("WhenEmpty", False)])
def test_a_node_with_pods_goes_only_where_its_pool_lets_it(policy: str, goes: bool) -> None:  # noqa: FBT001 - a table
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            world.app("little", 2, cpu="300m")
            disruption = {"consolidateAfter": "30s", "consolidationPolicy": policy, "budgets": ALL}
            await several(world, 2, disruption=disruption)
            assert [len(world.pods(app)) for app in ("little", "web")] == [2, 2]
            world.app("web", 0)
            await world.pass_time(20 * MINUTE)
            assert len(world.nodes()) == (1 if goes else 2)

    run(story)


def test_a_static_pool_keeps_its_empty_nodes() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled(Options(gates=Gates(static_capacity=True))):
            at_once = {"consolidateAfter": "0s", "budgets": ALL}
            world.apply(NODE_CLASS, node_pool("fixed", replicas=2, requirements=types(SMALL), disruption=at_once))
            await world.until(lambda: len(world.nodes()) == 2)
            await world.pass_time(HOUR)
            assert len(world.cloud.rented) == len(world.nodes()) == 2

    run(story)


def test_nothing_but_true_keeps_a_node() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await several(world, 1, disruption=NEVER)
            (node,) = world.nodes()
            world.server.patch(NODE, node.name, {"metadata": {"annotations": {DO_NOT_DISRUPT: "24h"}}})
            label_template(world, "blue")
            await world.until(lambda: node.name not in {each.name for each in world.nodes()}, within=20 * MINUTE)

    run(story)


def test_a_node_goes_once_the_budget_over_its_pods_has_room() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await several(world, 2, disruption=NEVER)
            world.budget("web", min_available=2)
            label_template(world, "blue")
            await world.pass_time(20 * MINUTE)
            assert len(world.cloud.rented) == 2
            world.server.patch(GUARD, "web", {"spec": {"minAvailable": 1}}, namespace="default")
            await world.until(lambda: len(world.cloud.rented) == 4 and world.all_running(), within=20 * MINUTE)

    run(story)


def test_two_budgets_over_one_pod_keep_its_node_though_both_have_room() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            await several(world, 2, disruption=NEVER)
            guard = {"minAvailable": 0, "selector": {"matchLabels": {"app": "web"}}}
            for name in ("one", "two"):
                meta = {"name": name, "namespace": "default"}
                kind = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}
                world.apply({**kind, "metadata": meta, "spec": guard})
            label_template(world, "blue")
            await world.pass_time(20 * MINUTE)
            assert len(world.cloud.rented) == 2
            world.server.delete(GUARD, "two", namespace="default")
            await world.until(lambda: len(world.cloud.rented) == 4 and world.all_running(), within=20 * MINUTE)

    run(story)


def test_nodes_whose_promises_end_one_after_the_other_leave_together() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running(), world.controlled():
            disruption = {"consolidateAfter": "0s", "budgets": ALL}
            world.apply(NODE_CLASS, node_pool(requirements=types(SMALL), disruption=disruption))
            for app in ("one", "two"):
                world.app(app, 1, cpu="1500m")
                await world.pass_time(timedelta(seconds=5))
            await world.until(world.all_running)
            for app in ("one", "two"):
                world.app(app, 0)
            await world.until(lambda: not world.machines())
            assert len(world.cloud.rented) == 2
            assert world.metrics.total("voluntary_disruption_decisions_total", reason="empty") == 1

    run(story)
