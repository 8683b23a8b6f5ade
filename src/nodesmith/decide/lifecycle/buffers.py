"""What a CapacityBuffer asks for: how many pods, and those pods, which exist nowhere but in a plan (spec 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from nodesmith.decide.lifecycle.conditions import Change, fails, holds
from nodesmith.model.buffer import BufferShape, CapacityBuffer
from nodesmith.model.labels import BUFFER_FAKE_POD, BUFFER_NAME, BUFFER_NAMESPACE
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.pod import LOWEST_PRIORITY, Pod, PodSpec
from nodesmith.plan.schedule import OnClaim, OnNode, Placement

READY_FOR_PROVISIONING: Final = "ReadyForProvisioning"
PROVISIONING: Final = "Provisioning"
LIMITED_BY_QUOTAS: Final = "LimitedByQuotas"


@dataclass(frozen=True, slots=True)
class Missing:
    """Why it is not known what room is kept for."""

    reason: str
    message: str


def wanted(buffer: CapacityBuffer, shape: BufferShape) -> int:
    """For how many pods room is kept: what is asked for, within the buffer's limits."""
    asked, most = _asked(buffer, shape), _most(buffer, shape)
    if asked is None:
        return most or 0
    return asked if most is None else min(asked, most)


def is_limited(buffer: CapacityBuffer, shape: BufferShape) -> bool:
    """Whether the limits keep the buffer from what it asks for."""
    asked, most = _asked(buffer, shape), _most(buffer, shape)
    return asked is not None and most is not None and most < asked


def virtual_pods(buffer: CapacityBuffer, shape: BufferShape) -> tuple[Pod, ...]:
    """The pods that stand for the room; they have no volumes, and every other pod goes before them."""
    spec = replace(shape.spec, volumes=(), priority=LOWEST_PRIORITY, priority_class="")
    return tuple(_pod(buffer, shape, number, spec=spec) for number in range(wanted(buffer, shape)))


def is_virtual(pod: Pod) -> bool:
    """Whether the pod only stands for room."""
    return pod.meta.annotations.get(BUFFER_FAKE_POD) == "true"


def readiness(found: BufferShape | Missing) -> Change:
    """Whether it is known what room is kept for."""
    if isinstance(found, Missing):
        return fails(READY_FOR_PROVISIONING, found.reason, found.message)
    return holds(READY_FOR_PROVISIONING, reason="Resolved")


def provisioning(pods: tuple[Pod, ...] | None, placements: Mapping[str, Placement]) -> Change:
    """What the last plan made of the buffer; `pods` None: it is not known what they are."""
    if pods is None:
        return fails(PROVISIONING, "NotReadyForProvisioning", "what room is kept for is not known")
    if not pods:
        return fails(PROVISIONING, "BufferEmpty", "no room is asked for")
    places = [placements.get(pod.key) for pod in pods]
    if all(isinstance(place, OnNode) for place in places):
        return holds(PROVISIONING, reason="FitsExistingCapacity")
    coming = sum(isinstance(place, OnClaim) for place in places)
    nowhere = sum(not isinstance(place, OnNode | OnClaim) for place in places)
    return fails(PROVISIONING, "RequiresNewCapacity", f"{coming} of {len(pods)} need new nodes, {nowhere} have none")


def quotas(buffer: CapacityBuffer, found: BufferShape | Missing) -> Change:
    """Whether the limits keep the buffer from what it asks for."""
    if isinstance(found, BufferShape) and is_limited(buffer, found):
        return holds(LIMITED_BY_QUOTAS, message=f"limits allow {wanted(buffer, found)} pods")
    return fails(LIMITED_BY_QUOTAS, "WithinLimits", "limits allow all that is asked for")


def _asked(buffer: CapacityBuffer, shape: BufferShape) -> int | None:
    """What replicas and percentage ask for, the larger of both; None where neither is given."""
    asked = [] if buffer.replicas is None else [buffer.replicas]
    if buffer.percentage is not None and buffer.scalable is not None:
        share = -(-shape.current * buffer.percentage // 100)
        asked.append(max(share, 1) if buffer.percentage else 0)
    return max(asked, default=None)


def _most(buffer: CapacityBuffer, shape: BufferShape) -> int | None:
    """How many of the pods the limits allow; None where they say nothing about what the pods ask for."""
    request = dict(shape.spec.requests)
    allowed = [limit // request[name] for name, limit in buffer.limits.items() if request.get(name)]
    return min(allowed, default=None)


def _pod(buffer: CapacityBuffer, shape: BufferShape, number: int, *, spec: PodSpec) -> Pod:
    name = f"capacity-buffer-{buffer.meta.name}-{number}"
    marks = {BUFFER_FAKE_POD: "true", BUFFER_NAME: buffer.meta.name, BUFFER_NAMESPACE: buffer.meta.namespace}
    meta = ObjectMeta(
        name,
        buffer.meta.namespace,
        uid=f"{buffer.meta.uid or buffer.key}-{number}",
        labels=shape.labels,
        annotations=marks,
        created_at=buffer.meta.created_at,
    )
    return Pod(meta, spec, is_unschedulable=True)
