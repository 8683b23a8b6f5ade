"""What an EC2NodeClass stands for now, and whether it is fit to launch from (spec 7.4).

Each part answers for itself. A part that AWS refuses or does not answer for keeps what was known and says so in its
condition, so that an account without some endpoint has a condition to read and not a controller that fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Generic, TypeVar

from nodesmith.adapters.aws.cluster import ClusterSource
from nodesmith.adapters.aws.images import UnsupportedAlias
from nodesmith.adapters.aws.imagesource import ImageSource
from nodesmith.adapters.aws.network import Network, wire_subnet
from nodesmith.adapters.aws.offers import Reservations
from nodesmith.adapters.aws.profiles import Profiles
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.aws.subnets import SubnetChoice
from nodesmith.adapters.aws.validation import Validation
from nodesmith.api.ec2nodeclass import (
    AMI,
    AMIS_READY,
    CAPACITY_RESERVATIONS_READY,
    INSTANCE_PROFILE_READY,
    PLACEMENT_GROUP_READY,
    READY,
    SECURITY_GROUPS_READY,
    SUBNETS_READY,
    VALIDATION_SUCCEEDED,
    CapacityReservation,
    EC2NodeClass,
    EC2NodeClassStatus,
    SecurityGroup,
    Subnet,
)
from nodesmith.model.meta import Condition
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import NotFound, PortError, Throttled, Unavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """One part of the status with its condition."""

    value: T
    condition: Condition


class NodeClassResolver:
    """Resolves EC2NodeClasses."""

    def __init__(
        self,
        settings: AwsSettings,
        clock: Clock,
        *,
        cluster: ClusterSource,
        images: ImageSource,
        network: Network,
        subnets: SubnetChoice,
        profiles: Profiles,
        reservations: Reservations,
        validation: Validation,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._cluster = cluster
        self._images = images
        self._network = network
        self._subnets = subnets
        self._profiles = profiles
        self._reservations = reservations
        self._validation = validation

    async def resolve(self, node_class: EC2NodeClass) -> EC2NodeClassStatus:
        """The whole status, conditions included."""
        present = node_class.status
        amis = await _part(AMIS_READY, present, present.amis, lambda: self._find_images(node_class))
        subnets = await _part(SUBNETS_READY, present, present.subnets, lambda: self._find_subnets(node_class))
        groups = await _part(
            SECURITY_GROUPS_READY, present, present.security_groups, lambda: self._find_groups(node_class)
        )
        profile = await _part(
            INSTANCE_PROFILE_READY, present, present.instance_profile, lambda: self._find_profile(node_class)
        )
        placement = await _part(PLACEMENT_GROUP_READY, present, None, lambda: self._find_placement(node_class))
        conditions = [amis.condition, subnets.condition, groups.condition, profile.condition, placement.condition]
        resolved = EC2NodeClassStatus(
            subnets=subnets.value,
            security_groups=groups.value,
            amis=amis.value,
            instance_profile=profile.value,
        )
        if self._settings.is_reserved_capacity_enabled:
            reservations = await _part(
                CAPACITY_RESERVATIONS_READY,
                present,
                present.capacity_reservations,
                lambda: self._find_reservations(node_class),
            )
            resolved = replace(resolved, capacity_reservations=reservations.value)
            conditions.append(reservations.condition)
        conditions.append(await self._validate(replace(node_class, status=resolved), conditions[:4], present))
        return replace(resolved, conditions=_settled(node_class, conditions, self._clock.now()))

    async def _find_images(self, node_class: EC2NodeClass) -> Part[tuple[AMI, ...]]:
        try:
            found = await self._images.images(node_class, await self._cluster.version())
        except UnsupportedAlias as error:
            return Part((), Condition(AMIS_READY, "False", "UnsupportedAlias", str(error)))
        if not found:
            return Part((), Condition(AMIS_READY, "False", "AMINotFound", "AMISelector did not match any AMIs"))
        return Part(found, _true(AMIS_READY))

    async def _find_subnets(self, node_class: EC2NodeClass) -> Part[tuple[Subnet, ...]]:
        facts = await self._network.subnets(node_class.spec.subnet_selector_terms)
        self._subnets.learn(facts)
        if not facts:
            told = "SubnetSelector did not match any Subnets"
            return Part((), Condition(SUBNETS_READY, "False", "SubnetsNotFound", told))
        return Part(tuple(wire_subnet(each) for each in facts), _true(SUBNETS_READY))

    async def _find_groups(self, node_class: EC2NodeClass) -> Part[tuple[SecurityGroup, ...]]:
        found = await self._network.security_groups(node_class.spec.security_group_selector_terms)
        if not found:
            told = "SecurityGroupSelector did not match any SecurityGroups"
            return Part((), Condition(SECURITY_GROUPS_READY, "False", "SecurityGroupsNotFound", told))
        return Part(found, _true(SECURITY_GROUPS_READY))

    async def _find_profile(self, node_class: EC2NodeClass) -> Part[str]:
        if node_class.spec.instance_profile:
            return Part(node_class.spec.instance_profile, _true(INSTANCE_PROFILE_READY))
        if self._settings.is_isolated_vpc:
            told = "an isolated VPC does not reach IAM, so the profile cannot be made: give spec.instanceProfile"
            return Part("", Condition(INSTANCE_PROFILE_READY, "False", "IsolatedVPC", told))
        try:
            return Part(await self._profiles.ensure(node_class), _true(INSTANCE_PROFILE_READY))
        except NotFound as error:
            told = f"role {node_class.spec.role} was not found: {error}"
            return Part("", Condition(INSTANCE_PROFILE_READY, "False", "RoleNotFound", told))

    async def _find_placement(self, node_class: EC2NodeClass) -> Part[None]:
        if node_class.spec.placement_group_selector is None:
            return Part(None, _true(PLACEMENT_GROUP_READY))
        try:
            await self._network.placement_group(node_class.spec.placement_group_selector)
        except NotFound as error:
            return Part(None, Condition(PLACEMENT_GROUP_READY, "False", "PlacementGroupNotFound", str(error)))
        return Part(None, _true(PLACEMENT_GROUP_READY))

    async def _find_reservations(self, node_class: EC2NodeClass) -> Part[tuple[CapacityReservation, ...]]:
        found = await self._network.reservations(node_class.spec.capacity_reservation_selector_terms)
        for reservation, left in found:
            self._reservations.learn(reservation.id, left)
        return Part(tuple(each for each, _ in found), _true(CAPACITY_RESERVATIONS_READY))

    async def _validate(
        self, node_class: EC2NodeClass, dependents: list[Condition], present: EC2NodeClassStatus
    ) -> Condition:
        try:
            return (await self._validation.verdict(node_class, dependents)).condition()
        except PortError as error:
            return _undecided(VALIDATION_SUCCEEDED, present, "ValidationFailed", error)


FAILED: Final = {
    AMIS_READY: "AMIResolutionFailed",
    SUBNETS_READY: "SubnetResolutionFailed",
    SECURITY_GROUPS_READY: "SecurityGroupResolutionFailed",
    INSTANCE_PROFILE_READY: "InstanceProfileResolutionFailed",
    PLACEMENT_GROUP_READY: "PlacementGroupResolutionFailed",
    CAPACITY_RESERVATIONS_READY: "CapacityReservationResolutionFailed",
}
"""The reason of each part that AWS refused to answer for."""


async def _part(kind: str, present: EC2NodeClassStatus, known: T, find: Callable[[], Awaitable[Part[T]]]) -> Part[T]:
    """The part; where AWS does not answer, what was known, and where it refuses, a condition that says so."""
    try:
        return await find()
    except (Throttled, Unavailable) as error:
        return Part(known, _undecided(kind, present, FAILED[kind], error))
    except PortError as error:
        return Part(known, Condition(kind, "False", FAILED[kind], str(error)))


def _undecided(kind: str, present: EC2NodeClassStatus, reason: str, error: PortError) -> Condition:
    """The condition as it was; Unknown, with the error, where there was none."""
    before = present.conditions.get(kind)
    if before is not None and before.status != "Unknown":
        return before
    return Condition(kind, "Unknown", reason, str(error))


def _true(kind: str) -> Condition:
    return Condition(kind, "True", kind)


def _settled(node_class: EC2NodeClass, conditions: list[Condition], now: datetime) -> dict[str, Condition]:
    """The conditions with Ready, each with the time of its last change and the generation it is about."""
    failing = next((each for status in ("False", "Unknown") for each in conditions if each.status == status), None)
    if failing is None:
        ready = _true(READY)
    else:
        reason = "UnhealthyDependents" if failing.is_false else "ReconcilingDependents"
        ready = Condition(READY, failing.status, reason, f"{failing.type}={failing.status}")
    settled: dict[str, Condition] = {}
    for each in (*conditions, ready):
        before = node_class.status.conditions.get(each.type)
        changed_at = before.changed_at if before is not None and before.status == each.status else now
        settled[each.type] = replace(each, changed_at=changed_at, observed_generation=node_class.meta.generation)
    return settled
