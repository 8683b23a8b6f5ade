"""The AWS side of a set-up, put together: roles, policies, identity, queue, rules and tags, as steps over one client.

Instance profiles are not here: the controller makes one for each EC2NodeClass, and takes it away with it.
"""

from __future__ import annotations

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.install import policies
from nodesmith.install.identity import Identity, OidcProvider, PodIdentity, PodIdentityAgent, pod_identity_trust
from nodesmith.install.names import Names
from nodesmith.install.network import DiscoveryTags, Network, network_of
from nodesmith.install.policysteps import Policy
from nodesmith.install.queue import InterruptionQueue, Rule
from nodesmith.install.roles import Role, SpotRole
from nodesmith.install.setup import Step


async def names_of(client: AwsClient, cluster: str) -> tuple[Names, Network]:
    """The names for a cluster, and the network that its nodes belong in.

    Raises:
        NotFound: when there is no such cluster.
    """
    told = (await client.call("eks", "DescribeCluster", name=cluster))["cluster"]
    caller = await client.call("sts", "GetCallerIdentity")
    partition = str(caller["Arn"]).split(":")[1]
    names = Names(cluster, str(caller["Account"]), client.region, told["identity"]["oidc"]["issuer"], partition)
    return names, await network_of(client, told)


def aws_steps(client: AwsClient, names: Names, network: Network, identity: Identity = Identity.IRSA) -> list[Step]:
    """Everything on the AWS side, in the order in which it is made."""
    own = policies.controller_policies(names)
    trust = policies.controller_trust(names) if identity is Identity.IRSA else pod_identity_trust(names)
    controller_policies = tuple(names.policy_arn(name) for name in own)
    return [
        node_role(client, names),
        *([OidcProvider(client, names)] if identity is Identity.IRSA else []),
        *(Policy(name, client, names, document) for name, document in own.items()),
        Role("controller role", names.controller_role, client, names, trust, controller_policies),
        *(_pod_identity(client, names) if identity is Identity.POD_IDENTITY else []),
        SpotRole(client),
        InterruptionQueue(client, names),
        *(Rule(part, client, names) for part in policies.RULES),
        DiscoveryTags(client, names, network),
    ]


def node_role(client: AwsClient, names: Names) -> Role:
    """The role of the nodes."""
    managed = tuple(f"arn:{names.partition}:iam::aws:policy/{each}" for each in policies.NODE_POLICIES)
    return Role("node role", names.node_role, client, names, policies.node_trust(names), managed)


def _pod_identity(client: AwsClient, names: Names) -> list[Step]:
    return [PodIdentityAgent(client, names), PodIdentity(client, names)]
