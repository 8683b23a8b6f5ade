"""The doctor on a set-up that `install` made: all is well; then one thing after another is broken, and found.

Each thing is broken by a real call, and nothing but what was broken may be found.
"""

import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from nodesmith.adapters.aws.client import SessionClients
from nodesmith.api import kinds
from nodesmith.cli import build
from nodesmith.install import policies
from nodesmith.install.aws import names_of
from nodesmith.install.awsauth import GROUPS, USERNAME
from nodesmith.install.doctor.check import Outcome
from nodesmith.install.identity import Identity
from nodesmith.install.names import DISCOVERY
from nodesmith.sim.aws.box import Box
from nodesmith.sim.aws.control import RecordedCall
from tests.functional.install.doctor_setup import REGION, SYSTEM, Setup, pool
from tests.unit.install.doctor.walkthrough import walkthrough


@pytest.fixture
def bare(box: Box, clients: SessionClients) -> Setup:
    box.reset()
    return Setup(box, clients)


@pytest.fixture
async def setup(bare: Setup) -> Setup:
    await bare.make()
    return bare


async def test_all_is_well_with_what_install_made_and_each_thing_broken_in_aws_is_found(setup: Setup) -> None:
    number, revision = setup.box.control.calls()[-1].number, setup.revision()
    assert await setup.wrong() == {}
    assert {call.name for call in setup.box.control.calls(after=number) if not is_looking(call)} == set()
    assert setup.revision() == revision
    for each in (break_tags, break_rules, break_permissions, break_identity, break_nodes, break_network):
        each(setup)
    found = await setup.wrong()
    expected = {
        "ND107": "sts.amazonaws.com is missing",
        "ND109": "system:serviceaccount:karpenter:karpenter",
        "ND111": "does not let the controller in",
        "ND121": "ec2:RunInstances on image/ami-",
        "ND125": "is not authorized to perform: ec2:RunInstances",
        "ND126": "is not authorized to perform: ec2:RunInstances",
        "ND203": "AmazonEKSWorkerNodePolicy",
        "ND205": "AmazonEKS_CNI_Policy",
        "ND208": "has no role",
        "ND211": "KarpenterNodeRole-demo is not let in",
        "ND304": "has no route out",
        "ND307": "port 10250",
        "ND308": "port 443",
        "ND321": "did you mean `karpenter.sh/discovery`?",
        "ND323": "did you mean `kubernetes.io/role/internal-elb`?",
        "ND324": "has no tag karpenter.sh/discovery=demo",
        "ND403": "has no policy",
        "ND404": "EC2 Spot Instance Interruption Warning",
        "ND405": "Karpenter-demo-ScheduledChange is disabled",
        "ND406": "Karpenter-demo-StateChange has no target",
        "ND407": "EC2 Instance Rebalance Recommendation is sent to another",
        "ND408": "345600 s",
        "ND608": "AWSServiceRoleForEC2Spot",
    }
    assert found.keys() == expected.keys()
    assert {number: words for number, words in expected.items() if words not in "\n".join(found[number])} == {}


def is_looking(call: RecordedCall) -> bool:
    """Whether a call changes nothing."""
    reads = ("Get", "List", "Describe", "AssumeRole")
    return call.action.startswith(reads) or bool(call.params.get("DryRun"))


def break_tags(setup: Setup) -> None:
    first, second, *_ = setup.base.subnet_ids.values()
    ec2, elb = setup.raw("ec2"), "kubernetes.io/role/internal-elb"
    ec2.delete_tags(Resources=[first], Tags=[{"Key": DISCOVERY}])
    ec2.create_tags(Resources=[first], Tags=[{"Key": "karpenter.sh/discovry", "Value": "demo"}])
    ec2.delete_tags(Resources=[second], Tags=[{"Key": elb}])
    ec2.create_tags(Resources=[second], Tags=[{"Key": elb.replace("internal", "interna"), "Value": "1"}])


def break_rules(setup: Setup) -> None:
    events, sqs, names = setup.raw("events"), setup.raw("sqs"), setup.names
    targets = {"Ids": ["interruption-queue"]}
    for part in ("SpotInterruption", "StateChange", "Rebalance"):
        events.remove_targets(Rule=names.rule(part), **targets)
    events.delete_rule(Name=names.rule("SpotInterruption"))
    events.disable_rule(Name=names.rule("ScheduledChange"))
    other = sqs.create_queue(QueueName="another")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=other, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_targets(Rule=names.rule("Rebalance"), Targets=[{"Id": "x", "Arn": arn}])
    url = sqs.get_queue_url(QueueName=names.queue)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": "", "MessageRetentionPeriod": "345600"})


def break_permissions(setup: Setup) -> None:
    """One action less; from here on the box refuses what the policies do not allow."""
    name, document = next(iter(policies.controller_policies(setup.names).items()))
    text = json.dumps(document).replace('"ec2:RunInstances", ', "")
    setup.raw("iam").create_policy_version(
        PolicyArn=setup.names.policy_arn(name), PolicyDocument=text, SetAsDefault=True
    )
    setup.box.control.enforce_iam(on=True)


def break_identity(setup: Setup) -> None:
    iam, names = setup.raw("iam"), setup.names
    trust = json.dumps(policies.controller_trust(names)).replace(":kube-system:", ":karpenter:")
    iam.update_assume_role_policy(RoleName=names.controller_role, PolicyDocument=trust)
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=names.issuer_arn)
    iam.create_open_id_connect_provider(Url=names.issuer, ClientIDList=["sts.amazon.com"])
    iam.delete_role(RoleName="AWSServiceRoleForEC2Spot")


def break_nodes(setup: Setup) -> None:
    iam, role = setup.raw("iam"), setup.names.node_role
    for policy in ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy"):
        iam.detach_role_policy(RoleName=role, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    (profile,) = iam.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"]
    iam.remove_role_from_instance_profile(InstanceProfileName=profile["InstanceProfileName"], RoleName=role)
    setup.raw("eks").delete_access_entry(clusterName="demo", principalArn=setup.names.role_arn(role))


def break_network(setup: Setup) -> None:
    ec2, group = setup.raw("ec2"), setup.base.cluster_security_group_id
    ec2.delete_route(RouteTableId=setup.route_table, DestinationCidrBlock="0.0.0.0/0")
    itself = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=itself)


async def test_each_thing_broken_in_the_cluster_is_found(setup: Setup) -> None:
    for each in (break_controller, break_rivals, break_pools):
        await each(setup)
    setup.box.control.cluster("demo", authentication_mode="CONFIG_MAP")
    found = await setup.wrong()
    expected = {
        "ND102": "it has eks.amazonaws.com/role-arm, which nobody reads",
        "ND211": "authentication mode CONFIG_MAP",
        "ND503": "nodepools.karpenter.sh does not know",
        "ND512": "0 of 1 pods",
        "ND513": "OOMKilled",
        "ND516": "lets it onto",
        "ND521": "karpenter/karpenter runs public.ecr.aws/karpenter/controller:1.9.0",
        "ND522": "other-1 leads by the lease in karpenter",
        "ND523": "the lease is held by other-1",
        "ND531": "settings.clusterName is dem0",
        "ND533": "BATCH_IDLE_DURATION",
        "ND535": "METRICS_PORT is 9090",
        "ND612": "did you mean `default`?",
        "ND614": "karpenter.k8s.aws/instance-family",
        "ND617": "NodePool narrow has no limits",
        "ND701": "default/huge waits for 30 min",
    }
    assert found.keys() == expected.keys()
    assert {number: words for number, words in expected.items() if words not in "\n".join(found[number])} == {}


async def break_controller(setup: Setup) -> None:
    cluster = setup.cluster
    arn = "eks.amazonaws.com/role-arn"
    account = await cluster.get(kinds.SERVICE_ACCOUNT, "karpenter", namespace=SYSTEM)
    moved = {arn: None, arn.replace("arn", "arm"): account["metadata"]["annotations"][arn]}
    await cluster.patch(kinds.SERVICE_ACCOUNT, "karpenter", {"metadata": {"annotations": moved}}, namespace=SYSTEM)
    deployment = await cluster.get(kinds.DEPLOYMENT, "karpenter", namespace=SYSTEM)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    stated = {each["name"]: each["value"] for each in container["env"]}
    stated |= {"CLUSTER_NAME": "dem0", "METRICS_PORT": "9090", "BATCH_IDLE_DURATION": "soon"}
    changed = {**container, "env": [{"name": name, "value": value} for name, value in stated.items()]}
    spec = {"template": {"spec": {"containers": [changed], "affinity": None}}}
    await cluster.patch(kinds.DEPLOYMENT, "karpenter", {"spec": spec}, namespace=SYSTEM)
    await setup.status(kinds.DEPLOYMENT, "karpenter", {"readyReplicas": 0})
    ended = {"terminated": {"reason": "OOMKilled"}}
    status = {"containerStatuses": [{"name": "controller", "restartCount": 7, "lastState": ended}]}
    await setup.status(kinds.POD, "karpenter-0", status)
    crd = await cluster.get(kinds.CUSTOM_RESOURCE_DEFINITION, "nodepools.karpenter.sh")
    (version,) = crd["spec"]["versions"]
    version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"].pop("weight")
    await cluster.patch(kinds.CUSTOM_RESOURCE_DEFINITION, "nodepools.karpenter.sh", {"spec": {"versions": [version]}})


async def break_rivals(setup: Setup) -> None:
    """Karpenter runs as well, and leads in its own namespace."""
    meta = {"name": "karpenter", "namespace": "karpenter"}
    await setup.create(kinds.NAMESPACE, {"metadata": {"name": "karpenter"}})
    image, env = "public.ecr.aws/karpenter/controller:1.9.0", [{"name": "CLUSTER_NAME", "value": "demo"}]
    template = {"spec": {"containers": [{"name": "controller", "image": image, "env": env}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "karpenter"}}, "template": template}
    await setup.create(kinds.DEPLOYMENT, {"metadata": meta, "spec": spec})
    lease = await setup.cluster.get(kinds.LEASE, "karpenter-leader-election", namespace=SYSTEM)
    held = {**lease["spec"], "holderIdentity": "other-1"}
    await setup.create(kinds.LEASE, {"metadata": {**meta, "name": "karpenter-leader-election"}, "spec": held})


async def break_pools(setup: Setup) -> None:
    family = {"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["t4"]}
    narrow = pool("narrow", requirements=[family])
    narrow["spec"].pop("limits")
    narrow["spec"]["weight"] = 10
    await setup.create(kinds.NODE_POOL, narrow)
    lost = pool("lost", weight=20)
    lost["spec"]["template"]["spec"]["nodeClassRef"]["name"] = "defualt"
    await setup.create(kinds.NODE_POOL, lost)
    setup.ago = timedelta(minutes=30)
    resources = {"requests": {"cpu": "500", "memory": "1Gi"}}
    spec = {"containers": [{"name": "main", "image": "x", "resources": resources}]}
    await setup.create(kinds.POD, {"metadata": {"name": "huge", "namespace": "default"}, "spec": spec})
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    patch = {"status": {"conditions": [waits]}}
    await setup.cluster.patch(kinds.POD, "huge", patch, namespace="default", subresource="status")
    setup.ago = timedelta(0)


async def test_all_is_well_by_pod_identity_with_own_policies_within_a_boundary(bare: Setup) -> None:
    """The policies are in the role itself, the profile is made by hand, and the nodes come by aws-auth."""
    bare.box.control.cluster("demo", authentication_mode="CONFIG_MAP")
    await bare.make(Identity.POD_IDENTITY)
    iam, names = bare.raw("iam"), bare.names
    for name, document in policies.controller_policies(names).items():
        iam.detach_role_policy(RoleName=names.controller_role, PolicyArn=names.policy_arn(name))
        iam.put_role_policy(RoleName=names.controller_role, PolicyName=name, PolicyDocument=json.dumps(document))
    everything = json.dumps(policies.document({"Effect": "Allow", "Action": "*", "Resource": "*"}))
    arn = iam.create_policy(PolicyName="boundary", PolicyDocument=everything)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=names.controller_role, PermissionsBoundary=arn)
    iam.create_instance_profile(InstanceProfileName="by-hand")
    iam.add_role_to_instance_profile(InstanceProfileName="by-hand", RoleName=names.node_role)
    spec = {"spec": {"role": None, "instanceProfile": "by-hand"}}
    await bare.cluster.patch(kinds.EC2_NODE_CLASS, "default", spec)
    await bare.resolve()
    found = await bare.examine()
    assert {n: f.found for n, f in found.items() if f.outcome in {Outcome.FAILED, Outcome.WARNING}} == {}
    expected = {
        **dict.fromkeys(("ND102", "ND108", "ND111", "ND112", "ND121", "ND122", "ND208", "ND213"), Outcome.OK),
        **dict.fromkeys(("ND106", "ND109", "ND113", "ND214"), Outcome.NOT_APPLICABLE),
        "ND125": Outcome.UNSEEN,
    }
    assert {number: found[number].outcome for number in expected} == expected


async def test_each_slip_of_a_walk_through_is_found_in_what_it_makes(bare: Setup) -> None:
    """By hand, as one would follow it: and no controller has looked at the EC2NodeClass yet."""
    bare.box.control.cluster("demo", authentication_mode="CONFIG_MAP")
    await follow_the_walk_through(bare)
    found = await bare.wrong()
    expected = {
        "ND121": "sqs:GetQueueAttributes",
        "ND123": "ec2:RunInstances on instance/*: it could launch with any tags",
        "ND303": "all subnets are in ap-northeast-2a",
        "ND323": "did you mean `kubernetes.io/role/internal-elb`?",
        "ND324": "has no tag karpenter.sh/discovery=demo",
        "ND403": "has no policy",
        "ND404": "EC2 Spot Instance Interruption Warning",
        "ND602": "no controller has looked at it",
        "ND617": "NodePool default has no limits",
        "ND620": "2 spot pools (2 types in 1 zones)",
    }
    assert found.keys() == expected.keys()
    assert {number: words for number, words in expected.items() if words not in "\n".join(found[number])} == {}


async def follow_the_walk_through(bare: Setup) -> None:
    bare.route_table = bare._connect()
    bare.names, _ = await names_of(bare.aws, "demo")
    iam, ec2, names = bare.raw("iam"), bare.raw("ec2"), bare.names
    iam.create_role(RoleName=names.node_role, AssumeRolePolicyDocument=json.dumps(policies.node_trust(names)))
    for policy in policies.NODE_POLICIES:
        iam.attach_role_policy(RoleName=names.node_role, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    iam.create_open_id_connect_provider(Url=names.issuer, ClientIDList=["sts.amazonaws.com"])
    trust = json.dumps(policies.controller_trust(names))
    iam.create_role(RoleName=names.controller_role, AssumeRolePolicyDocument=trust)
    text = json.dumps(walkthrough(names))
    arn = iam.create_policy(PolicyName="KarpenterControllerPolicy-demo", PolicyDocument=text)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=names.controller_role, PolicyArn=arn)
    iam.create_service_linked_role(AWSServiceName="spot.amazonaws.com")
    bare.raw("sqs").create_queue(QueueName=names.queue, Attributes={"MessageRetentionPeriod": "300"})
    first, *others = bare.base.subnet_ids.values()
    group = bare.base.cluster_security_group_id
    ec2.delete_tags(Resources=others, Tags=[{"Key": DISCOVERY}])
    ec2.delete_tags(Resources=[first], Tags=[{"Key": "kubernetes.io/role/internal-elb"}])
    ec2.create_tags(Resources=[first], Tags=[{"Key": "kubernetes.io/role/interna-elb", "Value": "1"}])
    ec2.create_tags(Resources=[group], Tags=[{"Key": DISCOVERY, "Value": "demo"}])
    entry = {"rolearn": names.role_arn(names.node_role), "username": USERNAME, "groups": list(GROUPS)}
    metadata = {"name": "aws-auth", "namespace": SYSTEM}
    await bare.create(kinds.CONFIG_MAP, {"metadata": metadata, "data": {"mapRoles": yaml.safe_dump([entry])}})
    await bare._install_chart()
    await bare._configure()
    narrow = pool(
        requirements=[
            {"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["t4g"]},
            {"key": "karpenter.k8s.aws/instance-cpu", "operator": "In", "values": ["2", "4"]},
            {"key": "karpenter.k8s.aws/instance-memory", "operator": "In", "values": ["8192", "16384"]},
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["ap-northeast-2a"]},
        ]
    )
    await bare.cluster.patch(kinds.NODE_POOL, "default", {"spec": {**narrow["spec"], "limits": None}})


async def test_without_credentials_and_without_a_cluster_the_rest_could_not_be_looked_at(bare: Setup) -> None:
    found = await bare.examine_from_nowhere()
    outcomes = {number: each.outcome for number, each in found.items()}
    assert outcomes["ND001"] is Outcome.FAILED
    assert outcomes["ND006"] is Outcome.FAILED
    rest = {outcome for number, outcome in outcomes.items() if number not in {"ND001", "ND006"}}
    assert rest <= {Outcome.UNSEEN, Outcome.NOT_APPLICABLE}


def test_the_command_looks_with_the_users_credentials_and_says_that_it_has_no_kubeconfig(
    bare: Setup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    place = ["--region", REGION, "--endpoint-url", bare.box.url, "--kubeconfig", str(tmp_path / "none")]
    result = CliRunner().invoke(build(["doctor"]), ["doctor", "--cluster", "demo", *place, "-o", "json"])
    told = {each["check"]: each for each in json.loads(result.output)["findings"]}
    assert result.exit_code == 1
    assert {number: told[number]["outcome"] for number in ("ND001", "ND003", "ND005", "ND006")} == {
        "ND001": "ok",
        "ND003": "ok",
        "ND005": "ok",
        "ND006": "failed",
    }
    assert "kubeconfig" in told["ND006"]["found"][0]
    result = CliRunner().invoke(build(["doctor"]), ["doctor", "--cluster", "demmo", *place, "--check", "nd003"])
    assert result.exit_code == 1
    assert "did you mean `demo`?" in result.output
