"""Capacity buffers and overlays, with the controllers running."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from nodesmith.api.kinds import CAPACITY_BUFFER, NODE_OVERLAY
from nodesmith.controllers.shell import Gates, Options
from nodesmith.model.labels import PRICE_OVERLAY_APPLIED
from nodesmith.model.meta import Conditions
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool

OPTIONS = Options(cluster_name="small", gates=Gates(node_overlay=True, capacity_buffer=True))
TEMPLATE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PodTemplate",
    "metadata": {"name": "spare", "namespace": "default"},
    "template": {
        "metadata": {"labels": {"app": "spare"}},
        "spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}]},
    },
}


def buffer(replicas: int, template: str = "spare") -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling.x-k8s.io/v1beta1",
        "kind": "CapacityBuffer",
        "metadata": {"name": "room", "namespace": "default"},
        "spec": {"podTemplateRef": {"name": template}, "replicas": replicas},
    }


def conditions(world: SmallWorld) -> Conditions:
    (stored,) = world.server.history.table(CAPACITY_BUFFER).values()
    return stored.value(CAPACITY_BUFFER).conditions


def reason(world: SmallWorld, kind: str) -> str:
    found = conditions(world).get(kind)
    return found.reason if found is not None else ""


def test_room_is_bought_kept_empty_and_given_to_pods_that_come() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool(), TEMPLATE, buffer(2))
        async with world.running(), world.controlled(OPTIONS):
            await world.until(lambda: reason(world, "Provisioning") == "FitsExistingCapacity")
            assert reason(world, "ReadyForProvisioning") == "Resolved"
            first = {each.name for each in world.claims()}
            assert first
            await world.pass_time(timedelta(minutes=20))
            assert {each.name for each in world.claims()} == first, "empty nodes that keep room must stay"
            assert "FailedScheduling" not in world.events.reasons()
            took = None
            world.app("web", 1, cpu="1", memory="1Gi")
            took = await world.until(world.all_running)
            assert took < timedelta(seconds=10), "the pod takes room that is there"
            await world.until(lambda: len(world.claims()) > len(first) or reason(world, "Provisioning") != "")
            world.server.patch(CAPACITY_BUFFER, "room", {"spec": {"replicas": 0}}, namespace="default")
            await world.until(lambda: reason(world, "Provisioning") == "BufferEmpty")
            world.app("web", 0)
            await world.until(lambda: not world.claims(), within=timedelta(minutes=20))

    run(story)


def test_a_buffer_of_a_template_that_is_not_there_says_so() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool(), buffer(2, template="missing"))
        async with world.running(), world.controlled(OPTIONS):
            await world.until(lambda: reason(world, "ReadyForProvisioning") == "PodTemplateNotFound")
            assert reason(world, "Provisioning") == "NotReadyForProvisioning"
            assert not world.claims()

    run(story)


def overlay(name: str, price: str, **requirement: Any) -> dict[str, Any]:
    wanted = {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"], **requirement}
    return {
        "apiVersion": "karpenter.sh/v1alpha1",
        "kind": "NodeOverlay",
        "metadata": {"name": name},
        "spec": {"requirements": [wanted], "price": price},
    }


def test_an_overlays_price_decides_what_is_bought_and_its_status_says_that_it_is_in_force() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool(), overlay("committed", "0.0001"), overlay("aaa-other", "0.0002"))
        async with world.running(), world.controlled(OPTIONS):
            world.app("web", 1)
            await world.until(world.all_running)
            (claim,) = world.claims()
            assert claim.meta.annotations[PRICE_OVERLAY_APPLIED] == "true"
            table = world.server.history.table(NODE_OVERLAY)
            told = {key: stored.value(NODE_OVERLAY).conditions for key, stored in table.items()}
            ready = {value.meta.name: value for value in (stored.value(NODE_OVERLAY) for stored in table.values())}
            assert ready["committed"].conditions["Ready"].is_true, told
            assert ready["aaa-other"].conditions["ValidationSucceeded"].reason == "Conflict"
            assert ready["aaa-other"].conditions["Ready"].is_false

    run(story)
