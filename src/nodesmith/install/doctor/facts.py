"""All that was seen of a set-up at one moment. Checks are functions of this and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.install.doctor.awsfacts import (
    AccessEntry,
    Caller,
    EksCluster,
    PodIdentity,
    Profile,
    Provider,
    Queue,
    Quota,
    Rehearsal,
    Role,
    Rule,
    SecurityGroup,
    Subnet,
)
from nodesmith.install.doctor.clusterfacts import Budget, Controller, Definition, Lease, ServiceAccount, ServicePort
from nodesmith.install.doctor.offers import Offered
from nodesmith.install.doctor.seen import NotSeenError, Seen, need
from nodesmith.install.names import Names
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.nodepool import NodePool
from nodesmith.state.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Account:
    """The account and the cluster in it; `cluster` is None where EKS knows none of the name."""

    caller: Seen[Caller]
    cluster: Seen[EksCluster | None]
    clusters: Seen[tuple[str, ...]]
    """The names of all clusters in the region."""
    has_spot_role: Seen[bool]
    quotas: Seen[tuple[Quota, ...]]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the controller is to AWS, and who the nodes are. What is asked for and is not there is None."""

    provider: Seen[Provider | None]
    providers: Seen[tuple[str, ...]]
    pod_identities: Seen[tuple[PodIdentity, ...]]
    controller_role: Seen[Role | None]
    node_roles: Mapping[str, Seen[Role | None]]
    profiles: Mapping[str, Seen[Profile | None]]
    access_entries: Seen[tuple[AccessEntry, ...]]
    assumed: Seen[str]
    """The ARN that STS gave for a token of the controller's service account."""
    rehearsals: Seen[tuple[Rehearsal, ...]]


@dataclass(frozen=True, slots=True)
class Network:
    """The cluster's VPC; `found_*` are what each EC2NodeClass' selectors find, by its name."""

    subnets: Seen[tuple[Subnet, ...]]
    groups: Seen[tuple[SecurityGroup, ...]]
    endpoints: Seen[tuple[str, ...]]
    """Services that have a VPC endpoint: `s3`, `ecr.api` ..."""
    found_subnets: Mapping[str, Seen[tuple[str, ...]]]
    found_groups: Mapping[str, Seen[tuple[str, ...]]]
    found_images: Mapping[str, Seen[tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Events:
    """How interruptions reach the controller. `queue_name` is what its settings name, empty where they name none."""

    queue: Seen[Queue | None]
    queues: Seen[tuple[str, ...]]
    rules: Seen[tuple[Rule, ...]]


@dataclass(frozen=True, slots=True)
class InCluster:
    """What the API server has."""

    server: str
    """The address that was asked; empty where it is not known."""
    reached: Seen[bool]
    controllers: Seen[tuple[Controller, ...]]
    settings_faults: Seen[tuple[str, ...]]
    service_account: Seen[ServiceAccount | None]
    has_pod_identity_agent: Seen[bool]
    service_ports: Seen[tuple[ServicePort, ...]]
    leases: Seen[tuple[Lease, ...]]
    aws_auth: Seen[str | None]
    """`mapRoles` as it stands, None where there is no ConfigMap."""
    definitions: Seen[tuple[Definition, ...]]
    node_classes: Seen[tuple[EC2NodeClass, ...]]
    snapshot: Seen[Snapshot]
    budgets: Seen[tuple[Budget, ...]]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything."""

    cluster_name: str
    region: str
    version: str
    """Of this program."""
    now: datetime
    account: Account
    identity: Identity
    network: Network
    events: Events
    cluster: InCluster
    catalog: Mapping[str, Seen[tuple[InstanceType, ...]]] = field(default_factory=dict)
    """What can be bought, by NodePool."""
    offers: Mapping[str, Seen[Offered]] = field(default_factory=dict)
    """What each NodePool sells of it."""
    price_caveat: Seen[str] = ""
    """What is odd about the prices; empty where nothing is."""

    @property
    def eks(self) -> EksCluster:
        """The cluster as EKS has it.

        Raises:
            NotSeenError: when EKS did not answer, or knows no such cluster.
        """
        found = need(self.account.cluster)
        if found is None:
            raise NotSeenError(f"EKS has no cluster {self.cluster_name} in {self.region}")
        return found

    @property
    def controller(self) -> Controller | None:
        """The controller that is looked at: nodesmith's before Karpenter's; None where there is none.

        Raises:
            NotSeenError: when the Deployments were not seen.
        """
        return main_controller(need(self.cluster.controllers))

    @property
    def a_controller(self) -> Controller:
        """The controller that is looked at.

        Raises:
            NotSeenError: when there is none.
        """
        found = self.controller
        if found is None:
            raise NotSeenError("no controller is installed")
        return found

    @property
    def names(self) -> Names:
        """What the AWS side of the set-up is called, for the service account that the controller runs as.

        Raises:
            NotSeenError: when the account or the cluster was not seen.
        """
        return names_of(self.cluster_name, self.region, need(self.account.caller), self.eks, self._who())

    @property
    def pools(self) -> tuple[NodePool, ...]:
        """The NodePools.

        Raises:
            NotSeenError: when they were not seen.
        """
        return need(self.cluster.snapshot).pools

    @property
    def node_classes(self) -> tuple[EC2NodeClass, ...]:
        """The EC2NodeClasses.

        Raises:
            NotSeenError: when they were not seen.
        """
        return need(self.cluster.node_classes)

    def _who(self) -> Controller | None:
        try:
            return self.controller
        except NotSeenError:
            return None


def main_controller(controllers: tuple[Controller, ...]) -> Controller | None:
    """The controller of nodesmith before Karpenter's; None where there is none."""
    return min(controllers, key=lambda each: (not each.is_nodesmith, each.key), default=None)


def names_of(cluster: str, region: str, caller: Caller, eks: EksCluster, controller: Controller | None) -> Names:
    """The names of a set-up, with the controller's own service account where there is a controller."""
    own = (
        {} if controller is None else {"namespace": controller.namespace, "service_account": controller.service_account}
    )
    return Names(cluster, caller.account, region, eks.issuer, caller.partition, **own)
