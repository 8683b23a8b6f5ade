"""A set-up as older walk-throughs make it, with what it lacks."""

from typing import Any

from nodesmith.install.names import Names


def statement(*actions: str, resource: str = "*", **condition: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return row | ({"Condition": condition} if condition else {})


def walkthrough(names: Names) -> dict[str, Any]:
    """The controller's policy as older walk-throughs have it."""
    owned = f"kubernetes.io/cluster/{names.cluster}"
    profile_tags = {f"aws:ResourceTag/{owned}": "owned"}
    return {
        "Version": "2012-10-17",
        "Statement": [
            statement(
                "ssm:GetParameter",
                "pricing:GetProducts",
                *(
                    f"ec2:{action}"
                    for action in (
                        "RunInstances",
                        "CreateFleet",
                        "CreateLaunchTemplate",
                        "CreateTags",
                        "DeleteLaunchTemplate",
                        "DescribeImages",
                        "DescribeSubnets",
                        "DescribeSecurityGroups",
                        "DescribeLaunchTemplates",
                        "DescribeInstances",
                        "DescribeInstanceTypes",
                        "DescribeInstanceTypeOfferings",
                        "DescribeSpotPriceHistory",
                    )
                ),
            ),
            statement("ec2:TerminateInstances", StringLike={"ec2:ResourceTag/karpenter.sh/nodepool": "*"}),
            statement("iam:PassRole", resource=names.role_arn(names.node_role)),
            statement("eks:DescribeCluster", resource=names.cluster_arn),
            statement("iam:CreateInstanceProfile", StringEquals={f"aws:RequestTag/{owned}": "owned"}),
            statement("iam:TagInstanceProfile", StringEquals=profile_tags),
            statement(
                "iam:AddRoleToInstanceProfile",
                "iam:RemoveRoleFromInstanceProfile",
                "iam:DeleteInstanceProfile",
                StringEquals=profile_tags,
            ),
            statement("iam:GetInstanceProfile"),
            statement("sqs:ReceiveMessage", "sqs:GetQueueUrl", "sqs:DeleteMessage"),
        ],
    }
