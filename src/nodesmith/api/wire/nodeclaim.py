"""NodeClaim's JSON (spec 1.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import field

from nodesmith.api.wire.base import Wire
from nodesmith.api.wire.common import (
    CONDITIONS_FIELD,
    REQUIREMENTS_FIELD,
    STARTUP_TAINTS_FIELD,
    TAINTS_FIELD,
    ClaimRequirementWire,
    ConditionWire,
    NodeClassRefWire,
    TaintWire,
)
from nodesmith.api.wire.field import Field, Rule
from nodesmith.api.wire.nodepool import EXPIRE_AFTER_FIELD, GRACE_PERIOD_FIELD, Amount


class ClaimResourcesWire(Wire, frozen=True, kw_only=True):
    """What the node must have room for."""

    requests: Annotated[Mapping[str, Amount], Field("Amounts by resource.")] = field(default_factory=dict)


class NodeClaimSpecWire(Wire, frozen=True, kw_only=True):
    """The node that is asked for; it cannot be changed."""

    RULES = (Rule(cel="self == oldSelf", message="spec is immutable"),)

    requirements: Annotated[tuple[ClaimRequirementWire, ...], REQUIREMENTS_FIELD]
    node_class_ref: Annotated[
        NodeClassRefWire,
        Field(
            "Which EC2NodeClass says how the machine is made.",
            hint="nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}",
        ),
    ]
    resources: Annotated[ClaimResourcesWire | None, Field("What the node must have room for.")] = None
    taints: Annotated[tuple[TaintWire, ...], TAINTS_FIELD] = ()
    startup_taints: Annotated[tuple[TaintWire, ...], STARTUP_TAINTS_FIELD] = ()
    expire_after: Annotated[str, EXPIRE_AFTER_FIELD] = "720h"
    termination_grace_period: Annotated[str | None, GRACE_PERIOD_FIELD] = None


class NodeClaimStatusWire(Wire, frozen=True, kw_only=True):
    """What became of the node."""

    node_name: Annotated[str, Field("Name of the Node.")] = ""
    provider_id: Annotated[str, Field("The machine's id at the cloud, as in the Node's spec.providerID.")] = ""
    image_id: Annotated[str, Field("The image that the machine was started from.")] = ""
    capacity: Annotated[Mapping[str, Amount], Field("What the machine is expected to have.")] = field(
        default_factory=dict
    )
    allocatable: Annotated[Mapping[str, Amount], Field("What of that pods are expected to get.")] = field(
        default_factory=dict
    )
    last_pod_event_time: Annotated[
        str | None, Field("When a pod last came to the node or left it.", format="date-time")
    ] = None
    conditions: Annotated[tuple[ConditionWire, ...], CONDITIONS_FIELD] = ()


class NodeClaimWire(Wire, frozen=True, kw_only=True):
    """A node that is asked for, from the launch of its machine to the end of it."""

    spec: Annotated[NodeClaimSpecWire, Field("What is asked for.")]
    status: Annotated[NodeClaimStatusWire | None, Field("What became of it.")] = None
