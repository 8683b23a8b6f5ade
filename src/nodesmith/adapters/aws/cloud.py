"""AWS as a Cloud: the port's methods over the parts of this package."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from nodesmith.adapters.aws.client import AwsClient, Clients, RunBlocking, always
from nodesmith.adapters.aws.cluster import AskVersion, ClusterSource
from nodesmith.adapters.aws.drift import SpecHashes, image_drift, instance_drift, static_drift
from nodesmith.adapters.aws.health import InstanceHealth, SickInstance
from nodesmith.adapters.aws.imagesource import ImageSource
from nodesmith.adapters.aws.instances import instance_id, zone_of
from nodesmith.adapters.aws.instancestore import InstanceStore, is_gone
from nodesmith.adapters.aws.launcher import Launcher, Parts
from nodesmith.adapters.aws.names import TAG_NAME
from nodesmith.adapters.aws.network import Network
from nodesmith.adapters.aws.nodeclass import NodeClassResolver
from nodesmith.adapters.aws.objects import Objects
from nodesmith.adapters.aws.offers import Offers, Reservations
from nodesmith.adapters.aws.prices import Prices
from nodesmith.adapters.aws.profiles import Profiles
from nodesmith.adapters.aws.queue import SqsQueue
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.aws.subnets import SubnetChoice
from nodesmith.adapters.aws.tags import restricted_tag
from nodesmith.adapters.aws.templates import Templates
from nodesmith.adapters.aws.typestore import TypeStore
from nodesmith.adapters.aws.unavailable import Unavailable
from nodesmith.adapters.aws.upkeep import Upkeep
from nodesmith.adapters.aws.validation import Validation
from nodesmith.adapters.aws.zonalshift import ZonalShift
from nodesmith.api.ec2nodeclass import READY, EC2NodeClass, EC2NodeClassStatus
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.labels import INSTANCE_TYPE, NODECLASS_HASH_VERSION_VALUE, RESERVED
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.ports.clock import Clock
from nodesmith.ports.cloud import Machine, RepairPolicy
from nodesmith.ports.errors import (
    CapacityUnavailable,
    CreateFailed,
    NodeClassNotReady,
    NotFound,
    PortError,
    Throttled,
)
from nodesmith.ports.log import Log, NoLog
from nodesmith.ports.metrics import Metrics

WORKERS: Final = 100
_HALF_AN_HOUR: Final = timedelta(minutes=30)
_TEN_MINUTES: Final = timedelta(minutes=10)

REPAIR_POLICIES: Final = (
    RepairPolicy("Ready", "False", _HALF_AN_HOUR),
    RepairPolicy("Ready", "Unknown", _HALF_AN_HOUR),
    RepairPolicy("AcceleratedHardwareReady", "False", _TEN_MINUTES),
    RepairPolicy("StorageReady", "False", _HALF_AN_HOUR),
    RepairPolicy("NetworkingReady", "False", _HALF_AN_HOUR),
    RepairPolicy("KernelReady", "False", _HALF_AN_HOUR),
    RepairPolicy("ContainerRuntimeReady", "False", _HALF_AN_HOUR),
)


class AwsCloud:
    """A `Cloud` on AWS.

    `maintain` is to be called every half a minute by whoever owns the process: it deletes what nobody uses.
    """

    def __init__(
        self,
        settings: AwsSettings,
        *,
        clients: Clients,
        objects: Objects,
        clock: Clock,
        run_blocking: RunBlocking,
        metrics: Metrics,
        may_write: Callable[[], bool] = always,
        log: Log | None = None,
        ask_version: AskVersion | None = None,
    ) -> None:
        workers = asyncio.Semaphore(WORKERS)
        cluster = settings.cluster_name
        self.client = AwsClient(
            clients,
            region=settings.region,
            clock=clock,
            run_blocking=run_blocking,
            metrics=metrics,
            may_write=may_write,
        )
        self.prices = Prices(self.client, clock, is_isolated=settings.is_isolated_vpc)
        self.types = TypeStore(self.client, clock)
        self.cluster = ClusterSource(settings, self.client, clock, ask_version)
        self.zonal_shift = ZonalShift(self.client, clock, cluster=cluster, is_enabled=settings.is_zonal_shift_enabled)
        self._settings = settings
        self._metrics = metrics
        self._objects = objects
        self._clock = clock
        self._health = InstanceHealth(self.client, clock)
        self._unavailable = Unavailable(clock)
        self._hashes = SpecHashes()
        self._reservations = Reservations(clock)
        self._network = Network(
            self.client,
            clock,
            subnet_refresh=settings.subnet_refresh,
            group_refresh=settings.security_group_refresh,
        )
        self._instances = InstanceStore(self.client, clock, cluster=cluster, workers=workers, metrics=metrics)
        self._templates = Templates(self.client, clock, cluster=cluster)
        self._profiles = Profiles(self.client, clock, settings)
        self._upkeep = Upkeep(
            clock,
            templates=self._templates,
            profiles=self._profiles,
            objects=objects,
            is_isolated=settings.is_isolated_vpc,
        )
        subnets = SubnetChoice(clock)
        self._offers = Offers(
            settings,
            clock,
            types=self.types,
            prices=self.prices,
            network=self._network,
            unavailable=self._unavailable,
            reservations=self._reservations,
            zonal_shift=self.zonal_shift,
        )
        self._launcher = Launcher(
            Parts(
                settings=settings,
                client=self.client,
                clock=clock,
                metrics=metrics,
                cluster=self.cluster,
                instances=self._instances,
                network=self._network,
                offers=self._offers,
                subnets=subnets,
                templates=self._templates,
                unavailable=self._unavailable,
                reservations=self._reservations,
                hashes=self._hashes,
                log=log or NoLog(),
            ),
            workers,
        )
        self._resolver = NodeClassResolver(
            settings,
            clock,
            cluster=self.cluster,
            images=ImageSource(self.client, clock, refresh=settings.image_refresh),
            network=self._network,
            subnets=subnets,
            profiles=self._profiles,
            reservations=self._reservations,
            validation=Validation(
                settings,
                self.client,
                clock,
                cluster=self.cluster,
                offers=self._offers,
                templates=self._templates,
                objects=objects,
            ),
        )

    # --- the port ---

    async def create(self, claim: NodeClaim) -> Machine:
        """The claim's one machine: the one it has already, or a new one at the best offering it allows.

        Raises:
            CapacityUnavailable: when no offering can be had now, or its NodeClass is going.
            NodeClassNotReady: when its NodeClass is not fit to launch from.
            CreateFailed: when the launch failed for another reason.
        """
        node_class = await self._objects.node_class(claim.node_class.name)
        if node_class is None or node_class.meta.is_deleting:
            raise CapacityUnavailable(f"EC2NodeClass {claim.node_class.name} is not there, or is being deleted")
        _check_ready(node_class)
        tag = restricted_tag(node_class.spec.tags)
        if tag is not None:
            raise NodeClassNotReady(f'tags failed validation requirements (tags="{tag}")')
        return await self._launcher.launch(claim, node_class)

    async def delete(self, provider_id: str) -> None:
        """The machine is terminating.

        Raises:
            NotFound: when it is gone.
            Throttled: when its zone is shifted away from: nothing is ended there until the shift is.
        """
        await self._leave_shifted(provider_id)
        instance = await self._instances.get(_instance_id(provider_id))
        if is_gone(instance):
            return
        try:
            await self._instances.terminate(instance.id)
        except NotFound:
            raise
        except PortError:
            place = {"zone": instance.zone, "zone_id": self._network.zone_ids.get(instance.zone, "")}
            self._metrics.count("cloudprovider_instance_termination_failures_total", **place)
            raise
        if instance.capacity_type == RESERVED and instance.reservation:
            self._reservations.terminated(instance.reservation)

    async def get(self, provider_id: str) -> Machine:
        """The machine, asked afresh.

        Raises:
            NotFound: when it is gone.
        """
        return (await self._instances.get(_instance_id(provider_id))).machine()

    async def list(self) -> Sequence[Machine]:
        """Every machine of this cluster that nodesmith (or Karpenter) made and that is not terminated."""
        return [each.machine() for each in await self._instances.all()]

    async def instance_types(self, pool: NodePool) -> Sequence[InstanceType]:
        """What can be bought for the pool, through its NodeClass, with current prices and availability.

        Raises:
            NodeClassNotReady: when its NodeClass is not there or not resolved.
        """
        node_class = await self._objects.node_class(pool.node_class.name)
        if node_class is None or not node_class.is_ready:
            raise NodeClassNotReady(f"EC2NodeClass {pool.node_class.name} is not there, or not ready")
        try:
            return (await self._offers.of(node_class)).types
        except NotFound as error:
            raise NodeClassNotReady(str(error)) from error

    async def drift_of(self, claim: NodeClaim) -> str | None:
        """Why the claim's machine is no longer what its NodeClass describes, or None.

        Raises:
            NodeClassNotReady: when nothing can be said, since the NodeClass is not resolved.
            NotFound: when the machine is gone.
        """
        node_class = await self._objects.node_class(claim.node_class.name)
        if node_class is None:
            return None
        changed = static_drift(claim, node_class, (await self.cluster.info()).ca_bundle, self._hashes)
        if changed is not None:
            return changed
        status = node_class.status
        if not (status.amis and status.security_groups and status.subnets):
            raise NodeClassNotReady(f"EC2NodeClass {node_class.name} is not resolved")
        catalogue = await self._offers.of(node_class)
        name = claim.labels.get(INSTANCE_TYPE, "")
        instance = await self._instances.get(_instance_id(claim.provider_id))
        type_ = next((each for each in catalogue.types if each.name == (name or instance.instance_type)), None)
        if type_ is None:
            raise NodeClassNotReady(f"instance type {name or instance.instance_type} is not known")
        return image_drift(claim, node_class, type_) or instance_drift(claim, node_class, instance, catalogue.place)

    async def tag(self, provider_id: str, tags: Mapping[str, str]) -> None:
        """The machine has these tags too; a name that the NodeClass gave it stays.

        Raises:
            NotFound: when it is gone.
        """
        await self._leave_shifted(provider_id)
        instance = await self._instances.get(_instance_id(provider_id))
        named = {key: value for key, value in tags.items() if key != TAG_NAME or TAG_NAME not in instance.tags}
        missing = {key: value for key, value in named.items() if instance.tags.get(key) != value}
        if missing:
            await self._instances.tag(instance.id, missing)

    async def resolve(self, node_class: EC2NodeClass) -> EC2NodeClassStatus:
        """What the NodeClass stands for now: images, subnets, security groups, profile, and its conditions."""
        return await self._resolver.resolve(node_class)

    async def static_hash(self, node_class: EC2NodeClass) -> str:
        """The number that changes when instances of the NodeClass would have to be launched anew."""
        ca_bundle = (await self.cluster.info()).ca_bundle
        return self._hashes.of(node_class, ca_bundle, NODECLASS_HASH_VERSION_VALUE)

    async def release(self, node_class: EC2NodeClass) -> None:
        """Nothing that was made for the NodeClass is left (profiles, launch templates)."""
        await self._templates.delete_all_of(node_class.name)
        if not self._settings.is_isolated_vpc:
            await self._profiles.delete_all_of(node_class)
        self._offers.forget(node_class.name)

    def mark_unavailable(self, *, instance_type: str, zone: str, capacity_type: str, reservation_id: str = "") -> None:
        """The offering is not offered for a while; of a reservation, nothing is left."""
        if reservation_id:
            self._reservations.exhausted(reservation_id)
        else:
            self._unavailable.mark(instance_type=instance_type, zone=zone, capacity_type=capacity_type)

    def repair_policies(self) -> Sequence[RepairPolicy]:
        """Which node conditions call for repair."""
        return REPAIR_POLICIES

    # --- beside the port ---

    def queue(self) -> SqsQueue | None:
        """The interruption queue, or None where the settings name none."""
        name = self._settings.interruption_queue
        return SqsQueue(self.client, name) if name else None

    async def start(self) -> None:
        """AWS can be reached, and the permissions to look around are there, the queue too.

        Raises:
            PortError: when it cannot, with AWS' words.
        """
        await self.types.types()
        await self.prices.current()
        await self.zonal_shift.check()
        queue = self.queue()
        if queue is not None:
            await queue.check()

    async def maintain(self) -> None:
        """What was made for nodes and nothing uses any more is gone; for the leader alone to call.

        Raises:
            PortError: when AWS does not answer; what is left is seen to next time.
        """
        await self._upkeep.run()

    async def sick_instances(self) -> Sequence[SickInstance]:
        """Instances that EC2 says are impaired, or to be taken away.

        Raises:
            Refused: when the policy does not allow to ask; asking again will not help.
        """
        return await self._health.sick()

    def learn_memory(self, *, instance_type: str, image_id: str, memory: int) -> None:
        """A node of the type with the image has so many bytes of memory."""
        self.types.learn_memory(instance_type, image_id, memory)

    async def _leave_shifted(self, provider_id: str) -> None:
        """Refuse to touch an instance in a zone that traffic was moved away from."""
        shifted = await self.zonal_shift.shifted_zones()
        zone = zone_of(provider_id)
        if self._network.zone_ids.get(zone, "") in shifted:
            raise Throttled(f"zone {zone} is under a zonal shift")


def _check_ready(node_class: EC2NodeClass) -> None:
    ready = node_class.condition(READY)
    if ready is None or ready.status == "Unknown":
        raise CreateFailed("NodeClassReadinessUnknown", "NodeClass is in Ready=Unknown")
    if ready.is_false:
        raise NodeClassNotReady(ready.message or f"EC2NodeClass {node_class.name} is not ready")
    if ready.observed_generation and ready.observed_generation != node_class.meta.generation:
        raise NodeClassNotReady(f"EC2NodeClass {node_class.name} changed and was not resolved since")


def _instance_id(provider_id: str) -> str:
    found = instance_id(provider_id)
    if not found:
        raise NotFound(f"{provider_id!r} names no instance")
    return found
