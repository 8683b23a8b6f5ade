"""Instance types and their offerings."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodesmith.model.labels import RESERVED
from nodesmith.model.money import UsdPerHour
from nodesmith.model.requirements import Requirements
from nodesmith.model.resources import Resources, minus


@dataclass(frozen=True, slots=True)
class Overhead:
    """What the node keeps for itself."""

    kube_reserved: Resources = field(default_factory=dict)
    system_reserved: Resources = field(default_factory=dict)
    eviction_threshold: Resources = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Offering:
    """One way to buy a type: where, on which terms, at what price.

    `price` None: unknown, so it cannot be bought by price. `is_available` False: known, not to be had now. Reservation
    fields are empty unless the capacity type is `reserved`; `partition` is empty outside of a placement group with
    partitions. `is_estimate`: the price is from the list that shipped with
    nodesmith, good for an order, not for a bargain.
    """

    zone: str
    capacity_type: str
    price: UsdPerHour | None
    is_available: bool = True
    zone_id: str = ""
    reservation_id: str = ""
    reservation_type: str = ""
    reservation_interruptible: bool = False
    reservation_capacity: int = 0
    overlay: str = ""
    is_estimate: bool = False
    partition: str = ""

    @property
    def is_reserved(self) -> bool:
        """Whether it draws on a capacity reservation."""
        return self.capacity_type == RESERVED


@dataclass(frozen=True, slots=True)
class InstanceType:
    """A machine shape. `requirements` say its labels (several values: the launch decides; none: label absent).

    `is_overlaid`: a NodeOverlay added to its capacity.
    """

    name: str
    requirements: Requirements
    capacity: Resources
    overhead: Overhead
    offerings: tuple[Offering, ...]
    is_overlaid: bool = False
    allocatable: Resources = field(init=False)

    def __post_init__(self) -> None:
        """Work out what is left for pods: capacity less all overhead, memory also less huge pages."""
        left = minus(self.capacity, self.overhead.kube_reserved)
        left = minus(minus(left, self.overhead.system_reserved), self.overhead.eviction_threshold)
        pages = sum(amount for name, amount in self.capacity.items() if name.startswith("hugepages-"))
        if pages:
            left["memory"] = max(0, left.get("memory", 0) - pages)
        kept = {name: amount for name, amount in left.items() if name in self.capacity}
        object.__setattr__(self, "allocatable", kept)
