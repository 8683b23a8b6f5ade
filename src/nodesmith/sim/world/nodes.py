"""What the control plane does about nodes: taints by condition, pods of lost nodes, nodes of lost instances."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from nodesmith.adapters.memory.admission import NOT_READY, UNREACHABLE
from nodesmith.adapters.memory.history import Occurrence
from nodesmith.adapters.memory.objects import meta
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import NODE, POD
from nodesmith.model.taints import NO_EXECUTE, NO_SCHEDULE, Toleration
from nodesmith.model.taints import Taint as TaintValue
from nodesmith.sim.world.engine import Engine
from nodesmith.sim.world.hosts import Hosts
from nodesmith.sim.world.raw import condition, find, is_deleting, is_ready, remove

COLLECTED_AFTER: Final = timedelta(seconds=20)
_TAINT_OF: Final = {"False": NOT_READY, "Unknown": UNREACHABLE}


class NodeLifecycle:
    """The node lifecycle controllers and the pod collector."""

    def __init__(self, engine: Engine, hosts: Hosts, *, cloud_look_every: timedelta) -> None:
        self._engine = engine
        self._server = engine.server
        self._hosts = hosts
        self._mark_node = engine.queue(self._look_at_node)
        self._mark_pod = engine.queue(self._look_at_pod)
        engine.on(NODE, self._node_changed)
        engine.on(POD, self._pod_changed)
        engine.every(cloud_look_every, self._forget_lost)

    def _node_changed(self, occurrence: Occurrence) -> None:
        self._mark_node(occurrence.key)
        if occurrence.after is None:
            self._collect_later(occurrence.key)
        if _evicting(occurrence.before) == _evicting(occurrence.after):
            return
        for stored in self._server.history.table(POD).values():
            if stored.manifest["spec"].get("nodeName") == occurrence.key:
                self._mark_pod(f"{meta(stored.manifest)['namespace']}/{meta(stored.manifest)['name']}")

    def _pod_changed(self, occurrence: Occurrence) -> None:
        node = occurrence.after["spec"].get("nodeName") if occurrence.after is not None else None
        if not node:
            return
        self._mark_pod(occurrence.key)
        if node not in self._server.history.table(NODE):
            self._collect_later(node)

    def _look_at_node(self, name: str) -> None:
        """TaintNodesByCondition, and the NoExecute taint of the same condition."""
        node = self._server.find(NODE, name)
        if node is None:
            return
        ready = condition(node, "Ready")
        key = _TAINT_OF.get(ready["status"]) if ready is not None else NOT_READY
        present = node["spec"].get("taints") or []
        kept = [each for each in present if each["key"] not in {NOT_READY, UNREACHABLE} or each["key"] == key]
        effects = {each["effect"] for each in kept if each["key"] == key}
        wanted = (NO_SCHEDULE, NO_EXECUTE) if ready is not None else (NO_SCHEDULE,)
        added = [{"key": key, "effect": effect} for effect in wanted if key and effect not in effects]
        if added or kept != present:
            self._server.patch(NODE, name, {"spec": {"taints": [*kept, *added]}})

    def _look_at_pod(self, key: str) -> None:
        """A pod leaves a node whose NoExecute taints it does not tolerate, or not for longer."""
        pod = find(self._server, POD, key)
        node = self._server.find(NODE, pod["spec"].get("nodeName", "")) if pod is not None else None
        if pod is None or node is None or is_deleting(pod):
            return
        for taint in node["spec"].get("taints") or ():
            if taint["effect"] != NO_EXECUTE:
                continue
            patience_s = _patience_s(pod, taint)
            if patience_s == 0:
                remove(self._server, POD, pod)
                return
            if patience_s is not None:
                self._engine.after(timedelta(seconds=patience_s), lambda: self._leave(pod, taint))  # noqa: B023 - looked at again then

    def _leave(self, pod: Manifest, taint: Mapping[str, Any]) -> None:
        node = self._server.find(NODE, pod["spec"]["nodeName"])
        if node is not None and taint in (node["spec"].get("taints") or ()):
            remove(self._server, POD, pod)

    def _collect_later(self, node: str) -> None:
        self._engine.after(COLLECTED_AFTER, lambda: self._collect(node))

    def _collect(self, node: str) -> None:
        """Pods of a node that is gone are gone too, unless it has come again."""
        if self._server.find(NODE, node) is not None:
            return
        stranded = [each.manifest for _, each in sorted(self._server.history.table(POD).items())]
        for pod in stranded:
            if pod["spec"].get("nodeName") == node:
                remove(self._server, POD, pod, grace_s=0)

    def _forget_lost(self) -> None:
        """The cloud's controller deletes nodes that do not answer and whose instance is gone."""
        for node in self._server.list(NODE):
            provider_id = node["spec"].get("providerID", "")
            if provider_id and not is_ready(node) and not is_deleting(node) and not self._hosts.exists(provider_id):
                remove(self._server, NODE, node)


def _patience_s(pod: Manifest, taint: Mapping[str, Any]) -> int | None:
    """For how long the pod stays in spite of the taint; None is for ever."""
    value = TaintValue(taint["key"], taint["effect"], taint.get("value", ""))
    tolerating = [
        each
        for each in pod["spec"].get("tolerations") or ()
        if Toleration(
            each.get("key", ""), each.get("operator", "Equal"), each.get("value", ""), each.get("effect", "")
        ).tolerates(value)
    ]
    if not tolerating:
        return 0
    limits = [int(each["tolerationSeconds"]) for each in tolerating if each.get("tolerationSeconds") is not None]
    return min(limits) if len(limits) == len(tolerating) else None


def _evicting(node: Manifest | None) -> list[Mapping[str, Any]]:
    taints = ((node or {}).get("spec") or {}).get("taints") or ()
    return [taint for taint in taints if taint["effect"] == NO_EXECUTE]
