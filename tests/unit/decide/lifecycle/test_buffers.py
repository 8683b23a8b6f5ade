"""CapacityBuffers: how many pods they stand for, and what is told of them."""

from __future__ import annotations

from typing import Any

import pytest

from nodesmith.api.capacitybuffer import decode_capacity_buffer, shape_of_template, shape_of_workload
from nodesmith.decide.lifecycle.buffers import (
    Missing,
    is_limited,
    is_virtual,
    provisioning,
    readiness,
    virtual_pods,
    wanted,
)
from nodesmith.model.buffer import BufferShape, CapacityBuffer
from nodesmith.model.pod import LOWEST_PRIORITY
from nodesmith.plan.reason import BlockCode, Blocked, Unplaced
from nodesmith.plan.schedule import OnClaim, OnNode

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "containers": [{"name": "main", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "nodeName": "gone",
    },
}
META = {"name": "room", "namespace": "shop"}


def buffer(**spec: Any) -> CapacityBuffer:
    return decode_capacity_buffer({"metadata": META, "spec": spec})


def shape(replicas: int = 10) -> BufferShape:
    return shape_of_workload({"metadata": META, "spec": {"replicas": replicas, "template": TEMPLATE}})


SCALABLE = {"scalableRef": {"apiGroup": "apps", "kind": "Deployment", "name": "web"}}


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        ({"podTemplateRef": {"name": "t"}, "replicas": 3}, 3),
        ({**SCALABLE, "percentage": 25}, 3),
        ({**SCALABLE, "percentage": 1}, 1),
        ({**SCALABLE, "percentage": 0}, 0),
        ({**SCALABLE, "percentage": 50, "replicas": 2}, 5),
        ({**SCALABLE, "percentage": 10, "replicas": 2}, 2),
        ({"podTemplateRef": {"name": "t"}, "limits": {"cpu": "2200m"}}, 4),
        ({"podTemplateRef": {"name": "t"}, "replicas": 9, "limits": {"cpu": "10", "memory": "2Gi"}}, 2),
        ({"podTemplateRef": {"name": "t"}, "replicas": 9, "limits": {"nvidia.com/gpu": "1"}}, 9),
    ],
)
def test_room_is_kept_for_what_is_asked_within_the_limits(spec: dict[str, Any], count: int) -> None:
    assert wanted(buffer(**spec), shape()) == count
    assert len(virtual_pods(buffer(**spec), shape())) == count


def test_limits_that_cut_the_number_are_told() -> None:
    assert is_limited(buffer(podTemplateRef={"name": "t"}, replicas=9, limits={"cpu": "1"}), shape())
    assert not is_limited(buffer(podTemplateRef={"name": "t"}, replicas=2, limits={"cpu": "1"}), shape())


def test_the_pods_are_those_of_the_template_but_exist_nowhere() -> None:
    found = shape_of_template({"metadata": {"name": "t", "namespace": "shop", "generation": 4}, "template": TEMPLATE})
    assert (found.template_name, found.generation) == ("t", 4)
    first, second = virtual_pods(buffer(podTemplateRef={"name": "t"}, replicas=2), found)
    assert first.key == "shop/capacity-buffer-room-0"
    assert second.key == "shop/capacity-buffer-room-1"
    assert first.meta.labels == {"app": "web"}
    assert first.spec.volumes == ()
    assert first.spec.priority == LOWEST_PRIORITY
    assert first.is_provisionable
    assert is_virtual(first)


def test_what_the_last_plan_made_of_it_is_told() -> None:
    pods = virtual_pods(buffer(podTemplateRef={"name": "t"}, replicas=2), shape())
    nowhere = Unplaced(Blocked(BlockCode.LIMITS, "no"))
    assert provisioning(None, {}).reason == "NotReadyForProvisioning"
    assert provisioning((), {}).reason == "BufferEmpty"
    there = provisioning(pods, {pod.key: OnNode("n") for pod in pods})
    assert (there.status, there.reason) == ("True", "FitsExistingCapacity")
    coming = provisioning(pods, {pods[0].key: OnClaim(0), pods[1].key: nowhere})
    assert (coming.status, coming.reason) == ("False", "RequiresNewCapacity")
    assert coming.message == "1 of 2 need new nodes, 1 have none"


def test_a_buffer_of_something_that_is_not_there_is_not_ready() -> None:
    told = readiness(Missing("PodTemplateNotFound", "PodTemplate t not found"))
    assert (told.status, told.reason) == ("False", "PodTemplateNotFound")
    assert readiness(shape()).reason == "Resolved"
