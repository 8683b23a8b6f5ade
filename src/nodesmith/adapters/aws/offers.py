"""The catalogue of a NodeClass: its instance types with labels, capacity and today's offerings.

Labels and capacity depend on the NodeClass alone and are worked out once for it; what nodes taught about their memory,
and offerings, which change with prices and refusals, are put in when one of those has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from nodesmith.adapters.aws.cache import Cache
from nodesmith.adapters.aws.capacity import NodeShape, capacity_of, overhead_of
from nodesmith.adapters.aws.catalog import TypeFacts
from nodesmith.adapters.aws.families import family_of
from nodesmith.adapters.aws.images import ImageChoice
from nodesmith.adapters.aws.kubelet import node_shape, settled
from nodesmith.adapters.aws.network import Network
from nodesmith.adapters.aws.offerings import Market, is_compatible, offerings_of, open_zones
from nodesmith.adapters.aws.prices import Prices
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.aws.typelabels import Place, PlacementGroup, Reservation, requirements_of
from nodesmith.adapters.aws.typestore import Types, TypeStore
from nodesmith.adapters.aws.unavailable import Unavailable
from nodesmith.adapters.aws.zonalshift import ZonalShift
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.expressions import EvaluationError, ExpressionError
from nodesmith.model.instancetype import InstanceType, Overhead
from nodesmith.model.requirements import Requirements
from nodesmith.model.resources import Resources
from nodesmith.ports.clock import Clock

SHAPES_KEPT_FOR: Final = timedelta(minutes=5)
RESERVATION_COUNT_TTL: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Shaped:
    """A type as nodes of one NodeClass see it, without offerings."""

    facts: TypeFacts
    requirements: Requirements
    capacity: Resources
    overhead: Overhead
    is_compatible: bool


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The types of a NodeClass, and the place they were worked out for."""

    types: tuple[InstanceType, ...] = ()
    facts: Mapping[str, TypeFacts] = field(default_factory=dict)
    place: Place = field(default_factory=lambda: Place(""))
    fault: str = ""
    """Why types are missing: the first setting that could not be worked out for one."""


@dataclass(frozen=True, slots=True)
class _Shapes:
    """The types of a NodeClass without offerings, and why some are missing."""

    types: tuple[Shaped, ...]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Built:
    """A catalogue, and what it was made from."""

    key: tuple[object, ...]
    memory_version: int
    shaped: tuple[Shaped, ...]
    catalogue: Catalogue


class Reservations:
    """How many instances each capacity reservation has left, our own launches counted before AWS shows them."""

    def __init__(self, clock: Clock) -> None:
        self._left: Cache[str, int] = Cache(clock, RESERVATION_COUNT_TTL)
        self.version = 0

    def learn(self, reservation: str, left: int) -> None:
        """AWS says so many are left."""
        if self._left.peek(reservation) != left:
            self._left.set(reservation, left)
            self.version += 1

    def launched(self, reservation: str) -> None:
        """One less is left."""
        self.learn(reservation, max(0, self.left(reservation) - 1))

    def terminated(self, reservation: str) -> None:
        """One more is left."""
        self.learn(reservation, self.left(reservation) + 1)

    def exhausted(self, reservation: str) -> None:
        """None is left."""
        self.learn(reservation, 0)

    def left(self, reservation: str) -> int:
        """How many are left."""
        return self._left.peek(reservation) or 0


class Offers:
    """Catalogues by NodeClass."""

    def __init__(
        self,
        settings: AwsSettings,
        clock: Clock,
        *,
        types: TypeStore,
        prices: Prices,
        network: Network,
        unavailable: Unavailable,
        reservations: Reservations,
        zonal_shift: ZonalShift,
    ) -> None:
        self._settings = settings
        self._types = types
        self._prices = prices
        self._network = network
        self._unavailable = unavailable
        self._reservations = reservations
        self._zonal_shift = zonal_shift
        self._shapes: Cache[tuple[object, ...], _Shapes] = Cache(clock, SHAPES_KEPT_FOR)
        self._built: dict[str, _Built] = {}

    async def of(self, node_class: EC2NodeClass) -> Catalogue:
        """The NodeClass' catalogue, as its status and the market are now.

        Raises:
            PortError: when AWS has never told its instance types and does not answer.
        """
        types = await self._types.types()
        prices = await self._prices.current()
        shifted = await self._zonal_shift.shifted_zones()
        place = await self._place(node_class)
        key = self._key(node_class, types, place)
        market_key = (
            self._prices.version,
            self._unavailable.version,
            self._reservations.version,
            shifted,
            tuple((each.id, each.available, each.state) for each in place.reservations),
        )
        before = self._built.get(node_class.name)
        if before is not None and before.key != (key, market_key):
            before = None
        if before is not None and before.memory_version == self._types.memory_version:
            return before.catalogue
        shapes = self._shapes.peek(key)
        if shapes is None:
            shapes = self._shape(node_class, types, place)
            self._shapes.set(key, shapes)
            self._shapes.expired()
        zones = open_zones(place.zones, node_class.status.subnets, self._unavailable, shifted)
        market = Market(prices, self._unavailable, zones)
        shaped = self._taught(node_class, shapes.types)

        def offered(each: Shaped) -> InstanceType:
            zones = types.zones.get(each.facts.name, ())
            offerings = offerings_of(each.facts, zones, place, market, is_compatible=each.is_compatible)
            return InstanceType(each.facts.name, each.requirements, each.capacity, each.overhead, offerings)

        catalogue = Catalogue(_made(shaped, before, offered), types.facts, place, shapes.fault)
        self._built[node_class.name] = _Built((key, market_key), self._types.memory_version, shaped, catalogue)
        return catalogue

    def forget(self, node_class: str) -> None:
        """Nothing is kept for the NodeClass."""
        self._built.pop(node_class, None)

    async def _place(self, node_class: EC2NodeClass) -> Place:
        group: PlacementGroup | None = None
        if node_class.spec.placement_group_selector is not None:
            group = await self._network.placement_group(node_class.spec.placement_group_selector)
        listed = node_class.status.capacity_reservations if self._settings.is_reserved_capacity_enabled else ()
        return Place(
            region=self._settings.region,
            zones={each.zone: each.zone_id for each in node_class.status.subnets},
            reservations=tuple(
                Reservation(
                    each.id,
                    each.instance_type,
                    each.availability_zone,
                    each.reservation_type,
                    interruptible=each.interruptible,
                    state=each.state,
                    available=self._reservations.left(each.id),
                )
                for each in listed
            ),
            placement_group=group,
        )

    def _key(self, node_class: EC2NodeClass, types: Types, place: Place) -> tuple[object, ...]:
        spec = node_class.spec
        return (
            node_class.name,
            node_class.ami_family,
            repr((spec.kubelet, spec.block_device_mappings, spec.network_interfaces, spec.instance_store_policy)),
            repr((spec.connection_tracking, spec.cpu_options)),
            tuple(each.id for each in node_class.status.amis),
            tuple(sorted(place.zones.items())),
            tuple((each.id, each.instance_type) for each in place.reservations),
            place.placement_group,
            types.version,
        )

    def _shape(self, node_class: EC2NodeClass, types: Types, place: Place) -> _Shapes:
        """Every type, with the memory that is guessed as long as no node was seen."""
        family, shape = family_of(node_class.ami_family), self._node_shape(node_class)
        strategy = place.placement_group.strategy if place.placement_group else ""
        shaped: list[Shaped] = []
        fault = ""
        for name in sorted(types.facts):
            facts = types.facts[name]
            requirements = requirements_of(facts, types.zones.get(name, ()), place, family)
            fits = is_compatible(facts, node_class.spec, family.name, strategy)
            try:
                own = settled(shape, facts)
            except (ExpressionError, EvaluationError) as error:
                fault = fault or str(error)
            else:
                shaped.append(_shaped(facts, requirements, own, None, is_compatible=fits))
        return _Shapes(tuple(shaped), fault)

    def _taught(self, node_class: EC2NodeClass, shapes: tuple[Shaped, ...]) -> tuple[Shaped, ...]:
        """The types; those whose nodes were seen, with the memory that they have. Most were not, and cost nothing."""
        seen = self._types.seen
        if not seen:
            return shapes
        shape = self._node_shape(node_class)
        images = ImageChoice(node_class.status.amis)
        return tuple(self._with_memory(each, shape, images) if each.facts.name in seen else each for each in shapes)

    def _with_memory(self, shaped: Shaped, shape: NodeShape, images: ImageChoice) -> Shaped:
        image = images.of(shaped.requirements)
        learnt = self._types.memory_of(shaped.facts.name, image.id) if image else None
        if learnt is None:
            return shaped
        own = settled(shape, shaped.facts)
        return _shaped(shaped.facts, shaped.requirements, own, learnt, is_compatible=shaped.is_compatible)

    def _node_shape(self, node_class: EC2NodeClass) -> NodeShape:
        return node_shape(node_class, self._settings)


def _made(
    shaped: tuple[Shaped, ...], before: _Built | None, offered: Callable[[Shaped], InstanceType]
) -> tuple[InstanceType, ...]:
    """The types; one that looks as it did before stays the same: nodes that come up teach of a few, and often."""
    known = (
        {id(each): type_ for each, type_ in zip(before.shaped, before.catalogue.types, strict=True)} if before else {}
    )
    return tuple(known.get(id(each)) or offered(each) for each in shaped)


def _shaped(
    facts: TypeFacts, requirements: Requirements, shape: NodeShape, learnt: int | None, *, is_compatible: bool
) -> Shaped:
    capacity = capacity_of(facts, shape, learnt_memory=learnt)
    return Shaped(facts, requirements, capacity, overhead_of(facts, shape, capacity), is_compatible)
