"""The AWS side of a set-up, against AWS in a box over HTTP."""

import json

import yaml

from nodesmith.api.kinds import CONFIG_MAP
from nodesmith.install import policies
from nodesmith.install.access import AccessEntry, access_step
from nodesmith.install.aws import aws_steps, names_of
from nodesmith.install.awsauth import AwsAuth
from nodesmith.install.names import DISCOVERY, Names
from nodesmith.install.setup import Action, Step, ensure, plan, undo
from nodesmith.sim.aws.control import Inventory
from tests.functional.install.bench import REGION, Bench

POLICY_LIMIT = 6144


async def steps_of(bench: Bench) -> list[Step]:
    names, network = await names_of(bench.client, "demo")
    return [*aws_steps(bench.client, names, network), await access_step(bench.client, bench.cluster, names)]


def inventory(bench: Bench) -> Inventory:
    return bench.box.control.inventory()


async def test_a_bare_account_gets_everything_and_a_second_run_changes_nothing(bench: Bench) -> None:
    steps = await steps_of(bench)
    assert {row.action for row in await plan(steps)} == {Action.CREATE}
    await ensure(steps)
    assert {(row.step, row.action) for row in await plan(steps) if row.action is not Action.KEEP} == set()
    number = bench.box.control.calls()[-1].number
    assert {row.action for row in await ensure(steps)} == {Action.KEEP}
    assert bench.writes(number) == []


async def test_what_was_made_is_taken_back_and_nothing_else(bench: Bench) -> None:
    before = inventory(bench)
    bench.raw("iam").create_role(RoleName="somebody-elses", AssumeRolePolicyDocument=json.dumps(policies.document()))
    steps = await steps_of(bench)
    await ensure(steps)
    await undo(steps)
    await undo(steps)
    assert inventory(bench).beyond(before) == {"roles": ["somebody-elses"]}
    left = bench.raw("ec2").describe_tags(Filters=[{"Name": "key", "Values": [DISCOVERY]}])["Tags"]
    assert [tag["ResourceId"] for tag in left] == [bench.base.security_group_id]


async def test_what_others_made_is_adopted_completed_and_left(bench: Bench) -> None:
    names, _ = await names_of(bench.client, "demo")
    trust = json.dumps(policies.node_trust(names))
    bench.raw("iam").create_role(RoleName=names.node_role, AssumeRolePolicyDocument=trust)
    queue = bench.raw("sqs").create_queue(QueueName=names.queue, Attributes={"MessageRetentionPeriod": "300"})
    steps = await steps_of(bench)
    rows = {row.step: row for row in await ensure(steps)}
    assert rows["node role"].action is Action.CHANGE
    assert "AmazonEKS_CNI_Policy is not attached" in rows["node role"].reason
    assert rows["queue"].action is Action.CHANGE
    assert "lets nobody send" in rows["queue"].reason
    await undo(steps)
    assert names.node_role in inventory(bench).of("roles")
    assert queue["QueueUrl"].rpartition("/")[2] in "".join(inventory(bench).of("queues"))


async def test_what_drifted_is_put_right(bench: Bench) -> None:
    steps = await steps_of(bench)
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
    await ensure(await steps_of(bench))
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
