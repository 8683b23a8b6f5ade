"""CapacityBuffer's JSON (spec 1.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import field

from nodesmith.api.wire.base import Wire
from nodesmith.api.wire.checks import counts, has, whole
from nodesmith.api.wire.common import CONDITIONS_FIELD, ConditionWire
from nodesmith.api.wire.field import Field, Rule
from nodesmith.api.wire.nodepool import Amount

ACTIVE_CAPACITY: Final = "buffer.x-k8s.io/active-capacity"


class PodTemplateRefWire(Wire, frozen=True, kw_only=True):
    """A PodTemplate in the same namespace."""

    name: Annotated[str, Field("Name of the PodTemplate.", min_length=1)]


class ScalableRefWire(Wire, frozen=True, kw_only=True):
    """A workload in the same namespace."""

    api_group: Annotated[str, Field("API group of the workload.")] = ""
    kind: Annotated[str, Field("Deployment, ReplicaSet or StatefulSet.", min_length=1)]
    name: Annotated[str, Field("Name of the workload.", min_length=1)]


class CapacityBufferSpecWire(Wire, frozen=True, kw_only=True):
    """How much room is kept, and for what pods."""

    RULES = (
        Rule(
            cel="!(has(self.podTemplateRef) && has(self.scalableRef))",
            message="cannot set both 'podTemplateRef' and 'scalableRef'",
            broken=whole(lambda spec: counts(spec, "podTemplateRef", "scalableRef") < 2, "scalableRef"),  # noqa: PLR2004 - both
            hint="the pods are either a template's or a workload's",
        ),
        Rule(
            cel="!has(self.podTemplateRef) || has(self.replicas) || has(self.limits)",
            message="podTemplateRef requires replicas or limits",
            broken=whole(
                lambda spec: not has(spec, "podTemplateRef") or counts(spec, "replicas", "limits") > 0, "podTemplateRef"
            ),
            hint="say how many pods, or the most that they may take together",
        ),
    )

    provisioning_strategy: Annotated[
        str, Field("How room is kept; active-capacity keeps nodes running.", default=ACTIVE_CAPACITY)
    ] = ACTIVE_CAPACITY
    pod_template_ref: Annotated[PodTemplateRefWire | None, Field("Keep room for pods of this template.")] = None
    scalable_ref: Annotated[ScalableRefWire | None, Field("Keep room for pods of this workload.")] = None
    replicas: Annotated[int | None, Field("For how many pods.", minimum=0, format="int32")] = None
    percentage: Annotated[
        int | None, Field("For this share of the workload's pods, in percent.", minimum=0, format="int32")
    ] = None
    limits: Annotated[Mapping[str, Amount], Field("The most that the pods may take together.")] = field(
        default_factory=dict
    )


class CapacityBufferStatusWire(Wire, frozen=True, kw_only=True):
    """What room is kept."""

    pod_template_ref: Annotated[PodTemplateRefWire | None, Field("The template that was found.")] = None
    pod_template_generation: Annotated[int | None, Field("Its generation.", format="int64")] = None
    replicas: Annotated[int | None, Field("For how many pods room is kept.", format="int32")] = None
    provisioning_strategy: Annotated[str, Field("How room is kept.")] = ""
    conditions: Annotated[tuple[ConditionWire, ...], CONDITIONS_FIELD] = ()


class CapacityBufferWire(Wire, frozen=True, kw_only=True):
    """Room for pods that are not there yet."""

    spec: Annotated[CapacityBufferSpecWire, Field("What room is asked for.")]
    status: Annotated[CapacityBufferStatusWire | None, Field("What room is kept.")] = None
