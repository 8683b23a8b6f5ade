"""Which change marks which keys: the only thing that a watch event can do."""

from __future__ import annotations

from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.kinds import (
    CAPACITY_BUFFER,
    EC2_NODE_CLASS,
    NODE,
    NODE_CLAIM,
    NODE_OVERLAY,
    NODE_POOL,
    POD,
    VOLUME_ATTACHMENT,
)
from nodesmith.controllers.feed import Feed
from nodesmith.controllers.fleet import Fleet
from nodesmith.controllers.nodepool.status import COUNT_WITHIN
from nodesmith.decide.lifecycle.pod_events import counts
from nodesmith.model.buffer import CapacityBuffer
from nodesmith.model.labels import NODEPOOL
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import READY, NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.overlay import NodeOverlay
from nodesmith.model.pod import Pod
from nodesmith.model.storage import VolumeAttachment
from nodesmith.model.taints import DISRUPTED
from nodesmith.state.store import Store


class Wiring:
    """Listens to the feed and marks the fleet's keys."""

    def __init__(self, store: Store, fleet: Fleet, feed: Feed) -> None:
        self._store = store
        self._fleet = fleet
        store.listen(fleet.stirred)
        feed.listen(NODE_CLAIM, self._claim)
        feed.listen(NODE, self._node)
        feed.listen(POD, self._pod)
        feed.listen(NODE_POOL, self._pool)
        feed.listen(EC2_NODE_CLASS, self._node_class)
        feed.listen(VOLUME_ATTACHMENT, self._attachment)
        feed.listen(NODE_OVERLAY, self._overlay)
        feed.listen(CAPACITY_BUFFER, self._buffer)

    def _claim(self, before: NodeClaim | None, after: NodeClaim | None) -> None:
        claim = after or before
        if claim is None:
            return
        fleet = self._fleet
        for controller in (
            fleet.claims,
            fleet.claim_disruption,
            fleet.expiration,
            fleet.consistency,
            fleet.tagging,
            fleet.hydration,
        ):
            controller.mark(claim.name)
        if fleet.lessons is not None:
            fleet.lessons.mark(claim.name)
        self._pool_counts(claim.pool_name)
        for node in self._store.nodes_with(claim.provider_id) if claim.provider_id else ():
            if node.meta.is_deleting:
                fleet.termination.mark(node.name)
        if after is None:
            fleet.node_classes.mark(claim.node_class.name)
        if after is None or (after.meta.is_deleting and before is not None and not before.meta.is_deleting):
            fleet.static.mark(claim.pool_name)

    def _node(self, before: Node | None, after: Node | None) -> None:
        for node in (before, after):
            for claim in self._store.claims_with(node.provider_id) if node is not None and node.provider_id else ():
                self._fleet.claims.mark(claim.name)
        node = after or before
        if node is None:
            return
        self._pool_counts(node.meta.labels.get(NODEPOOL, ""))
        self._fleet.repair.mark(node.name)
        if after is not None and after.meta.is_deleting:
            self._fleet.termination.mark(after.name)
        was_closed = before is not None and DISRUPTED in before.taints
        if after is not None and DISRUPTED in after.taints and not was_closed:
            self._fleet.batcher.trigger(after.meta.uid)

    def _pod(self, before: Pod | None, after: Pod | None) -> None:
        self._fleet.times.changed(before, after)
        if after is not None and after.is_provisionable and (before is None or not before.is_provisionable):
            self._fleet.batcher.trigger(after.meta.uid)
        if after is not None and before is not None and before.nominated_node_name and after.is_provisionable:
            self._let_off(before.nominated_node_name)
        pod = after or before
        node = self._store.get(Node, pod.node_name) if pod is not None and pod.node_name else None
        if node is not None and node.meta.is_deleting:
            self._fleet.termination.mark(node.name)
        # What a first listing shows is no news: else every restart would put consolidation off.
        if self._store.is_listed and (at := counts(before, after)) is not None:
            self._fleet.pod_events.mark(at)
        if self._store.is_listed and (at := self._fleet.moves.follow(before, after)) is not None:
            self._fleet.moves.controller.mark(at)

    def _let_off(self, node_name: str) -> None:
        """A pod that was nominated to the node is not any more, and not bound: it may be nominated anew."""
        node = self._store.get(Node, node_name)
        for claim in self._store.claims_with(node.provider_id) if node is not None and node.provider_id else ():
            self._fleet.claims.mark(claim.name)

    def _pool(self, before: NodePool | None, after: NodePool | None) -> None:
        pool = after or before
        if pool is None:
            return
        self._fleet.pools.mark(pool.name)
        if pool.is_static:
            self._fleet.static.mark(pool.name)
        for claim in self._store.all(NodeClaim):
            if claim.pool_name == pool.name:
                self._fleet.claim_disruption.mark(claim.name)
        if before is None or after is None or before.conditions.get(READY) != after.conditions.get(READY):
            for overlay in self._store.all(NodeOverlay):
                self._fleet.overlays.mark(overlay.name)

    def _node_class(self, before: EC2NodeClass | None, after: EC2NodeClass | None) -> None:
        node_class = after or before
        if node_class is None:
            return
        self._fleet.node_classes.mark(node_class.name)
        for pool in self._store.all(NodePool):
            if pool.node_class.name == node_class.name:
                self._fleet.pools.mark(pool.name)
        for claim in self._store.all(NodeClaim):
            if claim.node_class.name == node_class.name:
                self._fleet.claim_disruption.mark(claim.name)

    def _attachment(self, before: VolumeAttachment | None, after: VolumeAttachment | None) -> None:
        attachment = after or before
        if attachment is not None and attachment.node_name:
            self._fleet.termination.mark(attachment.node_name)

    def _overlay(self, before: NodeOverlay | None, after: NodeOverlay | None) -> None:
        """What one overlay says may conflict with what another says."""
        is_new = before is None or after is None or before.meta.generation != after.meta.generation
        names = [each.name for each in (after or before,) if each is not None]
        for name in [each.name for each in self._store.all(NodeOverlay)] if is_new else names:
            self._fleet.overlays.mark(name)

    def _buffer(self, before: CapacityBuffer | None, after: CapacityBuffer | None) -> None:
        buffer = after or before
        if buffer is not None:
            self._fleet.buffers.mark(buffer.key)

    def _pool_counts(self, name: str) -> None:
        if name:
            self._fleet.pools.queue.mark_within(name, COUNT_WITHIN)
