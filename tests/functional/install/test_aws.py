"""The AWS side of a set-up, against AWS in a box over HTTP."""

import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import boto3
import pytest
import yaml

from nodesmith.adapters.aws.client import AwsClient, SessionClients
from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.memory.cluster import MemoryCluster
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.api.kinds import CONFIG_MAP
from nodesmith.install import policies
from nodesmith.install.access import AccessEntry, AwsAuth, access_step
from nodesmith.install.aws import aws_steps, names_of
from nodesmith.install.names import DISCOVERY, Names
from nodesmith.install.setup import Action, Step, ensure, plan, undo
from nodesmith.sim.aws import account
from nodesmith.sim.aws.box import Box
from nodesmith.sim.aws.control import Inventory

T = TypeVar("T")
REGION = "ap-northeast-2"
POLICY_LIMIT = 6144


class Bench:
    """An account with a cluster, and the installer's client."""

    def __init__(self, box: Box, clients: SessionClients) -> None:
        self.box = box
        self.raw = partial(clients.client, region=REGION)
        self.base = account.prepare(box.url, region=REGION, cluster_name="demo", client=self.raw)
        clock = RealClock()
        self.client = AwsClient(clients, region=REGION, clock=clock, run_blocking=here)
        self.cluster = MemoryCluster(ApiServer(clock.now, random.Random(1)), clock)
        ids = [*self.base.subnet_ids.values(), self.base.cluster_security_group_id]
        self.raw("ec2").delete_tags(Resources=ids, Tags=[{"Key": DISCOVERY}])

    async def steps(self) -> list[Step]:
        names, network = await names_of(self.client, "demo")
        return [*aws_steps(self.client, names, network), await access_step(self.client, self.cluster, names)]

    def inventory(self) -> Inventory:
        return self.box.control.inventory()

    def writes(self, after: int) -> list[str]:
        """The calls since then that change something."""
        reads = ("Get", "List", "Describe")
        return [call.name for call in self.box.control.calls(after=after) if not call.action.startswith(reads)]


async def here(call: Callable[[], T]) -> T:
    return call()


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(seed=5, region=REGION) as running:
        yield running


@pytest.fixture(scope="module")
def clients(box: Box) -> SessionClients:
    """Made once: each takes a tenth of a second or more."""
    session = boto3.session.Session("testing", "testing", region_name=REGION)
    return SessionClients(session, endpoint_url=box.url)


@pytest.fixture
def bench(box: Box, clients: SessionClients) -> Bench:
    box.reset()
    return Bench(box, clients)


async def test_a_bare_account_gets_everything_and_a_second_run_changes_nothing(bench: Bench) -> None:
    steps = await bench.steps()
    assert {row.action for row in await plan(steps)} == {Action.CREATE}
    await ensure(steps)
    assert {(row.step, row.action) for row in await plan(steps) if row.action is not Action.KEEP} == set()
    number = bench.box.control.calls()[-1].number
    assert {row.action for row in await ensure(steps)} == {Action.KEEP}
    assert bench.writes(number) == []


async def test_what_was_made_is_taken_back_and_nothing_else(bench: Bench) -> None:
    before = bench.inventory()
    bench.raw("iam").create_role(RoleName="somebody-elses", AssumeRolePolicyDocument=json.dumps(policies.document()))
    steps = await bench.steps()
    await ensure(steps)
    await undo(steps)
    await undo(steps)
    assert bench.inventory().beyond(before) == {"roles": ["somebody-elses"]}
    left = bench.raw("ec2").describe_tags(Filters=[{"Name": "key", "Values": [DISCOVERY]}])["Tags"]
    assert [tag["ResourceId"] for tag in left] == [bench.base.security_group_id]


async def test_what_others_made_is_adopted_completed_and_left(bench: Bench) -> None:
    names, _ = await names_of(bench.client, "demo")
    trust = json.dumps(policies.node_trust(names))
    bench.raw("iam").create_role(RoleName=names.node_role, AssumeRolePolicyDocument=trust)
    queue = bench.raw("sqs").create_queue(QueueName=names.queue, Attributes={"MessageRetentionPeriod": "300"})
    steps = await bench.steps()
    rows = {row.step: row for row in await ensure(steps)}
    assert rows["node role"].action is Action.CHANGE
    assert "AmazonEKS_CNI_Policy is not attached" in rows["node role"].reason
    assert rows["queue"].action is Action.CHANGE
    assert "lets nobody send" in rows["queue"].reason
    await undo(steps)
    assert names.node_role in bench.inventory().of("roles")
    assert queue["QueueUrl"].rpartition("/")[2] in "".join(bench.inventory().of("queues"))


async def test_what_drifted_is_put_right(bench: Bench) -> None:
    steps = await bench.steps()
    await ensure(steps)
    names, _ = await names_of(bench.client, "demo")
    iam, events = bench.raw("iam"), bench.raw("events")
    policy = next(iter(policies.controller_policies(names)))
    nothing = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
    iam.create_policy_version(PolicyArn=names.policy_arn(policy), PolicyDocument=nothing, SetAsDefault=True)
    iam.update_assume_role_policy(RoleName=names.controller_role, PolicyDocument=json.dumps(policies.node_trust(names)))
    events.disable_rule(Name=f"Karpenter-{names.cluster}-SpotInterruption")
    changed = {row.target: row.reason for row in await ensure(steps) if row.action is not Action.KEEP}
    assert changed == {
        policy: "the document differs",
        names.controller_role: "the trust policy differs",
        "Karpenter-demo-SpotInterruption": "the rule is off",
    }
    assert {row.action for row in await plan(steps)} == {Action.KEEP}


async def test_an_interruption_reaches_the_queue(bench: Bench) -> None:
    await ensure(await bench.steps())
    names, _ = await names_of(bench.client, "demo")
    detail = {"instance-id": "i-1", "instance-action": "terminate"}
    bench.box.control.event("aws.ec2", "EC2 Spot Instance Interruption Warning", detail)
    url = bench.raw("sqs").get_queue_url(QueueName=names.queue)["QueueUrl"]
    (message,) = bench.raw("sqs").receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"])["detail"] == detail


async def test_aws_auth_is_merged_and_given_back(bench: Bench) -> None:
    bench.box.control.cluster("demo", authentication_mode="CONFIG_MAP")
    theirs = [{"rolearn": "arn:aws:iam::1:role/admin", "username": "admin", "groups": ["system:masters"]}]
    before = {"mapRoles": yaml.safe_dump(theirs), "mapUsers": "[]"}
    metadata = {"name": "aws-auth", "namespace": "kube-system"}
    await bench.cluster.create(CONFIG_MAP, {"metadata": metadata, "data": before})
    names, _ = await names_of(bench.client, "demo")
    step = await access_step(bench.client, bench.cluster, names)
    assert isinstance(step, AwsAuth)
    await ensure([step])
    stated = await bench.cluster.get(CONFIG_MAP, "aws-auth", namespace="kube-system")
    rows = yaml.safe_load(stated["data"]["mapRoles"])
    assert rows[0] == theirs[0]
    assert rows[1]["rolearn"] == names.role_arn(names.node_role)
    assert rows[1]["groups"] == ["system:bootstrappers", "system:nodes"]
    assert stated["data"]["mapUsers"] == "[]"
    assert (await step.look()).action is Action.KEEP
    await undo([step])
    stated = await bench.cluster.get(CONFIG_MAP, "aws-auth", namespace="kube-system")
    assert yaml.safe_load(stated["data"]["mapRoles"]) == theirs


async def test_a_mode_with_api_gets_an_access_entry(bench: Bench) -> None:
    names, _ = await names_of(bench.client, "demo")
    step = await access_step(bench.client, bench.cluster, names)
    assert isinstance(step, AccessEntry)


def test_no_policy_is_longer_than_iam_allows() -> None:
    names = Names("a-cluster-with-a-name-of-forty-characters", "123456789012", REGION, "https://oidc.example/id/A")
    for name, document in policies.controller_policies(names).items():
        assert len(json.dumps(document, separators=(",", ":"))) <= POLICY_LIMIT, name


def test_the_controller_is_who_the_chart_says() -> None:
    names = Names("demo", "123456789012", REGION, "https://oidc.example/id/A")
    condition = policies.controller_trust(names)["Statement"][0]["Condition"]["StringEquals"]
    assert condition["oidc.example/id/A:sub"] == "system:serviceaccount:kube-system:karpenter"
