"""A Node's way out: tainted, drained, its volumes detached, its machine terminated, released (spec 4.7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from nodesmith.api.kinds import NODE, POD
from nodesmith.controllers import tell
from nodesmith.controllers.controller import DONE, Again, Outcome
from nodesmith.controllers.node.eviction import Evictions
from nodesmith.controllers.shell import Shell
from nodesmith.decide.disrupt.protection import Guards
from nodesmith.decide.lifecycle.blockers import STUCK_AFTER, Blocker, named, pod_blockers, volume_blockers
from nodesmith.decide.lifecycle.conditions import Change, fails, holds, unknown
from nodesmith.decide.lifecycle.drain import DrainStep, next_drain
from nodesmith.decide.lifecycle.termination import (
    SHORTEST_DRAIN,
    blocking_attachments,
    deadline_of,
    disruption_patch,
)
from nodesmith.model.labels import TERMINATION_FINALIZER, ZONE
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import DRAINED, INSTANCE_TERMINATING, VOLUMES_DETACHED, NodeClaim
from nodesmith.model.workload import PodDisruptionBudget
from nodesmith.ports.errors import NotFound

LOOK_AGAIN: Final = timedelta(seconds=1)
MACHINE_LOOK_AGAIN: Final = timedelta(seconds=5)
DRAINING: Final = "Draining"


class NodeTermination:
    """Lets Nodes go."""

    def __init__(self, shell: Shell, evictions: Evictions) -> None:
        self._shell = shell
        self._evictions = evictions
        self._told_at: dict[str, datetime] = {}

    async def reconcile(self, name: str) -> Outcome:
        """The Node that is being deleted is one step nearer to being gone."""
        node = self._shell.store.get(Node, name)
        if node is None or not node.meta.is_deleting or TERMINATION_FINALIZER not in node.meta.finalizers:
            return DONE
        claim = self._claim_of(node)
        if claim is not None and not claim.meta.is_deleting and await self._shell.claims.delete(claim):
            self._shell.store.mark(claim.name)
        if not node.is_ready and await self._is_machine_gone(node):
            await self._release(node)
            return DONE
        deadline = deadline_of(claim)
        if deadline is not None:
            self._shell.events.publish(tell.deadline_of_node(node, deadline))
        node = await self._taint(node)
        return await self._empty(node, claim, deadline)

    async def _empty(self, node: Node, claim: NodeClaim | None, deadline: datetime | None) -> Outcome:
        now = self._shell.now()
        if not await self._drain(node, claim, deadline, now):
            return Again(LOOK_AGAIN)
        claim = self._claim_of(node)
        if not await self._detach(node, claim, deadline, now):
            return Again(LOOK_AGAIN)
        claim = self._claim_of(node)
        if claim is not None and not await self._terminate(node, claim):
            return Again(MACHINE_LOOK_AGAIN)
        await self._release(node)
        return DONE

    def _claim_of(self, node: Node) -> NodeClaim | None:
        """The one claim behind the Node, or None where there is none, or more than one."""
        claims = self._shell.store.claims_with(node.provider_id)
        return claims[0] if len(claims) == 1 else None

    async def _is_machine_gone(self, node: Node) -> bool:
        if not node.provider_id:
            return False
        try:
            await self._shell.cloud.get(node.provider_id)
        except NotFound:
            return True
        return False

    async def _taint(self, node: Node) -> Node:
        patch = disruption_patch(node, is_leaving=True)
        if patch is None:
            return node
        self._shell.log.info("tainted node", Node=node.name)
        return await self._shell.writer.patch(NODE, node, patch)

    async def _drain(self, node: Node, claim: NodeClaim | None, deadline: datetime | None, now: datetime) -> bool:
        """Whether no pod is in the way any more, and it has been long enough that none was on its way."""
        if claim is not None and claim.has(DRAINED):
            return True
        step = next_drain(self._shell.store.pods_on(node.name), deadline=deadline, now=now)
        blockers = pod_blockers(step.waiting, Guards.of(self._shell.store.all(PodDisruptionBudget)), now)
        claim = await self._set(claim, unknown(DRAINED, DRAINING, _waits_for(blockers)))
        if not step.is_drained:
            self._log_stuck(node, blockers, now)
            await self._move_pods(node, step, deadline)
            return False
        drained = claim.condition(DRAINED) if claim is not None else None
        since = drained.changed_at if drained is not None else node.meta.deleted_at
        if since is not None and now - since < SHORTEST_DRAIN:
            return False
        if claim is not None:
            await self._set(claim, holds(DRAINED))
            self._shell.metrics.count("nodes_drained_total", nodepool=claim.pool_name)
        return True

    async def _move_pods(self, node: Node, step: DrainStep, deadline: datetime | None) -> None:
        for pod in step.waiting:
            if (told := tell.do_not_disrupt(pod, self._shell.now())) is not None:
                self._shell.events.publish(told)
        waiting = len(step.waiting)
        self._shell.events.publish(tell.failed_draining(node, f"{waiting} pods are waiting to be evicted"))
        for forced in step.force:
            if await self._shell.writer.delete(POD, forced.pod, grace_s=forced.grace_s) and deadline is not None:
                self._shell.events.publish(tell.force_deleted(forced.pod, deadline, forced.grace_s))
        for pod in step.evict:
            self._evictions.request(pod)

    async def _detach(self, node: Node, claim: NodeClaim | None, deadline: datetime | None, now: datetime) -> bool:
        """Whether no volume is in the way any more."""
        storage = self._shell.store.storage()
        attached = blocking_attachments(node, self._shell.store.pods_on(node.name), storage, now)
        if not attached:
            await self._set(claim, holds(VOLUMES_DETACHED))
            return True
        if deadline is not None and now >= deadline:
            await self._set(claim, fails(VOLUMES_DETACHED, "TerminationGracePeriodElapsed"))
            return True
        names = [attachment.meta.name for attachment in attached]
        blockers = volume_blockers(attached)
        self._shell.events.publish(tell.awaiting_volumes(node, names))
        await self._set(claim, unknown(VOLUMES_DETACHED, "AwaitingVolumeDetachment", _waits_for(blockers)))
        self._log_stuck(node, blockers, now)
        return False

    def _log_stuck(self, node: Node, blockers: Sequence[Blocker], now: datetime) -> None:
        """Who holds a node that has been leaving for long is in the log, every few minutes."""
        since = self._told_at.get(node.meta.uid, node.meta.deleted_at)
        if blockers and since is not None and now - since >= STUCK_AFTER:
            self._told_at[node.meta.uid] = now
            self._shell.log.warning("node is stuck on its way out", Node=node.name, waits_for=named(blockers))

    async def _terminate(self, node: Node, claim: NodeClaim) -> bool:
        """Whether the machine is gone."""
        try:
            await self._shell.cloud.delete(node.provider_id)
        except NotFound:
            return True
        await self._set(claim, holds(INSTANCE_TERMINATING))
        return False

    async def _set(self, claim: NodeClaim | None, change: Change) -> NodeClaim | None:
        if claim is None:
            return None
        try:
            return await self._shell.claims.set_status(claim, (change,))
        except NotFound:
            return None

    async def _release(self, node: Node) -> None:
        finalizers = [each for each in node.meta.finalizers if each != TERMINATION_FINALIZER]
        try:
            await self._shell.writer.patch(NODE, node, {"metadata": {"finalizers": finalizers}})
        except NotFound:
            return
        self._told_at.pop(node.meta.uid, None)
        pool, now = node.meta.labels.get("karpenter.sh/nodepool", ""), self._shell.now()
        self._shell.metrics.count("nodes_terminated_total", nodepool=pool, zone=node.meta.labels.get(ZONE, ""))
        if node.meta.deleted_at is not None:
            took = (now - node.meta.deleted_at).total_seconds()
            self._shell.metrics.observe("nodes_termination_duration_seconds", took, nodepool=pool)
        lived = (now - node.meta.created_at).total_seconds()
        self._shell.metrics.observe("nodes_lifetime_duration_seconds", lived, nodepool=pool)
        self._shell.log.info("deleted node", Node=node.name)


def _waits_for(blockers: Sequence[Blocker]) -> str:
    """The message of a condition that waits; empty where nobody in particular is in the way."""
    return f"waits for {named(blockers)}" if blockers else ""
