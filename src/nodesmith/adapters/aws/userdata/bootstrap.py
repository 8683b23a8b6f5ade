"""What every family's user data is made from: the cluster, the node's labels and taints, its kubelet settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nodesmith.api.ec2nodeclass import KubeletConfiguration
from nodesmith.model.labels import CAPACITY_TYPE, DO_NOT_SYNC_TAINTS
from nodesmith.model.taints import UNREGISTERED, Taint, merge

LARGEST_BYTES: Final = 16384
"""What EC2 accepts, before base64."""

_UNLABELLED_DOMAINS: Final = ("kubernetes.io", "k8s.io", "node-restriction.kubernetes.io")


class UserDataError(Exception):
    """The NodeClass' own user data cannot be joined with ours, or something that ours needs is not known."""


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """How a node finds its cluster. `ca_bundle` is base64; `cidr` is the service range; empty: not known."""

    name: str
    endpoint: str
    ca_bundle: str = ""
    dns_ip: str = ""
    cidr: str = ""
    is_ipv6: bool = False


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """One node's start. `kubelet` has its maxPods and clusterDNS filled in, and no expression any more."""

    cluster: ClusterInfo
    kubelet: KubeletConfiguration
    passed_on: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the kubelet that only AL2023 takes."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    custom: str = ""
    is_raid: bool = False
    alias_version: str = ""

    @property
    def node_labels(self) -> str:
        """The labels as kubelet's flag takes them, sorted."""
        return ",".join(f"{key}={self.labels[key]}" for key in sorted(self.labels))


def kubelet_labels(claim_labels: Mapping[str, str], capacity_type: str, *, is_custom: bool) -> dict[str, str]:
    """The labels that a kubelet may give its own node."""
    labels = {**claim_labels, CAPACITY_TYPE: capacity_type}
    if not is_custom:
        labels[DO_NOT_SYNC_TAINTS] = "true"
    return {key: value for key, value in labels.items() if not _is_reserved(key)}


def kubelet_taints(taints: tuple[Taint, ...], startup_taints: tuple[Taint, ...]) -> tuple[Taint, ...]:
    """The taints a node starts with: its own, the startup ones, and the one that says it has not registered."""
    given = (*taints, *startup_taints)
    return given if UNREGISTERED in given else (*merge(given, ()), UNREGISTERED)


def _is_reserved(key: str) -> bool:
    domain = key.split("/", 1)[0] if "/" in key else ""
    return any(domain == name or domain.endswith(f".{name}") for name in _UNLABELLED_DOMAINS)
