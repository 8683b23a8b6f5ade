"""An account with a cluster in the box, a cluster in memory, and what is in them, to be compared."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import yaml
from moto.ec2.models import ec2_backends
from moto.eks.models import eks_backends
from moto.events.models import events_backends
from moto.iam.models import iam_backends
from moto.sqs.models import sqs_backends

from nodesmith.adapters.aws.client import AwsClient, SessionClients
from nodesmith.adapters.memory.cluster import MemoryCluster
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.api.kinds import ALL, DEPLOYMENT, SERVICE_ACCOUNT
from nodesmith.install.assemble import Site, Wishes, arriving_steps, in_use, leaving_steps
from nodesmith.install.aws import names_of
from nodesmith.install.chart import chart_version, shipped_chart
from nodesmith.install.documents import as_document
from nodesmith.install.helm import DEPLOYED, Release
from nodesmith.install.names import DISCOVERY
from nodesmith.install.setup import Step
from nodesmith.ports.errors import NotFound
from nodesmith.sim.aws import account
from nodesmith.sim.aws.box import Box

T = TypeVar("T")
REGION = "ap-northeast-2"
ACCOUNT = "123456789012"
READS = ("Get", "List", "Describe")
SERVICE_ROLES = "/aws-service-role/"


async def here(call: Callable[[], T]) -> T:
    return call()


class JumpingClock:
    """A clock on which waiting takes no time."""

    def __init__(self) -> None:
        self._time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self._time

    def monotonic(self) -> float:
        return self._time.timestamp()

    async def sleep(self, duration: timedelta) -> None:
        self._time += duration


class MemoryReleases:
    """Releases that make what the installer looks at: a Deployment and a ServiceAccount."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.found: dict[tuple[str, str], Release] = {}
        self.recovered: list[str] = []

    async def find(self, name: str, namespace: str) -> Release | None:
        return self.found.get((name, namespace))

    async def upgrade(self, name: str, namespace: str, chart: Path, values: Mapping[str, Any]) -> None:
        self.found[name, namespace] = Release(name, namespace, chart_version(chart), DEPLOYED, values)
        labels = {"app.kubernetes.io/name": "karpenter", "helm.sh/chart": chart_version(chart)}
        queue = {"name": "INTERRUPTION_QUEUE", "value": values["settings"]["interruptionQueue"]}
        container = {"name": "controller", "image": "nodesmith", "env": [queue]}
        selector = {"matchLabels": {"app": name}}
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
        marks = values.get("additionalAnnotations") or {}
        metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": marks}
        account = {"metadata": {"name": name, "namespace": namespace, **values["serviceAccount"]}}
        self._put(SERVICE_ACCOUNT, account)
        self._put(DEPLOYMENT, {"metadata": metadata, "spec": {"selector": selector, "template": template}})

    async def recover(self, release: Release) -> None:
        self.recovered.append(release.status)
        del self.found[release.name, release.namespace]

    async def uninstall(self, name: str, namespace: str) -> None:
        del self.found[name, namespace]
        for kind in (DEPLOYMENT, SERVICE_ACCOUNT):
            self._server.delete(kind, name, namespace=namespace)

    def _put(self, kind: Any, manifest: dict[str, Any]) -> None:
        name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
        try:
            self._server.get(kind, name, namespace=namespace)
        except NotFound:
            self._server.create(kind, manifest)
        else:
            self._server.patch(kind, name, manifest, namespace=namespace)


class Bench:
    """An account with a cluster, and the installer's client."""

    def __init__(self, box: Box, clients: SessionClients, *, mode: str = "API_AND_CONFIG_MAP") -> None:
        self.box = box
        self.raw = partial(clients.client, region=REGION)
        self.base = account.prepare(box.url, region=REGION, cluster_name="demo", client=self.raw)
        box.control.cluster("demo", authentication_mode=mode)
        self.clock = JumpingClock()
        self.client = AwsClient(clients, region=REGION, clock=self.clock, run_blocking=here)
        self.server = ApiServer(self.clock.now, random.Random(1))
        self.cluster = MemoryCluster(self.server, self.clock)
        self.releases = MemoryReleases(self.server)
        ids = [*self.base.subnet_ids.values(), self.base.cluster_security_group_id]
        self.raw("ec2").delete_tags(Resources=ids, Tags=[{"Key": DISCOVERY}])

    async def site(self, **changes: Any) -> Site:
        names, network = await names_of(self.client, "demo")
        used = await in_use(self.cluster, names)
        site = Site(self.client, self.cluster, self.clock, self.releases, shipped_chart(), used, network)
        return replace(site, **changes)

    def writes(self, after: int) -> list[str]:
        """The calls since then that change something."""
        return [call.name for call in self.box.control.calls(after=after) if not call.action.startswith(READS)]

    def last_call(self) -> int:
        return self.box.control.calls()[-1].number

    def state(self) -> dict[str, Any]:
        """Everything that is in the account and in the cluster."""
        return {**box_state(), **cluster_state(self.server)}

    async def arriving(self, *names: str, wishes: Wishes = Wishes()) -> list[Step]:  # noqa: B008 - frozen
        """The steps of these names, or all."""
        return _of(names, await arriving_steps(await self.site(), wishes))

    async def leaving(self, *names: str, **more: Any) -> list[Step]:
        """The steps back of these names, or all."""
        return _of(names, await leaving_steps(await self.site(), **{"tell": print, **more}))


def _of(names: tuple[str, ...], steps: list[Step]) -> list[Step]:
    return [step for step in steps if not names or step.name in names]


IN_CLUSTER = ("namespace", "CRDs", "lease", "controller", "EC2NodeClass", "nodes", "NodePool")
"""The steps that ask AWS nothing."""


def box_state() -> dict[str, Any]:
    """What `account_state` tells of an account, from the books of the box in this process: quicker, as it is asked often."""
    iam: Any = iam_backends[ACCOUNT]["aws"]
    bus: Any = events_backends[ACCOUNT][REGION].describe_event_bus("default")
    eks: Any = eks_backends[ACCOUNT][REGION]
    ec2: Any = ec2_backends[ACCOUNT][REGION]
    state: dict[str, Any] = {}
    for role in iam.roles.values():
        if not role.path.startswith(SERVICE_ROLES):
            trust, attached = as_document(role.assume_role_policy_document), sorted(role.managed_policies)
            state[f"role {role.name}"] = (trust, _tags(role.tags), attached)
    for policy in iam.managed_policies.values():
        if ":aws:policy/" not in policy.arn:
            versions = [(each.version_id, each.is_default, as_document(each.document)) for each in policy.versions]
            state[f"policy {policy.name}"] = (versions, _tags(policy.tags))
    for arn, provider in iam.open_id_providers.items():
        state[f"provider {arn}"] = (list(provider.client_id_list), _tags(provider.tags))
    for name, queue in sqs_backends[ACCOUNT][REGION].queues.items():
        attributes = {k: v for k, v in queue.attributes.items() if "Timestamp" not in k and v}
        state[f"queue {name}"] = (attributes, queue.policy or {}, dict(queue.tags or {}))
    for name, rule in bus.rules.items():
        tags = events_backends[ACCOUNT][REGION].list_tags_for_resource(rule.arn)
        state[f"rule {name}"] = (rule.event_pattern.dump(), rule.state, list(rule.targets), tags)
    kept = {key: dict(tags) for key, tags in ec2.tags.items() if key.startswith(("subnet-", "sg-", "vpc-")) and tags}
    state["tags"] = kept
    state["entries"] = {arn: (entry["type"], entry["tags"]) for (_, arn), entry in eks.access_entries.items()}
    state["associations"] = [(each["serviceAccount"], each["roleArn"]) for each in eks.pod_identities.values()]
    state["add-ons"] = sorted(eks.addons._installed)
    return state


def _tags(tags: Any) -> dict[str, str]:
    found = tags.values() if isinstance(tags, dict) else tags or ()
    return {each["Key"]: each["Value"] for each in found}


def account_state(raw: Callable[[str], Any], cluster: str = "demo") -> dict[str, Any]:
    """What a set-up can change in AWS, in full; the account's service-linked roles stay for everybody."""
    iam, sqs, events, eks = raw("iam"), raw("sqs"), raw("events"), raw("eks")
    state: dict[str, Any] = {}
    for role in iam.list_roles()["Roles"]:
        if not role["Path"].startswith(SERVICE_ROLES):
            state[f"role {role['RoleName']}"] = _role(iam, role["RoleName"])
    for policy in iam.list_policies(Scope="Local")["Policies"]:
        arn, version = policy["Arn"], policy["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        state[f"policy {policy['PolicyName']}"] = (version, document, iam.get_policy(PolicyArn=arn)["Policy"]["Tags"])
    for provider in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        told = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider["Arn"])
        state[f"provider {provider['Arn']}"] = (told["ClientIDList"], told.get("Tags"))
    for url in sqs.list_queues().get("QueueUrls") or ():
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        attributes = {k: v for k, v in attributes.items() if "Timestamp" not in k and v}
        state[f"queue {url}"] = (attributes, sqs.list_queue_tags(QueueUrl=url).get("Tags"))
    for rule in events.list_rules()["Rules"]:
        tags = events.list_tags_for_resource(ResourceARN=rule["Arn"]).get("Tags")
        state[f"rule {rule['Name']}"] = (rule, events.list_targets_by_rule(Rule=rule["Name"])["Targets"], tags)
    # The tags of an instance that has ended are shown for an hour.
    lasting = [{"Name": "resource-type", "Values": ["subnet", "security-group", "vpc"]}]
    tags = raw("ec2").describe_tags(Filters=lasting)["Tags"]
    state["tags"] = sorted((tag["ResourceId"], tag["Key"], tag["Value"]) for tag in tags)
    state["entries"] = eks.list_access_entries(clusterName=cluster)["accessEntries"]
    state["add-ons"] = eks.list_addons(clusterName=cluster)["addons"]
    found = eks.list_pod_identity_associations(clusterName=cluster)["associations"]
    state["associations"] = [(each["namespace"], each["serviceAccount"]) for each in found]
    return state


def _role(iam: Any, name: str) -> Any:
    role = iam.get_role(RoleName=name)["Role"]
    attached = sorted(p["PolicyArn"] for p in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"])
    return role["AssumeRolePolicyDocument"], role.get("Tags"), attached


def cluster_state(server: ApiServer) -> dict[str, Any]:
    """Every object, without what any change changes."""
    return {
        f"{kind.name} {key}": _without_empty(stored.manifest)
        for kind in ALL
        for key, stored in server.history.table(kind).items()
    }


def _without_empty(value: Any, *, drops: tuple[str, ...] = ("resourceVersion", "generation")) -> Any:
    if isinstance(value, Mapping):
        kept = {key: _without_empty(inner) for key, inner in value.items() if key not in drops}
        return {key: inner for key, inner in kept.items() if inner not in ({}, [], None)}
    return [_without_empty(each) for each in value] if isinstance(value, list | tuple) else value


THEIRS = [{"rolearn": "arn:aws:iam::1:role/admin", "username": "admin", "groups": ["system:masters"]}]


def aws_auth(text: str = "") -> dict[str, Any]:
    metadata = {"name": "aws-auth", "namespace": "kube-system"}
    return {"metadata": metadata, "data": {"mapRoles": text or yaml.safe_dump(THEIRS), "mapUsers": "[]"}}
