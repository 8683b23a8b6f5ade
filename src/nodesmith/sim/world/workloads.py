"""The workload controllers: Deployment, ReplicaSet, StatefulSet and DaemonSet, as far as pods go."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from nodesmith.adapters.memory.history import Occurrence
from nodesmith.adapters.memory.objects import meta
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import DAEMON_SET, DEPLOYMENT, NODE, PERSISTENT_VOLUME_CLAIM, POD, REPLICA_SET, STATEFUL_SET
from nodesmith.model.labels import POD_DELETION_COST
from nodesmith.sim.world import fit
from nodesmith.sim.world.engine import Engine, Mark
from nodesmith.sim.world.raw import (
    controller_of,
    find,
    is_active,
    is_deleting,
    is_ready,
    key_of,
    owned_by,
    remove,
    set_status,
)

TEMPLATE_HASH: Final = "pod-template-hash"
_HASH_LENGTH: Final = 9
_HASH_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_PHASES: Final = {"Pending": 0, "Unknown": 1, "Running": 2}
_DAEMON_TOLERATIONS: Final = tuple(
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": effect}
    for key, effect in (
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    )
)


class Workloads:
    """Keeps as many pods as the workloads ask for."""

    def __init__(self, engine: Engine) -> None:
        self._server = engine.server
        self._pods: dict[str, dict[str, Manifest]] = {}
        """Pods by the uid of the workload that controls them, and key."""
        self._active: Counter[str] = Counter()
        self._ready: Counter[str] = Counter()
        """How many of them are active, and ready, by uid of the workload."""
        looks: Mapping[str, tuple[Kind[Any], Mark]] = {
            "Deployment": (DEPLOYMENT, engine.queue(self._deployment)),
            "ReplicaSet": (REPLICA_SET, engine.queue(self._replica_set)),
            "StatefulSet": (STATEFUL_SET, engine.queue(self._stateful_set)),
            "DaemonSet": (DAEMON_SET, engine.queue(self._daemon_set)),
        }
        self._marks = {name: mark for name, (_, mark) in looks.items()}
        for kind, mark in looks.values():
            engine.on(kind, lambda occurrence, mark=mark: mark(occurrence.key))  # type: ignore[misc]  # a default argument
        engine.on(REPLICA_SET, self._mark_owner)
        engine.on(POD, self._pod_changed)
        engine.on(NODE, self._node_changed)

    # --- what to look at ---

    def _mark_owner(self, occurrence: Occurrence) -> None:
        manifest = occurrence.stored.manifest
        for name, mark in self._marks.items():
            owner = controller_of(manifest, name)
            if owner is not None:
                mark(f"{meta(manifest)['namespace']}/{owner['name']}")

    def _pod_changed(self, occurrence: Occurrence) -> None:
        for manifest, sign in ((occurrence.before, -1), (occurrence.after, 1)):
            if manifest is not None:
                for owner in meta(manifest).get("ownerReferences") or ():
                    self._count(owner["uid"], occurrence.key, manifest, sign)
        self._mark_owner(occurrence)

    def _count(self, owner: str, key: str, pod: Manifest, sign: int) -> None:
        if sign > 0:
            self._pods.setdefault(owner, {})[key] = pod
        else:
            self._pods[owner].pop(key, None)
        if is_active(pod):
            self._active[owner] += sign
            self._ready[owner] += sign * is_ready(pod)

    def _node_changed(self, occurrence: Occurrence) -> None:
        before, after = occurrence.before, occurrence.after
        if before is None or after is None or _as_daemons_see(before) != _as_daemons_see(after):
            for manifest in self._server.list(DAEMON_SET):
                self._marks["DaemonSet"](key_of(manifest))

    def _pods_of(self, owner: Manifest) -> list[Manifest]:
        return list(self._pods.get(meta(owner)["uid"], {}).values())

    # --- Deployment ---

    def _deployment(self, key: str) -> None:
        deployment = find(self._server, DEPLOYMENT, key)
        if deployment is None or is_deleting(deployment):
            return
        given, spec = meta(deployment), deployment["spec"]
        wanted, template = spec.get("replicas", 1), spec["template"]
        name = f"{given['name']}-{template_hash(template)}"
        current = self._server.find(REPLICA_SET, name, namespace=given["namespace"])
        if current is None:
            current = self._server.create(REPLICA_SET, _replica_set_of(deployment, name))
        self._scale(current, wanted)
        for old in self._replica_sets_of(deployment):
            if meta(old)["name"] != name:
                self._scale(old, 0)
        ready = (current.get("status") or {}).get("readyReplicas", 0)
        status = {"observedGeneration": given["generation"], "replicas": wanted, "readyReplicas": ready}
        set_status(self._server, DEPLOYMENT, deployment, {**status, "availableReplicas": ready})

    def _replica_sets_of(self, deployment: Manifest) -> list[Manifest]:
        uid = meta(deployment)["uid"]
        sets = self._server.list(REPLICA_SET)
        return [each for each in sets if (controller_of(each, "Deployment") or {}).get("uid") == uid]

    def _scale(self, replica_set: Manifest, replicas: int) -> None:
        if replica_set["spec"].get("replicas") != replicas:
            given = meta(replica_set)
            self._server.patch(
                REPLICA_SET, given["name"], {"spec": {"replicas": replicas}}, namespace=given["namespace"]
            )

    # --- ReplicaSet ---

    def _replica_set(self, key: str) -> None:
        replica_set = find(self._server, REPLICA_SET, key)
        if replica_set is None or is_deleting(replica_set):
            return
        wanted, uid = replica_set["spec"].get("replicas", 1), meta(replica_set)["uid"]
        count = self._active[uid]
        for _ in range(wanted - count):
            self._server.create(POD, pod_of(replica_set, generate_name=f"{meta(replica_set)['name']}-"))
        if count > wanted:
            pods = [pod for pod in self._pods_of(replica_set) if is_active(pod)]
            for pod in doomed(pods)[: count - wanted]:
                remove(self._server, POD, pod)
        status = {
            "observedGeneration": meta(replica_set)["generation"],
            "replicas": count,
            "readyReplicas": self._ready[uid],
        }
        set_status(self._server, REPLICA_SET, replica_set, status)

    # --- StatefulSet ---

    def _stateful_set(self, key: str) -> None:
        stateful_set = find(self._server, STATEFUL_SET, key)
        if stateful_set is None or is_deleting(stateful_set):
            return
        given, spec = meta(stateful_set), stateful_set["spec"]
        wanted, is_parallel = spec.get("replicas", 1), spec.get("podManagementPolicy") == "Parallel"
        for ordinal in range(wanted):
            pod = self._server.find(POD, f"{given['name']}-{ordinal}", namespace=given["namespace"])
            if pod is None:
                self._stateful_pod(stateful_set, ordinal)
            if not is_parallel and (pod is None or not is_ready(pod)):
                break
        extra = [pod for pod in self._pods_of(stateful_set) if _ordinal(pod) >= wanted and is_active(pod)]
        for pod in sorted(extra, key=_ordinal, reverse=True)[: None if is_parallel else 1]:
            remove(self._server, POD, pod)
        ready = sum(1 for pod in self._pods_of(stateful_set) if is_ready(pod))
        set_status(self._server, STATEFUL_SET, stateful_set, {"replicas": wanted, "readyReplicas": ready})

    def _stateful_pod(self, stateful_set: Manifest, ordinal: int) -> None:
        given, spec = meta(stateful_set), stateful_set["spec"]
        name = f"{given['name']}-{ordinal}"
        volumes = []
        for template in spec.get("volumeClaimTemplates") or ():
            volume = meta(template)["name"]
            claim = f"{volume}-{name}"
            if self._server.find(PERSISTENT_VOLUME_CLAIM, claim, namespace=given["namespace"]) is None:
                stated = {"metadata": {"name": claim, "namespace": given["namespace"]}, "spec": template["spec"]}
                self._server.create(PERSISTENT_VOLUME_CLAIM, stated)
            volumes.append({"name": volume, "persistentVolumeClaim": {"claimName": claim}})
        pod = pod_of(stateful_set, name=name)
        pod["spec"] = {**pod["spec"], "volumes": [*pod["spec"].get("volumes", ()), *volumes]}
        self._server.create(POD, pod)

    # --- DaemonSet ---

    def _daemon_set(self, key: str) -> None:
        daemon_set = find(self._server, DAEMON_SET, key)
        if daemon_set is None or is_deleting(daemon_set):
            return
        running = {_pinned_to(pod): pod for pod in self._pods_of(daemon_set) if is_active(pod)}
        leaving = {_pinned_to(pod) for pod in self._pods_of(daemon_set) if is_deleting(pod)}
        anywhere = POD.decode({**_daemon_pod(daemon_set, ""), "status": {}})
        wanted = 0
        for stored in self._nodes():
            node = stored.value(NODE)
            is_wanted = fit.wants_daemon(anywhere, node)
            wanted += is_wanted
            if is_wanted and node.name not in running and node.name not in leaving and not node.meta.is_deleting:
                self._server.create(POD, _daemon_pod(daemon_set, node.name))
            if not is_wanted and node.name in running:
                remove(self._server, POD, running[node.name])
        ready = sum(1 for pod in running.values() if is_ready(pod))
        set_status(self._server, DAEMON_SET, daemon_set, {"desiredNumberScheduled": wanted, "numberReady": ready})

    def _nodes(self) -> list[Any]:
        return [stored for _, stored in sorted(self._server.history.table(NODE).items())]


def template_hash(template: Manifest) -> str:
    """A short name for a pod template."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(_HASH_ALPHABET[byte % len(_HASH_ALPHABET)] for byte in digest[:_HASH_LENGTH])


def pod_of(owner: Manifest, *, name: str = "", generate_name: str = "") -> dict[str, Any]:
    """A pod from the owner's template."""
    template = owner["spec"]["template"]
    named = {"name": name} if name else {"generateName": generate_name}
    metadata = {
        **named,
        "namespace": meta(owner)["namespace"],
        "labels": dict(meta(template).get("labels") or {}),
        "annotations": dict(meta(template).get("annotations") or {}),
        "ownerReferences": owned_by(owner),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": dict(template.get("spec") or {})}


def doomed(pods: list[Manifest]) -> list[Manifest]:
    """The pods in the order in which a ReplicaSet lets them go: those that do least, first."""
    crowd = Counter(pod["spec"].get("nodeName", "") for pod in pods)

    def rank(pod: Manifest) -> tuple[Any, ...]:
        node, cost = pod["spec"].get("nodeName", ""), (meta(pod).get("annotations") or {}).get(POD_DELETION_COST, "0")
        return (
            bool(node),
            _PHASES.get(pod["status"].get("phase"), 2),
            is_ready(pod),
            int(cost),
            -crowd[node],
        )

    youngest_first = sorted(
        pods, key=lambda pod: (str(meta(pod)["creationTimestamp"]), meta(pod)["name"]), reverse=True
    )
    return sorted(youngest_first, key=rank)


def _replica_set_of(deployment: Manifest, name: str) -> dict[str, Any]:
    spec, template = deployment["spec"], deployment["spec"]["template"]
    labels = {**(meta(template).get("labels") or {}), TEMPLATE_HASH: name.rpartition("-")[2]}
    return {
        "metadata": {
            "name": name,
            "namespace": meta(deployment)["namespace"],
            "labels": labels,
            "ownerReferences": owned_by(deployment),
        },
        "spec": {
            "replicas": spec.get("replicas", 1),
            "selector": {"matchLabels": labels},
            "template": {**template, "metadata": {**meta(template), "labels": labels}},
        },
    }


def _daemon_pod(daemon_set: Manifest, node: str) -> dict[str, Any]:
    pod = pod_of(daemon_set, generate_name=f"{meta(daemon_set)['name']}-")
    spec = pod["spec"]
    affinity = dict(spec.get("affinity") or {})
    required = (affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    pin = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    stated: Sequence[Manifest] = required.get("nodeSelectorTerms") or ({},)
    terms = [{**term, **pin} for term in stated]
    affinity["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    pod["spec"] = {**spec, "affinity": affinity, "tolerations": [*spec.get("tolerations", ()), *_DAEMON_TOLERATIONS]}
    return pod


def _pinned_to(pod: Manifest) -> str:
    return fit.pinned_node(pod) or str(pod["spec"].get("nodeName", ""))


def _as_daemons_see(node: Manifest) -> tuple[Any, ...]:
    spec = node.get("spec") or {}
    return meta(node).get("labels"), spec.get("taints"), spec.get("unschedulable"), is_deleting(node)


def _ordinal(pod: Manifest) -> int:
    return int(meta(pod)["name"].rpartition("-")[2])
