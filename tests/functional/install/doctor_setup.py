"""A set-up in which all is well: AWS in a box, set up by the install steps; a cluster with the controller in it.

The cluster is one in memory, unless a real one is given, which has its CRDs then.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import boto3

from nodesmith.adapters.aws.client import AwsClient, SessionClients
from nodesmith.adapters.aws.cloud import AwsCloud
from nodesmith.adapters.aws.objects import ClusterObjects
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.memory.cluster import MemoryCluster
from nodesmith.adapters.memory.recording import RecordedMetrics
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.api import kinds
from nodesmith.api.crd import all_crds
from nodesmith.api.kind import Kind
from nodesmith.api.meta import conditions_to_json, format_micro_time
from nodesmith.cli.doctor import settings_faults
from nodesmith.controllers.nodepool.node_class import selected_to_json
from nodesmith.install.access import access_step
from nodesmith.install.aws import aws_steps, names_of
from nodesmith.install.doctor.check import Finding, Outcome, examine
from nodesmith.install.doctor.gather.gathering import gather
from nodesmith.install.doctor.gather.sources import Credentials, Sources
from nodesmith.install.doctor.table import chosen
from nodesmith.install.identity import AGENT, Identity
from nodesmith.install.names import Names
from nodesmith.install.setup import ensure
from nodesmith.ports.cluster import Cluster
from nodesmith.sim.aws import account
from nodesmith.sim.aws.box import Box

T = TypeVar("T")
REGION = "ap-northeast-2"
CLUSTER = "demo"
SYSTEM = "kube-system"
LABELS = {"app.kubernetes.io/name": "karpenter", "app.kubernetes.io/instance": "karpenter"}
POD_NAME = "karpenter-0"


async def here(call: Callable[[], T]) -> T:
    return call()


class Setup:
    """The account, the cluster, and a doctor for both."""

    def __init__(self, box: Box, clients: SessionClients, cluster: Cluster | None = None) -> None:
        self.box = box
        self.raw = partial(clients.client, region=REGION)
        self.base = account.prepare(box.url, region=REGION, cluster_name=CLUSTER, client=self.raw)
        self.clock = RealClock()
        self.aws = AwsClient(clients, region=REGION, clock=self.clock, run_blocking=here)
        self.clients = clients
        self.ago = timedelta(0)
        self.identity = Identity.IRSA
        self.has_definitions = cluster is not None
        self.cluster = cluster or MemoryCluster(ApiServer(self._then, random.Random(1)), self.clock)
        self.names = Names(CLUSTER, "", REGION, "")

    async def make(self, identity: Identity = Identity.IRSA) -> None:
        """Everything is there, and as it should be."""
        self.identity = identity
        self.route_table = self._connect()
        self.names, network = await names_of(self.aws, CLUSTER)
        steps = [
            *aws_steps(self.aws, self.names, network, identity),
            await access_step(self.aws, self.cluster, self.names),
        ]
        await ensure(steps)
        await self._install_chart()
        await self._configure()
        await self.resolve()

    def _then(self) -> datetime:
        """The API server's time: what is made while `ago` is set is as old as that."""
        return self.clock.now() - self.ago

    async def examine(self, *numbers: str) -> dict[str, Finding]:
        """What the checks say now, by number."""
        sources = Sources(
            cluster_name=CLUSTER,
            version="0.1.0",
            aws=self.aws,
            clock=self.clock,
            cluster=self.cluster,
            tokens=self._token,
            as_somebody=self._as_somebody,
            read_settings=settings_faults,
        )
        findings = examine(await gather(sources), chosen(numbers))
        return {each.check.number: each for each in findings}

    async def examine_from_nowhere(self) -> dict[str, Finding]:
        """What the checks say without credentials and without a kubeconfig."""
        nobody = SessionClients(boto3.session.Session(region_name=REGION), endpoint_url=self.box.url)
        sources = Sources(
            cluster_name=CLUSTER,
            version="0.1.0",
            aws=AwsClient(nobody, region=REGION, clock=self.clock, run_blocking=here),
            clock=self.clock,
            cluster=None,
            why_no_cluster="there is no kubeconfig",
        )
        return {each.check.number: each for each in examine(await gather(sources), chosen(()))}

    def revision(self) -> int:
        """It goes up with every write to the cluster in memory."""
        assert isinstance(self.cluster, MemoryCluster)
        return self.cluster.server.history.revision

    async def wrong(self) -> dict[str, tuple[str, ...]]:
        """What is wrong now: failures and warnings."""
        found = await self.examine()
        return {
            number: each.found for number, each in found.items() if each.outcome in {Outcome.FAILED, Outcome.WARNING}
        }

    async def resolve(self) -> None:
        """The EC2NodeClass' status is what a controller finds now."""
        settings = AwsSettings(cluster_name=CLUSTER, region=REGION, dns_ip="10.100.0.10")
        cloud = AwsCloud(
            settings,
            clients=self.clients,
            objects=ClusterObjects(self.cluster),
            clock=self.clock,
            run_blocking=here,
            metrics=RecordedMetrics(),
        )
        node_class = await self.cluster.get(kinds.EC2_NODE_CLASS, "default")
        resolved = await cloud.resolve(replace(node_class))
        status = {**selected_to_json(resolved), "conditions": conditions_to_json(resolved.conditions)}
        await self.cluster.patch(kinds.EC2_NODE_CLASS, "default", {"status": status}, subresource="status")

    def _connect(self) -> str:
        subnet = next(iter(self.base.subnet_ids.values()))
        return connect(self.raw, subnet, self.base.vpc_id, self.base.cluster_security_group_id)

    async def _install_chart(self) -> None:
        annotations = {"eks.amazonaws.com/role-arn": self.names.role_arn(self.names.controller_role)}
        if self.identity is Identity.POD_IDENTITY:
            annotations = {}
            agent = {"metadata": {"name": AGENT, "namespace": SYSTEM}, "spec": {"template": {"spec": {}}}}
            await self.create(kinds.DAEMON_SET, agent)
        for crd in () if self.has_definitions else all_crds():
            await self.create(kinds.CUSTOM_RESOURCE_DEFINITION, crd)
        meta = {"name": "karpenter", "namespace": SYSTEM}
        await self.create(kinds.SERVICE_ACCOUNT, {"metadata": {**meta, "annotations": annotations}})
        ports: list[dict[str, Any]] = [{"name": "http-metrics", "port": 8080, "targetPort": "http-metrics"}]
        await self.create(kinds.SERVICE, {"metadata": meta, "spec": {"selector": LABELS, "ports": ports}})
        await self.create(kinds.DEPLOYMENT, {"metadata": {**meta, "labels": LABELS}, "spec": self._deployment()})
        await self.status(kinds.DEPLOYMENT, "karpenter", {"replicas": 1, "readyReplicas": 1})
        await self._run_pod()
        spec = {
            "holderIdentity": f"{POD_NAME}_6f0c",
            "leaseDurationSeconds": 3600,
            "renewTime": format_micro_time(self.clock.now()),
        }
        await self.create(kinds.LEASE, {"metadata": {**meta, "name": "karpenter-leader-election"}, "spec": spec})

    def _deployment(self) -> dict[str, Any]:
        container = {
            "name": "controller",
            "image": "registry.local/nodesmith:0.1.0",
            "args": ["run"],
            "env": [
                {"name": "CLUSTER_NAME", "value": CLUSTER},
                {"name": "INTERRUPTION_QUEUE", "value": self.names.queue},
                {"name": "METRICS_PORT", "value": "8080"},
            ],
            "ports": [{"name": "http-metrics", "containerPort": 8080}, {"name": "http", "containerPort": 8081}],
        }
        expression = {"key": "karpenter.sh/nodepool", "operator": "DoesNotExist"}
        terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
        spec = {
            "serviceAccountName": "karpenter",
            "containers": [container],
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}},
        }
        return {
            "replicas": 1,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": spec},
        }

    async def _run_pod(self) -> None:
        labels = {"eks.amazonaws.com/nodegroup": "system"}
        await self.create(kinds.NODE, {"metadata": {"name": "system-1", "labels": labels}})
        room = {"cpu": "2", "memory": "8Gi", "pods": "29"}
        await self.status(
            kinds.NODE, "system-1", {"allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]}
        )
        requests = {"requests": {"cpu": "100m", "memory": "512Mi"}}
        container = {"name": "controller", "image": "x", "resources": requests}
        spec = {"serviceAccountName": "karpenter", "nodeName": "system-1", "containers": [container]}
        await self.create(
            kinds.POD, {"metadata": {"name": POD_NAME, "namespace": SYSTEM, "labels": LABELS}, "spec": spec}
        )
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {"name": "controller", "restartCount": 0, "ready": True, "image": "x", "imageID": "x"}
            ],
        }
        await self.status(kinds.POD, POD_NAME, status)

    async def _configure(self) -> None:
        tags = {"karpenter.sh/discovery": CLUSTER}
        spec = {
            "role": self.names.node_role,
            "amiSelectorTerms": [{"alias": "al2023@latest"}],
            "subnetSelectorTerms": [{"tags": tags}],
            "securityGroupSelectorTerms": [{"tags": tags}],
        }
        await self.create(kinds.EC2_NODE_CLASS, {"metadata": {"name": "default"}, "spec": spec})
        await self.create(kinds.NODE_POOL, pool())

    async def create(self, kind: Kind[Any], manifest: dict[str, Any]) -> None:
        await self.cluster.create(kind, {"apiVersion": kind.api_version, "kind": kind.name, **manifest})

    async def status(self, kind: Kind[Any], name: str, status: dict[str, Any]) -> None:
        namespace = SYSTEM if kind.is_namespaced else ""
        await self.cluster.patch(kind, name, {"status": status}, namespace=namespace, subresource="status")

    async def _token(self, namespace: str, name: str, audience: str) -> str:
        """The box believes any token: who may assume the role is for the trust policy's checks."""
        return f"token-of-{namespace}-{name}-for-{audience}"

    def _as_somebody(self, given: Credentials) -> AwsClient:
        own = boto3.session.Session(given.access_key, given.secret_key, given.session_token, region_name=REGION)
        clients = SessionClients(own, endpoint_url=self.box.url)
        return AwsClient(clients, region=REGION, clock=self.clock, run_blocking=here)


def connect(client: Callable[[str], Any], subnet: str, vpc: str, group: str) -> str:
    """The network has what a walk-through takes for granted: a way out, and EKS' own rule in its group.

    The route table's id.
    """
    ec2 = client("ec2")
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    gateway = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    table = str(tables[0]["RouteTableId"])
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateway)
    itself = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=itself)
    return table


def pool(name: str = "default", *, requirements: Sequence[dict[str, Any]] = (), **spec: Any) -> dict[str, Any]:
    """A NodePool that buys spot and on-demand of the usual families."""
    asked = [
        {"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["c", "m", "r", "t"]},
        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot", "on-demand"]},
        *requirements,
    ]
    reference = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}
    template = {"spec": {"nodeClassRef": reference, "requirements": asked, "expireAfter": "720h"}}
    disruption = {"consolidateAfter": "1m", "consolidationPolicy": "WhenEmptyOrUnderutilized"}
    stated = {"template": template, "limits": {"cpu": "100", "memory": "400Gi"}, "disruption": disruption, **spec}
    return {"metadata": {"name": name}, "spec": stated}
