"""From registered to fit for pods (spec 4.1, Initialization)."""

from __future__ import annotations

from nodesmith.decide.lifecycle.conditions import Change, holds, unknown
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import INITIALIZED, REGISTERED, NodeClaim
from nodesmith.model.taints import is_ephemeral


def needs_initialization(claim: NodeClaim) -> bool:
    """Whether the claim waits for its Node to become fit."""
    initialized = claim.condition(INITIALIZED)
    is_open = initialized is None or not (initialized.is_true or initialized.is_false)
    return is_open and claim.has(REGISTERED)


def initialization(claim: NodeClaim, node: Node | None) -> Change:
    """What the Initialized condition is now: True once nothing stands in the way, else Unknown and what does."""
    if node is None:
        return unknown(INITIALIZED, "NodeNotFound", "Node not registered with cluster")
    ready = node.conditions.get("Ready")
    if ready is None or not ready.is_true:
        return unknown(INITIALIZED, "NodeNotReady", f"Node status is {'NotReady' if ready else 'Unknown'}")
    startup = {(taint.key, taint.effect) for taint in claim.startup_taints}
    for taint in node.taints:
        if (taint.key, taint.effect) in startup:
            return unknown(INITIALIZED, "StartupTaintsExist", f'StartupTaint "{taint}" still exists')
    for taint in node.taints:
        if is_ephemeral(taint):
            return unknown(INITIALIZED, "KnownEphemeralTaintsExist", f'KnownEphemeralTaint "{taint}" still exists')
    for name in sorted(claim.requests):
        if claim.requests[name] and not node.allocatable.get(name):
            return unknown(INITIALIZED, "ResourceNotRegistered", f'Resource "{name}" was requested but not registered')
    return holds(INITIALIZED)
