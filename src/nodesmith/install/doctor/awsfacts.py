"""What AWS was seen to have, as values. Documents are policy documents as IAM has them, decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

Document = Mapping[str, Any]
Tags = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credentials these are, and how far AWS's clock is ahead of this machine's."""

    account: str
    arn: str
    clock_ahead: timedelta | None = None

    @property
    def partition(self) -> str:
        """`aws`, `aws-cn` or `aws-us-gov`."""
        return self.arn.split(":")[1]


@dataclass(frozen=True, slots=True)
class EksCluster:
    """The cluster as EKS describes it."""

    status: str
    version: str
    endpoint: str
    issuer: str
    authentication_mode: str
    vpc: str
    subnets: tuple[str, ...]
    cluster_group: str
    is_public: bool = True
    is_private: bool = True
    public_cidrs: tuple[str, ...] = ("0.0.0.0/0",)


@dataclass(frozen=True, slots=True)
class Provider:
    """An OIDC provider of IAM."""

    arn: str
    audiences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """A service account's role by EKS pod identity."""

    namespace: str
    service_account: str
    role_arn: str


@dataclass(frozen=True, slots=True)
class Role:
    """A role: whom it trusts, what it may."""

    name: str
    arn: str
    trust: Document
    attached: tuple[str, ...] = ()
    """ARNs of the policies attached."""
    documents: Mapping[str, Document] = field(default_factory=dict)
    """Its policies by name, attached and inline."""
    boundary: Document | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """An instance profile and its roles, by name."""

    name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """A principal that EKS lets into the cluster."""

    principal: str
    type: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """Where traffic to a destination goes: an id such as `nat-1`, and whether it works."""

    destination: str
    target: str
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet of the cluster's VPC, with the routes that hold for it."""

    id: str
    vpc: str
    zone: str
    cidr: str
    free_addresses: int
    tags: Tags = field(default_factory=dict)
    gives_public_addresses: bool = False
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Permission:
    """What a security group lets through; a protocol of `-1` is all. `sources` are groups, ranges and prefix lists."""

    protocol: str
    first_port: int
    last_port: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A security group of the cluster's VPC."""

    id: str
    name: str
    vpc: str
    tags: Tags = field(default_factory=dict)
    inbound: tuple[Permission, ...] = ()
    outbound: tuple[Permission, ...] = ()


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue of interruptions."""

    name: str
    arn: str
    retention: timedelta
    policy: Document | None
    waiting: int = 0
    """Messages that nobody has read."""
    key: str = ""
    """The customer's KMS key, if it is encrypted by one."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An EventBridge rule and the ARNs of its targets."""

    name: str
    pattern: Document
    is_enabled: bool
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota of running vCPUs, and how many are running."""

    name: str
    limit: int
    used: int | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """EC2's answer to a call that was only tried: the code, `DryRunOperation` where it would have been done."""

    action: str
    code: str
    message: str
