"""The kinds that nodesmith defines: how the API server serves them, and the structs that say what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nodesmith.api import kinds
from nodesmith.api.kind import Kind
from nodesmith.api.wire.base import Wire
from nodesmith.api.wire.capacitybuffer import CapacityBufferWire
from nodesmith.api.wire.ec2nodeclass import EC2NodeClassWire
from nodesmith.api.wire.nodeclaim import NodeClaimWire
from nodesmith.api.wire.nodeoverlay import NodeOverlayWire
from nodesmith.api.wire.nodepool import NodePoolWire


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; a wide one shows with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """One kind: its struct, its names, and what `kubectl` shows of it.

    `scale` holds the paths of replicas in spec and status. `strays` are hints for fields that are known to be elsewhere
    now, by path without list positions or by name.
    """

    kind: Kind[Any]
    struct: type[Wire]
    category: str
    columns: tuple[Column, ...]
    short_names: tuple[str, ...] = ()
    scale: tuple[str, str] | None = None
    strays: Mapping[str, str] | None = None


_READY: Final = Column("Ready", '.status.conditions[?(@.type=="Ready")].status')
_AGE: Final = Column("Age", ".metadata.creationTimestamp", "date")


def _label(name: str, key: str, *, is_wide: bool = False) -> Column:
    escaped = key.replace(".", "\\.")
    return Column(name, f".metadata.labels.{escaped}", is_wide=is_wide)


NODE_POOL: Final = Served(
    kind=kinds.NODE_POOL,
    struct=NodePoolWire,
    category="karpenter",
    columns=(
        Column("NodeClass", ".spec.template.spec.nodeClassRef.name"),
        Column("Nodes", ".status.nodes", "integer"),
        _READY,
        _AGE,
        Column("Weight", ".spec.weight", "integer", is_wide=True),
        Column("CPU", ".status.resources.cpu", is_wide=True),
        Column("Memory", ".status.resources.memory", is_wide=True),
    ),
    scale=(".spec.replicas", ".status.nodes"),
    strays={
        "spec.disruption.expireAfter": "it is `spec.template.spec.expireAfter` since karpenter.sh/v1",
        "spec.template.spec.kubelet": "it is `spec.kubelet` of the EC2NodeClass since karpenter.sh/v1",
        "spec.template.spec.kubeletConfiguration": "it is `spec.kubelet` of the EC2NodeClass since karpenter.sh/v1",
        "spec.template.spec.nodeClassRef.apiVersion": "it is `group`, without the version, since karpenter.sh/v1",
        "spec.template.spec.resources": "what pods ask for decides; `spec.limits` bounds the whole pool",
        "spec.ttlSecondsAfterEmpty": "it is `spec.disruption.consolidateAfter` now, with the policy WhenEmpty",
        "spec.ttlSecondsUntilExpired": "it is `spec.template.spec.expireAfter` now",
        "spec.consolidation": "it is `spec.disruption.consolidationPolicy` now",
        "spec.providerRef": "it is `spec.template.spec.nodeClassRef` now",
        "spec.provider": "it is `spec.template.spec.nodeClassRef` and an EC2NodeClass now",
    },
)
NODE_CLAIM: Final = Served(
    kind=kinds.NODE_CLAIM,
    struct=NodeClaimWire,
    category="karpenter",
    columns=(
        _label("Type", "node.kubernetes.io/instance-type"),
        _label("Capacity", "karpenter.sh/capacity-type"),
        _label("Zone", "topology.kubernetes.io/zone"),
        Column("Node", ".status.nodeName"),
        _READY,
        _AGE,
        Column("ImageID", ".status.imageID", is_wide=True),
        Column("ID", ".status.providerID", is_wide=True),
        _label("NodePool", "karpenter.sh/nodepool", is_wide=True),
        Column("NodeClass", ".spec.nodeClassRef.name", is_wide=True),
        Column("Drifted", '.status.conditions[?(@.type=="Drifted")].status', is_wide=True),
    ),
)
EC2_NODE_CLASS: Final = Served(
    kind=kinds.EC2_NODE_CLASS,
    struct=EC2NodeClassWire,
    category="karpenter",
    columns=(_READY, _AGE, Column("Role", ".spec.role", is_wide=True)),
    short_names=("ec2nc", "ec2ncs"),
    strays={
        "spec.subnetSelector": "it is `spec.subnetSelectorTerms`, a list, now",
        "spec.securityGroupSelector": "it is `spec.securityGroupSelectorTerms`, a list, now",
        "spec.amiSelector": "it is `spec.amiSelectorTerms`, a list, now",
        "spec.kubelet.registerWithTaints": "taints are the NodePool's: `spec.template.spec.taints`",
        "spec.launchTemplate": "launch templates are made for you; say what they are to hold",
        "spec.blockDeviceMappings.ebs.size": "did you mean `volumeSize`?",
        "spec.blockDeviceMappings.ebs.type": "did you mean `volumeType`?",
    },
)
NODE_OVERLAY: Final = Served(
    kind=kinds.NODE_OVERLAY,
    struct=NodeOverlayWire,
    category="karpenter",
    columns=(_READY, _AGE, Column("Weight", ".spec.weight", "integer", is_wide=True)),
    short_names=("overlays",),
)
CAPACITY_BUFFER: Final = Served(
    kind=kinds.CAPACITY_BUFFER,
    struct=CapacityBufferWire,
    category="autoscaling",
    columns=(
        Column("Strategy", ".status.provisioningStrategy"),
        Column("Replicas", ".status.replicas", "integer"),
        Column("Ready", '.status.conditions[?(@.type=="ReadyForProvisioning")].status'),
        Column("Provisioning", '.status.conditions[?(@.type=="Provisioning")].status'),
        _AGE,
    ),
    short_names=("cb",),
)
ALL: Final = (NODE_POOL, NODE_CLAIM, EC2_NODE_CLASS, NODE_OVERLAY, CAPACITY_BUFFER)
BY_KIND_NAME: Final = {each.kind.name: each for each in ALL}
