"""Sick nodes are replaced by force, unless too many are sick at once (spec 4.9)."""

from __future__ import annotations

from nodesmith.api.meta import format_time, parse_time
from nodesmith.controllers import tell
from nodesmith.controllers.controller import DONE, Again, Outcome
from nodesmith.controllers.freshness import LOOK_AGAIN
from nodesmith.controllers.shell import Shell, until
from nodesmith.decide.lifecycle.repair import BLOCKED_RETRY, Sick, sickness, too_many_sick
from nodesmith.model.labels import CAPACITY_TYPE, NODEPOOL, TERMINATION_TIMESTAMP
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim


class Repair:
    """Replaces sick nodes."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def reconcile(self, name: str) -> Outcome:
        """The Node's claim is on its way out if the Node has been sick too long."""
        node = self._shell.store.get(Node, name)
        claims = self._shell.store.claims_with(node.provider_id) if node is not None else ()
        if node is None or len(claims) != 1 or claims[0].meta.is_deleting:
            return DONE
        policies = self._shell.cloud.repair_policies()
        sick = sickness(node, policies)
        if sick is None:
            return DONE
        if self._shell.freshness.stale():
            return Again(LOOK_AGAIN)
        now = self._shell.now()
        if now < sick.repair_at:
            return Again(until(sick.repair_at, now))
        pool_name = node.meta.labels.get(NODEPOOL, "")
        blocked = too_many_sick(self._shell.store.snapshot(now).nodes, pool_name, policies)
        if blocked is not None:
            for dedupe in (node.meta.uid, claims[0].meta.uid, pool_name):
                self._shell.events.publish(tell.repair_blocked(node, str(blocked), dedupe))
            return Again(BLOCKED_RETRY)
        await self._repair(claims[0], sick)
        return DONE

    async def _repair(self, claim: NodeClaim, sick: Sick) -> None:
        now = self._shell.now()
        present = parse_time(claim.meta.annotations.get(TERMINATION_TIMESTAMP))
        if present is None or present > now:
            annotations = {TERMINATION_TIMESTAMP: format_time(now)}
            claim = await self._shell.claims.set_metadata(claim, annotations=annotations)
        if not await self._shell.claims.delete(claim):
            return
        self._shell.store.mark(claim.name)
        labels = {"nodepool": claim.pool_name, "capacity_type": claim.labels.get(CAPACITY_TYPE, "")}
        self._shell.metrics.count("nodeclaims_disrupted_total", reason="unhealthy", **labels)
        self._shell.metrics.count(
            "nodeclaims_unhealthy_disrupted_total", condition=sick.condition.type, image_id=claim.image_id, **labels
        )
        self._shell.log.info("deleted unhealthy node", NodeClaim=claim.name, condition=sick.condition.type)
