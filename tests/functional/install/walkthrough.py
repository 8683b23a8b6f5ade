"""What the user's Terraform leaves in an account, document by document, with its slips, and his edit of aws-auth."""

import json
from typing import Any

from nodesmith.api.kinds import CONFIG_MAP
from nodesmith.install.names import DISCOVERY, Names
from tests.functional.install.bench import Bench, aws_auth

NODE_POLICIES = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonSSMManagedInstanceCore",
)
ACTIONS = [
    "ssm:GetParameter",
    "ec2:DescribeImages",
    "ec2:RunInstances",
    "ec2:DescribeSubnets",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeInstances",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DeleteLaunchTemplate",
    "ec2:CreateTags",
    "ec2:CreateLaunchTemplate",
    "ec2:CreateFleet",
    "ec2:DescribeSpotPriceHistory",
    "pricing:GetProducts",
]


def statement(sid: str, actions: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource, **more}


def rendered(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


async def apply(bench: Bench, names: Names) -> None:
    """As after `terraform apply` and `kubectl edit configmap aws-auth`."""
    iam, ec2 = bench.raw("iam"), bench.raw("ec2")
    by_ec2 = {"Sid": "", "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    iam.create_role(RoleName="KarpenterNodeRole-demo", AssumeRolePolicyDocument=rendered(by_ec2))
    for policy in NODE_POLICIES:
        iam.attach_role_policy(RoleName="KarpenterNodeRole-demo", PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    iam.create_open_id_connect_provider(Url=names.issuer, ClientIDList=["sts.amazonaws.com"])
    subject = {
        f"{names.issuer_path}:aud": "sts.amazonaws.com",
        f"{names.issuer_path}:sub": "system:serviceaccount:kube-system:karpenter",
    }
    by_pod = {
        "Sid": "",
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": names.issuer_arn},
        "Condition": {"StringEquals": subject},
    }
    iam.create_role(RoleName="KarpenterControllerRole-demo", AssumeRolePolicyDocument=rendered(by_pod))
    owned = {"StringEquals": {"aws:ResourceTag/kubernetes.io/cluster/demo": "owned"}}
    profile = ["iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"]
    policy = iam.create_policy(
        PolicyName="KarpenterContollerPolicy-demo",
        PolicyDocument=rendered(
            statement("Karpenter", ACTIONS),
            statement("PassNodeIAMRole", "iam:PassRole", names.role_arn("KarpenterNodeRole-demo")),
            statement("EKSClusterEndpointLookup", "eks:DescribeCluster", names.cluster_arn),
            statement("AllowScopedInstanceProfileActions", profile, Condition=owned),
            statement("AllowInterruptionQueueActions", ["sqs:ReceiveMessage", "sqs:GetQueueUrl", "sqs:DeleteMessage"]),
        ),
    )
    iam.attach_role_policy(RoleName="KarpenterControllerRole-demo", PolicyArn=policy["Policy"]["Arn"])
    iam.create_service_linked_role(AWSServiceName="spot.amazonaws.com")
    attributes = {"MessageRetentionPeriod": "300", "SqsManagedSseEnabled": "true"}
    bench.raw("sqs").create_queue(QueueName="Karpenter-demo-SpotInterruptionQueue", Attributes=attributes)
    subnets = list(bench.base.subnet_ids.values())[:1]
    tags = [{"Key": DISCOVERY, "Value": "demo"}, {"Key": "kubernetes.io/role/interna-elb", "Value": "1"}]
    ec2.create_tags(Resources=subnets, Tags=tags)
    ec2.create_tags(Resources=[bench.base.cluster_security_group_id], Tags=tags[:1])
    entry = "- groups:\n    - system:bootstrappers\n    - system:nodes\n"
    entry += (
        f"  rolearn: {names.role_arn('KarpenterNodeRole-demo')}\n  username: system:node:{{{{EC2PrivateDNSName}}}}\n"
    )
    await bench.cluster.create(CONFIG_MAP, aws_auth(entry))
