"""A cloud in memory: machines from a catalog, pools that run dry, machines that take time to come and go.

It is to the Cloud port what the cluster in memory is to the Cluster port; AWS with its own API is `sim.aws`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from nodesmith.adapters.memory.faults import Faults, no_faults
from nodesmith.api.ec2nodeclass import (
    AMI,
    AMIS_READY,
    INSTANCE_PROFILE_READY,
    READY,
    SECURITY_GROUPS_READY,
    SUBNETS_READY,
    VALIDATION_SUCCEEDED,
    EC2NodeClass,
    EC2NodeClassStatus,
    SecurityGroup,
    Subnet,
)
from nodesmith.api.nodeclasshash import node_class_hash
from nodesmith.model.instancetype import InstanceType, Offering
from nodesmith.model.labels import CAPACITY_TYPE, NODECLASS, ON_DEMAND, RESERVED, SPOT, ZONE
from nodesmith.model.meta import Condition
from nodesmith.model.money import UsdPerHour
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.resources import fits
from nodesmith.ports.clock import Clock
from nodesmith.ports.cloud import Machine, RepairPolicy
from nodesmith.ports.errors import CapacityUnavailable, NodeClassNotReady, NotFound

IMAGE: Final = "ami-0123456789abcdef0"
UNAVAILABLE_FOR: Final = timedelta(minutes=3)
_PREFERENCE: Final = {RESERVED: 0, SPOT: 1, ON_DEMAND: 2}

_UNKNOWN: Final = 2**63
"""A price that nobody knows is the last to be paid."""

Pool = tuple[str, str, str]
"""Instance type, zone, capacity type."""


@dataclass(slots=True)
class Timing:
    """How long a machine takes to come and to go."""

    pending: timedelta = timedelta(0)
    shutting_down: timedelta = timedelta(0)


@dataclass(slots=True)
class Rented:
    """A machine with what the cloud knows of it beyond what it tells."""

    machine: Machine
    claim: NodeClaim
    price: UsdPerHour | None
    running_at: datetime
    terminated_at: datetime | None = None
    tags: dict[str, str] = field(default_factory=dict)


class MemoryCloud:
    """A `Cloud` in memory."""

    def __init__(
        self,
        types: Sequence[InstanceType],
        clock: Clock,
        rng: random.Random,
        *,
        timing: Timing | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.timing = timing or Timing()
        self.faults = faults or no_faults()
        self.rented: dict[str, Rented] = {}
        """Every machine ever made, by provider id."""
        self._remaining: dict[str, Rented] = {}
        """Those that were not yet terminated when somebody last looked."""
        self.left: dict[Pool, int] = {}
        """Pools with a limited number of machines left; a pool that is not here has enough."""
        self.unready: set[str] = set()
        """NodeClasses that cannot be launched from."""
        self.drifted: dict[str, str] = {}
        """Claims that have drifted, and why."""
        self._types = {each.name: each for each in types}
        zones = sorted({each.zone for kind in types for each in kind.offerings})
        self._subnets = tuple(Subnet(id=f"subnet-{number:017x}", zone=zone) for number, zone in enumerate(zones, 1))
        self._clock = clock
        self._rng = rng
        self._avoid: dict[Pool, datetime] = {}
        self._listed: tuple[frozenset[Pool], Sequence[InstanceType]] | None = None
        """What was last offered, and which pools were to be avoided then."""
        self._hashed: tuple[EC2NodeClass, str] | None = None
        """The NodeClass that was last asked about, and its hash."""
        self._listeners: list[Callable[[str], None]] = []

    # --- the port ---

    async def create(self, claim: NodeClaim) -> Machine:
        """The claim's one machine."""
        await self._before("create")
        if claim.node_class.name in self.unready:
            raise NodeClassNotReady(f"EC2NodeClass {claim.node_class.name} is not ready")
        made = self._of_claim(claim) or self._rent(claim)
        self.faults.strike("create", "Machine", after=True)
        return self._seen(made)

    async def delete(self, provider_id: str) -> None:
        """The machine is terminating."""
        await self._before("delete")
        self.terminate(provider_id)
        self.faults.strike("delete", "Machine", after=True)

    async def get(self, provider_id: str) -> Machine:
        """The machine, asked afresh."""
        await self._before("get")
        return self._seen(self._living(provider_id))

    async def list(self) -> Sequence[Machine]:
        """Every machine that is not terminated."""
        await self._before("list")
        return [self._seen(each) for each in self.living()]

    async def instance_types(self, pool: NodePool) -> Sequence[InstanceType]:
        """What can be bought for the pool; offerings that were to be avoided are not available for a while."""
        await self._before("instance_types")
        if pool.node_class.name in self.unready:
            raise NodeClassNotReady(f"EC2NodeClass {pool.node_class.name} is not ready")
        now = self._clock.now()
        self._avoid = {key: until for key, until in self._avoid.items() if until > now}
        if self._listed is None or self._listed[0] != self._avoid.keys():
            listed = [replace(each, offerings=tuple(self._offered(each))) for each in self._types.values()]
            self._listed = (frozenset(self._avoid), listed)
        return self._listed[1]

    async def drift_of(self, claim: NodeClaim) -> str | None:
        """Why the claim's machine has drifted, or None."""
        await self._before("drift_of")
        return self.drifted.get(claim.name)

    async def tag(self, provider_id: str, tags: Mapping[str, str]) -> None:
        """The machine has these tags too."""
        await self._before("tag")
        self._living(provider_id).tags.update(tags)

    async def resolve(self, node_class: EC2NodeClass) -> EC2NodeClassStatus:
        """A subnet for every zone, one security group, one image; ready unless told otherwise."""
        await self._before("resolve")
        status = "False" if node_class.name in self.unready else "True"
        kinds = (AMIS_READY, SUBNETS_READY, SECURITY_GROUPS_READY, INSTANCE_PROFILE_READY, VALIDATION_SUCCEEDED, READY)
        now, generation = self._clock.now(), node_class.meta.generation
        return EC2NodeClassStatus(
            subnets=self._subnets,
            security_groups=(SecurityGroup(id="sg-00000000000000001", name="cluster"),),
            amis=(AMI(id=IMAGE, name="memory"),),
            instance_profile=f"memory_{node_class.name}",
            conditions={
                kind: Condition(kind, status, kind, changed_at=now, observed_generation=generation) for kind in kinds
            },
        )

    async def static_hash(self, node_class: EC2NodeClass) -> str:
        """The number that changes when machines of the NodeClass would have to be launched anew."""
        await self._before("static_hash")
        if self._hashed is None or self._hashed[0] is not node_class:
            self._hashed = (node_class, node_class_hash(node_class))
        return self._hashed[1]

    async def release(self, node_class: EC2NodeClass) -> None:
        """Nothing was made for the NodeClass, so nothing is left."""
        del node_class
        await self._before("release")

    def mark_unavailable(self, *, instance_type: str, zone: str, capacity_type: str, reservation_id: str = "") -> None:
        """The offering is not offered for three minutes; this cloud has no reservations."""
        del reservation_id
        self._avoid[instance_type, zone, capacity_type] = self._clock.now() + UNAVAILABLE_FOR

    def repair_policies(self) -> Sequence[RepairPolicy]:
        """A kubelet that is silent for half an hour."""
        half_an_hour = timedelta(minutes=30)
        return [RepairPolicy("Ready", status, half_an_hour) for status in ("False", "Unknown")]

    # --- for the world around it ---

    def listen(self, listener: Callable[[str], None]) -> None:
        """Tell the listener of every machine that comes or goes, by provider id."""
        self._listeners.append(listener)

    def living(self) -> Sequence[Rented]:
        """Every machine that is not terminated, in the order they were made."""
        now = self._clock.now()
        gone = [key for key, each in self._remaining.items() if each.terminated_at and each.terminated_at <= now]
        for provider_id in gone:
            del self._remaining[provider_id]
        return list(self._remaining.values())

    def state_of(self, provider_id: str) -> str:
        """The machine's state now; `terminated` when it never was."""
        rented = self.rented.get(provider_id)
        return self._state(rented) if rented else "terminated"

    def terminate(self, provider_id: str) -> None:
        """The machine is shutting down, whoever wanted it.

        Raises:
            NotFound: when it is gone.
        """
        rented = self._living(provider_id)
        if rented.terminated_at is None:
            rented.terminated_at = self._clock.now() + self.timing.shutting_down
            self._tell(provider_id)

    # --- inside ---

    async def _before(self, verb: str) -> None:
        await self._clock.sleep(self.faults.delay())
        self.faults.strike(verb, "Machine")

    def _of_claim(self, claim: NodeClaim) -> Rented | None:
        return next((each for each in self.living() if each.claim.meta.uid == claim.meta.uid), None)

    def _rent(self, claim: NodeClaim) -> Rented:
        wanted = claim.requirements & Requirements.from_labels(claim.labels)
        for kind, offering in sorted(self._choices(claim, wanted), key=_by_price):
            pool = (kind.name, offering.zone, offering.capacity_type)
            if self.left.get(pool, 1) <= 0:
                self.mark_unavailable(instance_type=kind.name, zone=offering.zone, capacity_type=offering.capacity_type)
                continue
            if pool in self.left:
                self.left[pool] -= 1
            return self._made(claim, kind, offering)
        raise CapacityUnavailable(f"no capacity for {claim.name}: insufficient capacity in every pool it allows")

    def _choices(self, claim: NodeClaim, wanted: Requirements) -> Iterator[tuple[InstanceType, Offering]]:
        for kind in self._types.values():
            if kind.requirements.intersection_conflict(wanted) is None and fits(claim.requests, kind.allocatable):
                for offering in self._offered(kind):
                    is_wanted = wanted.get(ZONE).allows(offering.zone)
                    if offering.is_available and is_wanted and wanted.get(CAPACITY_TYPE).allows(offering.capacity_type):
                        yield kind, offering

    def _offered(self, kind: InstanceType) -> Iterator[Offering]:
        now = self._clock.now()
        for offering in kind.offerings:
            until = self._avoid.get((kind.name, offering.zone, offering.capacity_type))
            yield replace(offering, is_available=False) if until is not None and until > now else offering

    def _made(self, claim: NodeClaim, kind: InstanceType, offering: Offering) -> Rented:
        provider_id = f"aws:///{offering.zone}/i-{self._rng.getrandbits(68):017x}"
        labels = {each.key: next(iter(each.values)) for each in kind.requirements if _is_one_value(each)}
        machine = Machine(
            provider_id=provider_id,
            instance_type=kind.name,
            zone=offering.zone,
            capacity_type=offering.capacity_type,
            image_id=IMAGE,
            state="pending",
            pool_name=claim.pool_name,
            claim_name=claim.name,
            node_class_name=claim.labels.get(NODECLASS, claim.node_class.name),
            labels={**labels, ZONE: offering.zone, CAPACITY_TYPE: offering.capacity_type},
            capacity=kind.capacity,
            allocatable=kind.allocatable,
            launched_at_s=self._clock.now().timestamp(),
        )
        rented = Rented(machine, claim, offering.price, self._clock.now() + self.timing.pending)
        self.rented[provider_id] = self._remaining[provider_id] = rented
        self._tell(provider_id)
        return rented

    def _living(self, provider_id: str) -> Rented:
        rented = self.rented.get(provider_id)
        if rented is None or self._state(rented) == "terminated":
            raise NotFound(f"instance {provider_id} not found")
        return rented

    def _seen(self, rented: Rented) -> Machine:
        state = self._state(rented)
        if rented.machine.state != state:
            rented.machine = replace(rented.machine, state=state)
        return rented.machine

    def _state(self, rented: Rented) -> str:
        now = self._clock.now()
        if rented.terminated_at is not None:
            return "terminated" if rented.terminated_at <= now else "shutting-down"
        return "running" if rented.running_at <= now else "pending"

    def _tell(self, provider_id: str) -> None:
        for listener in self._listeners:
            listener(provider_id)


def _by_price(choice: tuple[InstanceType, Offering]) -> tuple[int, int, str, str]:
    kind, offering = choice
    picos = offering.price.picos if offering.price is not None else _UNKNOWN
    return _PREFERENCE[offering.capacity_type], picos, kind.name, offering.zone


def _is_one_value(requirement: Requirement) -> bool:
    return not requirement.complement and len(requirement.values) == 1
