"""Waiting until the controller works: its pod runs, and it has found everything that its EC2NodeClass names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import DEPLOYMENT, EC2_NODE_CLASS, NODE_POOL, POD
from nodesmith.install.chart import APP, RELEASE
from nodesmith.install.objects import find, listed, metadata
from nodesmith.ports.clock import Clock
from nodesmith.ports.cluster import Cluster

_LOOK_EVERY: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What is not ready, each with a sentence why; nothing when all is."""

    lacking: tuple[str, ...]

    @property
    def is_ready(self) -> bool:
        """Whether nodes can come."""
        return not self.lacking


async def readiness(cluster: Cluster, namespace: str) -> Readiness:
    """How it stands now."""
    lacking = []
    deployment = await find(cluster, DEPLOYMENT, RELEASE, namespace=namespace)
    if deployment is None or not (deployment.get("status") or {}).get("availableReplicas"):
        lacking.append(f"the controller does not run yet{await _why_no_pod(cluster, namespace)}")
    for kind in (EC2_NODE_CLASS, NODE_POOL):
        lacking += [
            f"{kind.name} {metadata(each)['name']} is not ready{_why(each)}"
            for each in await listed(cluster, kind)
            if _condition(each, "Ready").get("status") != "True"
        ]
    return Readiness(tuple(lacking))


async def wait_until_ready(
    cluster: Cluster, clock: Clock, namespace: str, *, within: timedelta, tell: Callable[[str], None]
) -> Readiness:
    """How it stands when all is ready, or the time is over."""
    end, told = clock.now() + within, ""
    while not (stands := await readiness(cluster, namespace)).is_ready and clock.now() < end:
        if stands.lacking[0] != told:
            told = stands.lacking[0]
            tell(told)
        await clock.sleep(_LOOK_EVERY)
    return stands


async def _why_no_pod(cluster: Cluster, namespace: str) -> str:
    for pod in await listed(cluster, POD):
        labels = metadata(pod).get("labels") or {}
        if labels.get("app.kubernetes.io/name") != APP or metadata(pod).get("namespace") != namespace:
            continue
        for container in (pod.get("status") or {}).get("containerStatuses") or ():
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting:
                return f": {waiting.get('reason')}, {waiting.get('message') or container.get('image')}"
        scheduled = _condition(pod, "PodScheduled")
        if scheduled.get("status") == "False":
            return f": {scheduled.get('message')}"
    return ""


def _why(manifest: Manifest) -> str:
    """The first condition that is not true, with what it says."""
    for each in (manifest.get("status") or {}).get("conditions") or ():
        if each.get("status") != "True" and each.get("type") != "Ready":
            return f": {each.get('type')}, {each.get('message') or each.get('reason')}"
    return ": the controller has not said anything about it"


def _condition(manifest: Manifest, kind: str) -> Mapping[str, Any]:
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == kind), {})
