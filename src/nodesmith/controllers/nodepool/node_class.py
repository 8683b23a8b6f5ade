"""EC2NodeClasses: what their selectors stand for now, and that they do not go before their nodes (spec 7.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from nodesmith.api.ec2nodeclass import EC2NodeClass, EC2NodeClassStatus
from nodesmith.api.kinds import EC2_NODE_CLASS
from nodesmith.api.meta import conditions_to_json
from nodesmith.api.wire.base import to_json
from nodesmith.controllers import tell
from nodesmith.controllers.controller import DONE, Again, Outcome
from nodesmith.controllers.shell import Shell, is_managed
from nodesmith.decide.lifecycle.conditions import Change, changed
from nodesmith.decide.lifecycle.nodeclass import claim_annotations, is_of_another_version, node_class_annotations
from nodesmith.model.labels import NODECLASS_FINALIZER
from nodesmith.model.nodeclaim import READY, NodeClaim
from nodesmith.ports.errors import NotFound, PortError

REFRESH: Final = timedelta(minutes=1)
CLAIMS_LOOK_AGAIN: Final = timedelta(minutes=10)


class NodeClassStatus:
    """Keeps EC2NodeClasses' status true, and lets them go in their turn."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def reconcile(self, name: str) -> Outcome:
        """The NodeClass' status says what the cloud says now.

        Raises:
            Conflict: when the NodeClass has changed meanwhile.
        """
        node_class = self._shell.store.get(EC2NodeClass, name)
        if node_class is None:
            return DONE
        if node_class.meta.is_deleting:
            return await self._finalize(node_class)
        if NODECLASS_FINALIZER not in node_class.meta.finalizers:
            finalizers = [*node_class.meta.finalizers, NODECLASS_FINALIZER]
            patch = {"metadata": {"finalizers": finalizers}}
            node_class = await self._shell.writer.patch(EC2_NODE_CLASS, node_class, patch)
        node_class = await self._hash(node_class)
        resolved = await self._shell.cloud.resolve(node_class)
        await self._write(node_class, resolved)
        return Again(REFRESH)

    async def _hash(self, node_class: EC2NodeClass) -> EC2NodeClass:
        """Its hash is on it; claims that carry a hash of another version are brought along first.

        Where the cloud cannot tell the hash now, it is written another time: the status says what is amiss.
        """
        try:
            static_hash = await self._shell.cloud.static_hash(node_class)
        except PortError:
            return node_class
        if is_of_another_version(node_class):
            for claim in self._shell.store.all(NodeClaim):
                if is_managed(claim) and claim.node_class.name == node_class.name:
                    current = dict(claim_annotations(claim, static_hash))
                    await self._shell.claims.set_metadata(claim, annotations=current)
        annotations = node_class_annotations(node_class, static_hash)
        if not annotations:
            return node_class
        patch = {"metadata": {"annotations": dict(annotations)}}
        return await self._shell.writer.patch(EC2_NODE_CLASS, node_class, patch, is_locked=False)

    async def _write(self, node_class: EC2NodeClass, resolved: EC2NodeClassStatus) -> None:
        changes = [
            Change(each.type, each.status, each.reason, each.message)
            for each in resolved.conditions.values()
            if each.type != READY
        ]
        dependents = tuple(change.type for change in changes)
        now = self._shell.now().replace(microsecond=0)
        kept = {kind: each for kind, each in node_class.status.conditions.items() if kind in {*dependents, READY}}
        conditions = changed(kept, node_class.meta, changes, dependents=dependents, now=now)
        status: dict[str, Any] = {}
        if conditions != node_class.status.conditions:
            status["conditions"] = conditions_to_json(conditions)
        if replace(resolved, conditions=node_class.status.conditions) != node_class.status:
            present = selected_to_json(node_class.status)
            status |= {key: value for key, value in selected_to_json(resolved).items() if present[key] != value}
        if status:
            await self._shell.writer.patch(EC2_NODE_CLASS, node_class, {"status": status}, subresource="status")

    async def _finalize(self, node_class: EC2NodeClass) -> Outcome:
        if NODECLASS_FINALIZER not in node_class.meta.finalizers:
            return DONE
        users = [
            claim.name
            for claim in self._shell.store.all(NodeClaim)
            if is_managed(claim) and claim.node_class.name == node_class.name
        ]
        if users:
            self._shell.events.publish(tell.waiting_on_claims(node_class, users))
            return Again(CLAIMS_LOOK_AGAIN)
        await self._shell.cloud.release(node_class)
        finalizers = [each for each in node_class.meta.finalizers if each != NODECLASS_FINALIZER]
        try:
            await self._shell.writer.patch(EC2_NODE_CLASS, node_class, {"metadata": {"finalizers": finalizers}})
        except NotFound:
            return DONE
        self._shell.log.info("deleted ec2nodeclass", EC2NodeClass=node_class.name)
        return DONE


def selected_to_json(status: EC2NodeClassStatus) -> Mapping[str, Any]:
    """What the selectors chose, as `status` has it; empty lists are stated, so that a patch clears what was there."""
    return {
        "subnets": [to_json(each) for each in status.subnets],
        "securityGroups": [to_json(each) for each in status.security_groups],
        "capacityReservations": [to_json(each) for each in status.capacity_reservations],
        "amis": [to_json(each) for each in status.amis],
        "instanceProfile": status.instance_profile,
    }
