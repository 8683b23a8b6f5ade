"""All facts at once: what does not depend on each other is asked side by side, and no part fails another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.install.chart import ROLE_ANNOTATION
from nodesmith.install.doctor.awsfacts import (
    Caller,
    EksCluster,
    PodIdentity,
    Profile,
    Provider,
    Queue,
    Rehearsal,
    Role,
    SecurityGroup,
    Subnet,
)
from nodesmith.install.doctor.clusterfacts import Controller, ServiceAccount
from nodesmith.install.doctor.facts import (
    Account,
    Events,
    Facts,
    Identity,
    InCluster,
    Network,
    main_controller,
    names_of,
)
from nodesmith.install.doctor.gather import account, events, identity, incluster, network
from nodesmith.install.doctor.gather.market import Market
from nodesmith.install.doctor.gather.rehearsal import assumed, rehearsals
from nodesmith.install.doctor.gather.sources import Credentials, Sources
from nodesmith.install.doctor.naming import NAMESPACE, SERVICE_ACCOUNT
from nodesmith.install.doctor.offers import Offered, offered
from nodesmith.install.doctor.seen import NotSeenError, Seen, Unseen, need, seen
from nodesmith.install.identity import AUDIENCE
from nodesmith.install.names import Names
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.nodepool import NodePool
from nodesmith.ports.cluster import Cluster
from nodesmith.state.snapshot import Snapshot


async def gather(sources: Sources) -> Facts:
    """Everything that can be seen now; what cannot is `Unseen`, with the reason."""
    async with asyncio.TaskGroup() as group:
        asked_account = group.create_task(_account(sources))
        asked_cluster = group.create_task(_in_cluster(sources))
    found, cluster = asked_account.result(), asked_cluster.result()
    subject = _Subject(sources, found, cluster)
    async with asyncio.TaskGroup() as group:
        asked_identity = group.create_task(_identity(subject))
        asked_network = group.create_task(_network(subject))
        asked_events = group.create_task(_events(subject))
        asked_types = group.create_task(_types(subject))
    catalog, price_caveat = asked_types.result()
    return Facts(
        cluster_name=sources.cluster_name,
        region=sources.aws.region,
        version=sources.version,
        now=sources.clock.now(),
        account=found,
        identity=asked_identity.result(),
        network=asked_network.result(),
        events=asked_events.result(),
        cluster=cluster,
        catalog=catalog,
        offers={name: await seen(_offers(subject, name, types)) for name, types in catalog.items()},
        price_caveat=price_caveat,
    )


@dataclass(frozen=True, slots=True)
class _Subject:
    """What later questions are about, from the answers to the first ones."""

    sources: Sources
    account: Account
    cluster: InCluster

    @property
    def aws(self) -> AwsClient:
        return self.sources.aws

    def eks(self) -> EksCluster:
        found = need(self.account.cluster)
        if found is None:
            raise NotSeenError(f"EKS has no cluster {self.sources.cluster_name} in {self.aws.region}")
        return found

    def controller(self) -> Controller | None:
        known = self.cluster.controllers
        return None if isinstance(known, Unseen) else main_controller(known)

    def environment(self) -> dict[str, str]:
        controller = self.controller()
        return {} if controller is None else dict(controller.environment)

    def names(self) -> Names:
        caller: Caller = need(self.account.caller)
        return names_of(self.sources.cluster_name, self.aws.region, caller, self.eks(), self.controller())

    def classes(self) -> tuple[EC2NodeClass, ...]:
        known = self.cluster.node_classes
        return () if isinstance(known, Unseen) else known


async def _account(sources: Sources) -> Account:
    client = sources.aws
    async with asyncio.TaskGroup() as group:
        caller = group.create_task(seen(account.caller(client, sources.clock)))
        cluster = group.create_task(seen(account.cluster(client, sources.cluster_name)))
        clusters = group.create_task(seen(account.clusters(client)))
        role = group.create_task(seen(account.has_spot_role(client)))
        quotas = group.create_task(seen(account.quotas(client)))
    return Account(caller.result(), cluster.result(), clusters.result(), role.result(), quotas.result())


async def _in_cluster(sources: Sources) -> InCluster:
    cluster = sources.cluster
    if cluster is None:
        return _no_cluster(Unseen(sources.why_no_cluster), sources.server)
    reached = await seen(incluster.reached(cluster))
    if isinstance(reached, Unseen):
        return _no_cluster(reached, sources.server)
    snapshot = await seen(incluster.snapshot(cluster, sources.clock))
    controllers = await seen(_controllers(cluster, snapshot))
    controller = None if isinstance(controllers, Unseen) else main_controller(controllers)
    return InCluster(
        server=sources.server,
        reached=reached,
        controllers=controllers,
        settings_faults=await seen(_settings_faults(sources, controller)),
        service_account=await seen(_service_account(cluster, controller)),
        has_pod_identity_agent=await seen(incluster.has_pod_identity_agent(cluster)),
        service_ports=await seen(incluster.service_ports(cluster, controller)),
        leases=await seen(incluster.leases(cluster)),
        aws_auth=await seen(incluster.aws_auth(cluster)),
        definitions=await seen(incluster.definitions(cluster)),
        node_classes=await seen(incluster.node_classes(cluster)),
        snapshot=snapshot,
        budgets=await seen(incluster.budgets(cluster)),
    )


def _no_cluster(reason: Unseen, server: str) -> InCluster:
    return InCluster(
        server=server,
        reached=reason,
        controllers=reason,
        settings_faults=reason,
        service_account=reason,
        has_pod_identity_agent=reason,
        service_ports=reason,
        leases=reason,
        aws_auth=reason,
        definitions=reason,
        node_classes=reason,
        snapshot=reason,
        budgets=reason,
    )


async def _controllers(cluster: Cluster, snapshot: Seen[Snapshot]) -> tuple[Controller, ...]:
    return await incluster.controllers(cluster, need(snapshot))


async def _service_account(cluster: Cluster, controller: Controller | None) -> ServiceAccount | None:
    if controller is None:
        return await incluster.service_account(cluster, NAMESPACE, SERVICE_ACCOUNT)
    return await incluster.service_account(cluster, controller.namespace, controller.service_account)


async def _settings_faults(sources: Sources, controller: Controller | None) -> tuple[str, ...]:
    if controller is None or sources.read_settings is None:
        raise NotSeenError("no controller is installed")
    if not controller.is_nodesmith:
        return ()
    return tuple(sources.read_settings((), controller.environment))


async def _identity(subject: _Subject) -> Identity:
    client, name = subject.aws, subject.sources.cluster_name
    identities = await seen(_pod_identities(subject))
    profiles = {each: await seen(identity.profile(client, each)) for each in _profile_names(subject.classes())}
    role = await seen(_controller_role(subject, identities))
    session = await seen(_session(subject, identities, role))
    node_roles = _role_names(subject.classes(), profiles)
    return Identity(
        provider=await seen(_provider(subject)),
        providers=await seen(identity.providers(client)),
        pod_identities=identities,
        controller_role=role,
        node_roles={each: await seen(_node_role(client, each)) for each in node_roles},
        profiles=profiles,
        access_entries=await seen(identity.access_entries(client, name, node_roles)),
        assumed=session if isinstance(session, Unseen) else session[0],
        rehearsals=await seen(_rehearsals(subject, session)),
    )


async def _pod_identities(subject: _Subject) -> tuple[PodIdentity, ...]:
    return await identity.pod_identities(subject.aws, subject.names())


async def _provider(subject: _Subject) -> Provider | None:
    return await identity.provider(subject.aws, subject.names().issuer_arn)


async def _node_role(client: AwsClient, name: str) -> Role | None:
    return await identity.role(client, name, with_documents=False)


def _profile_names(classes: Sequence[EC2NodeClass]) -> list[str]:
    names = {each.spec.instance_profile or each.status.instance_profile for each in classes}
    return sorted(name for name in names if name)


def _role_names(classes: Sequence[EC2NodeClass], profiles: Mapping[str, Seen[Profile | None]]) -> list[str]:
    """The roles that nodes have, those of profiles that were made by hand among them."""
    names = {each.spec.role.rpartition("/")[2] for each in classes if each.spec.role}
    given = {each.spec.instance_profile for each in classes if each.spec.instance_profile}
    for name in given:
        profile = profiles.get(name)
        if isinstance(profile, Profile):
            names.update(profile.roles)
    return sorted(names)


def _role_arn(subject: _Subject, identities: Seen[tuple[PodIdentity, ...]]) -> str:
    """The role that the controller is given: by pod identity, by annotation, or else by the usual name."""
    names = subject.names()
    wanted = (names.namespace, names.service_account)
    for each in () if isinstance(identities, Unseen) else identities:
        if (each.namespace, each.service_account) == wanted:
            return each.role_arn
    own = subject.cluster.service_account
    stated = own.annotations.get(ROLE_ANNOTATION, "") if isinstance(own, ServiceAccount) else ""
    return stated or names.role_arn(names.controller_role)


async def _controller_role(subject: _Subject, identities: Seen[tuple[PodIdentity, ...]]) -> Role | None:
    name = _role_arn(subject, identities).rpartition("/")[2]
    return await identity.role(subject.aws, name, with_documents=True)


async def _session(
    subject: _Subject, identities: Seen[tuple[PodIdentity, ...]], role: Seen[Role | None]
) -> tuple[str, Credentials]:
    """Who the controller is to STS, by a token that the cluster makes for its service account."""
    tokens, found, names = subject.sources.tokens, need(role), subject.names()
    if tokens is None:
        raise NotSeenError("no token of the service account can be had")
    if found is None:
        raise NotSeenError("the controller's role is not there")
    own = (names.namespace, names.service_account)
    if any((each.namespace, each.service_account) == own for each in need(identities)):
        raise NotSeenError("credentials by pod identity are given to pods only")
    token = await tokens(names.namespace, names.service_account, AUDIENCE)
    return await assumed(subject.aws, found.arn, token)


async def _rehearsals(subject: _Subject, session: Seen[tuple[str, Credentials]]) -> tuple[Rehearsal, ...]:
    as_somebody = subject.sources.as_somebody
    if as_somebody is None:
        raise NotSeenError("EC2 cannot be asked as the controller")
    _, credentials = need(session)
    return await rehearsals(as_somebody, credentials, subject.sources.cluster_name, subject.classes())


async def _network(subject: _Subject) -> Network:
    market, classes = _market(subject), subject.classes()
    return Network(
        subnets=await seen(_subnets(subject)),
        groups=await seen(_groups(subject)),
        endpoints=await seen(_endpoints(subject)),
        found_subnets={each.name: await seen(market.subnets(each)) for each in classes},
        found_groups={each.name: await seen(market.groups(each)) for each in classes},
        found_images={each.name: await seen(_images(subject, market, each)) for each in classes},
    )


async def _subnets(subject: _Subject) -> tuple[Subnet, ...]:
    return await network.subnets(subject.aws, subject.eks().vpc)


async def _groups(subject: _Subject) -> tuple[SecurityGroup, ...]:
    return await network.groups(subject.aws, subject.eks().vpc)


async def _endpoints(subject: _Subject) -> tuple[str, ...]:
    return await network.endpoints(subject.aws, subject.eks().vpc, subject.aws.region)


async def _images(subject: _Subject, market: Market, node_class: EC2NodeClass) -> tuple[str, ...]:
    return tuple(each.id for each in await market.images(node_class, subject.eks().version))


async def _events(subject: _Subject) -> Events:
    client = subject.aws
    return Events(
        queue=await seen(_queue(subject)),
        queues=await seen(events.queues(client)),
        rules=await seen(events.rules(client)),
    )


async def _queue(subject: _Subject) -> Queue | None:
    controller = subject.controller()
    name = subject.names().queue if controller is None else controller.environment.get("INTERRUPTION_QUEUE", "")
    return await events.queue(subject.aws, name)


def _market(subject: _Subject) -> Market:
    return Market(
        subject.aws,
        subject.sources.clock,
        cluster_name=subject.sources.cluster_name,
        environment=subject.environment(),
    )


async def _types(subject: _Subject) -> tuple[dict[str, Seen[tuple[InstanceType, ...]]], Seen[str]]:
    """What is sold to each NodePool, and what is odd about its price; pools of one EC2NodeClass are told the same."""
    known = subject.cluster.snapshot
    if isinstance(known, Unseen):
        return {}, known
    market = _market(subject)
    by_class: dict[str, Seen[tuple[InstanceType, ...]]] = {}
    for pool in known.pools:
        if pool.node_class.name not in by_class:
            by_class[pool.node_class.name] = await seen(_types_of(subject, market, pool))
    is_priced = any(not isinstance(each, Unseen) for each in by_class.values())
    caveat: Seen[str] = market.price_caveat if is_priced else Unseen("no NodePool's prices were asked for")
    return {pool.name: by_class[pool.node_class.name] for pool in known.pools}, caveat


async def _types_of(subject: _Subject, market: Market, pool: NodePool) -> tuple[InstanceType, ...]:
    return await market.types(pool, subject.classes(), subject.eks().version)


async def _offers(subject: _Subject, name: str, types: Seen[tuple[InstanceType, ...]]) -> Offered:
    snapshot = need(subject.cluster.snapshot)
    pool = next(each for each in snapshot.pools if each.name == name)
    return offered(snapshot, pool, need(types))
