"""From asked for to launched: what a launch, or its failure, makes of a NodeClaim (spec 4.1, Launch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nodesmith.decide.lifecycle.conditions import Change, holds, unknown
from nodesmith.model.nodeclaim import LAUNCHED, NodeClaim
from nodesmith.model.resources import format_resources
from nodesmith.ports.cloud import Machine
from nodesmith.ports.errors import CapacityUnavailable, CreateFailed, NodeClassNotReady, PortError

MESSAGE_LIMIT: Final = 300


@dataclass(frozen=True, slots=True)
class Launched:
    """The machine is there: what the claim says of it."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    status: Mapping[str, object]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The claim is to be deleted; its pods will be planned anew. `reason` is the metric's label."""

    reason: str
    message: str
    is_told: bool


@dataclass(frozen=True, slots=True)
class Postponed:
    """The claim stays, shows why, and is tried again."""

    changes: tuple[Change, ...]


def needs_launch(claim: NodeClaim) -> bool:
    """Whether nobody knows yet what became of the launch."""
    launched = claim.condition(LAUNCHED)
    return launched is None or not (launched.is_true or launched.is_false)


def after_launch(claim: NodeClaim, machine: Machine) -> Launched:
    """What the claim says once the machine is there: its own labels win, the cloud's annotations do."""
    status: dict[str, object] = {
        "providerID": machine.provider_id,
        "imageID": machine.image_id,
        "capacity": format_resources(machine.capacity),
        "allocatable": format_resources(machine.allocatable),
    }
    return Launched(
        labels={**machine.labels, **claim.labels},
        annotations={**claim.meta.annotations, **machine.annotations},
        status=status,
        changes=(holds(LAUNCHED),),
    )


def after_failure(error: PortError) -> GivenUp | Postponed:
    """What to do when the launch failed."""
    match error:
        case CapacityUnavailable():
            return GivenUp("insufficient_capacity", truncated(str(error)), is_told=True)
        case NodeClassNotReady():
            return GivenUp("nodeclass_not_ready", truncated(str(error)), is_told=False)
        case CreateFailed():
            return Postponed((unknown(LAUNCHED, error.reason, truncated(error.message)),))
        case _:
            return Postponed((unknown(LAUNCHED, "LaunchFailed", truncated(str(error))),))


def truncated(message: str) -> str:
    """The message, cut where it gets too long for a status."""
    return message if len(message) <= MESSAGE_LIMIT else message[:MESSAGE_LIMIT] + "..."
