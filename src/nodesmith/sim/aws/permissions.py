"""Which permissions a call needs: for each action the resources and the request context that IAM would look at.

Pure but for `Account`, which tells about what exists. Actions that are not listed need themselves on `*`, as IAM has it
for actions without resource-level permissions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from nodesmith.sim.aws.journal import Authorization

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from nodesmith.sim.aws.wire import Call

Context = dict[str, Any]


class Account(Protocol):
    """What exists, as far as permissions care."""

    def tags(self, region: str, resource_id: str) -> Mapping[str, str] | None:
        """An EC2 resource's tags, or None where it does not exist."""
        ...

    def template(self, region: str, wanted: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
        """A launch template's id and the data of the version named, or None."""
        ...

    def profile(self, name: str) -> tuple[str, Mapping[str, str]] | None:
        """An instance profile's path and tags, or None."""
        ...

    def profile_role(self, wanted: Mapping[str, Any]) -> str | None:
        """The ARN of the role in the profile that launch data names."""
        ...

    def role_path(self, name: str) -> str:
        """A role's path; `/` where it does not exist."""
        ...

    def queue_tags(self, region: str, name: str) -> Mapping[str, str]:
        """A queue's tags."""
        ...


def needed(call: Call, account: str, things: Account) -> tuple[Authorization, ...]:
    """The permissions that a call needs, each once."""
    if call.name == "sts:GetCallerIdentity":
        return ()
    maker = _MAKERS.get(call.name) or _SERVICES.get(call.service) or _anything
    base = {"aws:RequestedRegion": call.region, "aws:SecureTransport": "true"}
    found: dict[str, Authorization] = {}
    for action, resource, context in maker(call, account, things):
        entry = Authorization(action, resource, {**base, **context})
        found.setdefault(f"{action}|{resource}|{sorted(context.items(), key=str)}", entry)
    return tuple(found.values())


def _anything(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    del account, things
    yield call.name, "*", {}


def requested(tags: Mapping[str, str]) -> Context:
    """The context of tags that a request sets."""
    context: Context = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    if tags:
        context["aws:TagKeys"] = sorted(tags)
    return context


def owned(tags: Mapping[str, str], prefix: str = "aws") -> Context:
    """The context of tags that a resource has."""
    return {f"{prefix}:ResourceTag/{key}": value for key, value in tags.items()}


def tag_map(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """A list of Key and Value as a mapping."""
    return {tag["Key"]: tag.get("Value", "") for tag in tags or ()}


# --- EC2 ------------------------------------------------------------------------------------------------------------

_PREFIXES: Final = {
    "i": "instance",
    "lt": "launch-template",
    "vol": "volume",
    "eni": "network-interface",
    "subnet": "subnet",
    "sg": "security-group",
    "vpc": "vpc",
    "ami": "image",
    "snap": "snapshot",
    "fleet": "fleet",
    "sir": "spot-instances-request",
    "cr": "capacity-reservation",
    "pg": "placement-group",
}
_UNOWNED: Final = frozenset({"image", "snapshot"})


def _ec2_arn(call: Call, account: str, kind: str, name: str) -> str:
    return f"arn:aws:ec2:{call.region}:{'' if kind in _UNOWNED else account}:{kind}/{name}"


def _existing(call: Call, account: str, things: Account, resource_id: str) -> tuple[str, Context] | None:
    """A resource's ARN and context, or None where it does not exist and its action answers so."""
    kind = _PREFIXES.get(resource_id.split("-", maxsplit=1)[0], "resource")
    tags = things.tags(call.region, resource_id)
    return None if tags is None else (_ec2_arn(call, account, kind, resource_id), owned(tags) | owned(tags, "ec2"))


def _merged(*specifications: Iterable[Mapping[str, Any]] | None) -> dict[str, dict[str, str]]:
    merged: dict[str, dict[str, str]] = {}
    for group in specifications:
        for spec in group or ():
            merged.setdefault(spec.get("ResourceType", ""), {}).update(tag_map(spec.get("Tags")))
    return merged


def _on_instances(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    for instance_id in call.params.get("InstanceIds") or ():
        found = _existing(call, account, things, instance_id)
        if found:
            yield call.name, *found


def _tagging(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    tags = tag_map(call.params.get("Tags"))
    for resource_id in call.params.get("Resources") or ():
        found = _existing(call, account, things, resource_id)
        if found:
            yield call.name, found[0], {**found[1], **requested(tags)}


def _create_template(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    del things
    tags = _merged(call.params.get("TagSpecifications")).get("launch-template", {})
    arn = _ec2_arn(call, account, "launch-template", "*")
    yield call.name, arn, requested(tags)
    if tags:
        yield "ec2:CreateTags", arn, {**requested(tags), "ec2:CreateAction": call.action}


def _on_template(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    found = things.template(call.region, call.params)
    if found:
        tags = things.tags(call.region, found[0]) or {}
        yield call.name, _ec2_arn(call, account, "launch-template", found[0]), owned(tags) | owned(tags, "ec2")


def _launching(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    """CreateFleet and RunInstances: a fleet launches, so it needs RunInstances on the same resources too."""
    is_fleet = call.action == "CreateFleet"
    alone = {"LaunchTemplateSpecification": call.params.get("LaunchTemplate"), "Overrides": [call.params]}
    configs: Sequence[Mapping[str, Any]] = call.params.get("LaunchTemplateConfigs") or () if is_fleet else (alone,)
    actions = ("ec2:CreateFleet", "ec2:RunInstances") if is_fleet else ("ec2:RunInstances",)
    if is_fleet:
        yield from _made(
            call, account, {"fleet": _merged(call.params.get("TagSpecifications")).get("fleet", {})}, actions[:1]
        )
    for config in configs:
        wanted = config.get("LaunchTemplateSpecification")
        found = things.template(call.region, wanted) if wanted else None
        if wanted and not found:
            continue
        data = dict(found[1]) if found else {}
        if found:
            tags = things.tags(call.region, found[0]) or {}
            for action in actions:
                yield action, _ec2_arn(call, account, "launch-template", found[0]), owned(tags) | owned(tags, "ec2")
        given = call.params if not is_fleet else {}
        yield from _launch_of(
            call, account, things, {**data, **_data_of(given)}, config.get("Overrides") or ({},), actions
        )


def _data_of(params: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in params.items() if k not in {"LaunchTemplate", "TagSpecifications"}}


def _launch_of(  # noqa: PLR0917 - what the two actions share
    call: Call,
    account: str,
    things: Account,
    data: Mapping[str, Any],
    overrides: Iterable[Mapping[str, Any]],
    actions: tuple[str, ...],
) -> Iterator[tuple[str, str, Context]]:
    tags = _merged(data.get("TagSpecifications"), call.params.get("TagSpecifications"))
    is_spot = "spot" in {
        (call.params.get("TargetCapacitySpecification") or {}).get("DefaultTargetCapacityType"),
        (data.get("InstanceMarketOptions") or {}).get("MarketType"),
    }
    kinds = ["instance", "volume", "network-interface", *(["spot-instances-request"] if is_spot else [])]
    yield from _made(call, account, {kind: tags.get(kind, {}) for kind in kinds}, actions)
    for resource in _used(data, overrides):
        found = _existing(call, account, things, resource)
        arn, context = found or (
            _ec2_arn(call, account, _PREFIXES.get(resource.split("-")[0], "resource"), resource),
            {},
        )
        for action in actions:
            yield action, arn, context
    role = things.profile_role(data.get("IamInstanceProfile") or {})
    if role:
        yield "iam:PassRole", role, {"iam:PassedToService": "ec2.amazonaws.com"}


def _made(
    call: Call, account: str, kinds: Mapping[str, Mapping[str, str]], actions: tuple[str, ...]
) -> Iterator[tuple[str, str, Context]]:
    """Resources that a launch makes, and the right to tag them."""
    for kind, tags in kinds.items():
        arn = _ec2_arn(call, account, kind, "*")
        for action in actions:
            yield action, arn, requested(tags)
        if tags:
            create_action = "CreateFleet" if kind == "fleet" else actions[-1].partition(":")[2]
            yield "ec2:CreateTags", arn, {**requested(tags), "ec2:CreateAction": create_action}


def _used(data: Mapping[str, Any], overrides: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Ids of what exists already and a launch uses."""
    rows = list(overrides)
    nics = data.get("NetworkInterfaces") or ()
    yield from sorted({i for row in rows if (i := row.get("ImageId") or data.get("ImageId"))})
    yield from sorted({i for row in rows if (i := row.get("SubnetId") or data.get("SubnetId"))})
    yield from sorted(
        {group for nic in nics for group in nic.get("Groups") or ()} | set(data.get("SecurityGroupIds") or ())
    )
    yield from sorted(
        {s for m in data.get("BlockDeviceMappings") or () if (s := (m.get("Ebs") or {}).get("SnapshotId"))}
    )
    target = (data.get("CapacityReservationSpecification") or {}).get("CapacityReservationTarget") or {}
    yield from (i for i in (target.get("CapacityReservationId"), (data.get("Placement") or {}).get("GroupId")) if i)


# --- IAM, SQS, SSM, EKS, events ---------------------------------------------------------------------------------------


def _on_profile(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    name = call.params.get("InstanceProfileName", "")
    found = things.profile(name)
    path = found[0] if found else call.params.get("Path") or "/"
    arn = f"arn:aws:iam::{account}:instance-profile{path}{name}"
    is_made = call.action == "CreateInstanceProfile"
    context = requested(tag_map(call.params.get("Tags"))) | ({} if is_made or not found else owned(found[1]))
    yield call.name, arn, context
    role = call.params.get("RoleName")
    if call.action == "AddRoleToInstanceProfile" and role:
        arn = f"arn:aws:iam::{account}:role{things.role_path(role)}{role}"
        yield "iam:PassRole", arn, {"iam:PassedToService": "ec2.amazonaws.com"}


def _list_profiles(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    del things
    yield call.name, f"arn:aws:iam::{account}:instance-profile{call.params.get('PathPrefix') or '/'}", {}


def _service_linked(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    del things
    service = call.params.get("AWSServiceName", "")
    yield call.name, f"arn:aws:iam::{account}:role/aws-service-role/{service}/*", {"iam:AWSServiceName": service}


def _iam(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    params, context = call.params, requested(tag_map(call.params.get("Tags")))
    if "RoleName" in params:
        name = params["RoleName"]
        path = params.get("Path") or things.role_path(name)
        if "PolicyArn" in params:
            context["iam:PolicyARN"] = params["PolicyArn"]
        yield call.name, f"arn:aws:iam::{account}:role{path}{name}", context
    elif "PolicyArn" in params:
        yield call.name, params["PolicyArn"], context
    elif "PolicyName" in params:
        yield call.name, f"arn:aws:iam::{account}:policy{params.get('Path') or '/'}{params['PolicyName']}", context
    elif "OpenIDConnectProviderArn" in params:
        yield call.name, params["OpenIDConnectProviderArn"], context
    elif call.action == "CreateOpenIDConnectProvider":
        issuer = params.get("Url", "").removeprefix("https://")
        yield call.name, f"arn:aws:iam::{account}:oidc-provider/{issuer}", context
    else:
        yield call.name, "*", context


def _sqs(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    name = call.params.get("QueueName") or str(call.params.get("QueueUrl", "")).rpartition("/")[2]
    # The batch forms have no permission of their own.
    action = call.name.removesuffix("Batch")
    if not name:
        yield action, "*", {}
        return
    context = requested(call.params.get("tags") or {}) | owned(things.queue_tags(call.region, name))
    yield action, f"arn:aws:sqs:{call.region}:{account}:{name}", context


def _ssm(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    del things
    names = call.params.get("Names") or [n for n in (call.params.get("Name"), call.params.get("Path")) if n]
    for name in names or ["*"]:
        owner = "" if name.startswith("/aws/service/") else account
        yield call.name, f"arn:aws:ssm:{call.region}:{owner}:parameter/{name.removeprefix('/')}", {}


def _eks(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    del things
    params = call.params
    cluster = params.get("clusterName") or params.get("name")
    if not cluster:
        yield call.name, "*", {}
        return
    start = f"arn:aws:eks:{call.region}:{account}"
    context = requested(params.get("tags") or {})
    if call.action in {"DescribeAccessEntry", "DeleteAccessEntry", "UpdateAccessEntry"}:
        role = params["principalArn"].rpartition("/")[2]
        yield call.name, f"{start}:access-entry/{cluster}/role/{account}/{role}/*", {}
    elif "associationId" in params:
        yield call.name, f"{start}:podidentityassociation/{cluster}/{params['associationId']}", {}
    else:
        yield call.name, f"{start}:cluster/{cluster}", context
    role = params.get("roleArn")
    if role and call.action in {"CreatePodIdentityAssociation", "UpdatePodIdentityAssociation"}:
        yield "iam:PassRole", role, {"iam:PassedToService": "pods.eks.amazonaws.com"}


def _events(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    del things
    name = call.params.get("Rule") or call.params.get("Name") or "*"
    tags = requested(tag_map(call.params.get("Tags")))
    yield call.name, f"arn:aws:events:{call.region}:{account}:rule/{name}", tags


def _sts(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    del account, things
    if call.action != "AssumeRoleWithWebIdentity":
        yield call.name, call.params.get("RoleArn") or "*", {}


def _zonal_shift(call: Call, account: str, things: Account) -> Iterator[tuple[str, str, Context]]:
    del account, things
    resource = call.params.get("resourceIdentifier") or "*"
    yield call.name, resource, {"arc-zonal-shift:ResourceIdentifier": resource}


_MAKERS: Final[dict[str, Callable[[Call, str, Account], Iterator[tuple[str, str, Context]]]]] = {
    "ec2:CreateFleet": _launching,
    "ec2:RunInstances": _launching,
    "ec2:CreateLaunchTemplate": _create_template,
    "ec2:CreateLaunchTemplateVersion": _on_template,
    "ec2:DeleteLaunchTemplate": _on_template,
    "ec2:ModifyLaunchTemplate": _on_template,
    "ec2:CreateTags": _tagging,
    "ec2:DeleteTags": _tagging,
    "ec2:TerminateInstances": _on_instances,
    "ec2:StopInstances": _on_instances,
    "ec2:StartInstances": _on_instances,
    "ec2:RebootInstances": _on_instances,
    "iam:ListInstanceProfiles": _list_profiles,
    "iam:CreateServiceLinkedRole": _service_linked,
    **{
        f"iam:{action}": _on_profile
        for action in (
            "AddRoleToInstanceProfile",
            "CreateInstanceProfile",
            "DeleteInstanceProfile",
            "GetInstanceProfile",
            "ListInstanceProfileTags",
            "RemoveRoleFromInstanceProfile",
            "TagInstanceProfile",
            "UntagInstanceProfile",
        )
    },
}
_SERVICES: Final[dict[str, Callable[[Call, str, Account], Iterator[tuple[str, str, Context]]]]] = {
    "arc-zonal-shift": _zonal_shift,
    "eks": _eks,
    "events": _events,
    "iam": _iam,
    "sqs": _sqs,
    "ssm": _ssm,
    "sts": _sts,
}
