"""From launched to registered: the Node of a machine is taken over by its NodeClaim (spec 4.1, Registration)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nodesmith.api.meta import owner_to_json
from nodesmith.api.scalars import taints_to_json
from nodesmith.decide.lifecycle.conditions import Change, fails, holds, unknown
from nodesmith.decide.lifecycle.newclaim import OUR_ANNOTATIONS
from nodesmith.model.labels import DO_NOT_SYNC_TAINTS, REGISTERED, TERMINATION_FINALIZER, UNREGISTERED_TAINT
from nodesmith.model.meta import ObjectMeta, OwnerReference
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import REGISTERED as REGISTERED_CONDITION
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.taints import Taint, merge

CLAIM_API_VERSION: Final = "karpenter.sh/v1"


@dataclass(frozen=True, slots=True)
class Registration:
    """What to do about the claim's Node, and what the claim says then.

    `patch` (None: nothing to change) applies to `node` at the version that was looked at.
    """

    changes: tuple[Change, ...]
    node: Node | None = None
    patch: Mapping[str, Any] | None = None
    lacks_taint: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether the claim is registered once the patch is through."""
        return any(change.type == REGISTERED_CONDITION and change.status == "True" for change in self.changes)


def needs_registration(claim: NodeClaim) -> bool:
    """Whether the claim waits for its Node."""
    registered = claim.condition(REGISTERED_CONDITION)
    return registered is None or not (registered.is_true or registered.is_false)


def registration(claim: NodeClaim, nodes: Sequence[Node]) -> Registration:
    """The next step of joining, given the Nodes that show the claim's provider id."""
    if not nodes:
        missing = unknown(REGISTERED_CONDITION, "NodeNotFound", "Node not registered with cluster")
        return Registration((missing,))
    if len(nodes) > 1:
        names = ", ".join(sorted(node.name for node in nodes))
        twice = fails(
            REGISTERED_CONDITION, "MultipleNodesFound", f"Invariant violated, matched multiple nodes: {names}"
        )
        return Registration((twice,))
    (node,) = nodes
    is_registered = node.meta.labels.get(REGISTERED) == "true"
    lacks_taint = not is_registered and all(taint.key != UNREGISTERED_TAINT for taint in node.taints)
    return Registration((holds(REGISTERED_CONDITION),), node, node_patch(node, claim), lacks_taint)


def node_patch(node: Node, claim: NodeClaim) -> Mapping[str, Any] | None:
    """The merge patch that gives the Node what the claim says, or None when it has it all.

    With it the Node counts as registered, and is open to pods. Karpenter may wait for hooks before that, of which it
    has one, for the partition of a placement group; ours is chosen at the launch and known from then on.
    """
    labels = {**claim.labels, REGISTERED: "true"}
    metadata: dict[str, Any] = {
        "labels": _missing(labels, node.meta.labels),
        "annotations": _missing(_shared(claim.meta.annotations), node.meta.annotations),
    }
    if TERMINATION_FINALIZER not in node.meta.finalizers:
        metadata["finalizers"] = [*node.meta.finalizers, TERMINATION_FINALIZER]
    if all(owner.uid != claim.meta.uid for owner in node.meta.owners):
        owners = [*node.meta.owners, owner_reference(claim.meta)]
        metadata["ownerReferences"] = [owner_to_json(owner) for owner in owners]
    metadata = {name: value for name, value in metadata.items() if value}
    taints = _taints(node, claim)
    patch: dict[str, Any] = {}
    if metadata:
        patch["metadata"] = metadata
    if taints != node.taints:
        patch["spec"] = {"taints": taints_to_json(taints)}
    return patch or None


def owner_reference(claim: ObjectMeta) -> OwnerReference:
    """The Node belongs to the claim."""
    return OwnerReference(CLAIM_API_VERSION, "NodeClaim", claim.name, claim.uid, block_owner_deletion=True)


def _taints(node: Node, claim: NodeClaim) -> tuple[Taint, ...]:
    taints = node.taints
    if node.meta.labels.get(DO_NOT_SYNC_TAINTS) != "true":
        taints = merge(merge(taints, claim.taints), claim.startup_taints)
    return tuple(taint for taint in taints if taint.key != UNREGISTERED_TAINT)


def _shared(annotations: Mapping[str, str]) -> Mapping[str, str]:
    """Without what we wrote down for ourselves."""
    return {key: value for key, value in annotations.items() if not key.startswith(OUR_ANNOTATIONS)}


def _missing(wanted: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in wanted.items() if present.get(key) != value}
