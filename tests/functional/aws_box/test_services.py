from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.functional.aws_box.conftest import NODE_TRUST, REGION, START, Bench
from tests.functional.aws_box.test_launching import code_of


def parameter(bench: Bench, name: str) -> str:
    return str(bench.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])


EKS = "/aws/service/eks/optimized-ami"


@pytest.mark.parametrize(
    ("path", "architecture"),
    [
        (EKS + "/{k}/amazon-linux-2023/x86_64/standard/recommended/image_id", "x86_64"),
        (EKS + "/{k}/amazon-linux-2023/arm64/nvidia/recommended/image_id", "arm64"),
        (EKS + "/{k}/amazon-linux-2023/x86_64/neuron/recommended/image_id", "x86_64"),
        (
            EKS + "/{k}/amazon-linux-2023/arm64/standard/amazon-eks-node-al2023-arm64-standard-{k}-v20260603/image_id",
            "arm64",
        ),
        ("/aws/service/bottlerocket/aws-k8s-{k}/arm64/latest/image_id", "arm64"),
        ("/aws/service/bottlerocket/aws-k8s-{k}-nvidia/x86_64/1.49.0/image_id", "x86_64"),
        ("/aws/service/ami-windows-latest/Windows_Server-2022-English-Core-EKS_Optimized-{k}/image_id", "x86_64"),
    ],
    ids=["al2023", "al2023-nvidia", "al2023-neuron", "al2023-pinned", "bottlerocket", "bottlerocket-pinned", "windows"],
)
def test_public_parameters_lead_to_images(bench: Bench, path: str, architecture: str) -> None:
    for minor in ("1.29", "1.32", "1.36"):
        image_id = parameter(bench, path.format(k=minor))
        (image,) = bench.ec2.describe_images(ImageIds=[image_id])["Images"]
        assert image["Architecture"] == architecture
        assert image["State"] == "available"
        assert image["ImageOwnerAlias"] == "amazon"
        assert image["CreationDate"].startswith("2026-")
        assert minor in image["Name"]


def test_al2_ends_with_its_last_version(bench: Bench) -> None:
    assert parameter(bench, EKS + "/1.32/amazon-linux-2-gpu/recommended/image_id").startswith("ami-")
    with pytest.raises(ClientError) as absent:
        parameter(bench, EKS + "/1.33/amazon-linux-2/recommended/image_id")
    assert code_of(absent) == "ParameterNotFound"


def test_the_latest_release_is_the_newest_image_by_name(bench: Bench) -> None:
    wanted = [{"Name": "name", "Values": ["amazon-eks-node-al2023-arm64-standard-1.35-*"]}]
    found = bench.ec2.describe_images(Owners=["amazon"], Filters=wanted)["Images"]
    newest = max(found, key=lambda image: str(image["CreationDate"]))
    assert len(found) == 2
    assert newest["ImageId"] == bench.image("arm64")


def test_an_image_of_one_s_own_keeps_what_was_said_and_may_be_deprecated(bench: Bench) -> None:
    made = bench.ec2.register_image(Name="mine", Architecture="arm64", RootDeviceName="/dev/xvda")["ImageId"]
    wanted: dict[str, Any] = {"Filters": [{"Name": "name", "Values": ["mine"]}], "Owners": ["self"]}
    (found,) = bench.ec2.describe_images(**wanted)["Images"]
    assert (found["Architecture"], found["RootDeviceName"]) == ("arm64", "/dev/xvda")
    bench.ec2.enable_image_deprecation(ImageId=made, DeprecateAt=START + timedelta(days=1))
    assert bench.ec2.describe_images(**wanted)["Images"]
    bench.hands.move(timedelta(days=1))
    assert bench.ec2.describe_images(**wanted)["Images"] == []
    assert bench.ec2.describe_images(**wanted, IncludeDeprecated=True)["Images"][0]["DeprecationTime"].startswith(
        "2026-07-11"
    )


def test_the_control_publishes_a_parameter_that_users_cannot(bench: Bench) -> None:
    name = EKS + "/1.35/amazon-linux-2023/arm64/standard/recommended/image_id"
    bench.control.put_public_parameter(name, "ami-0new")
    assert parameter(bench, name) == "ami-0new"
    with pytest.raises(ClientError):
        bench.client("ssm").put_parameter(Name=name, Value="x", Type="String", Overwrite=True)


def test_the_account_is_as_a_user_has_it(bench: Bench) -> None:
    found = bench.ec2.describe_subnets(Filters=[{"Name": "tag:karpenter.sh/discovery", "Values": ["demo"]}])["Subnets"]
    assert {s["AvailabilityZone"]: s["SubnetId"] for s in found} == bench.base.subnet_ids
    wanted = [{"Name": "tag-key", "Values": ["karpenter.sh/discovery"]}]
    (group,) = bench.ec2.describe_security_groups(Filters=wanted)["SecurityGroups"]
    assert group["GroupId"] == bench.base.security_group_id
    there = bench.control.inventory()
    assert (list(there.of("clusters")), list(there.of("roles"))) == (["demo"], ["demo-cluster"])
    for kind in ("instance_profiles", "queues", "rules", "instances", "launch_templates", "access_entries", "policies"):
        assert not there.of(kind)


def test_a_cluster_is_described_as_a_real_one_and_can_be_pointed_elsewhere(bench: Bench) -> None:
    eks = bench.client("eks")
    cluster = eks.describe_cluster(name="demo")["cluster"]
    assert cluster["status"] == "ACTIVE"
    assert cluster["version"] == "1.35"
    assert cluster["kubernetesNetworkConfig"] == {"serviceIpv4Cidr": "10.100.0.0/16", "ipFamily": "ipv4"}
    assert cluster["accessConfig"]["authenticationMode"] == "API_AND_CONFIG_MAP"
    assert cluster["resourcesVpcConfig"]["vpcId"] == bench.base.vpc_id
    assert cluster["resourcesVpcConfig"]["clusterSecurityGroupId"] == bench.base.cluster_security_group_id
    assert cluster["identity"]["oidc"]["issuer"] == bench.base.oidc_issuer
    bench.control.cluster(
        "demo",
        endpoint="https://127.0.0.1:6443",
        certificate_authority="Q0E=",
        authentication_mode="API",
        version="1.36",
    )
    cluster = eks.describe_cluster(name="demo")["cluster"]
    assert (cluster["endpoint"], cluster["certificateAuthority"]["data"]) == ("https://127.0.0.1:6443", "Q0E=")
    assert (cluster["accessConfig"]["authenticationMode"], cluster["version"]) == ("API", "1.36")
    versions = {v["clusterVersion"] for v in eks.describe_cluster_versions()["clusterVersions"]}
    assert versions == {f"1.{minor}" for minor in range(29, 37)}
    with pytest.raises(ClientError) as absent:
        eks.describe_cluster(name="other")
    assert code_of(absent) == "ResourceNotFoundException"


def test_access_entries(bench: Bench) -> None:
    eks, arn = bench.client("eks"), "arn:aws:iam::123456789012:role/team/node-role"
    eks.create_access_entry(clusterName="demo", principalArn=arn, type="EC2_LINUX")
    assert eks.list_access_entries(clusterName="demo")["accessEntries"] == [arn]
    assert eks.describe_access_entry(clusterName="demo", principalArn=arn)["accessEntry"]["kubernetesGroups"] == [
        "system:nodes"
    ]
    with pytest.raises(ClientError) as twice:
        eks.create_access_entry(clusterName="demo", principalArn=arn)
    assert code_of(twice) == "ResourceInUseException"
    eks.delete_access_entry(clusterName="demo", principalArn=arn)
    with pytest.raises(ClientError) as absent:
        eks.delete_access_entry(clusterName="demo", principalArn=arn)
    assert code_of(absent) == "ResourceNotFoundException"


def test_pod_identity_associations(bench: Bench) -> None:
    eks, role = bench.client("eks"), "arn:aws:iam::123456789012:role/r"
    who = {"clusterName": "demo", "namespace": "kube-system", "serviceAccount": "nodesmith"}
    made = eks.create_pod_identity_association(**who, roleArn=role)["association"]
    with pytest.raises(ClientError) as twice:
        eks.create_pod_identity_association(**who, roleArn=role)
    assert code_of(twice) == "ResourceInUseException"
    assert [a["associationId"] for a in eks.list_pod_identity_associations(**who)["associations"]] == [
        made["associationId"]
    ]
    assert eks.list_pod_identity_associations(clusterName="demo", namespace="other")["associations"] == []
    eks.delete_pod_identity_association(clusterName="demo", associationId=made["associationId"])
    assert not bench.control.inventory().of("pod_identities")


def test_iam_answers_as_aws_where_moto_does_not(bench: Bench) -> None:
    iam = bench.client("iam")
    made = iam.create_service_linked_role(AWSServiceName="spot.amazonaws.com")["Role"]
    assert made["RoleName"] == "AWSServiceRoleForEC2Spot"
    with pytest.raises(ClientError) as taken:
        iam.create_service_linked_role(AWSServiceName="spot.amazonaws.com")
    assert code_of(taken) == "InvalidInput"
    assert "AWSServiceRoleForEC2Spot" not in bench.control.inventory().of("roles")
    bench.profile()
    assert [
        p["InstanceProfileName"] for p in iam.list_instance_profiles(PathPrefix="/karpenter/")["InstanceProfiles"]
    ] == ["node-profile"]
    assert iam.list_instance_profiles(PathPrefix="/other/")["InstanceProfiles"] == []
    iam.tag_instance_profile(InstanceProfileName="node-profile", Tags=[{"Key": "k", "Value": "v"}])
    assert iam.list_instance_profile_tags(InstanceProfileName="node-profile")["Tags"] == [{"Key": "k", "Value": "v"}]
    assert iam.get_instance_profile(InstanceProfileName="node-profile")["InstanceProfile"]["CreateDate"] == START
    iam.remove_role_from_instance_profile(InstanceProfileName="node-profile", RoleName="node-role")
    with pytest.raises(ClientError) as twice:
        iam.remove_role_from_instance_profile(InstanceProfileName="node-profile", RoleName="node-role")
    assert code_of(twice) == "NoSuchEntity"


def test_aws_s_own_policies_can_be_attached(bench: Bench) -> None:
    iam = bench.client("iam")
    iam.create_role(RoleName="node-role", AssumeRolePolicyDocument=NODE_TRUST)
    names = {
        "AmazonEKSWorkerNodePolicy",
        "AmazonEKS_CNI_Policy",
        "AmazonEC2ContainerRegistryPullOnly",
        "AmazonSSMManagedInstanceCore",
    }
    for name in names:
        iam.attach_role_policy(RoleName="node-role", PolicyArn=f"arn:aws:iam::aws:policy/{name}")
    found = iam.list_attached_role_policies(RoleName="node-role")["AttachedPolicies"]
    assert {policy["PolicyName"] for policy in found} == names


def queue(bench: Bench, *rules: tuple[str, str]) -> str:
    sqs, events = bench.client("sqs"), bench.client("events")
    url = str(sqs.create_queue(QueueName="demo", Attributes={"MessageRetentionPeriod": "300"})["QueueUrl"])
    for index, (source, kind) in enumerate(rules):
        pattern = json.dumps({"source": [source], "detail-type": [kind]})
        events.put_rule(Name=f"rule-{index}", EventPattern=pattern)
        target = {"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:123456789012:demo"}
        events.put_targets(Rule=f"rule-{index}", Targets=[target])
    return url


def drain(bench: Bench, url: str) -> list[dict[str, Any]]:
    sqs, found = bench.client("sqs"), []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20).get("Messages"):
        found += [json.loads(message["Body"]) for message in messages]
        entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    return found


CHANGE = ("aws.ec2", "EC2 Instance State-change Notification")
WARNING = ("aws.ec2", "EC2 Spot Instance Interruption Warning")
REBALANCE = ("aws.ec2", "EC2 Instance Rebalance Recommendation")
HEALTH = ("aws.health", "AWS Health Event")


def test_a_spot_interruption_warns_and_then_ends_the_instance(bench: Bench) -> None:
    url = queue(bench, WARNING, CHANGE)
    bench.template()
    instance_id = bench.launch("t4g.small", market="spot")
    bench.state(instance_id)
    drain(bench, url)
    bench.control.timing(shutting_down=timedelta(seconds=30))
    ends_at = bench.control.interrupt_spot(instance_id)
    assert ends_at == START + timedelta(minutes=2)
    (event,) = drain(bench, url)
    assert event["version"] == "0"
    assert (event["source"], event["detail-type"]) == WARNING
    assert event["detail"] == {"instance-id": instance_id, "instance-action": "terminate"}
    assert event["account"] == "123456789012"
    assert event["time"] == "2026-07-10T12:00:00Z"
    bench.hands.move(timedelta(seconds=119))
    assert bench.state(instance_id) == "running"
    bench.hands.move(timedelta(seconds=1))
    assert bench.state(instance_id) == "shutting-down"
    assert bench.instance(instance_id)["StateReason"]["Code"] == "Server.SpotInstanceTermination"
    bench.hands.move(timedelta(seconds=30))
    assert [e["detail"]["state"] for e in drain(bench, url)] == ["shutting-down", "terminated"]


def test_every_change_of_state_is_told(bench: Bench) -> None:
    url = queue(bench, CHANGE)
    bench.template()
    bench.control.timing(
        pending=timedelta(seconds=5), stopping=timedelta(seconds=5), shutting_down=timedelta(seconds=5)
    )
    instance_id = bench.launch("t4g.small")
    bench.hands.move(timedelta(seconds=5))
    assert [e["detail"]["state"] for e in drain(bench, url)] == ["pending", "running"]
    bench.ec2.stop_instances(InstanceIds=[instance_id])
    bench.hands.move(timedelta(seconds=5))
    assert [e["detail"]["state"] for e in drain(bench, url)] == ["stopping", "stopped"]
    bench.ec2.terminate_instances(InstanceIds=[instance_id])
    bench.hands.move(timedelta(seconds=5))
    told = drain(bench, url)
    assert [e["detail"]["state"] for e in told] == ["shutting-down", "terminated"]
    assert told[0]["resources"] == [f"arn:aws:ec2:{REGION}:123456789012:instance/{instance_id}"]


def test_rebalance_and_health_events_reach_the_queue(bench: Bench) -> None:
    url = queue(bench, REBALANCE, HEALTH)
    bench.control.recommend_rebalance("i-1")
    bench.control.health_event("i-1", "i-2")
    bench.control.event("custom", "Something Else", {"a": 1})
    first, second = drain(bench, url)
    assert (first["detail-type"], first["detail"]) == (REBALANCE[1], {"instance-id": "i-1"})
    assert second["detail"]["eventTypeCategory"] == "scheduledChange"
    assert [e["entityValue"] for e in second["detail"]["affectedEntities"]] == ["i-1", "i-2"]


def test_a_message_is_as_old_as_the_box_s_clock_says(bench: Bench) -> None:
    url = queue(bench, REBALANCE)
    bench.control.recommend_rebalance("i-1")
    bench.hands.move(timedelta(seconds=299))
    sqs = bench.client("sqs")
    (message,) = sqs.receive_message(QueueUrl=url, AttributeNames=["SentTimestamp"], VisibilityTimeout=0)["Messages"]
    assert int(message["Attributes"]["SentTimestamp"]) == START.timestamp() * 1000
    bench.hands.move(timedelta(seconds=2))
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_a_zonal_shift_ends_by_the_clock(bench: Bench) -> None:
    arn = f"arn:aws:eks:{REGION}:123456789012:cluster/demo"
    arc = bench.client("arc-zonal-shift")
    with pytest.raises(ClientError) as unregistered:
        arc.get_managed_resource(resourceIdentifier=arn)
    assert code_of(unregistered) == "ResourceNotFoundException"
    bench.control.zonal_shift(arn, "apne2-az1", duration=timedelta(minutes=30))
    (shift,) = arc.get_managed_resource(resourceIdentifier=arn)["zonalShifts"]
    assert (shift["awayFrom"], shift["appliedStatus"]) == ("apne2-az1", "APPLIED")
    bench.hands.move(timedelta(minutes=30))
    assert arc.get_managed_resource(resourceIdentifier=arn)["zonalShifts"] == []
