"""Snapshots as manifests: the way back from what decisions look at, for `nodesmith plan -f` to read again.

Only what decisions look at is there: a pod has one container with the requests that count, a DaemonSet one likewise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from nodesmith.api.meta import format_time
from nodesmith.api.writing import cluster, karpenter, pods, storage
from nodesmith.model.pod import Pod
from nodesmith.state.snapshot import Snapshot, StateNode

HELD_BACK: Final = {"type": "PodScheduled", "status": "False", "reason": "NotToBePlaced"}
"""The condition of a pod that waits, but not for a node of this plan."""


def manifests_of(snapshot: Snapshot, *, to_place: Collection[str], leaving: Collection[str] = ()) -> dict[str, Any]:
    """A `List` of everything in the snapshot.

    Args:
        snapshot: the cluster.
        to_place: keys of the pods that wait for a node; others without one are written as not waiting.
        leaving: names of nodes to be written as being deleted, beside those that are.
    """
    return {"apiVersion": "v1", "kind": "List", "items": list(_items(snapshot, to_place, leaving))}


def _items(snapshot: Snapshot, to_place: Collection[str], leaving: Collection[str]) -> Iterator[dict[str, Any]]:
    yield from map(karpenter.node_pool, snapshot.pools)
    yield from map(cluster.namespace, snapshot.namespaces.values())
    yield from map(cluster.daemon_set, snapshot.daemonsets)
    yield from map(cluster.disruption_budget, snapshot.budgets)
    stored = snapshot.storage
    yield from map(storage.storage_class, stored.classes.values())
    yield from map(storage.persistent_volume, stored.volumes.values())
    yield from map(storage.persistent_volume_claim, stored.claims.values())
    yield from map(storage.csi_node, stored.csi_nodes.values())
    for node in snapshot.nodes:
        yield from _machine(node, is_leaving=node.is_deleting or node.name in leaving, snapshot=snapshot)
    for pod in snapshot.pods:
        yield _pod(pod, is_waiting=pod.key in to_place)


def _machine(state: StateNode, *, is_leaving: bool, snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """The node and its claim; one that is about to leave has the deletion time of the snapshot."""
    written = [
        *([karpenter.node_claim(state.claim)] if state.claim is not None else []),
        *([cluster.node(state.node)] if state.node is not None else []),
    ]
    for manifest in written:
        if is_leaving:
            manifest["metadata"].setdefault("deletionTimestamp", format_time(snapshot.taken_at))
        yield manifest


def _pod(pod: Pod, *, is_waiting: bool) -> dict[str, Any]:
    manifest = pods.pod(pod)
    if not pod.node_name and not is_waiting:
        manifest["status"]["conditions"] = [HELD_BACK]
    return manifest
