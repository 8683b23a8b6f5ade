"""Whether the controller may launch from a NodeClass: asked of EC2 itself, by requests that change nothing (spec 7.4).

A denied permission is a condition that a person can read, hours before pods need the node. CreateLaunchTemplate has no
dry run for what it must check, so one template is really made; it is deleted like any template that nobody uses.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from nodesmith.adapters.aws.cache import Cache
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.cluster import ClusterSource
from nodesmith.adapters.aws.errors import DRY_RUN_PASSED, PROFILE_NOT_VISIBLE, UNAUTHORIZED, AwsRefused
from nodesmith.adapters.aws.fleet import Asker, shared_requests
from nodesmith.adapters.aws.images import ImageChoice
from nodesmith.adapters.aws.kubelet import expressions_of
from nodesmith.adapters.aws.kubeletcheck import NOT_EVALUATED, kubelet_fault
from nodesmith.adapters.aws.names import EXOTIC_RESOURCES
from nodesmith.adapters.aws.objects import Objects
from nodesmith.adapters.aws.offers import Catalogue, Offers
from nodesmith.adapters.aws.planlaunch import Chosen, Frame, LaunchPlan, plan_launch
from nodesmith.adapters.aws.selection import Candidate, capacity_type_for
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.aws.tags import restricted_tag, tag_list
from nodesmith.adapters.aws.templates import Templates
from nodesmith.api.ec2nodeclass import VALIDATION_SUCCEEDED, EC2NodeClass, kubelet_of
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.labels import NODEPOOL, TENANCY
from nodesmith.model.meta import Condition, ObjectMeta
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.requirements import Requirements
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import CapacityUnavailable, CreateFailed, NodeClassNotReady, PortError

KEPT_FOR: Final = timedelta(minutes=30)
FALLBACK_TYPES: Final = ("m5.large", "m6g.large")
NO_PROFILE: Final = "InstanceProfileNotFound"
LOOKED_FOR_AGAIN: Final = timedelta(minutes=1)
_CLAIM: Final = "validation"

_Check = Callable[[LaunchPlan, EC2NodeClass], Awaitable["Verdict | None"]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The condition's value; `status` is True, False or Unknown."""

    status: str
    reason: str = VALIDATION_SUCCEEDED
    message: str = ""

    def condition(self) -> Condition:
        """The condition, without its time."""
        return Condition(VALIDATION_SUCCEEDED, self.status, self.reason, self.message)


PASSED: Final = Verdict("True")


class Validation:
    """Verdicts on NodeClasses; one that passed is believed for half an hour, unless the NodeClass changes."""

    def __init__(
        self,
        settings: AwsSettings,
        client: AwsClient,
        clock: Clock,
        *,
        cluster: ClusterSource,
        offers: Offers,
        templates: Templates,
        objects: Objects,
    ) -> None:
        self._settings = settings
        self._client = client
        self._cluster = cluster
        self._offers = offers
        self._templates = templates
        self._objects = objects
        self._known: Cache[str, Verdict] = Cache(clock, KEPT_FOR)

    async def verdict(self, node_class: EC2NodeClass, dependents: Iterable[Condition]) -> Verdict:
        """The verdict; `node_class` carries the status that was just resolved.

        Raises:
            PortError: when EC2 answered neither yes nor no.
        """
        early = await self._early(node_class, list(dependents))
        if early is not None:
            return early
        key = _fingerprint(node_class)
        known = self._known.peek(key)
        if known is None:
            known = await self._ask(node_class)
            # A profile is made outside: nothing of the class changes when it appears.
            self._known.set(key, known, ttl=LOOKED_FOR_AGAIN if known.reason == NO_PROFILE else KEPT_FOR)
            self._known.expired()
        return known

    async def _early(self, node_class: EC2NodeClass, dependents: Sequence[Condition]) -> Verdict | None:
        """What can be said without EC2, or None."""
        if node_class.ami_family == "AL2023" and not await self._has_cidr():
            return Verdict("False", "ClusterCIDRResolutionFailed", "Failed to detect the cluster CIDR")
        waiting = "Awaiting AMI, Instance Profile, Security Group, and Subnet resolution"
        for status in ("False", "Unknown"):
            if any(each.status == status for each in dependents):
                return Verdict(status, "DependenciesNotReady", waiting)
        tag = restricted_tag(node_class.spec.tags)
        if tag is not None:
            return Verdict("False", "TagValidationFailed", f'tag "{tag}" is set by nodesmith and may not be given')
        fault = kubelet_fault(node_class, is_cel_enabled=self._settings.is_cel_enabled)
        if fault is not None:
            return Verdict("False", *fault)
        if expressions_of(kubelet_of(node_class.spec)) and (told := (await self._offers.of(node_class)).fault):
            return Verdict("False", NOT_EVALUATED, told)
        return PASSED if self._settings.is_dry_run_disabled else None

    async def _has_cidr(self) -> bool:
        try:
            return bool((await self._cluster.info()).cidr)
        except PortError:
            return False

    async def _ask(self, node_class: EC2NodeClass) -> Verdict:
        try:
            plan = await self._plan(node_class)
        except (CapacityUnavailable, NodeClassNotReady) as error:
            return Verdict("Unknown", "DependenciesNotReady", str(error))
        except CreateFailed as error:
            return Verdict("False", error.reason, error.message)
        for check in (self._create_launch_template, self._create_fleet, self._run_instances):
            verdict = await self._checked(check, plan, node_class)
            if verdict is not None:
                return verdict
        return PASSED

    async def _checked(self, check: _Check, plan: LaunchPlan, node_class: EC2NodeClass) -> Verdict | None:
        """The check's verdict; a profile that the class names and that is not there is told by name.

        Raises:
            PortError: when EC2 answered neither yes nor no.
        """
        try:
            return await check(plan, node_class)
        except AwsRefused as error:
            given = node_class.spec.instance_profile
            if not given or PROFILE_NOT_VISIBLE not in error.answer.message:
                raise
            told = f"instance profile {given} was not found: {error.answer.message}"
            return Verdict("False", "InstanceProfileNotFound", told)

    async def _create_launch_template(self, plan: LaunchPlan, _: EC2NodeClass) -> Verdict | None:
        try:
            await self._templates.ensure(plan.templates[0])
        except AwsRefused as error:
            if "User data is limited to" in error.answer.message:
                told = f"ec2:CreateLaunchTemplate rejected the rendered user data as too large: {error.answer.message}"
                return Verdict("False", "UserDataSizeLimitExceeded", told)
            return _denied(error, "CreateLaunchTemplate")
        return None

    async def _create_fleet(self, plan: LaunchPlan, node_class: EC2NodeClass) -> Verdict | None:
        (joint, _), *_ = shared_requests(plan.request, [Asker(_CLAIM, node_class.meta.uid)])
        return await self._dry_run("CreateFleet", joint)

    async def _run_instances(self, plan: LaunchPlan, node_class: EC2NodeClass) -> Verdict | None:
        """One subnet where it is allowed is enough; the first subnet's refusal is the one that is told."""
        first: Verdict | None = None
        for subnet in node_class.status.subnets:
            verdict = await self._dry_run("RunInstances", _run_request(plan, subnet.id))
            if verdict is None:
                return None
            first = first or verdict
        return first

    async def _dry_run(self, operation: str, request: Mapping[str, Any]) -> Verdict | None:
        try:
            await self._client.call("ec2", operation, attempts=1, DryRun=True, **request)
        except AwsRefused as error:
            if error.answer.code == DRY_RUN_PASSED:
                return None
            return _denied(error, operation)
        return None

    async def _plan(self, node_class: EC2NodeClass) -> LaunchPlan:
        catalogue = await self._offers.of(node_class)
        pools = [each for each in await self._objects.node_pools() if each.node_class.name == node_class.name]
        type_ = _type_for(catalogue, node_class, pools)
        offerings = tuple(each for each in type_.offerings if each.zone in catalogue.place.zones)
        if not offerings:
            raise CapacityUnavailable(f"{type_.name} is not offered in the zones of the subnets")
        tenancies = [pool.requirements.get(TENANCY) for pool in pools]
        is_dedicated = bool(tenancies) and not any(each.allows("default") for each in tenancies)
        candidate = Candidate(type_, offerings)
        capacity_type = capacity_type_for(pools[0].requirements if pools else Requirements(), [candidate])
        chosen = Chosen((candidate,), capacity_type, "dedicated" if is_dedicated else "default")
        claim = NodeClaim(
            ObjectMeta(_CLAIM, labels={NODEPOOL: pools[0].name if pools else "default"}, uid=node_class.meta.uid)
        )
        frame = Frame(self._settings, await self._cluster.info(), catalogue.place, catalogue.facts)
        subnets = {each.zone: each.id for each in reversed(node_class.status.subnets)}
        return plan_launch(claim, node_class, chosen, frame, subnets)


def _type_for(catalogue: Catalogue, node_class: EC2NodeClass, pools: Sequence[NodePool]) -> InstanceType:
    """A type to ask with: plain rather than exotic, of the NodePools' types, and one that an image boots on."""
    images = ImageChoice(node_class.status.amis)
    bootable = {
        each.name: each for each in catalogue.types if each.offerings and images.of(each.requirements) is not None
    }
    wanted = [
        each
        for each in bootable.values()
        if any(each.requirements.intersection_conflict(pool.requirements) is None for pool in pools)
        and any(offering.zone in catalogue.place.zones for offering in each.offerings)
    ]
    if wanted and not node_class.ami_family.startswith("Windows"):
        return min(wanted, key=lambda each: (any(each.capacity.get(n) for n in EXOTIC_RESOURCES), each.name))
    fallback = next((bootable[name] for name in FALLBACK_TYPES if name in bootable), None)
    found = fallback or next(iter(bootable.values()), None)
    if found is None:
        raise NodeClassNotReady("no instance type boots from the images")
    return found


def _run_request(plan: LaunchPlan, subnet: str) -> dict[str, Any]:
    template = plan.templates[0]
    # An interface and a subnet of the whole request exclude each other, so the subnet goes into the interfaces.
    interfaces = [{**each, "SubnetId": subnet} for each in template.data["NetworkInterfaces"]]
    return {
        "ImageId": plan.overrides[0].image,
        "InstanceType": plan.overrides[0].type.name,
        "MinCount": 1,
        "MaxCount": 1,
        "LaunchTemplate": {"LaunchTemplateName": template.name, "Version": "$Latest"},
        "NetworkInterfaces": interfaces,
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": tag_list(template.tags)}
            for kind in ("instance", "volume", "network-interface")
        ],
    }


def _denied(error: AwsRefused, operation: str) -> Verdict:
    """A denied permission; everything else that EC2 refuses is not for a condition.

    Raises:
        AwsRefused: for the rest.
    """
    if error.answer.code != UNAUTHORIZED:
        raise error
    told = f"Controller isn't authorized to call ec2:{operation}: {error.answer.message}"
    return Verdict("False", f"{operation}AuthCheckFailed", told)


def _fingerprint(node_class: EC2NodeClass) -> str:
    """What a verdict depends on."""
    status = node_class.status
    parts = (
        node_class.name,
        repr(node_class.spec),
        sorted(node_class.meta.annotations.items()),
        [each.id for each in status.subnets],
        [each.id for each in status.security_groups],
        [each.id for each in status.amis],
        status.instance_profile,
    )
    return json.dumps(parts)
