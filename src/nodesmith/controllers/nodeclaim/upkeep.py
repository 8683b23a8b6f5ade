"""Small duties towards NodeClaims: they expire, are checked, are tagged, and remember when pods came or went."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Protocol

from nodesmith.api.kinds import NODE, NODE_CLAIM
from nodesmith.api.meta import format_time
from nodesmith.controllers import tell
from nodesmith.controllers.controller import DONE, Again, Outcome
from nodesmith.controllers.freshness import LOOK_AGAIN
from nodesmith.controllers.shell import Shell, is_managed, until
from nodesmith.decide.lifecycle.consistency import consistency, shape_issues
from nodesmith.decide.lifecycle.deadlines import Due, Overdue, expiration
from nodesmith.decide.lifecycle.pod_events import is_too_soon
from nodesmith.model.labels import CAPACITY_TYPE, CLUSTER_NAME_TAGGED, INSTANCE_TYPE, NODECLASS, TAGGED
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import INITIALIZED, REGISTERED, NodeClaim
from nodesmith.model.resources import MEMORY
from nodesmith.ports.errors import NotFound

CONSISTENCY_EVERY: Final = timedelta(minutes=10)
_NAME_TAG: Final = "Name"
_CLAIM_TAG: Final = "karpenter.sh/nodeclaim"
_CLUSTER_TAG: Final = "eks:eks-cluster-name"


class Expiration:
    """Deletes claims that have lived their time, by force: no budget, no replacement (spec 4.3)."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def reconcile(self, name: str) -> Outcome:
        """The claim is on its way out if its time is over."""
        claim = self._shell.store.get(NodeClaim, name)
        if claim is None or claim.meta.is_deleting or not is_managed(claim):
            return DONE
        now = self._shell.now()
        match expiration(claim, now):
            case Overdue() if self._shell.freshness.stale():
                return Again(LOOK_AGAIN)
            case Overdue(reason=reason):
                if await self._shell.claims.delete(claim):
                    self._shell.store.mark(claim.name)
                    labels = {"nodepool": claim.pool_name, "capacity_type": claim.labels.get(CAPACITY_TYPE, "")}
                    self._shell.metrics.count("nodeclaims_disrupted_total", reason=reason, **labels)
                    self._shell.log.info("deleted expired nodeclaim", NodeClaim=claim.name)
                return DONE
            case Due(at=at):
                return Again(until(at, now))
            case _:
                return DONE


class Consistency:
    """Tells when a node is less than its claim promised (spec 4.5)."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def reconcile(self, name: str) -> Outcome:
        """The ConsistentStateFound condition says what is true now."""
        claim = self._shell.store.get(NodeClaim, name)
        if claim is None or claim.meta.is_deleting or not claim.has(INITIALIZED):
            return DONE
        nodes = self._shell.store.nodes_with(claim.provider_id)
        if len(nodes) == 1:
            issues = shape_issues(claim, nodes[0])
            for issue in issues:
                self._shell.events.publish(tell.failed_consistency(claim, issue))
            await self._shell.claims.set_status(claim, (consistency(issues),))
        return Again(CONSISTENCY_EVERY)


class Tagging:
    """Tags the machine with what is known only after it has joined (spec 7.10)."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def reconcile(self, name: str) -> Outcome:
        """The machine carries the Node's name and the claim's, and the claim says so."""
        claim = self._shell.store.get(NodeClaim, name)
        if claim is None or claim.meta.is_deleting or not claim.has(REGISTERED) or not claim.node_name:
            return DONE
        if claim.meta.annotations.get(TAGGED) == "true" or not is_managed(claim):
            return DONE
        tags = {_NAME_TAG: claim.node_name, _CLAIM_TAG: claim.name, _CLUSTER_TAG: self._shell.options.cluster_name}
        try:
            await self._shell.cloud.tag(claim.provider_id, tags)
        except NotFound:
            return DONE
        await self._shell.claims.set_metadata(claim, annotations={TAGGED: "true", CLUSTER_NAME_TAGGED: "true"})
        return DONE


class LearnMemory(Protocol):
    """Takes note of how much memory a node has, for better guesses at its type's next one."""

    def __call__(self, *, instance_type: str, image_id: str, memory: int) -> None:
        """A node of the type with the image has so many bytes of memory."""
        ...


class MemoryLesson:
    """Tells how much memory nodes turned out to have (spec 7.3)."""

    def __init__(self, shell: Shell, learn: LearnMemory) -> None:
        self._shell = shell
        self._learn = learn

    async def reconcile(self, name: str) -> Outcome:
        """What the claim's Node shows has been told."""
        claim = self._shell.store.get(NodeClaim, name)
        if claim is None or not claim.has(REGISTERED) or INSTANCE_TYPE not in claim.labels:
            return DONE
        for node in self._shell.store.nodes_with(claim.provider_id):
            if node.capacity.get(MEMORY):
                type_ = claim.labels[INSTANCE_TYPE]
                self._learn(instance_type=type_, image_id=claim.image_id, memory=node.capacity[MEMORY])
        return DONE


class Hydration:
    """Labels claims and Nodes that were made before the NodeClass label existed (spec 4.2)."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def reconcile(self, name: str) -> Outcome:
        """The claim and its Node carry the label."""
        claim = self._shell.store.get(NodeClaim, name)
        if claim is None or claim.meta.is_deleting or not is_managed(claim):
            return DONE
        label = {NODECLASS: claim.node_class.name}
        if NODECLASS not in claim.labels:
            claim = await self._shell.claims.set_metadata(claim, labels=label)
        if claim.has(REGISTERED):
            for node in self._shell.store.nodes_with(claim.provider_id):
                if NODECLASS not in node.meta.labels:
                    await self._shell.writer.patch(NODE, node, {"metadata": {"labels": label}}, is_locked=False)
        return DONE


class PodEvents:
    """Writes down when pods last came to or left a node (spec 4.5); keys are Node names."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def reconcile(self, node_name: str) -> Outcome:
        """The claim of the Node says when the last pod event was, to within ten seconds."""
        node = self._shell.store.get(Node, node_name)
        claims = self._shell.store.claims_with(node.provider_id) if node is not None else ()
        if len(claims) != 1 or claims[0].meta.is_deleting:
            return DONE
        claim, now = claims[0], self._shell.now()
        if is_too_soon(claim, now):
            return DONE
        patch = {"status": {"lastPodEventTime": format_time(now)}}
        await self._shell.writer.patch(NODE_CLAIM, claim, patch, subresource="status", is_locked=False)
        return DONE
