"""A NodeClaim becomes an instance: adopted where it has one, else launched by a fleet (spec 7.8)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from nodesmith.adapters.aws.batching import CREATE_FLEET_WINDOW, Batcher, counted
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.cluster import ClusterSource
from nodesmith.adapters.aws.drift import SpecHashes
from nodesmith.adapters.aws.errors import (
    NO_ADDRESSES,
    PROFILE_NOT_VISIBLE,
    SPOT_ROLE,
    SPREAD_LIMIT,
    UNFULFILLABLE,
    AwsAnswer,
    answer_of,
    launch_failure,
    launch_reason,
)
from nodesmith.adapters.aws.families import BOTTLEROCKET
from nodesmith.adapters.aws.fleet import (
    Asker,
    FleetAnswer,
    FleetError,
    Launched,
    parse_fleet,
    shared_requests,
)
from nodesmith.adapters.aws.instances import Instance
from nodesmith.adapters.aws.instancestore import InstanceStore, is_gone
from nodesmith.adapters.aws.launchmemo import LaunchMemo
from nodesmith.adapters.aws.launchtemplate import LaunchTemplate
from nodesmith.adapters.aws.machines import Bought, machine_of
from nodesmith.adapters.aws.network import Network
from nodesmith.adapters.aws.offers import Catalogue, Offers, Reservations
from nodesmith.adapters.aws.planlaunch import Chosen, Frame, LaunchPlan
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.aws.subnets import SubnetChoice
from nodesmith.adapters.aws.templates import Templates
from nodesmith.adapters.aws.unavailable import Unavailable
from nodesmith.adapters.aws.userdata.bootstrap import LARGEST_BYTES
from nodesmith.adapters.aws.userdata.bottlerocket import dropped_settings
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.model.labels import CAPACITY_TYPE, NODECLASS_HASH_VERSION_VALUE, ON_DEMAND, RESERVED, SPOT, TENANCY
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.ports.clock import Clock
from nodesmith.ports.cloud import Machine
from nodesmith.ports.errors import CapacityUnavailable, CreateFailed, NodeClassNotReady, PortError, Throttled
from nodesmith.ports.errors import Unavailable as NoAnswer
from nodesmith.ports.log import Log
from nodesmith.ports.metrics import Metrics

_NOT_VISIBLE_YET: Final = (
    "InvalidLaunchTemplateName.NotFoundException",
    "InvalidLaunchTemplateId.NotFound",
    "InvalidAMIID.NotFound",
    PROFILE_NOT_VISIBLE,
)
"""Errors about something that was made a moment ago and that not all of EC2 has heard of."""

_FEW_TYPES: Final = 5
"""With fewer types than this, spot is soon lacking: upstream warns, and so do we."""

_NEARLY: Final = 0.9

_LOOKS: Final = 3
_LOOK_AGAIN_AFTER: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a launcher works with."""

    settings: AwsSettings
    client: AwsClient
    clock: Clock
    metrics: Metrics
    cluster: ClusterSource
    instances: InstanceStore
    network: Network
    offers: Offers
    subnets: SubnetChoice
    templates: Templates
    unavailable: Unavailable
    reservations: Reservations
    hashes: SpecHashes
    log: Log


class Launcher:
    """Launches instances for claims; claims that ask for the same share a call."""

    def __init__(self, parts: Parts, workers: asyncio.Semaphore) -> None:
        self._parts = parts
        self._memo = LaunchMemo()
        self._told_of: dict[str, tuple[str, int]] = {}
        """The user data, own and whole, that was told of last, by NodeClass."""
        self._fleets: Batcher[str, Asker, FleetAnswer] = Batcher(
            parts.clock, CREATE_FLEET_WINDOW, self._create_fleets, workers, counted(parts.metrics, "create_fleet")
        )

    async def launch(self, claim: NodeClaim, node_class: EC2NodeClass) -> Machine:
        """The claim's one machine. Where spot is not to be had and on demand is allowed, that is asked for next.

        Raises:
            CapacityUnavailable: when no offering can be had now.
            NodeClassNotReady: when user data cannot be made for want of the service range.
            CreateFailed: when the launch failed for another reason.
        """
        seen = await self._parts.instances.launched_for(claim.name)
        lost = tuple(sorted(each.id for each in seen if is_gone(each)))
        alive = sorted((each for each in seen if not is_gone(each)), key=lambda each: each.id)
        if alive:
            ca_bundle = (await self._parts.cluster.info()).ca_bundle
            return self._adopted(claim, node_class, alive[0], await self._catalogue(node_class), ca_bundle)
        asker = Asker(claim.name, claim.meta.uid, lost)
        tried: set[str] = set()
        refusal: CapacityUnavailable | None = None
        while True:
            catalogue = await self._catalogue(node_class)
            try:
                chosen = self._memo.choose(claim, node_class, catalogue)
            except CapacityUnavailable as error:
                raise refusal or error from None
            if refusal is not None and chosen.capacity_type in tried:
                raise refusal
            tried.add(chosen.capacity_type)
            try:
                return await self._attempt(claim, node_class, asker, chosen, catalogue)
            except CapacityUnavailable as error:
                refusal = error

    async def _attempt(
        self, claim: NodeClaim, node_class: EC2NodeClass, asker: Asker, chosen: Chosen, catalogue: Catalogue
    ) -> Machine:
        """One fleet, on the terms that were chosen.

        Raises:
            CapacityUnavailable: when no offering on these terms can be had now.
        """
        self._warn_of_few_types(claim, chosen)
        frame = Frame(self._parts.settings, await self._parts.cluster.info(), catalogue.place, catalogue.facts)
        subnets = await self._choose_subnets(node_class, chosen)
        used: set[str] = set()
        try:
            plan = self._memo.plan(claim, node_class, chosen, frame, subnets)
            largest = max(template.user_data_bytes for template in plan.templates)
            self._tell_user_data(node_class, largest)
            launched = await self._fleet(plan, asker, chosen, catalogue)
            used.add(launched.subnet)
        finally:
            self._parts.subnets.give_back(subnets, used, chosen.addresses)
        return self._bought(claim, node_class, launched, chosen=chosen, plan=plan, frame=frame)

    def _warn_of_few_types(self, claim: NodeClaim, chosen: Chosen) -> None:
        """A claim that would take spot, is launched on demand, and lists few types is told of (spec 7.8)."""
        wants_spot = claim.requirements.get(CAPACITY_TYPE).allows(SPOT)
        if chosen.capacity_type == ON_DEMAND and wants_spot and len(chosen.candidates) < _FEW_TYPES:
            self._parts.log.warning(
                "at least 5 instance types are recommended when flexible to spot but requesting on-demand",
                NodeClaim=claim.name,
                instance_types=len(chosen.candidates),
            )

    def _tell_user_data(self, node_class: EC2NodeClass, size: int) -> None:
        """How large it is, and once for each: that it is nearly too large, that settings in it mean nothing (7.9)."""
        name, written = node_class.name, node_class.spec.user_data or ""
        self._parts.metrics.set("ec2nodeclasses_userdata_bytes", size, nodeclass=name)
        if self._told_of.get(name) == (written, size):
            return
        self._told_of[name] = (written, size)
        if size >= LARGEST_BYTES * _NEARLY:
            told = "user data is nearly as large as EC2 takes it"
            self._parts.log.warning(told, EC2NodeClass=name, bytes=size, of=LARGEST_BYTES)
        dropped = dropped_settings(written) if node_class.ami_family == BOTTLEROCKET.name else []
        if dropped:
            told = "settings.kubernetes in the user data has keys that are not known and left out"
            self._parts.log.error(told, EC2NodeClass=name, keys=dropped)

    async def _catalogue(self, node_class: EC2NodeClass) -> Catalogue:
        try:
            return await self._parts.offers.of(node_class)
        except (Throttled, NoAnswer):
            raise
        except PortError as error:
            raise CreateFailed("InstanceTypeResolutionFailed", f"Error resolving instance types: {error}") from error

    async def _choose_subnets(self, node_class: EC2NodeClass, chosen: Chosen) -> dict[str, str]:
        try:
            self._parts.subnets.learn(await self._parts.network.subnets(node_class.spec.subnet_selector_terms))
        except (Throttled, NoAnswer):
            raise
        except PortError as error:
            raise CreateFailed("SubnetResolutionFailed", f"Error resolving subnets: {error}") from error
        free = [each for each in node_class.status.subnets if self._parts.unavailable.has_addresses(each.id)]
        return self._parts.subnets.choose(free or node_class.status.subnets, chosen.addresses)

    async def _fleet(self, plan: LaunchPlan, asker: Asker, chosen: Chosen, catalogue: Catalogue) -> Launched:
        """The instance; what is not visible yet is waited for a little.

        Raises:
            CapacityUnavailable: when every way to launch is out of capacity.
            CreateFailed: when it failed for another reason.
        """
        told: list[AwsAnswer] = []
        for look in range(1, _LOOKS + 1):
            await self._ensure(plan)
            answer = await self._ask(plan, asker)
            self._learn(answer, chosen, plan, catalogue)
            if answer.launched:
                return answer.launched[0]
            told = [each.answer for each in answer.errors]
            waits = [each for each in told if any(text in str(each) for text in _NOT_VISIBLE_YET)]
            if not waits or look == _LOOKS:
                break
            if any("LaunchTemplate" in each.code for each in waits):
                for template in plan.templates:
                    self._parts.templates.forget(template.name)
            await self._parts.clock.sleep(_LOOK_AGAIN_AFTER)
        raise launch_failure(told)

    async def _ensure(self, plan: LaunchPlan) -> None:
        """The plan's templates are there; those that are not known are made side by side.

        Raises:
            CreateFailed: when one cannot be made.
        """
        missing = [each for each in plan.templates if not self._parts.templates.has(each)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._ensured(each)) for each in missing]
        for failure in (task.result() for task in tasks):
            if failure is not None:
                raise failure

    async def _ensured(self, template: LaunchTemplate) -> PortError | None:
        """Why the template is not there, or None: a failure as a value does not break off the others."""
        try:
            await self._parts.templates.ensure(template)
        except (Throttled, NoAnswer) as error:
            return error
        except PortError as error:
            reason, sentence = launch_reason(str(error))
            return CreateFailed(reason, f"{sentence}: {error}")
        return None

    async def _ask(self, plan: LaunchPlan, asker: Asker) -> FleetAnswer:
        """What came of it; an error of the whole call counts as an error of every way to launch."""
        try:
            return await self._fleets.submit(plan.key, asker)
        except (Throttled, NoAnswer):
            raise
        except PortError as error:
            return FleetAnswer(errors=(FleetError(answer_of(error) or AwsAnswer("", str(error))),))

    async def _create_fleets(self, key: str, askers: Sequence[Asker]) -> list[FleetAnswer | PortError]:
        """One answer an asker: its instance, or why there is none."""
        request: Mapping[str, Any] = json.loads(key)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._create_fleet(*each)) for each in shared_requests(request, askers)]
        answers = {claim: answer for task in tasks for claim, answer in task.result().items()}
        return [answers[each.claim] for each in askers]

    async def _create_fleet(
        self, request: Mapping[str, Any], askers: Sequence[Asker]
    ) -> dict[str, FleetAnswer | PortError]:
        """What came of one call, by claim."""
        try:
            parsed = parse_fleet(await self._parts.client.call("ec2", "CreateFleet", **request))
        except PortError as error:
            return {each.claim: error for each in askers}
        launched = parsed.launched
        return {
            each.claim: FleetAnswer(launched[place : place + 1], parsed.errors) for place, each in enumerate(askers)
        }

    def _learn(self, answer: FleetAnswer, chosen: Chosen, plan: LaunchPlan, catalogue: Catalogue) -> None:
        """What the errors tell about offerings, subnets and reservations is remembered."""
        parts = self._parts
        group = catalogue.place.placement_group
        for error in answer.errors:
            parts.metrics.count(
                "cloudprovider_instance_launch_failures_total",
                zone=error.zone,
                zone_id=parts.network.zone_ids.get(error.zone, ""),
                capacity_type=chosen.capacity_type,
                reason=error.answer.code,
            )
            if error.answer.code == NO_ADDRESSES and error.subnet:
                parts.subnets.exhausted(error.subnet)
                parts.unavailable.mark_subnet(error.subnet)
            if error.answer.code == SPOT_ROLE:
                parts.unavailable.mark_capacity_type(SPOT)
            if group is not None and SPREAD_LIMIT in error.answer.message:
                self._mark(list(chosen.by_name), error.zone, chosen, (group.id, ""))
            elif error.answer.code in UNFULFILLABLE and error.instance_type:
                scope = (group.id, plan.partition) if group else ("", "")
                self._mark([error.instance_type], error.zone, chosen, scope)

    def _mark(self, types: Sequence[str], zone: str, chosen: Chosen, scope: tuple[str, str]) -> None:
        """The offerings are not to be had; `scope` is the placement group and partition that this is about."""
        if chosen.capacity_type == RESERVED:
            for candidate in chosen.candidates:
                for offering in candidate.offerings:
                    if candidate.type.name in types and offering.zone == zone and offering.reservation_id:
                        self._parts.reservations.exhausted(offering.reservation_id)
            return
        group, partition = scope
        terms = chosen.capacity_type
        for name in types:
            self._parts.unavailable.mark(
                instance_type=name, zone=zone, capacity_type=terms, group=group, partition=partition
            )

    def _bought(
        self,
        claim: NodeClaim,
        node_class: EC2NodeClass,
        launched: Launched,
        *,
        chosen: Chosen,
        plan: LaunchPlan,
        frame: Frame,
    ) -> Machine:
        override = next(
            each
            for each in plan.overrides
            if each.type.name == launched.instance_type and (each.subnet == launched.subnet or not launched.subnet)
        )
        if override.offering.reservation_id:
            self._parts.reservations.launched(override.offering.reservation_id)
        bought = Bought(
            instance=launched.id,
            zone=launched.zone or override.offering.zone,
            image=launched.image or override.image,
            capacity_type=chosen.capacity_type,
            tenancy=chosen.tenancy,
            reservation=override.offering.reservation_id,
            partition=plan.partition,
            has_efa=plan.has_efa,
            launched_at_s=self._parts.clock.now().timestamp(),
        )
        static_hash = self._hash_of(node_class, frame.cluster.ca_bundle)
        return machine_of(claim, node_class, override.type, bought, frame.place, static_hash=static_hash)

    def _adopted(
        self, claim: NodeClaim, node_class: EC2NodeClass, instance: Instance, catalogue: Catalogue, ca_bundle: str
    ) -> Machine:
        """The machine of an instance that an earlier attempt launched."""
        type_ = next((each for each in catalogue.types if each.name == instance.instance_type), None)
        if type_ is None:
            raise NodeClassNotReady(f"instance type {instance.instance_type} of {instance.id} is not known")
        tenancy = claim.requirements.get(TENANCY)
        bought = Bought(
            instance=instance.id,
            zone=instance.zone,
            image=instance.image,
            capacity_type=instance.capacity_type,
            tenancy="default" if tenancy.allows("default") else "dedicated",
            reservation=instance.reservation,
            partition=str(instance.partition or ""),
            has_efa=instance.has_efa,
            launched_at_s=instance.launched_at_s,
            state=instance.state,
        )
        static_hash = self._hash_of(node_class, ca_bundle)
        return machine_of(claim, node_class, type_, bought, catalogue.place, static_hash=static_hash)

    def _hash_of(self, node_class: EC2NodeClass, ca_bundle: str) -> str:
        return self._parts.hashes.of(node_class, ca_bundle, NODECLASS_HASH_VERSION_VALUE)
