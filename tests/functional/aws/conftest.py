"""A box in its own process, an account with a ready NodeClass, and a cloud on it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Any

import boto3
import pytest

from nodesmith.adapters.aws.blocking import Threads
from nodesmith.adapters.aws.client import SessionClients
from nodesmith.adapters.aws.cloud import AwsCloud
from nodesmith.adapters.aws.pricebook import PriceBook
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.memory.recording import RecordedMetrics
from nodesmith.api.ec2nodeclass import EC2NodeClass, EC2NodeClassStatus, decode_ec2nodeclass
from nodesmith.api.kind import Manifest
from nodesmith.install.names import Names
from nodesmith.install.policies import controller_policies
from nodesmith.model.labels import CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, ON_DEMAND, ZONE
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.ports.log import NoLog
from nodesmith.sim.aws import account
from nodesmith.sim.aws.audit import audit
from nodesmith.sim.aws.control import Control, RecordedCall
from nodesmith.sim.aws.process import BoxProcess

REGION = "ap-northeast-2"
CLUSTER = "demo"
ZONE_A = f"{REGION}a"
ROLE = "KarpenterNodeRole-demo"
NAMES = Names(CLUSTER, "123456789012", REGION, "https://oidc.eks.example/id/1")
ANYONE = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
)
NODE_TRUST = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
SPEC = {
    "role": ROLE,
    "amiSelectorTerms": [{"alias": "al2023@latest"}],
    "subnetSelectorTerms": [{"tags": {"karpenter.sh/discovery": CLUSTER}}],
    "securityGroupSelectorTerms": [{"tags": {"karpenter.sh/discovery": CLUSTER}}],
}
HOUR = timedelta(hours=1)
_TOLD: dict[str, Any] = {}


@cache
def _session() -> boto3.session.Session:
    """The controller's: boto3 takes a while to make a client, so all tests share them, and their keys are replaced."""
    return boto3.session.Session("none", "none", "none", region_name=REGION)


@cache
def _clients(url: str) -> SessionClients:
    return SessionClients(_session(), endpoint_url=url)


@cache
def _owners(url: str) -> Callable[[str], Any]:
    return account.clients(url, REGION)


def assume(names: Names, owner: Callable[[str], Any]) -> dict[str, str]:
    """The keys of a controller that has the installer's policies and nothing more."""
    iam = owner("iam")
    iam.create_role(RoleName=names.controller_role, AssumeRolePolicyDocument=ANYONE)
    for name, document in controller_policies(names).items():
        iam.put_role_policy(RoleName=names.controller_role, PolicyName=name, PolicyDocument=json.dumps(document))
    arn = names.role_arn(names.controller_role)
    keys: dict[str, str] = owner("sts").assume_role(RoleArn=arn, RoleSessionName="controller")["Credentials"]
    return keys


def _act_as_controller(owner: Callable[[str], Any]) -> None:
    owner("iam").create_service_linked_role(AWSServiceName="spot.amazonaws.com")
    keys, credentials = assume(NAMES, owner), _session().get_credentials()
    assert credentials is not None
    credentials.access_key, credentials.secret_key = keys["AccessKeyId"], keys["SecretAccessKey"]
    credentials.token = keys["SessionToken"]


@dataclass
class KnownObjects:
    """The cluster's objects, as a test sets them."""

    classes: dict[str, EC2NodeClass] = field(default_factory=dict)
    pools: list[NodePool] = field(default_factory=lambda: [NodePool(meta=ObjectMeta("default"))])
    claims: list[NodeClaim] = field(default_factory=list)

    async def node_class(self, name: str) -> EC2NodeClass | None:
        return self.classes.get(name)

    async def node_classes(self) -> list[EC2NodeClass]:
        return list(self.classes.values())

    async def node_pools(self) -> list[NodePool]:
        return self.pools

    async def node_claims(self) -> list[NodeClaim]:
        return self.claims


class Warnings(NoLog):
    """Remembers what operators were warned of."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, object]]] = []

    def warning(self, message: str, /, **fields: object) -> None:
        self.told.append((message, fields))

    def error(self, message: str, /, **fields: object) -> None:
        self.told.append((message, fields))


@dataclass
class Bench:
    """A cloud on a box with an account."""

    control: Control
    owner: Callable[[str], Any]
    """boto3 clients of the account's owner, by service; the cloud has the controller's role."""
    objects: KnownObjects
    threads: Threads
    settings: AwsSettings
    metrics: RecordedMetrics
    cloud: AwsCloud = field(init=False)
    log: Warnings = field(default_factory=Warnings)
    is_refused: bool = False
    """Whether the test means calls to be refused."""

    def __post_init__(self) -> None:
        self.cloud = self.another()

    def remember(self, cloud: AwsCloud) -> None:
        """Give the cloud the types and prices that an earlier test was told: the box never changes them."""
        if _TOLD:
            cloud.types._cache.set("", _TOLD["types"])
            cloud._offers._shapes = _TOLD["shapes"]
            cloud._offers._built = dict(_TOLD["built"])
            cloud.prices.book, cloud.prices.version = _TOLD["book"], _TOLD["version"]
            cloud.prices._next_at = cloud._clock.now() + HOUR

    def another(self, settings: AwsSettings | None = None) -> AwsCloud:
        """A second controller on the same account, that remembers nothing."""
        clients = _clients(self.control.url)
        cloud = AwsCloud(
            settings or self.settings,
            clients=clients,
            objects=self.objects,
            clock=RealClock(),
            run_blocking=self.threads,
            metrics=self.metrics,
            log=self.log,
        )
        self.remember(cloud)
        return cloud

    def node_class(self, spec: Manifest, name: str = "default", **meta: object) -> EC2NodeClass:
        return decode_ec2nodeclass(
            {"metadata": {"name": name, "uid": f"uid-{name}", "generation": 1, **meta}, "spec": spec}
        )

    async def adopt(self, node_class: EC2NodeClass) -> EC2NodeClassStatus:
        """Resolve the NodeClass and keep it with its status, as the controller does."""
        status = await self.cloud.resolve(node_class)
        self.objects.classes[node_class.name] = replace(node_class, status=status)
        return status

    def controllers(self) -> list[RecordedCall]:
        """The calls of the controller's role."""
        return [call for call in self.control.calls() if f"/{NAMES.controller_role}/" in call.caller]

    def calls(self, *names: str) -> list[RecordedCall]:
        return [call for call in self.control.calls() if call.name in names or not names]


def forget_prices(cloud: AwsCloud) -> None:
    """The cloud was never told a price."""
    cloud.prices.book, cloud.prices._next_at = PriceBook(), None
    cloud.prices.version = 0


def claim_of(
    name: str,
    *,
    types: tuple[str, ...] = ("t4g.large", "m7g.large"),
    terms: tuple[str, ...] = (ON_DEMAND,),
    zones: tuple[str, ...] = (ZONE_A,),
) -> NodeClaim:
    wanted = {INSTANCE_TYPE: types, CAPACITY_TYPE: terms, ZONE: zones}
    return NodeClaim(
        meta=ObjectMeta(name, uid=f"uid-{name}", labels={NODEPOOL: "default"}),
        requirements=Requirements.of(Requirement(key, frozenset(values)) for key, values in wanted.items()),
        requests={"cpu": 500, "memory": 2**29, "pods": 1},
    )


@pytest.fixture(scope="session")
def aws() -> Iterator[BoxProcess]:
    with BoxProcess(seed=11, region=REGION) as box:
        yield box


@pytest.fixture
async def bench(aws: BoxProcess) -> AsyncIterator[Bench]:
    """The cloud acts with the controller's role, and IAM is enforced: what its policies do not allow fails."""
    control = aws.control
    control.reset()
    owner = _owners(aws.url)
    account.prepare(aws.url, region=REGION, cluster_name=CLUSTER, client=owner)
    owner("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=NODE_TRUST)
    _act_as_controller(owner)
    control.enforce_iam(on=True)
    objects, threads, metrics = KnownObjects(), Threads(), RecordedMetrics()
    settings = AwsSettings(cluster_name=CLUSTER, region=REGION, interruption_queue=NAMES.queue)
    made = Bench(control, owner, objects, threads, settings, metrics)
    await made.adopt(made.node_class(SPEC))
    _TOLD.setdefault("types", await made.cloud.types.types())
    _TOLD.setdefault("shapes", made.cloud._offers._shapes)
    _TOLD.setdefault("built", dict(made.cloud._offers._built))
    _TOLD.setdefault("version", made.cloud.prices.version)
    _TOLD.setdefault("book", await made.cloud.prices.current())
    yield made
    control.faults()
    threads.close()
    if not made.is_refused:
        assert audit(made.controllers(), controller_policies(NAMES)).refused == ()
