"""The IAM documents of a set-up: who may assume the roles, and the least that the controller needs (spec 8.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from nodesmith.install.names import Names

Document = dict[str, Any]

NODE_POLICIES: Final = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonSSMManagedInstanceCore",
)
RULES: Final[Mapping[str, tuple[str, str]]] = {
    "ScheduledChange": ("aws.health", "AWS Health Event"),
    "SpotInterruption": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "Rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "StateChange": ("aws.ec2", "EC2 Instance State-change Notification"),
    "ReservationEnd": ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"),
}
"""What must reach the queue: source and detail type of each EventBridge rule."""

_NODEPOOL: Final = "karpenter.sh/nodepool"
_NODECLASS: Final = "karpenter.k8s.aws/ec2nodeclass"
_CLUSTER: Final = "eks:eks-cluster-name"
_REGION: Final = "topology.kubernetes.io/region"
_DESCRIBE: Final = (
    "CapacityReservations",
    "Images",
    "Instances",
    "InstanceStatus",
    "InstanceTypeOfferings",
    "InstanceTypes",
    "LaunchTemplates",
    "PlacementGroups",
    "SecurityGroups",
    "SpotPriceHistory",
    "Subnets",
)
_MADE: Final = ("fleet", "instance", "volume", "network-interface", "launch-template", "spot-instances-request")


def node_trust(names: Names) -> Document:
    """EC2 may assume the node role."""
    suffix = "amazonaws.com.cn" if names.partition == "aws-cn" else "amazonaws.com"
    return document(_allow("sts:AssumeRole", Principal={"Service": f"ec2.{suffix}"}))


def controller_trust(names: Names) -> Document:
    """The controller's service account, and nobody else, may assume the controller's role."""
    wanted = {
        f"{names.issuer_path}:aud": "sts.amazonaws.com",
        f"{names.issuer_path}:sub": f"system:serviceaccount:{names.namespace}:{names.service_account}",
    }
    return document(
        _allow(
            "sts:AssumeRoleWithWebIdentity",
            Principal={"Federated": names.issuer_arn},
            Condition={"StringEquals": wanted},
        )
    )


def controller_policies(names: Names) -> Mapping[str, Document]:
    """The controller's policies by name; several, because one may not be longer than 6,144 characters."""
    return {
        f"KarpenterController{part}-{names.cluster}": document(*statements)
        for part, statements in {
            "NodeLifecyclePolicy": _lifecycle(names),
            "IAMIntegrationPolicy": _profiles(names),
            "ResourceDiscoveryPolicy": _discovery(names),
            "InterruptionPolicy": _interruption(names),
        }.items()
    }


def queue_policy(names: Names) -> Document:
    """EventBridge may send to the queue; nobody may use it in the clear."""
    return document(
        _allow(
            "sqs:SendMessage",
            resources=(names.queue_arn,),
            sid="EC2InterruptionPolicy",
            Principal={"Service": ["events.amazonaws.com", "sqs.amazonaws.com"]},
        ),
        {
            "Sid": "DenyHTTP",
            "Effect": "Deny",
            "Action": "sqs:*",
            "Resource": names.queue_arn,
            "Principal": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    )


def document(*statements: Mapping[str, Any]) -> Document:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": [dict(each) for each in statements]}


def _lifecycle(names: Names) -> Sequence[Document]:
    owned = f"kubernetes.io/cluster/{names.cluster}"
    requested = _equals("Request", {owned: "owned", _CLUSTER: names.cluster}) | _some("Request", _NODEPOOL)
    existing = _equals("Resource", {owned: "owned"}) | _some("Resource", _NODEPOOL)
    launches = ("ec2:RunInstances", "ec2:CreateFleet", "ec2:CreateLaunchTemplate")
    made = _ec2(names, *_MADE)
    tagging = {"StringEquals": {**requested["StringEquals"], "ec2:CreateAction": [_name(each) for each in launches]}}
    later = {
        **existing,
        "StringEqualsIfExists": {f"aws:RequestTag/{_CLUSTER}": names.cluster},
        "ForAllValues:StringEquals": {"aws:TagKeys": [_CLUSTER, "karpenter.sh/nodeclaim", "Name"]},
    }
    given = ("security-group", "subnet", "capacity-reservation", "placement-group")
    images = tuple(f"arn:{names.partition}:ec2:{names.region}::{each}/*" for each in ("image", "snapshot"))
    return (
        _allow(*launches[:2], resources=(*images, *_ec2(names, *given)), sid="UseWhatIsThere"),
        _allow(
            *launches[:2], resources=_ec2(names, "launch-template"), sid="UseOwnLaunchTemplates", Condition=existing
        ),
        _allow(*launches, resources=made, sid="MakeWithTags", Condition=requested),
        _allow("ec2:CreateTags", resources=made, sid="TagWhileMaking", Condition={**requested, **tagging}),
        _allow("ec2:CreateTags", resources=_ec2(names, "instance"), sid="TagOwnInstances", Condition=later),
        _allow(
            "ec2:TerminateInstances",
            "ec2:DeleteLaunchTemplate",
            resources=_ec2(names, "instance", "launch-template"),
            sid="EndOwn",
            Condition=existing,
        ),
    )


def _profiles(names: Names) -> Sequence[Document]:
    profiles = (f"arn:{names.partition}:iam::{names.account}:instance-profile/*",)
    owned = {f"kubernetes.io/cluster/{names.cluster}": "owned", _REGION: names.region}
    requested = _equals("Request", {**owned, _CLUSTER: names.cluster}) | _some("Request", _NODECLASS)
    existing = _equals("Resource", owned) | _some("Resource", _NODECLASS)
    both = {
        "StringEquals": {**existing["StringEquals"], **requested["StringEquals"]},
        "StringLike": {**existing["StringLike"], **requested["StringLike"]},
    }
    passed = {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}}
    return (
        _allow("iam:PassRole", resources=(names.role_arn(names.node_role),), sid="PassNodeRole", Condition=passed),
        _allow("iam:CreateInstanceProfile", resources=profiles, sid="MakeProfiles", Condition=requested),
        _allow("iam:TagInstanceProfile", resources=profiles, sid="TagOwnProfiles", Condition=both),
        _allow(
            "iam:AddRoleToInstanceProfile",
            "iam:RemoveRoleFromInstanceProfile",
            "iam:DeleteInstanceProfile",
            resources=profiles,
            sid="ChangeOwnProfiles",
            Condition=existing,
        ),
    )


def _discovery(names: Names) -> Sequence[Document]:
    here = {"StringEquals": {"aws:RequestedRegion": names.region}}
    profiles = f"arn:{names.partition}:iam::{names.account}:instance-profile/*"
    shifted = {"StringEquals": {"arc-zonal-shift:ResourceIdentifier": names.cluster_arn}}
    parameters = f"arn:{names.partition}:ssm:{names.region}::parameter/aws/service/*"
    return (
        _allow(*(f"ec2:Describe{each}" for each in _DESCRIBE), sid="LookAtEC2", Condition=here),
        _allow("ssm:GetParameter", resources=(parameters,), sid="LookUpImages"),
        _allow("pricing:GetProducts", "iam:ListInstanceProfiles", sid="LookUpPricesAndProfiles"),
        _allow("iam:GetInstanceProfile", resources=(profiles,), sid="ReadProfiles"),
        _allow("eks:DescribeCluster", resources=(names.cluster_arn,), sid="FindCluster"),
        _allow("arc-zonal-shift:GetManagedResource", sid="FollowZonalShift", Condition=shifted),
    )


def _interruption(names: Names) -> Sequence[Document]:
    actions = ("sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
    return (_allow(*actions, resources=(names.queue_arn,), sid="HearOfInterruptions"),)


def _allow(*actions: str, resources: Sequence[str] | None = None, sid: str = "", **more: Any) -> Document:
    stated: Document = {"Sid": sid} if sid else {}
    stated |= {"Effect": "Allow", "Action": list(actions) if len(actions) > 1 else actions[0]}
    if "Principal" not in more or resources is not None:
        listed = list(resources or ("*",))
        stated["Resource"] = listed if len(listed) > 1 else listed[0]
    return stated | more


def _ec2(names: Names, *kinds: str) -> tuple[str, ...]:
    return tuple(f"arn:{names.partition}:ec2:{names.region}:*:{kind}/*" for kind in kinds)


def _equals(side: str, tags: Mapping[str, str]) -> Document:
    return {"StringEquals": {f"aws:{side}Tag/{key}": value for key, value in tags.items()}}


def _some(side: str, key: str) -> Document:
    return {"StringLike": {f"aws:{side}Tag/{key}": "*"}}


def _name(action: str) -> str:
    return action.removeprefix("ec2:")
