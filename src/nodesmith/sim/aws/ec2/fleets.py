"""CreateFleet and RunInstances: from the request to instances and errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.utils import random_fleet_id

from nodesmith.sim.aws import world
from nodesmith.sim.aws.ec2 import catalog, launch
from nodesmith.sim.aws.ec2.fleet import Candidate, ranked
from nodesmith.sim.aws.ec2.instance import LaunchSpec
from nodesmith.sim.aws.world import Pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nodesmith.sim.aws.ec2.backend import BoxEC2Backend

UNLIMITED: Final = 1_000_000
_SPOT_CODE: Final = "UnfulfillableCapacity"
_ON_DEMAND_CODE: Final = "InsufficientInstanceCapacity"


@dataclass(slots=True)
class Override:
    """One override with what it resolves to."""

    template: Any
    version: Any
    reference: dict[str, str]
    wanted: Mapping[str, Any]
    data: dict[str, Any]
    subnet: Any = None
    zone: str = ""
    instance_type: str = ""

    def described(self) -> dict[str, Any]:
        """The override as an answer repeats it."""
        shown = {**self.wanted}
        if self.zone:
            shown["AvailabilityZone"] = self.zone
        return {"LaunchTemplateSpecification": self.reference, "Overrides": shown}


class InstantFleet:
    """One CreateFleet of type instant."""

    def __init__(self, backend: BoxEC2Backend, params: Mapping[str, Any]) -> None:
        target = params["TargetCapacitySpecification"]
        self.backend = backend
        self.params = params
        self.id = random_fleet_id()
        self.capacity_type: str = target.get("DefaultTargetCapacityType") or "on-demand"
        self.wanted = int(target["TotalTargetCapacity"])
        self.errors: list[dict[str, Any]] = []
        self.instances: list[dict[str, Any]] = []

    @property
    def market(self) -> str:
        """Whose pools and prices the launches use."""
        return "spot" if self.capacity_type == "spot" else "on-demand"

    @property
    def strategy(self) -> str:
        """The allocation strategy asked for."""
        options = self.params.get("SpotOptions" if self.market == "spot" else "OnDemandOptions") or {}
        return str(options.get("AllocationStrategy") or "lowest-price")

    def run(self) -> dict[str, Any]:
        """Launch what can be launched; the answer with its errors."""
        overrides = list(self._overrides())
        if not overrides:
            raise EC2ClientError("InvalidFleetConfig", "The fleet has no launch template overrides")
        candidates = [c for i, o in enumerate(overrides) if (c := self._candidate(i, o)) is not None]
        left = self.wanted
        for candidate in ranked(self.strategy, candidates):
            if left == 0:
                break
            left -= self._take(candidate, overrides[candidate.index], left)
        return {"FleetId": self.id, "Instances": self.instances, "Errors": self.errors}

    def _overrides(self) -> Iterable[Override]:
        for config in self.params["LaunchTemplateConfigs"]:
            template, version = self.backend.template_of(config["LaunchTemplateSpecification"])
            reference = {
                "LaunchTemplateId": template.id,
                "LaunchTemplateName": template.name,
                "Version": str(version.number),
            }
            for wanted in config.get("Overrides") or [{}]:
                yield Override(template, version, reference, wanted, {**version.data, **_override_data(wanted)})

    def _fail(self, override: Override, code: str, message: str) -> None:
        self.errors.append(
            {
                "LaunchTemplateAndOverrides": override.described(),
                "Lifecycle": self.market,
                "ErrorCode": code,
                "ErrorMessage": message,
            }
        )

    def _candidate(self, index: int, override: Override) -> Candidate | None:
        """The override as something that can be tried, or None after noting why not."""
        wanted = override.wanted
        override.instance_type = wanted.get("InstanceType") or override.data.get("InstanceType") or ""
        subnet_id = wanted.get("SubnetId") or _template_subnet(override.data)
        override.subnet = (
            self.backend.subnet_or_none(subnet_id)
            if subnet_id
            else self.backend.default_subnet_in(wanted.get("AvailabilityZone"))
        )
        if override.subnet is None:
            self._fail(override, "InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
            return None
        override.zone = override.subnet.availability_zone
        if (override.instance_type, override.zone) not in catalog.offered_in_zones(self.backend.region_name):
            self._fail(override, "Unsupported", unsupported(override.instance_type, override.zone))
            return None
        price = self._price(override)
        if self.market == "spot" and wanted.get("MaxPrice") and price is not None and price > float(wanted["MaxPrice"]):
            message = (
                f"Your Spot request price of {wanted['MaxPrice']} is lower than the minimum required Spot request "
                f"fulfillment price of {price}."
            )
            self._fail(override, "SpotMaxPriceTooLow", message)
            return None
        depth = capacity_left(self.market, override.instance_type, override.zone)
        return Candidate(index, override.instance_type, override.zone, price, wanted.get("Priority"), depth)

    def _price(self, override: Override) -> float | None:
        box = world.current()
        if self.market == "spot":
            return box.spot_price(override.zone, override.instance_type)
        return box.on_demand_price(self.backend.region_name, override.instance_type)

    def _take(self, candidate: Candidate, override: Override, left: int) -> int:
        """Launch up to `left` instances of a candidate; how many there are."""
        try:
            if self.market == "spot":
                require_spot_role()
            spec = self._spec(override)
            launch.check(spec, self.backend)
            count = self._grant(spec, candidate, left)
            made = [start(spec, self.backend).id for _ in range(count)]
        except EC2ClientError as error:
            self._fail(override, error.code, error.message)
            return 0
        if made:
            self.instances.append(
                {
                    "LaunchTemplateAndOverrides": override.described(),
                    "Lifecycle": self.market,
                    "InstanceIds": made,
                    "InstanceType": override.instance_type,
                    "Platform": None,
                }
            )
        return len(made)

    def _grant(self, spec: LaunchSpec, candidate: Candidate, left: int) -> int:
        """How many instances the candidate gives; reserved capacity is there whatever the pool says."""
        if target_of(spec.data):
            count = left
        else:
            count = grant(self.market, candidate.instance_type, candidate.zone, left)
            world.current().consume(Pool(self.market, candidate.instance_type, candidate.zone), count)
        require_addresses(spec.subnet, count)
        return count

    def _spec(self, override: Override) -> LaunchSpec:
        data = override.data
        tags = merge_tags(data.get("TagSpecifications"), self.params.get("TagSpecifications"))
        capacity_type = self.capacity_type if self.capacity_type in {"spot", "capacity-block"} else "on-demand"
        return LaunchSpec(
            image_id=data.get("ImageId") or "",
            instance_type=override.instance_type,
            subnet=override.subnet,
            capacity_type=capacity_type,
            data=data,
            tags=tags,
            template=(override.template.id, str(override.version.number)),
            fleet_id=self.id,
            client_token=self.params.get("ClientToken"),
            security_groups=launch.network_of(data, self.backend),
        )


def start(spec: LaunchSpec, backend: BoxEC2Backend) -> Any:
    """Launch one instance into the reservation it belongs to, if any.

    Raises:
        EC2ClientError: the reservation that it must use does not fit or is full.
    """
    reservation = reservation_for(spec, backend)
    spec.reservation_id = reservation.id if reservation else None
    instance = launch.launch(spec, backend)
    if reservation:
        reservation.used_by.add(instance.id)
    return instance


def require_spot_role() -> None:
    """Raise where the account has no Spot role and the caller may not make it.

    Raises:
        EC2ClientError: so it is.
    """
    if world.current().is_spot_role_refused:
        code = "AuthFailure.ServiceLinkedRoleCreationNotPermitted"
        message = (
            "The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances."
        )
        raise EC2ClientError(code, message)


def require_addresses(subnet: Any, count: int) -> None:
    """Raise where a subnet is too full.

    Raises:
        EC2ClientError: fewer than `count` addresses are free.
    """
    if subnet.available_ip_address_count < count:
        message = (
            f"There are not enough free addresses in subnet '{subnet.id}' to satisfy the requested number of instances."
        )
        raise EC2ClientError("InsufficientFreeAddressesInSubnet", message)


def target_of(data: Mapping[str, Any]) -> str | None:
    """The capacity reservation that launch data names."""
    wish = data.get("CapacityReservationSpecification") or {}
    found = (wish.get("CapacityReservationTarget") or {}).get("CapacityReservationId")
    return None if found is None else str(found)


def reservation_for(spec: LaunchSpec, backend: BoxEC2Backend) -> Any | None:
    """The capacity reservation that a launch uses.

    Raises:
        EC2ClientError: a targeted reservation is absent, of another kind, or full.
    """
    wish = spec.data.get("CapacityReservationSpecification") or {}
    target = target_of(spec.data)
    zone = spec.subnet.availability_zone
    if target:
        found = backend.capacity_reservations.get(target)
        if (found.instance_type, found.zone) != (spec.instance_type, zone):
            message = f"The capacity reservation '{target}' is for {found.instance_type} in {found.zone}."
            raise EC2ClientError("InvalidParameterValue", message)
        if found.state != "active" or found.available < 1:
            message = "The requested reservation does not have sufficient compatible and available capacity"
            raise EC2ClientError("ReservationCapacityExceeded", message)
        return found
    if wish.get("CapacityReservationPreference") == "none" or spec.capacity_type == "spot":
        return None
    fallen = backend.capacity_reservations.open_for(spec.instance_type, zone)
    if fallen is None and wish.get("CapacityReservationPreference") == "capacity-reservations-only":
        message = "The requested reservation does not have sufficient compatible and available capacity"
        raise EC2ClientError("ReservationCapacityExceeded", message)
    return fallen


def capacity_left(market: str, instance_type: str, zone: str) -> int:
    """How many more instances a pool gives."""
    rule = world.current().shortage(Pool(market, instance_type, zone))
    return UNLIMITED if rule is None else rule.left


def grant(market: str, instance_type: str, zone: str, wanted: int) -> int:
    """How many of `wanted` a pool gives.

    Raises:
        EC2ClientError: none; with the code that was set for the pool, or EC2's usual one.
    """
    rule = world.current().shortage(Pool(market, instance_type, zone))
    if rule is None:
        return wanted
    if rule.left > 0:
        return min(wanted, rule.left)
    message = rule.message or (
        f"We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested "
        f"({zone}). Our system will be working on provisioning additional capacity."
    )
    raise EC2ClientError(rule.code or (_SPOT_CODE if market == "spot" else _ON_DEMAND_CODE), message)


def unsupported(instance_type: str, zone: str) -> str:
    """EC2's sentence about a type that a zone does not have."""
    return (
        f"Your requested instance type ({instance_type}) is not supported in your requested Availability Zone ({zone})."
    )


def merge_tags(*specifications: Iterable[Mapping[str, Any]] | None) -> dict[str, dict[str, str]]:
    """Tags by resource type; the later specification wins."""
    merged: dict[str, dict[str, str]] = {}
    for group in specifications:
        for spec in group or ():
            into = merged.setdefault(spec["ResourceType"], {})
            into.update({tag["Key"]: tag.get("Value", "") for tag in spec.get("Tags") or ()})
    return merged


def _template_subnet(data: Mapping[str, Any]) -> str | None:
    nics = data.get("NetworkInterfaces") or [{}]
    found = nics[0].get("SubnetId")
    return None if found is None else str(found)


def _override_data(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {key: wanted[key] for key in ("ImageId", "BlockDeviceMappings") if wanted.get(key)}
