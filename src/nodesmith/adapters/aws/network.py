"""Subnets, security groups, capacity reservations and placement groups, as selectors find them (spec 7.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from nodesmith.adapters.aws.cache import Cache
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.tags import selector_filters
from nodesmith.adapters.aws.typelabels import PlacementGroup
from nodesmith.api.ec2nodeclass import (
    CapacityReservation,
    CapacityReservationSelectorTerm,
    PlacementGroupSelector,
    SecurityGroup,
    SecurityGroupSelectorTerm,
    Subnet,
    SubnetSelectorTerm,
)
from nodesmith.api.meta import format_time
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import NotFound

TTL: Final = timedelta(minutes=1)
EXPIRING_BEFORE: Final = timedelta(minutes=40)
"""A capacity block counts as expiring so long before its end."""

_A_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class SubnetFacts:
    """A subnet and how many addresses it has left."""

    id: str
    zone: str
    zone_id: str
    available: int


class Network:
    """Asks EC2 what selectors mean; the same question is asked once a minute."""

    def __init__(
        self, client: AwsClient, clock: Clock, *, subnet_refresh: timedelta, group_refresh: timedelta = TTL
    ) -> None:
        self.zone_ids: dict[str, str] = {}
        """Zone ids by zone name, as far as subnets have told them."""
        self._client = client
        self._clock = clock
        self._subnets: Cache[str, tuple[SubnetFacts, ...]] = Cache(clock, subnet_refresh)
        self._groups: Cache[str, tuple[SecurityGroup, ...]] = Cache(clock, group_refresh)
        self._reservations: Cache[str, tuple[tuple[CapacityReservation, int], ...]] = Cache(clock, TTL)
        self._placements: Cache[PlacementGroupSelector, PlacementGroup] = Cache(clock, TTL)

    async def subnets(self, terms: tuple[SubnetSelectorTerm, ...]) -> tuple[SubnetFacts, ...]:
        """The subnets, most addresses first."""
        return await self._subnets.get(_key(terms), lambda: self._ask_subnets(terms))

    async def security_groups(self, terms: tuple[SecurityGroupSelectorTerm, ...]) -> tuple[SecurityGroup, ...]:
        """The security groups, by id."""
        return await self._groups.get(_key(terms), lambda: self._ask_groups(terms))

    async def reservations(
        self, terms: tuple[CapacityReservationSelectorTerm, ...]
    ) -> tuple[tuple[CapacityReservation, int], ...]:
        """The active reservations by id, each with how many instances it has left."""
        if not terms:
            return ()
        return await self._reservations.get(_key(terms), lambda: self._ask_reservations(terms))

    async def placement_group(self, selector: PlacementGroupSelector) -> PlacementGroup:
        """The placement group.

        Raises:
            NotFound: when it is not there, or not available.
        """
        return await self._placements.get(selector, lambda: self._ask_placement(selector))

    async def _ask_subnets(self, terms: tuple[SubnetSelectorTerm, ...]) -> tuple[SubnetFacts, ...]:
        found: dict[str, SubnetFacts] = {}
        questions = _questions("subnet-id", [term.id for term in terms if term.id])
        questions += [selector_filters(term.tags) for term in terms if not term.id and term.tags]
        for filters in questions:
            for raw in await self._client.everything(
                "ec2", "DescribeSubnets", "Subnets", Filters=filters, MaxResults=_A_PAGE
            ):
                found[raw["SubnetId"]] = SubnetFacts(
                    raw["SubnetId"],
                    raw["AvailabilityZone"],
                    raw.get("AvailabilityZoneId") or "",
                    raw.get("AvailableIpAddressCount") or 0,
                )
        self.zone_ids |= {each.zone: each.zone_id for each in found.values()}
        return tuple(sorted(found.values(), key=lambda each: (-each.available, each.id)))

    async def _ask_groups(self, terms: tuple[SecurityGroupSelectorTerm, ...]) -> tuple[SecurityGroup, ...]:
        found: dict[str, SecurityGroup] = {}
        questions = _questions("group-id", [term.id for term in terms if term.id])
        questions += _questions("group-name", [term.name for term in terms if term.name])
        questions += [selector_filters(term.tags) for term in terms if not term.id and not term.name and term.tags]
        for filters in questions:
            for raw in await self._client.everything(
                "ec2", "DescribeSecurityGroups", "SecurityGroups", Filters=filters, MaxResults=_A_PAGE
            ):
                found[raw["GroupId"]] = SecurityGroup(id=raw["GroupId"], name=raw.get("GroupName") or "")
        return tuple(found[each] for each in sorted(found))

    async def _ask_reservations(
        self, terms: tuple[CapacityReservationSelectorTerm, ...]
    ) -> tuple[tuple[CapacityReservation, int], ...]:
        now = self._clock.now()
        found: dict[str, tuple[CapacityReservation, int]] = {}
        for question in _reservation_questions(terms):
            for raw in await self._described(question):
                parsed = parse_reservation(raw, now)
                if parsed is not None:
                    found[parsed[0].id] = parsed
        return tuple(found[each] for each in sorted(found))

    async def _described(self, question: dict[str, Any]) -> list[dict[str, Any]]:
        """The reservations; an id that is not there is none, although it fails the whole call."""
        asked = partial(self._client.everything, "ec2", "DescribeCapacityReservations", "CapacityReservations")
        try:
            return await asked(**question)
        except NotFound:
            ids = question.get("CapacityReservationIds", ())
            if len(ids) <= 1:
                return []
        singly = [await self._described({**question, "CapacityReservationIds": [each]}) for each in ids]
        return [raw for some in singly for raw in some]

    async def _ask_placement(self, selector: PlacementGroupSelector) -> PlacementGroup:
        asked: dict[str, Any] = {"GroupIds": [selector.id]} if selector.id else {"GroupNames": [selector.name or ""]}
        answer = await self._client.call("ec2", "DescribePlacementGroups", **asked)
        for raw in answer.get("PlacementGroups") or ():
            if raw.get("State") == "available":
                return PlacementGroup(
                    id=raw.get("GroupId") or "",
                    strategy=raw.get("Strategy") or "",
                    partitions=raw.get("PartitionCount") or 0,
                    name=raw.get("GroupName") or "",
                )
        raise NotFound(f"placement group {selector.id or selector.name} is not there or not available")


def parse_reservation(raw: Mapping[str, Any], now: datetime) -> tuple[CapacityReservation, int] | None:
    """The reservation and what it has left, or None when it has ended."""
    ends_at: datetime | None = raw.get("EndDate")
    if raw.get("State") != "active" or (ends_at is not None and ends_at <= now):
        return None
    kind = "capacity-block" if raw.get("ReservationType") == "capacity-block" else "default"
    is_expiring = kind == "capacity-block" and ends_at is not None and ends_at - EXPIRING_BEFORE <= now
    reservation = CapacityReservation(
        id=raw["CapacityReservationId"],
        availability_zone=raw.get("AvailabilityZone") or "",
        instance_match_criteria=raw.get("InstanceMatchCriteria") or "",
        instance_type=raw.get("InstanceType") or "",
        owner_id=raw.get("OwnerId") or "",
        reservation_type=kind,
        interruptible=bool(raw.get("Interruptible")),
        state="expiring" if is_expiring else "active",
        end_time=format_time(ends_at) if ends_at else None,
    )
    return reservation, raw.get("AvailableInstanceCount") or 0


def wire_subnet(facts: SubnetFacts) -> Subnet:
    """The subnet as the NodeClass' status lists it."""
    return Subnet(id=facts.id, zone=facts.zone, zone_id=facts.zone_id)


def _reservation_questions(terms: Sequence[CapacityReservationSelectorTerm]) -> list[dict[str, Any]]:
    active = [{"Name": "state", "Values": ["active"]}]
    ids = [term.id for term in terms if term.id]
    questions: list[dict[str, Any]] = [{"Filters": active, "CapacityReservationIds": ids}] if ids else []
    for term in terms:
        if term.id:
            continue
        filters = [*active, *selector_filters(term.tags)]
        if term.owner_id:
            filters.append({"Name": "owner-id", "Values": [term.owner_id]})
        if term.instance_match_criteria:
            filters.append({"Name": "instance-match-criteria", "Values": [term.instance_match_criteria]})
        questions.append({"Filters": filters, "MaxResults": _A_PAGE})
    return questions


def _questions(name: str, values: list[str]) -> list[list[dict[str, Any]]]:
    return [[{"Name": name, "Values": sorted(values)}]] if values else []


def _key(terms: object) -> str:
    """The terms as a key: their tags are maps, so the text of them stands for them."""
    return repr(terms)
