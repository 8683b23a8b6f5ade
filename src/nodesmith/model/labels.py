"""Label keys, annotation keys and taint keys, letter for letter upstream's (spec 1.1)."""

from __future__ import annotations

from typing import Final

GROUP: Final = "karpenter.sh"
AWS_GROUP: Final = "karpenter.k8s.aws"

HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
REGION: Final = "topology.kubernetes.io/region"
ZONE_ID: Final = "topology.k8s.aws/zone-id"
INSTANCE_TYPE: Final = "node.kubernetes.io/instance-type"
ARCH: Final = "kubernetes.io/arch"
OS: Final = "kubernetes.io/os"
WINDOWS_BUILD: Final = "node.kubernetes.io/windows-build"
EXCLUDE_FROM_LOAD_BALANCERS: Final = "node.kubernetes.io/exclude-from-external-load-balancers"

NODEPOOL: Final = "karpenter.sh/nodepool"
CAPACITY_TYPE: Final = "karpenter.sh/capacity-type"
REGISTERED: Final = "karpenter.sh/registered"
INITIALIZED: Final = "karpenter.sh/initialized"
DO_NOT_SYNC_TAINTS: Final = "karpenter.sh/do-not-sync-taints"
NODECLASS: Final = "karpenter.k8s.aws/ec2nodeclass"

TERMINATION_FINALIZER: Final = "karpenter.sh/termination"
NODECLASS_FINALIZER: Final = "karpenter.k8s.aws/termination"

DISRUPTED_TAINT: Final = "karpenter.sh/disrupted"
UNREGISTERED_TAINT: Final = "karpenter.sh/unregistered"

DO_NOT_DISRUPT: Final = "karpenter.sh/do-not-disrupt"
NODEPOOL_HASH: Final = "karpenter.sh/nodepool-hash"
NODEPOOL_HASH_VERSION: Final = "karpenter.sh/nodepool-hash-version"
NODEPOOL_HASH_VERSION_VALUE: Final = "v3"
NODECLASS_HASH: Final = "karpenter.k8s.aws/ec2nodeclass-hash"
NODECLASS_HASH_VERSION: Final = "karpenter.k8s.aws/ec2nodeclass-hash-version"
NODECLASS_HASH_VERSION_VALUE: Final = "v5"
TERMINATION_TIMESTAMP: Final = "karpenter.sh/nodeclaim-termination-timestamp"
MIN_VALUES_RELAXED: Final = "karpenter.sh/nodeclaim-min-values-relaxed"
PRICE_OVERLAY_APPLIED: Final = "karpenter.sh/price-overlay-applied"
CAPACITY_OVERLAY_APPLIED: Final = "karpenter.sh/capacity-overlay-applied"
TAGGED: Final = "karpenter.k8s.aws/tagged"
INSTANCE_PROFILE_NAME: Final = "karpenter.k8s.aws/instance-profile-name"
CLUSTER_NAME_TAGGED: Final = "compatibility.karpenter.k8s.aws/cluster-name-tagged"
BUFFER_FAKE_POD: Final = "karpenter.sh/capacity-buffer-fake-pod"
BUFFER_NAME: Final = "karpenter.sh/capacity-buffer-name"
BUFFER_NAMESPACE: Final = "karpenter.sh/capacity-buffer-namespace"
POD_DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"

SPOT: Final = "spot"
ON_DEMAND: Final = "on-demand"
RESERVED: Final = "reserved"
CAPACITY_TYPES: Final = frozenset({SPOT, ON_DEMAND, RESERVED})

RESERVATION_ID: Final = f"{AWS_GROUP}/capacity-reservation-id"
RESERVATION_TYPE: Final = f"{AWS_GROUP}/capacity-reservation-type"
RESERVATION_INTERRUPTIBLE: Final = f"{AWS_GROUP}/capacity-reservation-interruptible"
TENANCY: Final = f"{AWS_GROUP}/instance-tenancy"
PLACEMENT_GROUP_ID: Final = f"{AWS_GROUP}/placement-group-id"
PLACEMENT_GROUP_PARTITION: Final = f"{AWS_GROUP}/placement-group-partition"
INSTANCE_FAMILY: Final = f"{AWS_GROUP}/instance-family"
INSTANCE_CPU: Final = f"{AWS_GROUP}/instance-cpu"

AWS_WELL_KNOWN: Final = frozenset(
    {ZONE_ID, RESERVATION_ID, RESERVATION_TYPE, RESERVATION_INTERRUPTIBLE, TENANCY, PLACEMENT_GROUP_ID}
    | {PLACEMENT_GROUP_PARTITION}
    | {
        f"{AWS_GROUP}/{name}"
        for name in (
            "instance-hypervisor",
            "instance-encryption-in-transit-supported",
            "instance-category",
            "instance-capability-flex",
            "instance-family",
            "instance-generation",
            "instance-size",
            "instance-local-nvme",
            "instance-cpu",
            "instance-cpu-manufacturer",
            "instance-cpu-sustained-clock-speed-mhz",
            "instance-memory",
            "instance-ebs-bandwidth",
            "instance-network-bandwidth",
            "instance-gpu-name",
            "instance-gpu-manufacturer",
            "instance-gpu-count",
            "instance-gpu-memory",
            "instance-accelerator-name",
            "instance-accelerator-manufacturer",
            "instance-accelerator-count",
        )
    }
)
WELL_KNOWN: Final = AWS_WELL_KNOWN | {
    NODEPOOL,
    ZONE,
    REGION,
    INSTANCE_TYPE,
    ARCH,
    OS,
    CAPACITY_TYPE,
    WINDOWS_BUILD,
}
"""Keys that pods may ask for although a NodePool does not define them (spec 1.1.1)."""

OFFERING_KEYS: Final = frozenset(
    {ZONE, ZONE_ID, CAPACITY_TYPE, RESERVATION_ID, RESERVATION_TYPE, RESERVATION_INTERRUPTIBLE}
)
"""Keys whose value an offering decides, not the instance type."""

ALIASES: Final = {
    "failure-domain.beta.kubernetes.io/zone": ZONE,
    "failure-domain.beta.kubernetes.io/region": REGION,
    "beta.kubernetes.io/arch": ARCH,
    "beta.kubernetes.io/os": OS,
    "beta.kubernetes.io/instance-type": INSTANCE_TYPE,
    "topology.ebs.csi.aws.com/zone": ZONE,
}
"""Old key to the key it means; applied wherever a requirement is made (spec 1.1.2)."""

_RESTRICTED_DOMAINS: Final = (GROUP, AWS_GROUP)


def canonical(key: str) -> str:
    """The key that an old alias stands for, or the key itself."""
    return ALIASES.get(key, key)


def is_restricted(key: str) -> bool:
    """Whether users may not define a label of this key (spec 1.1.2)."""
    if key in WELL_KNOWN:
        return False
    domain = key.split("/", 1)[0] if "/" in key else ""
    in_domain = any(domain == name or domain.endswith(f".{name}") for name in _RESTRICTED_DOMAINS)
    return key == HOSTNAME or in_domain
