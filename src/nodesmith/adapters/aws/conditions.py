"""Why a condition of an EC2NodeClass is not True, for people: every reason, what it means, what to do (spec 7.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nodesmith.adapters.aws.kubeletcheck import DISABLED, INVALID, NOT_COMPILED, NOT_EVALUATED, UNSUPPORTED
from nodesmith.api.ec2nodeclass import (
    AMIS_READY,
    CAPACITY_RESERVATIONS_READY,
    INSTANCE_PROFILE_READY,
    PLACEMENT_GROUP_READY,
    SECURITY_GROUPS_READY,
    SUBNETS_READY,
    VALIDATION_SUCCEEDED,
)


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason of one condition."""

    condition: str
    reason: str
    meaning: str
    remedy: str


_REFUSED: Final = "AWS refused to answer; the message has its words."
_ALLOW: Final = "Allow the call that the message names; the controller's policy lists all it needs."

CAUSES: Final = (
    Cause(AMIS_READY, "AMINotFound", "No image matches.", "Compare `amiSelectorTerms` with the images of the account."),
    Cause(
        AMIS_READY,
        "UnsupportedAlias",
        "The alias has no image for this Kubernetes version.",
        "Choose another alias: AL2 ends with 1.32, Windows 2025 begins with 1.35.",
    ),
    Cause(AMIS_READY, "AMIResolutionFailed", _REFUSED, _ALLOW),
    Cause(
        SUBNETS_READY,
        "SubnetsNotFound",
        "No subnet matches.",
        "Tag the subnets as `subnetSelectorTerms` says, or name them by id.",
    ),
    Cause(SUBNETS_READY, "SubnetResolutionFailed", _REFUSED, _ALLOW),
    Cause(
        SECURITY_GROUPS_READY,
        "SecurityGroupsNotFound",
        "No security group matches.",
        "Tag the groups as `securityGroupSelectorTerms` says, or name them by id.",
    ),
    Cause(SECURITY_GROUPS_READY, "SecurityGroupResolutionFailed", _REFUSED, _ALLOW),
    Cause(
        INSTANCE_PROFILE_READY,
        "RoleNotFound",
        "There is no such role.",
        "Make the role, or correct `role`; it is a name and no ARN.",
    ),
    Cause(
        INSTANCE_PROFILE_READY,
        "IsolatedVPC",
        "In an isolated VPC IAM is not reached, so no profile can be made.",
        "Make a profile and name it in `instanceProfile` instead of `role`.",
    ),
    Cause(
        INSTANCE_PROFILE_READY,
        "InstanceProfileResolutionFailed",
        _REFUSED,
        "Allow the call that the message names; a role that may not be passed is often one with a typing error.",
    ),
    Cause(
        PLACEMENT_GROUP_READY,
        "PlacementGroupNotFound",
        "There is no such placement group, or it is not available.",
        "Make it, or correct `placementGroupSelector`.",
    ),
    Cause(PLACEMENT_GROUP_READY, "PlacementGroupResolutionFailed", _REFUSED, _ALLOW),
    Cause(CAPACITY_RESERVATIONS_READY, "CapacityReservationResolutionFailed", _REFUSED, _ALLOW),
    Cause(
        VALIDATION_SUCCEEDED,
        "DependenciesNotReady",
        "Another condition comes first.",
        "See to the conditions that are not True.",
    ),
    Cause(
        VALIDATION_SUCCEEDED,
        "ClusterCIDRResolutionFailed",
        "The service range is not known, and AL2023 nodes need it.",
        "Allow eks:DescribeCluster.",
    ),
    Cause(
        VALIDATION_SUCCEEDED,
        "TagValidationFailed",
        "`tags` has a key that nodesmith sets itself.",
        "Take the key that the message names out of `tags`.",
    ),
    Cause(
        VALIDATION_SUCCEEDED,
        INVALID,
        "`kubelet` has a setting that the kubelet does not know, or a value that it does not take.",
        "Correct what the message names; `nodesmith lint` says what was likely meant.",
    ),
    Cause(
        VALIDATION_SUCCEEDED,
        UNSUPPORTED,
        "The AMI family has no place for a setting in `kubelet`, and would drop it.",
        "Leave it out, or use AL2023, which takes every setting of the kubelet's.",
    ),
    Cause(
        VALIDATION_SUCCEEDED,
        DISABLED,
        "A value in `kubelet` is an expression, and expressions are off.",
        "Switch them on with `--aws-feature-gates=NodeClassCEL=true`, or write a number.",
    ),
    Cause(
        VALIDATION_SUCCEEDED,
        NOT_COMPILED,
        "An expression in `kubelet` cannot be read, or does not make a number.",
        "Correct it: the message says where it goes wrong.",
    ),
    Cause(
        VALIDATION_SUCCEEDED,
        NOT_EVALUATED,
        "An expression in `kubelet` has no usable result for an instance type.",
        "Correct it, so that it is 0 or more for every type: `max(0, ...)`.",
    ),
    Cause(
        VALIDATION_SUCCEEDED,
        "CreateLaunchTemplateAuthCheckFailed",
        "Launch templates may not be made.",
        _ALLOW,
    ),
    Cause(VALIDATION_SUCCEEDED, "CreateFleetAuthCheckFailed", "Fleets may not be made.", _ALLOW),
    Cause(
        VALIDATION_SUCCEEDED,
        "RunInstancesAuthCheckFailed",
        "Instances may not be launched in any of the subnets.",
        _ALLOW,
    ),
    Cause(
        VALIDATION_SUCCEEDED,
        "InstanceProfileNotFound",
        "There is no instance profile of the name in `instanceProfile`.",
        "Make it, or correct the name; a new one is seen within a minute or so.",
    ),
    Cause(
        VALIDATION_SUCCEEDED,
        "UserDataSizeLimitExceeded",
        "The user data with ours is longer than 16 KiB.",
        "Shorten `userData`, or have it fetch the rest.",
    ),
    Cause(
        VALIDATION_SUCCEEDED,
        "LaunchTemplateCreationFailed",
        "`userData` cannot be joined with ours.",
        "Correct `userData`: the message says where it is malformed.",
    ),
    Cause(
        VALIDATION_SUCCEEDED,
        "ValidationFailed",
        "EC2 answered neither yes nor no; it is asked again.",
        "Nothing, unless it stays.",
    ),
)
"""In the order in which the conditions are worked out."""
