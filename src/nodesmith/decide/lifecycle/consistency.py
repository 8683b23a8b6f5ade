"""Whether a node is what its NodeClaim promised (spec 4.5); told, never acted on."""

from __future__ import annotations

from typing import Final

from nodesmith.decide.lifecycle.conditions import Change, fails, holds
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import CONSISTENT_STATE_FOUND, NodeClaim
from nodesmith.model.resources import format_resources

_LEAST_SHARE: Final = 0.9


def shape_issues(claim: NodeClaim, node: Node) -> tuple[str, ...]:
    """What the node has less of than the claim says, by more than a tenth."""
    issues = []
    for name in sorted(claim.requests):
        promised, found = claim.capacity.get(name, 0), node.capacity.get(name, 0)
        if claim.requests[name] and promised and found < promised * _LEAST_SHARE:
            stated = format_resources({name: promised})[name]
            seen = format_resources({name: found})[name]
            share = found / promised * 100
            issues.append(f"expected {stated} of resource {name}, but found {seen} ({share:.1f}% of expected)")
    return tuple(issues)


def consistency(issues: tuple[str, ...]) -> Change:
    """The ConsistentStateFound condition."""
    if issues:
        return fails(CONSISTENT_STATE_FOUND, "ConsistencyCheckFailed", "Consistency Check Failed: " + "; ".join(issues))
    return holds(CONSISTENT_STATE_FOUND)
