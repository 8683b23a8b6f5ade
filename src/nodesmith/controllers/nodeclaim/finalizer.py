"""A NodeClaim's way out: its Nodes first, then its machine, then the claim itself (spec 4.6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from nodesmith.api.kinds import NODE
from nodesmith.controllers import tell
from nodesmith.controllers.controller import DONE, Again, Outcome
from nodesmith.controllers.shell import Shell
from nodesmith.decide.lifecycle.conditions import holds
from nodesmith.decide.lifecycle.termination import deadline_to_write
from nodesmith.model.labels import CAPACITY_TYPE, TERMINATION_FINALIZER, TERMINATION_TIMESTAMP, ZONE
from nodesmith.model.nodeclaim import INSTANCE_TERMINATING, REGISTERED, NodeClaim
from nodesmith.ports.errors import NotFound

LOOK_AGAIN: Final = timedelta(seconds=5)
NODES_LOOK_AGAIN: Final = timedelta(seconds=30)
"""The Node's going is heard of through the watch; this is for the case that it is not."""


class Finalizer:
    """Lets claims go."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def reconcile(self, claim: NodeClaim) -> Outcome:
        """The claim that is being deleted is one step nearer to being gone."""
        if TERMINATION_FINALIZER not in claim.meta.finalizers:
            return DONE
        claim = await self._annotate_deadline(claim)
        if claim.has(REGISTERED) and await self._nodes_remain(claim):
            return Again(NODES_LOOK_AGAIN)
        if claim.provider_id and await self._machine_remains(claim):
            return Again(LOOK_AGAIN)
        await self._shell.claims.remove_finalizer(claim)
        self._told(claim)
        return DONE

    async def _annotate_deadline(self, claim: NodeClaim) -> NodeClaim:
        deadline = deadline_to_write(claim)
        if deadline is None:
            return claim
        self._shell.events.publish(tell.deadline_of_claim(claim, deadline))
        return await self._shell.claims.set_metadata(claim, annotations={TERMINATION_TIMESTAMP: deadline})

    async def _nodes_remain(self, claim: NodeClaim) -> bool:
        nodes = self._shell.store.nodes_with(claim.provider_id)
        for node in nodes:
            if not node.meta.is_deleting:
                await self._shell.writer.delete(NODE, node)
        return bool(nodes)

    async def _machine_remains(self, claim: NodeClaim) -> bool:
        try:
            await self._shell.cloud.delete(claim.provider_id)
        except NotFound:
            return False
        await self._shell.claims.set_status(claim, (holds(INSTANCE_TERMINATING),))
        return True

    def _told(self, claim: NodeClaim) -> None:
        pool, deleted_at = claim.pool_name, claim.meta.deleted_at
        labels = {"capacity_type": claim.labels.get(CAPACITY_TYPE, ""), "zone": claim.labels.get(ZONE, "")}
        self._shell.metrics.count("nodeclaims_terminated_total", nodepool=pool, **labels)
        now = self._shell.now()
        terminating = claim.condition(INSTANCE_TERMINATING)
        if terminating is not None and terminating.is_true:
            took = (now - terminating.changed_at).total_seconds()
            self._shell.metrics.observe("nodeclaims_instance_termination_duration_seconds", took, nodepool=pool)
        if deleted_at is not None:
            took = (now - deleted_at).total_seconds()
            self._shell.metrics.observe("nodeclaims_termination_duration_seconds", took, nodepool=pool)
        self._shell.log.info("deleted nodeclaim", NodeClaim=claim.name, provider_id=claim.provider_id)
