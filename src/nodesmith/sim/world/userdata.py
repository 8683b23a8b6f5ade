"""What nodeadm makes of an instance's user data: the NodeConfig documents of the archive, merged, the last one wins."""

from __future__ import annotations

import email
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from nodesmith.adapters.memory.objects import merge
from nodesmith.model.taints import Taint

NODE_CONFIG: Final = "application/node.eks.aws"


class NodeadmError(ValueError):
    """nodeadm stops here, and the instance never becomes a node."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What a node is told at its start."""

    cluster: str
    endpoint: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    kubelet: Mapping[str, Any] = field(default_factory=dict)


def read_node_config(user_data: str) -> NodeConfig:
    """The node's configuration.

    Raises:
        NodeadmError: when there is none, or it lacks what a node needs.
    """
    merged: dict[str, Any] = {}
    flags: list[str] = []
    for document in _documents(user_data):
        spec = document.get("spec") or {}
        flags += (spec.get("kubelet") or {}).get("flags") or ()
        merged = merge(merged, spec)
    cluster, kubelet = merged.get("cluster") or {}, merged.get("kubelet") or {}
    missing = [name for name in ("name", "apiServerEndpoint", "certificateAuthority", "cidr") if not cluster.get(name)]
    if missing:
        raise NodeadmError(f"NodeConfig lacks spec.cluster.{', spec.cluster.'.join(missing)}")
    config = kubelet.get("config") or {}
    taints = tuple(
        Taint(each["key"], each["effect"], each.get("value", "")) for each in config.get("registerWithTaints") or ()
    )
    return NodeConfig(cluster["name"], cluster["apiServerEndpoint"], _labels(flags), taints, config)


def _documents(user_data: str) -> list[dict[str, Any]]:
    message = email.message_from_string(user_data.strip())
    parts = message.walk() if message.is_multipart() else [message]
    bodies = [str(part.get_payload()) for part in parts if part.get_content_type() == NODE_CONFIG]
    if not bodies and not message.is_multipart():
        bodies = [user_data]
    documents = [document for body in bodies for document in yaml.safe_load_all(body) if isinstance(document, dict)]
    found = [document for document in documents if document.get("kind") == "NodeConfig"]
    if not found:
        raise NodeadmError("no NodeConfig in the user data")
    return found


def _labels(flags: list[str]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for flag in flags:
        for word in shlex.split(flag):
            name, _, value = word.partition("=")
            if name == "--node-labels":
                labels |= dict(pair.split("=", 1) for pair in value.split(",") if "=" in pair)
    return labels
