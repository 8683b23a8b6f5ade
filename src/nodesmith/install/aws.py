"""The AWS side of a set-up: roles, policies, queue, rules and tags, as steps over one client.

Instance profiles are not here: the controller makes one for each EC2NodeClass, and takes it away with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.install import policies
from nodesmith.install.names import DISCOVERY, OWNER, Names
from nodesmith.install.policies import Document
from nodesmith.install.setup import Finding, Step
from nodesmith.ports.errors import NotFound, Refused

RETENTION_S: Final = "300"
INTERNAL_ELB: Final = "kubernetes.io/role/internal-elb"
SPOT_SERVICE: Final = "spot.amazonaws.com"
_TARGET_ID: Final = "interruption-queue"


@dataclass(frozen=True, slots=True)
class Network:
    """What nodes are to be found by tag: subnets and security groups, by id."""

    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]


async def names_of(client: AwsClient, cluster: str) -> tuple[Names, Network]:
    """The names for a cluster, and the network that EKS says it has.

    Raises:
        NotFound: when there is no such cluster.
    """
    told = (await client.call("eks", "DescribeCluster", name=cluster))["cluster"]
    account = (await client.call("sts", "GetCallerIdentity"))["Account"]
    config = told["resourcesVpcConfig"]
    names = Names(cluster, str(account), client.region, told["identity"]["oidc"]["issuer"])
    return names, Network(tuple(config["subnetIds"]), (config["clusterSecurityGroupId"],))


def aws_steps(client: AwsClient, names: Names, network: Network) -> list[Step]:
    """Everything on the AWS side, in the order in which it is made."""
    managed = tuple(f"arn:{names.partition}:iam::aws:policy/{each}" for each in policies.NODE_POLICIES)
    own = policies.controller_policies(names)
    return [
        Role("node role", names.node_role, client, names, policies.node_trust(names), managed),
        OidcProvider(client, names),
        *(Policy(name, client, names, document) for name, document in own.items()),
        Role(
            "controller role",
            names.controller_role,
            client,
            names,
            policies.controller_trust(names),
            tuple(names.policy_arn(name) for name in own),
        ),
        SpotRole(client),
        InterruptionQueue(client, names),
        *(Rule(part, client, names) for part in policies.RULES),
        DiscoveryTags(client, names, network),
    ]


@dataclass(frozen=True, slots=True)
class Role:
    """A role that somebody may assume, with its policies attached."""

    name: str
    target: str
    client: AwsClient
    names: Names
    trust: Document
    attached: tuple[str, ...]

    async def look(self) -> Finding:
        """Whether it is there, trusts whom it should, and has its policies."""
        try:
            role = (await self.client.call("iam", "GetRole", RoleName=self.target))["Role"]
        except NotFound:
            return Finding(exists=False)
        differences = []
        if as_document(role["AssumeRolePolicyDocument"]) != self.trust:
            differences.append("the trust policy differs")
        missing = sorted(set(self.attached) - await self._attached())
        differences += [f"{arn.rpartition('/')[2]} is not attached" for arn in missing]
        return Finding(exists=True, differences=tuple(differences))

    async def ensure(self) -> None:
        """The role trusts whom it should and has its policies; more that others attached stay."""
        trust = json.dumps(self.trust)
        try:
            role = (await self.client.call("iam", "GetRole", RoleName=self.target))["Role"]
        except NotFound:
            tags = self.names.tags()
            await self.client.call("iam", "CreateRole", RoleName=self.target, AssumeRolePolicyDocument=trust, Tags=tags)
        else:
            if as_document(role["AssumeRolePolicyDocument"]) != self.trust:
                await self.client.call("iam", "UpdateAssumeRolePolicy", RoleName=self.target, PolicyDocument=trust)
        present = await self._attached()
        for arn in self.attached:
            if arn not in present:
                await self.client.call("iam", "AttachRolePolicy", RoleName=self.target, PolicyArn=arn)

    async def undo(self) -> None:
        """The role is gone, if a step made it."""
        try:
            role = (await self.client.call("iam", "GetRole", RoleName=self.target))["Role"]
        except NotFound:
            return
        if is_own(role.get("Tags"), self.names):
            for arn in sorted(await self._attached()):
                await self.client.call("iam", "DetachRolePolicy", RoleName=self.target, PolicyArn=arn)
            await self.client.call("iam", "DeleteRole", RoleName=self.target)

    async def _attached(self) -> set[str]:
        answer = await self.client.call("iam", "ListAttachedRolePolicies", RoleName=self.target)
        return {each["PolicyArn"] for each in answer["AttachedPolicies"]}


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of the account."""

    target: str
    client: AwsClient
    names: Names
    document: Document
    name: str = "controller policy"

    async def look(self) -> Finding:
        """Whether it is there and says what it should."""
        present = await self._present()
        if present is None:
            return Finding(exists=False)
        return Finding(exists=True, differences=() if present == self.document else ("the document differs",))

    async def ensure(self) -> None:
        """Its default version says what it should."""
        text, arn = json.dumps(self.document), self.names.policy_arn(self.target)
        present = await self._present()
        if present is None:
            tags = self.names.tags()
            await self.client.call("iam", "CreatePolicy", PolicyName=self.target, PolicyDocument=text, Tags=tags)
        elif present != self.document:
            await self._drop_versions(arn)
            await self.client.call("iam", "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=text, SetAsDefault=True)

    async def undo(self) -> None:
        """The policy is gone, if a step made it."""
        arn = self.names.policy_arn(self.target)
        try:
            policy = (await self.client.call("iam", "GetPolicy", PolicyArn=arn))["Policy"]
        except NotFound:
            return
        if is_own(policy.get("Tags"), self.names):
            await self._drop_versions(arn)
            await self.client.call("iam", "DeletePolicy", PolicyArn=arn)

    async def _present(self) -> Document | None:
        arn = self.names.policy_arn(self.target)
        try:
            version = (await self.client.call("iam", "GetPolicy", PolicyArn=arn))["Policy"]["DefaultVersionId"]
        except NotFound:
            return None
        told = await self.client.call("iam", "GetPolicyVersion", PolicyArn=arn, VersionId=version)
        return as_document(told["PolicyVersion"]["Document"])

    async def _drop_versions(self, arn: str) -> None:
        """IAM keeps five versions; only the one in force is needed."""
        for version in (await self.client.call("iam", "ListPolicyVersions", PolicyArn=arn))["Versions"]:
            if not version["IsDefaultVersion"]:
                await self.client.call("iam", "DeletePolicyVersion", PolicyArn=arn, VersionId=version["VersionId"])


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """IAM knows the cluster's issuer, so that service accounts can have roles."""

    client: AwsClient
    names: Names
    name: str = "OIDC provider"

    @property
    def target(self) -> str:
        """The issuer."""
        return self.names.issuer_path

    async def look(self) -> Finding:
        """Whether IAM knows it, for STS."""
        told = await self._told()
        if told is None:
            return Finding(exists=False)
        is_for_sts = "sts.amazonaws.com" in told["ClientIDList"]
        return Finding(exists=True, differences=() if is_for_sts else ("the audience sts.amazonaws.com is missing",))

    async def ensure(self) -> None:
        """IAM knows the issuer, for STS."""
        audience = "sts.amazonaws.com"
        told = await self._told()
        if told is None:
            tags = self.names.tags()
            await self.client.call(
                "iam", "CreateOpenIDConnectProvider", Url=self.names.issuer, ClientIDList=[audience], Tags=tags
            )
        elif audience not in told["ClientIDList"]:
            arn = self.names.issuer_arn
            await self.client.call(
                "iam", "AddClientIDToOpenIDConnectProvider", OpenIDConnectProviderArn=arn, ClientID=audience
            )

    async def undo(self) -> None:
        """The provider is gone, if a step made it."""
        told = await self._told()
        if told is not None and is_own(told.get("Tags"), self.names):
            arn = self.names.issuer_arn
            await self.client.call("iam", "DeleteOpenIDConnectProvider", OpenIDConnectProviderArn=arn)

    async def _told(self) -> Mapping[str, Any] | None:
        arn = self.names.issuer_arn
        try:
            return await self.client.call("iam", "GetOpenIDConnectProvider", OpenIDConnectProviderArn=arn)
        except NotFound:
            return None


@dataclass(frozen=True, slots=True)
class SpotRole:
    """The service-linked role of EC2 Spot. It is the account's, so it is never taken away."""

    client: AwsClient
    name: str = "service-linked role"
    target: str = "AWSServiceRoleForEC2Spot"

    async def look(self) -> Finding:
        """Whether the account has it."""
        try:
            await self.client.call("iam", "GetRole", RoleName=self.target)
        except NotFound:
            return Finding(exists=False)
        return Finding(exists=True)

    async def ensure(self) -> None:
        """The account has it."""
        try:
            await self.client.call("iam", "CreateServiceLinkedRole", AWSServiceName=SPOT_SERVICE)
        except Refused:
            if not (await self.look()).exists:
                raise

    async def undo(self) -> None:
        """It stays: other things in the account may use it."""


@dataclass(frozen=True, slots=True)
class InterruptionQueue:
    """The queue that interruptions come through, and who may send to it."""

    client: AwsClient
    names: Names
    name: str = "queue"

    @property
    def target(self) -> str:
        """The queue's name."""
        return self.names.queue

    async def look(self) -> Finding:
        """Whether it is there, keeps messages as short as wanted, encrypted, and EventBridge may send to it."""
        url = await self._url()
        if url is None:
            return Finding(exists=False)
        told = await self.client.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])
        present, differences = told.get("Attributes") or {}, []
        for name, wanted in self._attributes().items():
            has = present.get(name, "")
            is_same = as_document(has or "{}") == as_document(wanted) if name == "Policy" else has.lower() == wanted
            if not is_same:
                differences.append("the policy lets nobody send" if name == "Policy" and not has else f"{name} differs")
        return Finding(exists=True, differences=tuple(differences))

    async def ensure(self) -> None:
        """The queue is there with its attributes."""
        url, attributes = await self._url(), self._attributes()
        if url is None:
            tags = {OWNER: self.names.cluster}
            await self.client.call("sqs", "CreateQueue", QueueName=self.target, Attributes=attributes, tags=tags)
        else:
            await self.client.call("sqs", "SetQueueAttributes", QueueUrl=url, Attributes=attributes)

    async def undo(self) -> None:
        """The queue is gone, if a step made it."""
        url = await self._url()
        if url is not None:
            tags = (await self.client.call("sqs", "ListQueueTags", QueueUrl=url)).get("Tags") or {}
            if tags.get(OWNER) == self.names.cluster:
                await self.client.call("sqs", "DeleteQueue", QueueUrl=url)

    def _attributes(self) -> dict[str, str]:
        policy = json.dumps(policies.queue_policy(self.names))
        return {"MessageRetentionPeriod": RETENTION_S, "SqsManagedSseEnabled": "true", "Policy": policy}

    async def _url(self) -> str | None:
        try:
            return str((await self.client.call("sqs", "GetQueueUrl", QueueName=self.target))["QueueUrl"])
        except NotFound:
            return None


@dataclass(frozen=True, slots=True)
class Rule:
    """An EventBridge rule that sends one kind of event to the queue."""

    part: str
    client: AwsClient
    names: Names
    name: str = "event rule"

    @property
    def target(self) -> str:
        """The rule's name."""
        return f"Karpenter-{self.names.cluster}-{self.part}"[:64]

    async def look(self) -> Finding:
        """Whether the rule is there and on, matches what it should, and sends to the queue."""
        try:
            rule = await self.client.call("events", "DescribeRule", Name=self.target)
        except NotFound:
            return Finding(exists=False)
        differences = []
        if as_document(rule.get("EventPattern") or "{}") != self._pattern():
            differences.append("the pattern differs")
        if rule.get("State") != "ENABLED":
            differences.append("the rule is off")
        if self.names.queue_arn not in await self._targets():
            differences.append("it does not send to the queue")
        return Finding(exists=True, differences=tuple(differences))

    async def ensure(self) -> None:
        """The rule is on, and sends to the queue."""
        pattern = json.dumps(self._pattern())
        is_new = not (await self.look()).exists
        tags: dict[str, Any] = {"Tags": self.names.tags()} if is_new else {}
        await self.client.call("events", "PutRule", Name=self.target, EventPattern=pattern, State="ENABLED", **tags)
        targets = [{"Id": _TARGET_ID, "Arn": self.names.queue_arn}]
        await self.client.call("events", "PutTargets", Rule=self.target, Targets=targets)

    async def undo(self) -> None:
        """The rule is gone, if a step made it."""
        try:
            rule = await self.client.call("events", "DescribeRule", Name=self.target)
        except NotFound:
            return
        told = await self.client.call("events", "ListTagsForResource", ResourceARN=rule["Arn"])
        if is_own(told.get("Tags"), self.names):
            await self.client.call("events", "RemoveTargets", Rule=self.target, Ids=[_TARGET_ID])
            await self.client.call("events", "DeleteRule", Name=self.target)

    def _pattern(self) -> Document:
        source, detail_type = policies.RULES[self.part]
        return {"source": [source], "detail-type": [detail_type]}

    async def _targets(self) -> set[str]:
        told = await self.client.call("events", "ListTargetsByRule", Rule=self.target)
        return {each["Arn"] for each in told.get("Targets") or ()}


@dataclass(frozen=True, slots=True)
class DiscoveryTags:
    """The tags by which an EC2NodeClass finds subnets and security groups."""

    client: AwsClient
    names: Names
    network: Network
    name: str = "discovery tags"

    @property
    def target(self) -> str:
        """What is tagged."""
        count = len(self.network.subnets)
        return f"{count} subnet{'s' if count != 1 else ''}, {', '.join(self.network.security_groups)}"

    async def look(self) -> Finding:
        """Which subnets and groups are not found by tag."""
        bare = await self._bare()
        differences = tuple(f"{each} is not tagged" for each in bare)
        return Finding(exists=len(bare) < len(self._all), differences=differences)

    async def ensure(self) -> None:
        """All are found by tag; those that others tagged keep their mark."""
        bare = await self._bare()
        if bare:
            tags = [{"Key": DISCOVERY, "Value": self.names.cluster}, *self.names.tags()]
            await self.client.call("ec2", "CreateTags", Resources=list(bare), Tags=tags)

    async def undo(self) -> None:
        """The tags that a step made are gone."""
        own = [each for each, tags in (await self._tags()).items() if tags.get(OWNER) == self.names.cluster]
        if own:
            tags = [{"Key": DISCOVERY}, {"Key": OWNER}]
            await self.client.call("ec2", "DeleteTags", Resources=own, Tags=tags)

    @property
    def _all(self) -> tuple[str, ...]:
        return (*self.network.subnets, *self.network.security_groups)

    async def _bare(self) -> Sequence[str]:
        tags = await self._tags()
        return [each for each in self._all if tags[each].get(DISCOVERY) != self.names.cluster]

    async def _tags(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {each: {} for each in self._all}
        filters = [{"Name": "resource-id", "Values": list(self._all)}]
        for tag in await self.client.everything("ec2", "DescribeTags", "Tags", Filters=filters):
            found[tag["ResourceId"]][tag["Key"]] = tag["Value"]
        return found


def as_document(stated: Any) -> Document:
    """A policy document, whether the client has read it already or not."""
    document: Document = json.loads(stated) if isinstance(stated, str) else dict(stated)
    return document


def is_own(tags: Any, names: Names) -> bool:
    """Whether a step made the thing that has these tags."""
    return any((each["Key"], each["Value"]) == (OWNER, names.cluster) for each in tags or ())
