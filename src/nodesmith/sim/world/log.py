"""The world's diary: one line for each thing that people would notice, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from nodesmith.adapters.memory.history import Occurrence
from nodesmith.adapters.memory.objects import meta
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import DEPLOYMENT, EC2_NODE_CLASS, NODE, NODE_CLAIM, NODE_POOL, POD
from nodesmith.model.labels import CAPACITY_TYPE, DISRUPTED_TAINT, INSTANCE_TYPE, ZONE
from nodesmith.sim.world.raw import condition, is_deleting, is_ready

_CLAIM_CONDITIONS: Final = ("Launched", "Registered", "Initialized", "Consolidatable", "Drifted", "Drained")


class Diary:
    """What happened, by virtual time."""

    def __init__(self, server: ApiServer, beginning: datetime) -> None:
        self.lines: list[str] = []
        self._beginning = beginning
        self._listeners: list[Callable[[str], None]] = []
        server.listen(self._hear)

    def listen(self, listener: Callable[[str], None]) -> None:
        """Tell the listener of every line as it is written."""
        self._listeners.append(listener)

    def write(self, at: datetime, what: str) -> None:
        """One more line."""
        tenths = int((at - self._beginning).total_seconds() * 10)
        minutes, rest = divmod(tenths, 600)
        line = f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 10:02d}.{rest % 10}  {what}"
        self.lines.append(line)
        for listener in self._listeners:
            listener(line)

    @property
    def text(self) -> str:
        """All lines."""
        return "".join(f"{line}\n" for line in self.lines)

    def _hear(self, occurrence: Occurrence) -> None:
        tell = _TELLERS.get(occurrence.kind.name)
        told = tell(occurrence.before, occurrence.after) if tell else None
        if told:
            self.write(occurrence.at, f"{occurrence.kind.name} {occurrence.key} {told}")


def _pod(before: Manifest | None, after: Manifest | None) -> str | None:
    if before is None:
        return "created"
    if after is None:
        return "gone"
    if not before["spec"].get("nodeName") and after["spec"].get("nodeName"):
        return f"bound to {after['spec']['nodeName']}"
    if is_deleting(after) and not is_deleting(before):
        return "is going"
    if not is_ready(before) and is_ready(after):
        return "is running"
    scheduled = condition(after, "PodScheduled")
    is_new = condition(before, "PodScheduled") is None
    if is_new and scheduled is not None and scheduled["status"] == "False":
        return f"pends: {scheduled.get('message', '')}"
    return None


def _node(before: Manifest | None, after: Manifest | None) -> str | None:
    if after is None:
        return "gone"
    if before is None:
        return f"joined as {after['spec'].get('providerID', '')}"
    if is_deleting(after) and not is_deleting(before):
        return "is going"
    if is_ready(before) != is_ready(after):
        labels = meta(after).get("labels") or {}
        place = " ".join(labels.get(key, "?") for key in (INSTANCE_TYPE, ZONE, CAPACITY_TYPE))
        return f"is ready: {place}" if is_ready(after) else "is not ready"
    tainted = {each["key"] for each in after["spec"].get("taints") or ()}
    if DISRUPTED_TAINT in tainted - {each["key"] for each in before["spec"].get("taints") or ()}:
        return "takes no more pods"
    return None


def _claim(before: Manifest | None, after: Manifest | None) -> str | None:
    if after is None:
        return "gone"
    if before is None:
        return "created"
    if is_deleting(after) and not is_deleting(before):
        return "is going"
    turned = [kind for kind in _CLAIM_CONDITIONS if _is_true(after, kind) and not _is_true(before, kind)]
    return f"is {', '.join(turned)}" if turned else None


def _other(before: Manifest | None, after: Manifest | None) -> str | None:
    if before is None:
        return "created"
    if after is None:
        return "gone"
    if is_deleting(after) and not is_deleting(before):
        return "is going"
    replicas: tuple[Any, Any] = (before["spec"].get("replicas"), after["spec"].get("replicas"))
    if replicas[0] != replicas[1]:
        return f"scaled from {replicas[0]} to {replicas[1]}"
    if is_ready(after) and not is_ready(before):
        return "is ready"
    return None


def _is_true(manifest: Manifest, kind: str) -> bool:
    found = condition(manifest, kind)
    return found is not None and found["status"] == "True"


_TELLERS: Final = {
    POD.name: _pod,
    NODE.name: _node,
    NODE_CLAIM.name: _claim,
    NODE_POOL.name: _other,
    EC2_NODE_CLASS.name: _other,
    DEPLOYMENT.name: _other,
}
