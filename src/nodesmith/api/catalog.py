"""A catalogue of instance types as a JSON file: what `plan`, the simulator and tests buy from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from nodesmith.api.documents import read_text
from nodesmith.api.scalars import amounts_of, requirements_of
from nodesmith.model.instancetype import InstanceType, Offering, Overhead
from nodesmith.model.labels import CAPACITY_TYPE, INSTANCE_TYPE, ZONE, ZONE_ID
from nodesmith.model.money import UsdPerHour
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.resources import format_resources


class CatalogError(ValueError):
    """The file is no catalogue."""


class OfferingWire(msgspec.Struct, rename="camel", frozen=True):
    """One offering of the file; `price` null: unknown."""

    zone: str
    capacity_type: str
    price: float | str | None = None
    available: bool = True
    zone_id: str = ""
    reservation_id: str = ""
    reservation_type: str = ""
    reservation_interruptible: bool = False
    reservation_capacity: int = 0
    partition: str = ""


class OverheadWire(msgspec.Struct, rename="camel", frozen=True):
    """What the node keeps for itself."""

    kube_reserved: Mapping[str, Any] = msgspec.field(default_factory=dict)
    system_reserved: Mapping[str, Any] = msgspec.field(default_factory=dict)
    eviction_threshold: Mapping[str, Any] = msgspec.field(default_factory=dict)


class InstanceTypeWire(msgspec.Struct, rename="camel", frozen=True):
    """One instance type of the file."""

    name: str
    requirements: list[Mapping[str, Any]] = msgspec.field(default_factory=list)
    capacity: Mapping[str, Any] = msgspec.field(default_factory=dict)
    overhead: OverheadWire = msgspec.field(default_factory=OverheadWire)
    offerings: list[OfferingWire] = msgspec.field(default_factory=list)


class CatalogWire(msgspec.Struct, rename="camel", frozen=True):
    """The file. `node_pools` has types of its own for a pool, where they are not the same for all."""

    instance_types: list[InstanceTypeWire]
    node_pools: Mapping[str, list[InstanceTypeWire]] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a file offers: `types` to every NodePool but those that `by_pool` names."""

    types: tuple[InstanceType, ...]
    by_pool: Mapping[str, tuple[InstanceType, ...]] = field(default_factory=dict)

    def of(self, pool_name: str) -> tuple[InstanceType, ...]:
        """What can be bought for the pool."""
        return self.by_pool.get(pool_name, self.types)


def load_catalog(file: Path) -> tuple[InstanceType, ...]:
    """The instance types of a catalogue file, gzipped or not, in its order.

    Raises:
        CatalogError: when it is no catalogue.
        OSError: when it cannot be read.
    """
    return parse_catalog(read_text(file), str(file))


def load_catalogue(file: Path) -> Catalogue:
    """What a catalogue file offers each NodePool.

    Raises:
        CatalogError: when it is no catalogue.
        OSError: when it cannot be read.
    """
    wire = _wire(read_text(file), str(file))
    by_pool = {name: tuple(_instance_type(each) for each in types) for name, types in wire.node_pools.items()}
    return Catalogue(tuple(_instance_type(each) for each in wire.instance_types), by_pool)


def parse_catalog(text: str, file: str = "catalogue") -> tuple[InstanceType, ...]:
    """The instance types of a catalogue's text, in its order.

    Raises:
        CatalogError: when it is no catalogue.
    """
    return tuple(_instance_type(each) for each in _wire(text, file).instance_types)


def _wire(text: str, file: str) -> CatalogWire:
    try:
        return msgspec.json.decode(text, type=CatalogWire)
    except msgspec.MsgspecError as error:
        raise CatalogError(f"{file}: {error}") from error


def catalog_to_json(types: Sequence[InstanceType]) -> dict[str, Any]:
    """The catalogue file's content for these types."""
    return {"instanceTypes": [_type_to_json(each) for each in types]}


def catalogue_to_json(by_pool: Mapping[str, Sequence[InstanceType]]) -> dict[str, Any]:
    """The catalogue file's content for these types of each NodePool; a pool that is not named can buy nothing."""
    distinct = {id(types): types for types in by_pool.values()}
    first = next(iter(distinct.values()), ())
    if all(types == first for types in distinct.values()):
        return catalog_to_json(first)
    pools = {name: [_type_to_json(each) for each in types] for name, types in by_pool.items()}
    return {"instanceTypes": [], "nodePools": pools}


def _instance_type(wire: InstanceTypeWire) -> InstanceType:
    offerings = tuple(_offering(each) for each in wire.offerings)
    stated = requirements_of(wire.requirements)
    return InstanceType(
        name=wire.name,
        requirements=Requirements({**_from_offerings(wire.name, offerings).by_key, **stated.by_key}),
        capacity=amounts_of(wire.capacity),
        overhead=Overhead(
            kube_reserved=amounts_of(wire.overhead.kube_reserved),
            system_reserved=amounts_of(wire.overhead.system_reserved),
            eviction_threshold=amounts_of(wire.overhead.eviction_threshold),
        ),
        offerings=offerings,
    )


def _from_offerings(name: str, offerings: tuple[Offering, ...]) -> Requirements:
    """What need not be stated: the type's name and what its offerings differ in."""
    zone_ids = frozenset(each.zone_id for each in offerings if each.zone_id)
    implied = [
        Requirement(INSTANCE_TYPE, frozenset((name,))),
        Requirement(ZONE, frozenset(each.zone for each in offerings)),
        Requirement(CAPACITY_TYPE, frozenset(each.capacity_type for each in offerings)),
    ]
    if zone_ids:
        implied.append(Requirement(ZONE_ID, zone_ids))
    return Requirements.of(implied)


def _offering(wire: OfferingWire) -> Offering:
    return Offering(
        zone=wire.zone,
        capacity_type=wire.capacity_type,
        price=None if wire.price is None else UsdPerHour.of(wire.price),
        is_available=wire.available,
        zone_id=wire.zone_id,
        reservation_id=wire.reservation_id,
        reservation_type=wire.reservation_type,
        reservation_interruptible=wire.reservation_interruptible,
        reservation_capacity=wire.reservation_capacity,
        partition=wire.partition,
    )


def _type_to_json(kind: InstanceType) -> dict[str, Any]:
    return {
        "name": kind.name,
        "requirements": kind.requirements.to_manifest(),
        "capacity": format_resources(kind.capacity),
        "overhead": {
            "kubeReserved": format_resources(kind.overhead.kube_reserved),
            "systemReserved": format_resources(kind.overhead.system_reserved),
            "evictionThreshold": format_resources(kind.overhead.eviction_threshold),
        },
        "offerings": [_offering_to_json(each) for each in kind.offerings],
    }


def _offering_to_json(offering: Offering) -> dict[str, Any]:
    stated: dict[str, Any] = {
        "zone": offering.zone,
        "capacityType": offering.capacity_type,
        "price": None if offering.price is None else offering.price.dollars,
        "available": offering.is_available,
    }
    optional = {
        "zoneId": offering.zone_id,
        "reservationId": offering.reservation_id,
        "reservationType": offering.reservation_type,
        "reservationInterruptible": offering.reservation_interruptible,
        "reservationCapacity": offering.reservation_capacity,
        "partition": offering.partition,
    }
    return stated | {name: value for name, value in optional.items() if value}
