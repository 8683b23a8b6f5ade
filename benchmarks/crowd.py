"""An API server for one purpose: a crowded cluster, listed page by page and then watched, as fast as it is read.

Run as a process of its own, so that its work is not counted as the reader's. Objects are as large as those of real
clusters: managed fields, container statuses, image lists. It prints its port, then serves until its input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

NAMESPACES: Final = 200
WORKLOADS: Final = 2000
CHUNK: Final = 64 * 1024
CREATED: Final = "2026-01-05T08:00:00Z"


def pod(number: int, nodes: int, version: int) -> dict[str, Any]:
    """A running pod of one of many Deployments, bound to a node."""
    workload = number % WORKLOADS
    namespace, name = f"team-{workload % NAMESPACES}", f"service-{workload}-7d9f8b6c5-{number:06d}"
    labels = {
        "app.kubernetes.io/name": f"service-{workload}",
        "app.kubernetes.io/instance": f"service-{workload}",
        "app.kubernetes.io/managed-by": "Helm",
        "pod-template-hash": "7d9f8b6c5",
    }
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": f"service-{workload}-7d9f8b6c5",
        "uid": f"5f0c1a52-0000-4000-8000-{workload:012d}",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "metadata": {
            "name": name,
            "generateName": f"service-{workload}-7d9f8b6c5-",
            "namespace": namespace,
            "uid": f"9e107d9d-0000-4000-8000-{number:012d}",
            "resourceVersion": str(version),
            "creationTimestamp": CREATED,
            "labels": labels,
            "annotations": {"prometheus.io/scrape": "true", "checksum/config": "b1946ac92492d2347c6235b4d2611184" * 2},
            "ownerReferences": [owner],
            "managedFields": _managed_fields(),
        },
        "spec": _pod_spec(number, workload, f"node-{number % nodes:05d}"),
        "status": _pod_status(number),
    }


def _pod_spec(number: int, workload: int, node_name: str) -> dict[str, Any]:
    access = f"kube-api-access-{number:06d}"
    container = {
        "name": "app",
        "image": f"registry.example/team/service-{workload}:v1.2.3",
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [{"name": f"SETTING_{number}", "value": "something of a usual length"} for number in range(12)],
        "resources": {"requests": {"cpu": f"{50 + workload % 200}m", "memory": "256Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [{"name": access, "readOnly": True, "mountPath": "/var/run/secrets"}],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"}, "periodSeconds": 10},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http", "scheme": "HTTP"}, "periodSeconds": 10},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }
    token = {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    return {
        "volumes": [{"name": access, "projected": {"sources": [token], "defaultMode": 420}}],
        "containers": [container],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": f"service-{workload}",
        "nodeName": node_name,
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            for key in ("not-ready", "unreachable")
        ],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }


def _pod_status(number: int) -> dict[str, Any]:
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "phase": "Running",
        "conditions": [
            {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": CREATED} for kind in kinds
        ],
        "hostIP": "10.0.0.1",
        "podIP": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        "startTime": CREATED,
        "containerStatuses": [
            {
                "name": "app",
                "state": {"running": {"startedAt": CREATED}},
                "lastState": {},
                "ready": True,
                "restartCount": 0,
                "image": "registry.example/team/service:v1.2.3",
                "imageID": "registry.example/team/service@sha256:" + "ab" * 32,
                "containerID": f"containerd://{number:064x}",
                "started": True,
            }
        ],
        "qosClass": "Burstable",
    }


def _managed_fields() -> list[dict[str, Any]]:
    owned: dict[str, Any] = {
        f"f:{name}": {".": {}, "f:value": {}, "f:name": {}} for name in ("metadata", "spec", "status", "env")
    }
    return [
        {
            "manager": manager,
            "operation": "Update",
            "apiVersion": "v1",
            "time": CREATED,
            "fieldsType": "FieldsV1",
            "fieldsV1": owned,
        }
        for manager in ("kube-controller-manager", "kubelet")
    ]


def node(number: int, version: int) -> dict[str, Any]:
    """A node of ours, registered and in use."""
    labels = {
        "kubernetes.io/hostname": f"node-{number:05d}",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "m6i.4xlarge",
        "topology.kubernetes.io/zone": f"eu-west-1{'abc'[number % 3]}",
        "karpenter.sh/nodepool": "default",
        "karpenter.sh/capacity-type": "spot",
        "karpenter.k8s.aws/ec2nodeclass": "default",
        "karpenter.sh/registered": "true",
        "karpenter.sh/initialized": "true",
    }
    kinds = {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True"}
    offered = {"cpu": "15890m", "memory": "62000000Ki", "pods": "234", "ephemeral-storage": "18242267924"}
    return {
        "metadata": {
            "name": f"node-{number:05d}",
            "uid": f"1f3870be-0000-4000-8000-{number:012d}",
            "resourceVersion": str(version),
            "creationTimestamp": CREATED,
            "labels": labels,
            "finalizers": ["karpenter.sh/termination"],
            "managedFields": _managed_fields(),
        },
        "spec": {"providerID": f"aws:///eu-west-1a/i-{number:017x}"},
        "status": {
            "capacity": {**offered, "cpu": "16"},
            "allocatable": offered,
            "conditions": [
                {"type": kind, "status": status, "lastHeartbeatTime": CREATED, "lastTransitionTime": CREATED}
                for kind, status in kinds.items()
            ],
            "images": [
                {"names": [f"registry.example/team/service-{each}@sha256:{'cd' * 32}"], "sizeBytes": 123456789}
                for each in range(50)
            ],
        },
    }


def claim(number: int, version: int) -> dict[str, Any]:
    """The NodeClaim behind a node."""
    conditions = ("Launched", "Registered", "Initialized", "Consolidatable", "Ready")
    return {
        "metadata": {
            "name": f"default-{number:05d}",
            "uid": f"7c211433-0000-4000-8000-{number:012d}",
            "resourceVersion": str(version),
            "creationTimestamp": CREATED,
            "labels": {"karpenter.sh/nodepool": "default", "karpenter.sh/capacity-type": "spot"},
            "annotations": {"karpenter.sh/nodepool-hash": "1", "karpenter.sh/nodepool-hash-version": "v3"},
            "finalizers": ["karpenter.sh/termination"],
            "managedFields": _managed_fields(),
        },
        "spec": {
            "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
            "requirements": [
                {
                    "key": "node.kubernetes.io/instance-type",
                    "operator": "In",
                    "values": [f"m{generation}i.{size}xlarge" for generation in range(5, 8) for size in range(2, 22)],
                }
            ],
            "expireAfter": "720h",
        },
        "status": {
            "providerID": f"aws:///eu-west-1a/i-{number:017x}",
            "nodeName": f"node-{number:05d}",
            "imageID": "ami-0123456789abcdef0",
            "capacity": {"cpu": "16", "memory": "62000000Ki", "pods": "234"},
            "allocatable": {"cpu": "15890m", "memory": "60000000Ki", "pods": "234"},
            "conditions": [
                {"type": each, "status": "True", "reason": each, "message": "", "lastTransitionTime": CREATED}
                for each in conditions
            ],
        },
    }


class Crowd:
    """The lists and the watches. Events are made before they are asked for, and sent at once when they are."""

    def __init__(self, nodes: int, pods: int, events: int) -> None:
        self._makers: dict[str, tuple[int, Callable[[int, int], dict[str, Any]]]] = {
            "pods": (pods, lambda number, version: pod(number, nodes, version)),
            "nodes": (nodes, node),
            "nodeclaims": (nodes, claim),
        }
        self._first = nodes + nodes + pods + 1
        self._events = b"".join(self._event(number, pods, nodes) for number in range(events))
        self._go = asyncio.Event()

    def _event(self, number: int, pods: int, nodes: int) -> bytes:
        changed = pod(number * 7919 % pods, nodes, self._first + number)
        return json.dumps({"type": "MODIFIED", "object": changed}, separators=(",", ":")).encode() + b"\n"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """A page, or a watch that waits for `/go`."""
        plural = request.path.rpartition("/")[2]
        if plural == "go":
            self._go.set()
            return web.Response()
        return await (self._watch(request, plural) if "watch" in request.query else self._page(request, plural))

    async def _page(self, request: web.Request, plural: str) -> web.Response:
        count, make = self._makers.get(plural, (0, node))
        limit, start = int(request.query.get("limit") or count or 1), int(request.query.get("continue") or 0)
        end = min(count, start + limit)
        items = ",".join(json.dumps(make(number, number + 1), separators=(",", ":")) for number in range(start, end))
        more = str(end) if end < count else ""
        head = json.dumps({"resourceVersion": str(self._first), "continue": more})
        return web.Response(body=f'{{"metadata":{head},"items":[{items}]}}'.encode(), content_type="application/json")

    async def _watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        if plural == "pods":
            await self._go.wait()
            for at in range(0, len(self._events), CHUNK):
                await response.write(self._events[at : at + CHUNK])
        await asyncio.Event().wait()
        return response


async def serve(crowd: Crowd) -> None:
    """Serve until standard input ends."""
    application = web.Application()
    application.router.add_get("/{path:.*}", crowd.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


def main() -> None:
    """As the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("nodes", "pods", "events"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = parser.parse_args()
    asyncio.run(serve(Crowd(given.nodes, given.pods, given.events)))


if __name__ == "__main__":
    main()
