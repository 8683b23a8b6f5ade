"""A box in its own process, an account with a ready NodeClass, and a cloud on it."""

from __future__ import annotations

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
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.memory.recording import RecordedMetrics
from nodesmith.api.ec2nodeclass import EC2NodeClass, EC2NodeClassStatus, decode_ec2nodeclass
from nodesmith.api.kind import Manifest
from nodesmith.model.labels import CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, ON_DEMAND, ZONE
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.sim.aws import account
from nodesmith.sim.aws.control import Control, RecordedCall
from nodesmith.sim.aws.process import BoxProcess

REGION = "ap-northeast-2"
CLUSTER = "demo"
ZONE_A = f"{REGION}a"
ROLE = "KarpenterNodeRole-demo"
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
def _clients(url: str) -> SessionClients:
    """boto3 takes a while to make a client, so all tests share them."""
    return SessionClients(boto3.session.Session("testing", "testing", region_name=REGION), endpoint_url=url)


@cache
def _made_clients(url: str) -> Callable[[str], Any]:
    return account.clients(url, REGION)


@dataclass
class KnownObjects:
    """The cluster's objects, as a test sets them."""

    classes: dict[str, EC2NodeClass] = field(default_factory=dict)
    pools: list[NodePool] = field(default_factory=lambda: [NodePool(meta=ObjectMeta("default"))])
    claims: list[NodeClaim] = field(default_factory=list)

    async def node_class(self, name: str) -> EC2NodeClass | None:
        return self.classes.get(name)

    async def node_pools(self) -> list[NodePool]:
        return self.pools

    async def node_claims(self) -> list[NodeClaim]:
        return self.claims


@dataclass
class Bench:
    """A cloud on a box with an account."""

    control: Control
    objects: KnownObjects
    threads: Threads
    settings: AwsSettings
    metrics: RecordedMetrics
    cloud: AwsCloud = field(init=False)

    def __post_init__(self) -> None:
        self.cloud = self.another()

    def remember(self, cloud: AwsCloud) -> None:
        """Give the cloud the types and prices that an earlier test was told: the box never changes them."""
        if _TOLD:
            cloud.types._cache.set("", _TOLD["types"])
            cloud._offers._shapes = _TOLD["shapes"]
            cloud.prices.book = _TOLD["book"]
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

    def calls(self, *names: str) -> list[RecordedCall]:
        return [call for call in self.control.calls() if call.name in names or not names]


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
    control = aws.control
    control.reset()
    make = _made_clients(aws.url)
    account.prepare(aws.url, region=REGION, cluster_name=CLUSTER, client=make)
    make("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=NODE_TRUST)
    objects, threads, metrics = KnownObjects(), Threads(), RecordedMetrics()
    settings = AwsSettings(cluster_name=CLUSTER, region=REGION)
    made = Bench(control, objects, threads, settings, metrics)
    await made.adopt(made.node_class(SPEC))
    _TOLD.setdefault("types", await made.cloud.types.types())
    _TOLD.setdefault("shapes", made.cloud._offers._shapes)
    _TOLD.setdefault("book", await made.cloud.prices.current())
    yield made
    control.faults()
    threads.close()
