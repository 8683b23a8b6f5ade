"""Bottlerocket: settings in TOML. What the NodeClass sets stays, except where nodesmith must know better."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

import tomli_w

from nodesmith.adapters.aws.userdata.bootstrap import Bootstrap, UserDataError
from nodesmith.adapters.aws.userdata.duration import canonical_duration
from nodesmith.model.taints import Taint

KNOWN_SETTINGS: Final = frozenset(
    {
        "allowed-unsafe-sysctls",
        "api-server",
        "authentication-mode",
        "bootstrap-token",
        "cloud-provider",
        "cluster-certificate",
        "cluster-dns-ip",
        "cluster-domain",
        "cluster-name",
        "container-log-max-files",
        "container-log-max-size",
        "cpu-cfs-quota-enforced",
        "cpu-manager-policy",
        "cpu-manager-policy-options",
        "cpu-manager-reconcile-period",
        "credential-providers",
        "device-ownership-from-security-context",
        "event-burst",
        "event-qps",
        "eviction-hard",
        "eviction-max-pod-grace-period",
        "eviction-soft",
        "eviction-soft-grace-period",
        "hostname-override",
        "hostname-override-source",
        "ids-per-pod",
        "image-gc-high-threshold-percent",
        "image-gc-low-threshold-percent",
        "kube-api-burst",
        "kube-api-qps",
        "kube-reserved",
        "log-level",
        "max-parallel-image-pulls",
        "max-pods",
        "memory-manager-policy",
        "memory-manager-reserved-memory",
        "node-ip",
        "node-labels",
        "node-taints",
        "pod-infra-container-image",
        "pod-pids-limit",
        "provider-id",
        "registry-burst",
        "registry-qps",
        "reserved-cpus",
        "seccomp-default",
        "server-certificate",
        "server-key",
        "server-tls-bootstrap",
        "shutdown-grace-period",
        "shutdown-grace-period-for-critical-pods",
        "single-process-oom-kill",
        "standalone-mode",
        "static-pods",
        "system-reserved",
        "topology-manager-policy",
        "topology-manager-scope",
        "verbosity",
    }
)
"""Keys under `settings.kubernetes` that the operating system knows; others are dropped, as upstream does."""

_BIND_NEEDS_DIRECTORIES_BEFORE: Final = (1, 46, 0)
_DIRECTORIES: Final = ("--dirs", "/var/lib/containerd", "/var/lib/kubelet", "/var/log/pods")
_MOUNT: Final = "000-mount-instance-storage"


def render_bottlerocket(bootstrap: Bootstrap) -> str:
    """The settings as TOML.

    Raises:
        UserDataError: when the NodeClass' own user data is not TOML.
    """
    document = _parse(bootstrap.custom)
    settings = _table(document, "settings")
    own = {key: value for key, value in _table(settings, "kubernetes").items() if key in KNOWN_SETTINGS}
    labels = {**_table(own, "node-labels"), **bootstrap.labels}
    joint = {"node-labels": labels, "node-taints": _taints(bootstrap.taints)}
    settings["kubernetes"] = own | _stated(bootstrap) | joint
    if bootstrap.is_raid:
        _table(settings, "bootstrap-commands")[_MOUNT] = _mount_commands(bootstrap.alias_version)
    return tomli_w.dumps(document)


def dropped_settings(custom: str) -> list[str]:
    """Which keys of the NodeClass' own `settings.kubernetes` are not known, and so do not reach the node.

    Raises:
        UserDataError: when it is not TOML.
    """
    return sorted(_table(_table(_parse(custom), "settings"), "kubernetes").keys() - KNOWN_SETTINGS)


def _parse(custom: str) -> dict[str, Any]:
    try:
        return tomllib.loads(custom)
    except tomllib.TOMLDecodeError as error:
        raise UserDataError(f"invalid UserData toml: {error}") from error


def _table(parent: dict[str, Any], key: str) -> dict[str, Any]:
    """The table under the key, made where there is none."""
    found = parent.setdefault(key, {})
    if not isinstance(found, dict):
        raise UserDataError(f"invalid UserData toml: {key} is not a table")
    return found


def _stated(bootstrap: Bootstrap) -> dict[str, Any]:
    kubelet, cluster = bootstrap.kubelet, bootstrap.cluster
    grace = {key: canonical_duration(text) for key, text in (kubelet.eviction_soft_grace_period or {}).items()}
    stated: Mapping[str, Any] = {
        "api-server": cluster.endpoint,
        "cluster-certificate": cluster.ca_bundle or None,
        "cluster-name": cluster.name,
        "cluster-dns-ip": (kubelet.cluster_dns or (None,))[0],
        "max-pods": kubelet.max_pods,
        "system-reserved": kubelet.system_reserved or None,
        "kube-reserved": kubelet.kube_reserved or None,
        "eviction-hard": kubelet.eviction_hard or None,
        "eviction-soft": kubelet.eviction_soft or None,
        "eviction-soft-grace-period": grace or None,
        "eviction-max-pod-grace-period": kubelet.eviction_max_pod_grace_period,
        "image-gc-high-threshold-percent": _text(kubelet.image_gc_high_threshold_percent),
        "image-gc-low-threshold-percent": _text(kubelet.image_gc_low_threshold_percent),
        "cpu-cfs-quota-enforced": kubelet.cpu_cfs_quota,
    }
    known = {key: value for key, value in stated.items() if value is not None}
    return {key: dict(value) if isinstance(value, Mapping) else value for key, value in known.items()}


def _taints(taints: tuple[Taint, ...]) -> dict[str, list[str]]:
    by_key: dict[str, list[str]] = {}
    for taint in taints:
        by_key.setdefault(taint.key, []).append(f"{taint.value}:{taint.effect}")
    return by_key


def _mount_commands(version: str) -> dict[str, Any]:
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    is_old = found is not None and tuple(map(int, found.groups())) < _BIND_NEEDS_DIRECTORIES_BEFORE
    bind = ["apiclient", "ephemeral-storage", "bind", *(_DIRECTORIES if is_old else ())]
    return {"commands": [["apiclient", "ephemeral-storage", "init"], bind], "mode": "always", "essential": True}


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
