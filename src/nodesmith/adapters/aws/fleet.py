"""CreateFleet as data: the request for a claim, several claims' requests as one, and what the answer says (spec 7.8).

Claims that ask for exactly the same are launched by one call. The instances then carry the names of all claims of the
call, and which instance is whose follows from the order of names and of instance ids: a controller that starts again
finds out from the tags alone what it has launched, for whom.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nodesmith.adapters.aws.errors import AwsAnswer
from nodesmith.adapters.aws.names import TAG_LAUNCHED_FOR, TAG_NODECLAIM
from nodesmith.adapters.aws.selection import price_of
from nodesmith.adapters.aws.tags import tag_list
from nodesmith.model.instancetype import InstanceType, Offering
from nodesmith.model.labels import SPOT

LONGEST_TAG: Final = 256
TAG_FLEET: Final = "aws:ec2:fleet-id"


@dataclass(frozen=True, slots=True)
class Override:
    """One way that a fleet may launch."""

    type: InstanceType
    offering: Offering
    subnet: str
    image: str

    def request(self) -> dict[str, Any]:
        """The override as CreateFleet takes it."""
        stated: dict[str, Any] = {
            "InstanceType": self.type.name,
            "SubnetId": self.subnet,
            "ImageId": self.image,
            "AvailabilityZone": self.offering.zone,
        }
        if self.offering.price is not None:
            stated["Priority"] = self.offering.price.dollars
        return stated

    @property
    def order(self) -> tuple[int, str, str]:
        """By price, type and zone."""
        return (price_of(self.offering).picos, self.type.name, self.offering.zone)


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """What a fleet request depends on besides its overrides."""

    capacity_type: str
    tags: Mapping[str, str]
    context: str = ""
    is_price_overlaid: bool = False
    reservation_type: str = ""
    reservation_interruptible: bool = False


@dataclass(frozen=True, slots=True)
class Launched:
    """An instance that a fleet launched."""

    id: str
    instance_type: str
    zone: str
    subnet: str
    image: str


@dataclass(frozen=True, slots=True)
class FleetError:
    """Why a fleet could not launch in one of its ways; fields are empty where the error is about the whole."""

    answer: AwsAnswer
    instance_type: str = ""
    zone: str = ""
    subnet: str = ""


@dataclass(frozen=True, slots=True)
class FleetAnswer:
    """What came of a fleet request."""

    launched: tuple[Launched, ...] = ()
    errors: tuple[FleetError, ...] = ()


@dataclass(frozen=True, slots=True)
class Asker:
    """A claim that asks a fleet for an instance. `lost` are its earlier instances, which are gone."""

    claim: str
    uid: str
    lost: tuple[str, ...] = field(default=())


def fleet_request(configs: Mapping[str, Sequence[Override]], options: FleetOptions) -> dict[str, Any]:
    """The request for one instance; `configs` are overrides by launch template name."""
    ordered = {name: sorted(overrides, key=lambda each: each.order) for name, overrides in configs.items()}
    request: dict[str, Any] = {
        "Type": "instant",
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {"LaunchTemplateName": name, "Version": "$Latest"},
                "Overrides": [each.request() for each in ordered[name]],
            }
            for name in sorted(ordered, key=lambda name: ordered[name][0].order)
        ],
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": 1,
            "DefaultTargetCapacityType": _target_type(options),
        },
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": tag_list(options.tags)} for kind in ("instance", "volume", "fleet")
        ],
    }
    if options.context:
        request["Context"] = options.context
    return request | _strategy(options)


def _target_type(options: FleetOptions) -> str:
    if options.reservation_type == "capacity-block":
        return "capacity-block"
    if options.reservation_interruptible:
        return "reserved-capacity"
    return SPOT if options.capacity_type == SPOT else "on-demand"


def _strategy(options: FleetOptions) -> dict[str, Any]:
    if options.reservation_interruptible:
        return {"ReservedCapacityOptions": {"ReservationTypes": ["interruptible-capacity-reservation"]}}
    if options.capacity_type == SPOT:
        chosen = "capacity-optimized-prioritized" if options.is_price_overlaid else "price-capacity-optimized"
        return {"SpotOptions": {"AllocationStrategy": chosen}}
    return {"OnDemandOptions": {"AllocationStrategy": "prioritized" if options.is_price_overlaid else "lowest-price"}}


def fleet_key(request: Mapping[str, Any]) -> str:
    """What two requests that may become one call have in common."""
    return json.dumps(request, sort_keys=True)


def shared_requests(
    request: Mapping[str, Any], askers: Iterable[Asker]
) -> Iterator[tuple[dict[str, Any], list[Asker]]]:
    """The calls for so many claims: as few as their names fit into an instance's tag, in order of name."""
    for group in _groups(sorted(askers, key=lambda each: each.claim)):
        yield _joint_request(request, group), group


def _groups(askers: Sequence[Asker]) -> Iterator[list[Asker]]:
    group: list[Asker] = []
    length = 0
    for asker in askers:
        if group and length + 1 + len(asker.claim) > LONGEST_TAG:
            yield group
            group, length = [], 0
        length += len(asker.claim) + (1 if group else 0)
        group.append(asker)
    if group:
        yield group


def _joint_request(request: Mapping[str, Any], group: Sequence[Asker]) -> dict[str, Any]:
    """The request for the group, marked with its claims and with a token that is the same for the same intent."""
    extra = {TAG_LAUNCHED_FOR: " ".join(each.claim for each in group)}
    if len(group) == 1:
        extra[TAG_NODECLAIM] = group[0].claim
    target = {**request["TargetCapacitySpecification"], "TotalTargetCapacity": len(group)}
    specifications = [
        {**each, "Tags": sorted([*each["Tags"], *tag_list(extra)], key=lambda tag: tag["Key"])}
        if each["ResourceType"] == "instance"
        else each
        for each in request["TagSpecifications"]
    ]
    joint = {**request, "TargetCapacitySpecification": target, "TagSpecifications": specifications}
    intent = [joint, *((each.uid, each.lost) for each in group)]
    token = hashlib.sha256(json.dumps(intent, sort_keys=True).encode()).hexdigest()
    return {**joint, "ClientToken": token}


def parse_fleet(raw: Mapping[str, Any]) -> FleetAnswer:
    """The instances, in order of id, and the errors."""
    launched = [
        Launched(
            id=instance,
            instance_type=each.get("InstanceType") or _override(each).get("InstanceType") or "",
            zone=_override(each).get("AvailabilityZone") or "",
            subnet=_override(each).get("SubnetId") or "",
            image=_override(each).get("ImageId") or "",
        )
        for each in raw.get("Instances") or ()
        for instance in each.get("InstanceIds") or ()
    ]
    errors = [
        FleetError(
            AwsAnswer(each.get("ErrorCode") or "", each.get("ErrorMessage") or ""),
            _override(each).get("InstanceType") or "",
            _override(each).get("AvailabilityZone") or "",
            _override(each).get("SubnetId") or "",
        )
        for each in raw.get("Errors") or ()
    ]
    return FleetAnswer(tuple(sorted(launched, key=lambda each: each.id)), tuple(errors))


def _override(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (raw.get("LaunchTemplateAndOverrides") or {}).get("Overrides") or {}
    return found


def instances_of(claim: str, described: Iterable[tuple[str, Mapping[str, str]]]) -> list[str]:
    """The ids of the instances that were launched for the claim, from ids and tags of all that name it.

    Instances of one fleet, in order of id, belong to the claims that it was for, in order of name.
    """
    fleets: dict[tuple[str, str], list[str]] = {}
    for instance, tags in described:
        launched_for = tags.get(TAG_LAUNCHED_FOR, "")
        if claim in launched_for.split():
            fleets.setdefault((tags.get(TAG_FLEET, ""), launched_for), []).append(instance)
    found: list[str] = []
    for (_, launched_for), instances in sorted(fleets.items()):
        place = launched_for.split().index(claim)
        found += sorted(instances)[place : place + 1]
    return found
