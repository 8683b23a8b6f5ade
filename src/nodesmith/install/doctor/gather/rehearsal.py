"""Launching tried, as the controller: with its own role, by dry runs that change nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.errors import answer_of
from nodesmith.adapters.aws.names import LAUNCH_TEMPLATE_PREFIX, TAG_CLUSTER
from nodesmith.adapters.aws.tags import launch_tags, tag_list
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.install.doctor.awsfacts import Rehearsal
from nodesmith.install.doctor.gather.sources import AsSomebody, Credentials
from nodesmith.model.labels import ARCH
from nodesmith.ports.errors import PortError

_SESSION: Final = "nodesmith-doctor"
_SECONDS: Final = 900
_TYPES: Final = {"arm64": "m6g.large"}
_OTHER_TYPE: Final = "m5.large"


async def assumed(client: AwsClient, role_arn: str, token: str) -> tuple[str, Credentials]:
    """Who STS says the controller is, and its credentials.

    Raises:
        PortError: when STS refuses the token.
    """
    answer = await client.call(
        "sts",
        "AssumeRoleWithWebIdentity",
        attempts=2,
        RoleArn=role_arn,
        RoleSessionName=_SESSION,
        WebIdentityToken=token,
        DurationSeconds=_SECONDS,
    )
    given = answer["Credentials"]
    credentials = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return str(answer["AssumedRoleUser"]["Arn"]), credentials


async def rehearsals(
    as_somebody: AsSomebody, credentials: Credentials, cluster: str, node_classes: Sequence[EC2NodeClass]
) -> tuple[Rehearsal, ...]:
    """What EC2 says to each call that a launch makes; nothing is tried without an EC2NodeClass that was resolved."""
    client = as_somebody(credentials)
    fit = [each for each in node_classes if each.status.subnets and each.status.amis and each.status.security_groups]
    if not fit:
        return ()
    requests = {
        "CreateLaunchTemplate": _template(cluster, fit[0]),
        "RunInstances": _run(cluster, fit[0]),
        "CreateFleet": await _fleet(client, cluster, fit[0]),
    }
    return tuple([await _tried(client, action, request) for action, request in requests.items() if request])


async def _tried(client: AwsClient, action: str, request: Mapping[str, Any]) -> Rehearsal:
    try:
        await client.call("ec2", action, attempts=2, DryRun=True, **request)
    except PortError as error:
        answer = answer_of(error)
        if answer is None:
            return Rehearsal(action, type(error).__name__, str(error))
        return Rehearsal(action, answer.code, answer.message)
    return Rehearsal(action, "", "EC2 answered as if it had been done")


def _tags(cluster: str, node_class: EC2NodeClass, *kinds: str) -> list[dict[str, Any]]:
    tags = tag_list(launch_tags(cluster, node_class.spec.tags, pool="doctor", node_class=node_class.name))
    return [{"ResourceType": kind, "Tags": tags} for kind in kinds]


def _template(cluster: str, node_class: EC2NodeClass) -> dict[str, Any]:
    return {
        "LaunchTemplateName": f"{LAUNCH_TEMPLATE_PREFIX}/doctor",
        "LaunchTemplateData": {"ImageId": node_class.status.amis[0].id},
        "TagSpecifications": _tags(cluster, node_class, "launch-template"),
    }


def _run(cluster: str, node_class: EC2NodeClass) -> dict[str, Any]:
    status = node_class.status
    image = status.amis[0]
    arch = next((each.values[0] for each in image.requirements if each.key == ARCH and each.values), "")
    request: dict[str, Any] = {
        "ImageId": image.id,
        "InstanceType": _TYPES.get(arch, _OTHER_TYPE),
        "MinCount": 1,
        "MaxCount": 1,
        "SubnetId": status.subnets[0].id,
        "SecurityGroupIds": [each.id for each in status.security_groups],
        "TagSpecifications": _tags(cluster, node_class, "instance", "volume", "network-interface"),
    }
    return request | ({"IamInstanceProfile": {"Name": status.instance_profile}} if status.instance_profile else {})


async def _fleet(client: AwsClient, cluster: str, node_class: EC2NodeClass) -> dict[str, Any]:
    """A fleet is made from a launch template: it can be tried only where the controller has left one."""
    filters = [{"Name": f"tag:{TAG_CLUSTER}", "Values": [cluster]}]
    try:
        found = await client.everything("ec2", "DescribeLaunchTemplates", "LaunchTemplates", Filters=filters)
    except PortError:
        return {}
    if not found:
        return {}
    wanted = {"LaunchTemplateId": found[0]["LaunchTemplateId"], "Version": "$Latest"}
    override = {"InstanceType": _run(cluster, node_class)["InstanceType"], "SubnetId": node_class.status.subnets[0].id}
    return {
        "Type": "instant",
        "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": wanted, "Overrides": [override]}],
        "TargetCapacitySpecification": {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "on-demand"},
        "TagSpecifications": _tags(cluster, node_class, "fleet", "instance", "volume"),
    }
