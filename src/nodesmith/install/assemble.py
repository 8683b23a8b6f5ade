"""A whole set-up as one list of steps: AWS, access, CRDs, controller, EC2NodeClass, NodePool.

The one thing to know: roles and a queue that the cluster already uses under other names are the ones that are set up;
no second of their kind is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.api.kinds import DEPLOYMENT, EC2_NODE_CLASS, SERVICE_ACCOUNT
from nodesmith.install.access import AccessEntry, access_step
from nodesmith.install.aws import aws_steps
from nodesmith.install.awsauth import AwsAuth
from nodesmith.install.chart import RELEASE, ROLE_ANNOTATION, Controller, chart_values, is_of_chart
from nodesmith.install.helm import Releases
from nodesmith.install.identity import Identity, PodIdentity, PodIdentityAgent, identity_in_use
from nodesmith.install.names import Names
from nodesmith.install.network import DiscoveryTags, Network
from nodesmith.install.nodes import Nodes, Staying
from nodesmith.install.objects import Definitions, NamespaceThere, find, listed, metadata
from nodesmith.install.pools import DefaultNodeClass, DefaultNodePool, Pool
from nodesmith.install.running import Lease
from nodesmith.install.setup import Step
from nodesmith.ports.clock import Clock
from nodesmith.ports.cluster import Cluster

NODES_WITHIN: Final = timedelta(minutes=30)
DEFAULT_NAMESPACE: Final = "kube-system"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked for; None and empty leave it to what is there, or to the default."""

    identity: Identity | None = None
    pool: Pool | None = None
    image: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """Where it is set up: the account, the cluster, and what makes releases in it."""

    client: AwsClient
    cluster: Cluster
    clock: Clock
    releases: Releases | None
    chart: Path | None
    names: Names
    network: Network


async def in_use(cluster: Cluster, names: Names) -> Names:
    """The names, where the cluster has them already those that it has; without a namespace, that of the controller."""
    names = names if names.namespace else replace(names, namespace=await _namespace_in_use(cluster))
    account = await find(cluster, SERVICE_ACCOUNT, names.service_account, namespace=names.namespace)
    role_arn = (metadata(account).get("annotations") or {}).get(ROLE_ANNOTATION, "") if account else ""
    node_roles = {str(each["spec"].get("role") or "") for each in await listed(cluster, EC2_NODE_CLASS)} - {""}
    deployment = await find(cluster, DEPLOYMENT, RELEASE, namespace=names.namespace)
    return replace(
        names,
        chosen_controller_role=names.chosen_controller_role or _role_of(role_arn, names),
        chosen_node_role=names.chosen_node_role or (node_roles.pop() if len(node_roles) == 1 else ""),
        chosen_queue=names.chosen_queue or (_queue_of(deployment) if deployment else ""),
    )


async def _namespace_in_use(cluster: Cluster) -> str:
    """Where a controller of our chart is."""
    found = [each for each in await listed(cluster, DEPLOYMENT) if is_of_chart(each)]
    return str(metadata(found[0])["namespace"]) if found else DEFAULT_NAMESPACE


def _role_of(arn: str, names: Names) -> str:
    """The role with its path, if it is one of this account."""
    before, _, role = arn.partition(":role/")
    return role if before == names.role_arn("").partition(":role/")[0] else ""


def _queue_of(deployment: Mapping[str, Any]) -> str:
    containers = deployment["spec"]["template"]["spec"].get("containers") or ()
    variables = [each for container in containers for each in container.get("env") or ()]
    return next((str(each.get("value", "")) for each in variables if each.get("name") == "INTERRUPTION_QUEUE"), "")


async def arriving_steps(site: Site, wishes: Wishes) -> list[Step]:
    """Everything, in the order in which it is made."""
    identity = wishes.identity or await identity_in_use(site.client, site.names)
    values = chart_values(site.names, by_issuer=identity is Identity.IRSA, image=wishes.image, more=wishes.values)
    cluster, names = site.cluster, site.names
    return [
        NamespaceThere(cluster, names.namespace, names.cluster),
        *aws_steps(site.client, names, site.network, identity),
        await access_step(site.client, cluster, names),
        Definitions(cluster, site.clock, names.cluster),
        Controller(cluster, site.releases, names, site.chart, values),
        DefaultNodeClass(cluster, site.clock, names),
        DefaultNodePool(cluster, names, wishes.pool),
    ]


async def leaving_steps(
    site: Site,
    *,
    keeps_nodes: bool = False,
    takes_pools: bool = False,
    within: timedelta = NODES_WITHIN,
    tell: Callable[[str], None],
) -> list[Step]:
    """Everything that may have been made, in the order in which it was: it is taken back from the end."""
    client, names = site.client, site.names
    steps = await arriving_steps(site, Wishes(identity=Identity.IRSA))
    # Which of the two was used does not matter: what is not there is not taken back.
    role = next(number for number, step in enumerate(steps) if step.name == "controller role")
    steps[role + 1 : role + 1] = [PodIdentityAgent(client, names), PodIdentity(client, names)]
    controller = next(number for number, step in enumerate(steps) if isinstance(step, Controller))
    steps.insert(controller, Lease(site.cluster, site.clock, names.namespace, names.cluster))
    if keeps_nodes:
        return [
            Staying(step) if isinstance(step, _NEEDED_BY_NODES) or step.name == "node role" else step for step in steps
        ]
    nodes = Nodes(site.cluster, site.clock, names.cluster, names.namespace, within, takes_pools, tell)
    return [*steps[:-1], nodes, steps[-1]]


_NEEDED_BY_NODES: Final = (
    AccessEntry,
    AwsAuth,
    Definitions,
    DefaultNodeClass,
    DefaultNodePool,
    DiscoveryTags,
    NamespaceThere,
)
