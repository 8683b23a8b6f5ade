"""Kubelet's settings as command line flags, for families whose bootstrap script takes them."""

from __future__ import annotations

from collections.abc import Mapping

from nodesmith.adapters.aws.userdata.bootstrap import Bootstrap
from nodesmith.adapters.aws.userdata.duration import canonical_duration


def kubelet_flags(bootstrap: Bootstrap) -> str:
    """The flags in upstream's order, separated by blanks."""
    kubelet = bootstrap.kubelet
    grace = {key: canonical_duration(text) for key, text in (kubelet.eviction_soft_grace_period or {}).items()}
    flags = [
        f'--node-labels="{bootstrap.node_labels}"',
        f'--register-with-taints="{",".join(str(taint) for taint in bootstrap.taints)}"',
        _number("max-pods", kubelet.max_pods),
        _number("pods-per-core", kubelet.pods_per_core),
        _table("system-reserved", kubelet.system_reserved, "="),
        _table("kube-reserved", kubelet.kube_reserved, "="),
        _table("eviction-hard", kubelet.eviction_hard, "<"),
        _table("eviction-soft", kubelet.eviction_soft, "<"),
        _table("eviction-soft-grace-period", grace, "="),
        _number("eviction-max-pod-grace-period", kubelet.eviction_max_pod_grace_period),
        _number("image-gc-high-threshold", kubelet.image_gc_high_threshold_percent),
        _number("image-gc-low-threshold", kubelet.image_gc_low_threshold_percent),
    ]
    if kubelet.cpu_cfs_quota is not None:
        flags.append(f"--cpu-cfs-quota={str(kubelet.cpu_cfs_quota).lower()}")
    return " ".join(flag for flag in flags if flag)


def _number(name: str, value: int | str | None) -> str:
    return "" if value is None else f"--{name}={value}"


def _table(name: str, entries: Mapping[str, str] | None, sign: str) -> str:
    if not entries:
        return ""
    listed = ",".join(f"{key}{sign}{entries[key]}" for key in sorted(entries))
    return f'--{name}="{listed}"'
