"""Small values to decide on."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from nodesmith.api.kinds import NODE, NODE_CLAIM, NODE_POOL, POD
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
POOL_UID = "pool-uid"


def ago(**duration: float) -> str:
    """A moment before now, as manifests write it."""
    return later(**{name: -value for name, value in duration.items()})


def later(**duration: float) -> str:
    """A moment after now, as manifests write it."""
    return (NOW + timedelta(**duration)).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(type_: str, status: str = "True", since: str = "", reason: str = "") -> dict[str, str]:
    return {"type": type_, "status": status, "reason": reason, "lastTransitionTime": since or ago(minutes=5)}


def claim(name: str = "claim", *conditions: Mapping[str, str], **parts: Any) -> NodeClaim:
    """A NodeClaim; `meta`, `spec` and `status` are parts of its manifest."""
    metadata = {
        "name": name,
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "creationTimestamp": ago(minutes=10),
        "labels": {"karpenter.sh/nodepool": "default"},
        "ownerReferences": [{"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "name": "default", "uid": POOL_UID}],
        **parts.get("meta", {}),
    }
    status = {"conditions": list(conditions), **parts.get("status", {})}
    return NODE_CLAIM.decode({"metadata": metadata, "spec": parts.get("spec", {}), "status": status})


def node(name: str = "node", **parts: Any) -> Node:
    """A Node that is ready."""
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": "1", **parts.get("meta", {})}
    status = {"conditions": [condition("Ready")], **parts.get("status", {})}
    spec = {"providerID": "aws:///a/i-1", **parts.get("spec", {})}
    return NODE.decode({"metadata": metadata, "spec": spec, "status": status})


def pod(name: str = "pod", **parts: Any) -> Pod:
    """A pod that runs on `node`."""
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", **parts.get("meta", {})}
    spec = {"nodeName": "node", "containers": [], **parts.get("spec", {})}
    return POD.decode({"metadata": metadata, "spec": spec, "status": {"phase": "Running", **parts.get("status", {})}})


def pool(name: str = "default", **parts: Any) -> NodePool:
    """A NodePool."""
    reference = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}
    template = {
        "metadata": parts.get("template_meta", {}),
        "spec": {"requirements": [], "nodeClassRef": reference, **parts.get("template", {})},
    }
    metadata = {"name": name, "uid": POOL_UID, "generation": 1, **parts.get("meta", {})}
    spec = {"template": template, **parts.get("spec", {})}
    return NODE_POOL.decode({"metadata": metadata, "spec": spec, "status": parts.get("status", {})})
