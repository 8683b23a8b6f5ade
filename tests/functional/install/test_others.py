"""What others made is recognised: adopted or left, never doubled, never broken, and as it was in the end."""

import json
from dataclasses import replace
from typing import Any

import pytest

from nodesmith.api.kinds import DEPLOYMENT, EC2_NODE_CLASS, NAMESPACE, NODE_POOL, SERVICE_ACCOUNT
from nodesmith.install.assemble import Wishes, arriving_steps, in_use, leaving_steps
from nodesmith.install.aws import names_of
from nodesmith.install.helm import DEPLOYED, Release
from nodesmith.install.policies import controller_policies, controller_trust, document, node_trust
from nodesmith.install.pools import node_class
from nodesmith.install.setup import Action, Row, StepFailed, ensure, leaving_plan, plan, undo
from tests.functional.install import walkthrough
from tests.functional.install.bench import IN_CLUSTER, Bench

ROLES = ("node role", "controller policy", "controller role")


async def planned(bench: Bench, *names: str) -> dict[str, Row]:
    return {row.step: row for row in await plan(await bench.arriving(*names))}


async def install(bench: Bench, *names: str) -> list[Row]:
    return await ensure(await bench.arriving(*names))


async def uninstall(bench: Bench, *names: str) -> list[Row]:
    return await undo(await bench.leaving(*names))


@pytest.mark.parametrize("mode", ["CONFIG_MAP", "API_AND_CONFIG_MAP"])
async def test_the_users_terraform_is_completed_and_given_back(bench: Bench, mode: str) -> None:
    bench.box.control.cluster("demo", authentication_mode=mode)
    names, _ = await names_of(bench.client, "demo")
    await walkthrough.apply(bench, names)
    before = bench.state()
    rows = await planned(bench)
    kept = {step for step, row in rows.items() if row.action is Action.KEEP}
    access = "aws-auth entry" if mode == "CONFIG_MAP" else "access entry"
    assert kept == {"namespace", "node role", "OIDC provider", "service-linked role", "discovery tags", access}
    assert rows["queue"].reason == "the policy lets nobody send"
    assert "KarpenterControllerNodeLifecyclePolicy-demo is not attached" in rows["controller role"].reason
    await install(bench)
    inventory = bench.box.control.inventory()
    assert [name for name in inventory.of("roles") if "arpenter" in name] == [
        "KarpenterControllerRole-demo",
        "KarpenterNodeRole-demo",
    ]
    assert len(inventory.of("queues")) == len(inventory.of("oidc_providers")) == 1
    attached = bench.raw("iam").list_attached_role_policies(RoleName="KarpenterControllerRole-demo")
    names_attached = {each["PolicyName"] for each in attached["AttachedPolicies"]}
    assert names_attached == {"KarpenterContollerPolicy-demo", *controller_policies(names)}
    number = bench.last_call()
    assert {row.action for row in await install(bench)} == {Action.KEEP}
    assert bench.writes(number) == []
    await uninstall(bench)
    assert bench.state() == before


async def test_roles_that_trust_others_go_on_trusting_them(bench: Bench) -> None:
    names, _ = await names_of(bench.client, "demo")
    iam = bench.raw("iam")
    theirs = replace(names, namespace="karpenter")
    iam.create_open_id_connect_provider(Url=names.issuer, ClientIDList=["sts.amazonaws.com"])
    for role, trust in ((names.node_role, node_trust(names)), (names.controller_role, controller_trust(theirs))):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
    before = bench.state()
    rows = await planned(bench, *ROLES)
    assert "the trust policy does not let it be used so" in rows["controller role"].reason
    await install(bench, *ROLES)
    stated = iam.get_role(RoleName=names.controller_role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert stated[0] == controller_trust(theirs)["Statement"][0]
    assert len(stated) == 2
    assert (await planned(bench, *ROLES))["controller role"].action is Action.KEEP
    await uninstall(bench, *ROLES)
    assert bench.state() == before


async def test_a_policy_of_the_same_name_is_given_back(bench: Bench) -> None:
    names, _ = await names_of(bench.client, "demo")
    name = next(iter(controller_policies(names)))
    nothing = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    bench.raw("iam").create_policy(PolicyName=name, PolicyDocument=json.dumps(document(nothing)))
    before = bench.state()
    await install(bench, "controller policy")
    number = bench.last_call()
    assert {row.action for row in await install(bench, "controller policy")} == {Action.KEEP}
    assert bench.writes(number) == []
    await uninstall(bench, "controller policy")
    assert bench.state() == before


async def test_names_that_are_in_use_are_set_up_and_no_others(bench: Bench) -> None:
    names, _ = await names_of(bench.client, "demo")
    arn = names.role_arn("team-karpenter")
    account = {"name": "karpenter", "namespace": "kube-system", "annotations": {"eks.amazonaws.com/role-arn": arn}}
    await bench.cluster.create(SERVICE_ACCOUNT, {"metadata": account})
    theirs = {**node_class(replace(names, chosen_node_role="team-nodes")), "metadata": {"name": "mine"}}
    await bench.cluster.create(EC2_NODE_CLASS, theirs)
    await install(bench, *ROLES, "CRDs", "EC2NodeClass", "NodePool")
    roles = bench.box.control.inventory().of("roles")
    assert [role for role in roles if role != "demo-cluster"] == ["team-karpenter", "team-nodes"]
    pool = bench.server.get(NODE_POOL, "default")
    assert pool["spec"]["template"]["spec"]["nodeClassRef"]["name"] == "mine"
    assert len(bench.server.list(EC2_NODE_CLASS)) == 1


async def test_a_rule_of_others_that_does_the_same_is_enough(bench: Bench) -> None:
    names, _ = await names_of(bench.client, "demo")
    events = bench.raw("events")
    pattern = {"source": ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning"]}
    events.put_rule(Name="theirs", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="theirs", Targets=[{"Id": "1", "Arn": names.queue_arn}])
    await install(bench, "event rule")
    rules = bench.box.control.inventory().of("rules")
    assert "theirs" in rules
    assert "Karpenter-demo-SpotInterruption" not in rules
    assert len(rules) == 5


async def test_nodepools_of_others_stop_taking_back_until_that_is_wanted(bench: Bench) -> None:
    await install(bench, *IN_CLUSTER)
    ours = bench.server.get(NODE_POOL, "default")
    await bench.cluster.create(NODE_POOL, {"metadata": {"name": "batch"}, "spec": ours["spec"]})
    steps = await bench.leaving(*IN_CLUSTER)
    stopped = [row for row in await leaving_plan(steps) if row.action is Action.STOP]
    assert [row.step for row in stopped] == ["nodes"]
    assert "NodePool batch not made by install" in stopped[0].reason
    with pytest.raises(StepFailed, match="--delete-pools"):
        await undo(steps)
    assert bench.server.find(NODE_POOL, "batch") is not None
    await undo(await bench.leaving(*IN_CLUSTER, takes_pools=True))
    assert bench.server.list(NODE_POOL) == []


async def test_nodes_that_stay_keep_what_they_need(bench: Bench) -> None:
    before = bench.box.control.inventory()
    await install(bench)
    await undo(await bench.leaving(keeps_nodes=True))
    assert bench.releases.found == {}
    assert bench.server.find(NODE_POOL, "default") is not None
    left = bench.box.control.inventory().beyond(before)
    assert set(left) == {"roles", "access_entries"}
    assert left["roles"] == ["KarpenterNodeRole-demo"]
    await uninstall(bench)
    assert bench.box.control.inventory().beyond(before) == {}


async def test_another_controller_stops_everything(bench: Bench) -> None:
    labels = {"app.kubernetes.io/name": "karpenter", "helm.sh/chart": "karpenter-1.8.1"}
    deployment: dict[str, Any] = {
        "metadata": {"name": "karpenter", "namespace": "karpenter", "labels": labels},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}}},
    }
    await bench.cluster.create(NAMESPACE, {"metadata": {"name": "karpenter"}})
    await bench.cluster.create(DEPLOYMENT, deployment)
    row = (await planned(bench, "controller"))["controller"]
    assert row.action is Action.STOP
    assert "karpenter/karpenter" in row.reason


async def test_the_namespace_where_the_controller_is_is_found(bench: Bench) -> None:
    names, _ = await names_of(bench.client, "demo")
    before = bench.state()
    anywhere = await in_use(bench.cluster, replace(names, namespace=""))
    assert anywhere.namespace == "kube-system"
    there = replace(await bench.site(), names=replace(names, namespace="nodes"))
    await ensure(await arriving_steps(there, Wishes()))
    found = await in_use(bench.cluster, replace(names, namespace=""))
    assert found.namespace == "nodes"
    # Asked to take back from where it is not, it takes nothing: the controller would be left without its role.
    rows = await leaving_plan(await leaving_steps(await bench.site(), tell=print))
    stopped = {row.step: row.reason for row in rows if row.action is Action.STOP}
    assert set(stopped) == {"controller"}
    assert "--namespace nodes" in stopped["controller"]
    await undo(await leaving_steps(replace(there, names=found), tell=print))
    assert bench.state() == before


async def test_a_role_under_a_path_is_the_role(bench: Bench) -> None:
    names, _ = await names_of(bench.client, "demo")
    trust = json.dumps(controller_trust(names))
    iam = bench.raw("iam")
    iam.create_open_id_connect_provider(Url=names.issuer, ClientIDList=["sts.amazonaws.com"])
    arn = iam.create_role(RoleName="autoscaler", Path="/team/", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    account = {"name": "karpenter", "namespace": "kube-system", "annotations": {"eks.amazonaws.com/role-arn": arn}}
    await bench.cluster.create(SERVICE_ACCOUNT, {"metadata": account})
    before = bench.state()
    await install(bench, *ROLES, "controller")
    values = bench.releases.found["karpenter", "kube-system"].values
    assert values["serviceAccount"]["annotations"]["eks.amazonaws.com/role-arn"] == arn
    assert [role for role in bench.box.control.inventory().of("roles") if "ontroller" in role] == []
    await uninstall(bench, *ROLES, "controller")
    after = bench.state()
    assert after["role autoscaler"] == before["role autoscaler"]


async def test_a_role_of_another_account_is_not_ours_to_set_up(bench: Bench) -> None:
    names, _ = await names_of(bench.client, "demo")
    annotations = {"eks.amazonaws.com/role-arn": "arn:aws:iam::999999999999:role/theirs"}
    account = {"name": "karpenter", "namespace": "kube-system", "annotations": annotations}
    await bench.cluster.create(SERVICE_ACCOUNT, {"metadata": account})
    assert (await in_use(bench.cluster, names)).controller_role == "KarpenterControllerRole-demo"


async def test_without_helm_the_command_is_told(bench: Bench) -> None:
    steps = await arriving_steps(await bench.site(releases=None), Wishes())
    row = next(row for row in await plan(steps) if row.step == "controller")
    assert row.action is Action.STOP
    assert "helm upgrade --install karpenter" in row.reason
    assert "settings.clusterName=demo" in row.reason


async def test_a_release_that_was_cut_off_is_recovered(bench: Bench) -> None:
    await install(bench, "controller")
    made = bench.releases.found["karpenter", "kube-system"]
    bench.releases.found["karpenter", "kube-system"] = replace(made, status="pending-install")
    row = (await planned(bench, "controller"))["controller"]
    assert (row.action, row.reason) == (Action.CHANGE, "it is pending-install")
    await install(bench, "controller")
    assert bench.releases.recovered == ["pending-install"]
    assert bench.releases.found["karpenter", "kube-system"].status == DEPLOYED


async def test_values_of_others_stay_in_the_release(bench: Bench) -> None:
    values = {"settings": {"clusterName": "demo", "batchIdleDuration": "5s"}, "replicas": 1}
    release = Release("karpenter", "kube-system", "nodesmith-0.0.9", DEPLOYED, values)
    bench.releases.found["karpenter", "kube-system"] = release
    row = (await planned(bench, "controller"))["controller"]
    assert row.action is Action.CHANGE
    assert row.reason.startswith("nodesmith-0.0.9 runs")
    assert "settings.interruptionQueue differs" in row.reason
    await install(bench, "controller")
    after = bench.releases.found["karpenter", "kube-system"].values
    assert after["settings"]["batchIdleDuration"] == "5s"
    assert after["replicas"] == 1
    assert "additionalAnnotations" not in after
    assert "controller" not in after
    row = next(row for row in await uninstall(bench, "controller") if row.step == "controller")
    assert row.action is Action.KEEP


async def test_an_access_entry_of_others_for_people_is_not_replaced(bench: Bench) -> None:
    names, _ = await names_of(bench.client, "demo")
    arn = names.role_arn(names.node_role)
    bench.raw("eks").create_access_entry(clusterName="demo", principalArn=arn, type="STANDARD")
    row = (await planned(bench, "access entry"))["access entry"]
    assert row.action is Action.STOP
    assert "aws eks delete-access-entry" in row.reason


async def test_subnets_of_another_cluster_are_not_taken_from_it(bench: Bench) -> None:
    subnets = list(bench.base.subnet_ids.values())
    tags = [{"Key": "karpenter.sh/discovery", "Value": "other"}]
    bench.raw("ec2").create_tags(Resources=subnets[:1], Tags=tags)
    await install(bench, "discovery tags")
    left = bench.raw("ec2").describe_tags(Filters=[{"Name": "resource-id", "Values": subnets[:1]}])["Tags"]
    assert {tag["Value"] for tag in left if tag["Key"] == "karpenter.sh/discovery"} == {"other"}
    await uninstall(bench, "discovery tags")
    bench.raw("ec2").create_tags(Resources=subnets, Tags=tags)
    row = (await planned(bench, "discovery tags"))["discovery tags"]
    assert row.action is Action.STOP
    assert "tagged for the cluster other" in row.reason
