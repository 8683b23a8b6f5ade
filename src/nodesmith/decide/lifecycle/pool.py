"""What a NodePool's status says: whether its NodeClass is ready, how much of it there is, how its nodes fare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from nodesmith.api.ec2nodeclass import READY, EC2NodeClass
from nodesmith.decide.lifecycle.conditions import (
    NODE_CLASS_READY,
    NODE_REGISTRATION_HEALTHY,
    VALIDATION_SUCCEEDED,
    Change,
    fails,
    holds,
    unknown,
)
from nodesmith.model.labels import NODEPOOL_HASH, NODEPOOL_HASH_VERSION, NODEPOOL_HASH_VERSION_VALUE
from nodesmith.model.meta import Condition
from nodesmith.model.nodeclaim import DRIFTED, LAUNCHED, NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.resources import CPU, EPHEMERAL_STORAGE, MEMORY, NODES, PODS, Resources, format_resources, total
from nodesmith.state.snapshot import StateNode

_ALWAYS_SHOWN: Final = (CPU, MEMORY, EPHEMERAL_STORAGE, PODS, NODES)
BUFFER_SIZE: Final = 4
_UNHEALTHY_SHARE: Final = 0.5


def node_class_readiness(node_class: EC2NodeClass | None) -> Change:
    """The NodeClassReady condition."""
    if node_class is None:
        return fails(NODE_CLASS_READY, "NodeClassNotFound", "NodeClass not found on cluster")
    if node_class.meta.is_deleting:
        return fails(NODE_CLASS_READY, "NodeClassTerminating", "NodeClass is Terminating")
    ready = node_class.condition(READY)
    if ready is None:
        return unknown(NODE_CLASS_READY, "NodeClassReadinessUnknown", "Node Class Readiness Unknown")
    if ready.is_true:
        return holds(NODE_CLASS_READY)
    return Change(NODE_CLASS_READY, ready.status, ready.reason, ready.message)


def validation(faults: tuple[str, ...]) -> Change:
    """The ValidationSucceeded condition."""
    if faults:
        return fails(VALIDATION_SUCCEEDED, "NodePoolValidationFailed", "; ".join(faults))
    return holds(VALIDATION_SUCCEEDED)


def usage(pool_name: str, nodes: Iterable[StateNode]) -> Resources:
    """What the pool's nodes amount to, those that are leaving left out; `nodes` counts them."""
    own = [node for node in nodes if node.pool_name == pool_name and not node.is_deleting]
    return {**dict.fromkeys(_ALWAYS_SHOWN, 0), **total(node.capacity for node in own), NODES: len(own)}


def usage_to_json(amounts: Resources) -> dict[str, str]:
    """`status.resources`."""
    return format_resources(amounts)


def hash_annotations(pool: NodePool) -> Mapping[str, str]:
    """The annotations of the pool that are missing or old."""
    wanted = {NODEPOOL_HASH: pool.static_hash, NODEPOOL_HASH_VERSION: NODEPOOL_HASH_VERSION_VALUE}
    return {key: value for key, value in wanted.items() if pool.meta.annotations.get(key) != value}


def claim_hash_annotations(claim: NodeClaim, pool: NodePool) -> Mapping[str, str]:
    """What to annotate a claim of another hash version with: the pool's hash too, unless the claim has drifted."""
    if claim.meta.annotations.get(NODEPOOL_HASH_VERSION) == NODEPOOL_HASH_VERSION_VALUE:
        return {}
    version = {NODEPOOL_HASH_VERSION: NODEPOOL_HASH_VERSION_VALUE}
    drift = claim.condition(DRIFTED)
    return version if drift is not None else {**version, NODEPOOL_HASH: pool.static_hash}


@dataclass(frozen=True, slots=True)
class Registrations:
    """How the last few registrations of a pool went, the newest last (spec 1.2.1)."""

    outcomes: tuple[bool, ...] = ()

    @classmethod
    def remembered(cls, condition: Condition | None) -> Registrations:
        """What the condition of a pool that was not watched for a while stands for."""
        if condition is None or condition.status not in {"True", "False"}:
            return cls()
        return cls((True,)) if condition.is_true else cls((False, False))

    def and_then(self, *, succeeded: bool) -> Registrations:
        """The same with one more outcome; the oldest is forgotten."""
        return Registrations((*self.outcomes, succeeded)[-BUFFER_SIZE:])

    @property
    def is_unhealthy(self) -> bool:
        """Whether half of the places hold a failure."""
        return self.outcomes.count(False) / BUFFER_SIZE >= _UNHEALTHY_SHARE

    @property
    def is_healthy(self) -> bool:
        """Whether something is known and it is not bad."""
        return bool(self.outcomes) and not self.is_unhealthy


def health_after(registrations: Registrations, pool: NodePool, claim: NodeClaim, *, succeeded: bool) -> Change | None:
    """What one more outcome makes of NodeRegistrationHealthy, or None where it stays as it is."""
    following = registrations.and_then(succeeded=succeeded)
    present = pool.conditions.get(NODE_REGISTRATION_HEALTHY)
    if succeeded:
        is_news = following.is_healthy and (present is None or not present.is_true)
        return holds(NODE_REGISTRATION_HEALTHY) if is_news else None
    if not following.is_unhealthy or (present is not None and present.is_false):
        return None
    launched = claim.condition(LAUNCHED)
    if launched is None or launched.is_true:
        return fails(NODE_REGISTRATION_HEALTHY, "RegistrationFailed", "Failed to register node")
    return fails(NODE_REGISTRATION_HEALTHY, launched.reason, launched.message)
