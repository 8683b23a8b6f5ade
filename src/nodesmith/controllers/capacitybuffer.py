"""CapacityBuffers: what room they ask for is found out, told, and put before the provisioner (spec 1.5, 9).

The pods that stand for the room exist only in plans: nobody binds them, no event is about them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from nodesmith.api.capacitybuffer import SCALABLE_KINDS, shape_of_template, shape_of_workload
from nodesmith.api.kind import Kind
from nodesmith.api.kinds import CAPACITY_BUFFER, DEPLOYMENT, POD_TEMPLATE, REPLICA_SET, STATEFUL_SET
from nodesmith.api.meta import conditions_to_json
from nodesmith.controllers.controller import DONE, Again, Outcome
from nodesmith.controllers.shell import Shell
from nodesmith.decide.lifecycle.buffers import (
    Missing,
    provisioning,
    quotas,
    readiness,
    virtual_pods,
    wanted,
)
from nodesmith.decide.lifecycle.conditions import changed
from nodesmith.model.buffer import BufferShape, CapacityBuffer
from nodesmith.model.nodeclaim import READY
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import NotFound

LOOK_EVERY: Final = timedelta(seconds=30)
_KINDS: Final[dict[str, Kind[Any]]] = {kind.name: kind for kind in (DEPLOYMENT, STATEFUL_SET, REPLICA_SET)}
_GROUPS: Final = frozenset({"", "apps"})


class BufferStatus:
    """Keeps CapacityBuffers' status true, and the book of buffers up to date."""

    def __init__(self, shell: Shell, cluster: Cluster, trigger: Callable[[str], None]) -> None:
        self._shell = shell
        self._cluster = cluster
        self._trigger = trigger

    async def reconcile(self, key: str) -> Outcome:
        """The buffer's pods are in the book, and its status says what is known of it.

        Raises:
            Conflict: when the buffer has changed meanwhile.
        """
        book = self._shell.buffers
        buffer = self._shell.store.get(CapacityBuffer, key)
        if buffer is None or buffer.meta.is_deleting:
            book.forget(key)
            return DONE
        found = await self._resolve(buffer)
        pods = virtual_pods(buffer, found) if isinstance(found, BufferShape) else None
        book.set(key, pods or ())
        if pods:
            self._trigger(f"buffer {key}")
        await self._tell(buffer, found)
        return Again(LOOK_EVERY)

    async def _tell(self, buffer: CapacityBuffer, found: BufferShape | Missing) -> None:
        book = self._shell.buffers
        pods = book.pods_of(buffer.key) if isinstance(found, BufferShape) else None
        changes = [readiness(found), quotas(buffer, found)]
        if not pods or book.was_planned(buffer.key):
            changes.append(provisioning(pods, book.placements))
        now = self._shell.now().replace(microsecond=0)
        conditions = dict(changed(buffer.conditions, buffer.meta, changes, dependents=(), now=now))
        conditions.pop(READY, None)
        status: dict[str, Any] = {}
        if conditions != dict(buffer.conditions):
            status["conditions"] = conditions_to_json(conditions)
        if isinstance(found, BufferShape) and buffer.kept != wanted(buffer, found):
            status |= {"replicas": wanted(buffer, found), "provisioningStrategy": buffer.strategy}
            if found.template_name:
                status["podTemplateRef"] = {"name": found.template_name}
                status["podTemplateGeneration"] = found.generation
        if status:
            await self._shell.writer.patch(CAPACITY_BUFFER, buffer, {"status": status}, subresource="status")

    async def _resolve(self, buffer: CapacityBuffer) -> BufferShape | Missing:
        namespace = buffer.meta.namespace
        if buffer.template_name:
            try:
                template = await self._cluster.get(POD_TEMPLATE, buffer.template_name, namespace=namespace)
            except NotFound:
                return Missing("PodTemplateNotFound", f"PodTemplate {buffer.template_name} not found")
            return shape_of_template(template)
        reference = buffer.scalable
        if reference is None:
            return Missing("ResolutionFailed", "neither podTemplateRef nor scalableRef is set")
        if reference.kind not in SCALABLE_KINDS or reference.group not in _GROUPS:
            return Missing("ResolutionFailed", f"{reference.group}/{reference.kind} cannot be scaled")
        try:
            workload = await self._cluster.get(_KINDS[reference.kind], reference.name, namespace=namespace)
        except NotFound:
            return Missing("ScalableRefNotFound", f"{reference.kind} {reference.name} not found")
        return shape_of_workload(workload)
