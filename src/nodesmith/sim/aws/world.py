"""What the box is told to be: time, capacity, faults, and the record of every call.

There is one `World` at a time, held here, because moto builds its backends from module globals and they have to find
it. Everything in it is touched only while `World.lock` is held, which `server.Application` does for each request.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from nodesmith.sim.aws.faults import Faults
from nodesmith.sim.aws.journal import Journal
from nodesmith.sim.aws.prices import PriceBook, load_prices

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNT: Final = "123456789012"


def wall_clock() -> datetime:
    """The time of the machine."""
    return datetime.now(tz=UTC)  # noqa: TID251 - the box's default clock is the machine's


@dataclass(frozen=True, slots=True)
class Pool:
    """A capacity pool; `*` stands for any."""

    capacity_type: str
    instance_type: str
    zone: str

    def covers(self, other: Pool) -> bool:
        """Whether every field is equal or a wildcard here."""
        return (
            self.capacity_type in {"*", other.capacity_type}
            and self.instance_type in {"*", other.instance_type}
            and self.zone in {"*", other.zone}
        )


@dataclass(frozen=True, slots=True)
class Shortage:
    """What a launch from a pool answers once the pool has given what is left."""

    pool: Pool
    code: str | None = None
    message: str | None = None
    left: int = 0


@dataclass(slots=True)
class Timing:
    """How long an instance stays in its passing states."""

    pending: timedelta = timedelta(0)
    shutting_down: timedelta = timedelta(0)
    stopping: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """A scheduled event of an instance, as DescribeInstanceStatus shows it."""

    code: str
    description: str
    not_before: datetime


@dataclass(slots=True)
class Health:
    """What DescribeInstanceStatus says of an instance that is not simply well."""

    instance: str = "ok"
    system: str = "ok"
    impaired_since: datetime | None = None
    events: list[StatusEvent] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ZonalShift:
    """A zone that traffic is shifted away from; zones go by their ids here."""

    zone: str
    started_at: datetime
    expires_at: datetime


@dataclass
class World:
    """The state of the box that is not AWS's own."""

    seed: int = 0
    clock: Callable[[], datetime] = wall_clock
    is_virtual: bool = False
    timing: Timing = field(default_factory=Timing)
    shortages: list[Shortage] = field(default_factory=list)
    health: dict[str, Health] = field(default_factory=dict)
    spot_factor: dict[Pool, float] = field(default_factory=dict)
    zonal_shifts: dict[str, list[ZonalShift]] = field(default_factory=dict)
    """By resource ARN; a resource that is here is registered."""
    is_enforcing: bool = False
    prices: PriceBook = field(default_factory=load_prices)
    faults: Faults = field(default_factory=Faults)
    journal: Journal = field(default_factory=Journal)
    lock: threading.RLock = field(default_factory=threading.RLock)
    is_spot_role_refused: bool = False
    """Whether the caller needs the Spot service-linked role, has none, and may not make it."""
    action: str = ""
    """The action being answered, `ec2:CreateFleet`."""
    token: str = ""
    """Names the request being answered; the same request of the same run has the same token."""
    _due: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def now(self) -> datetime:
        """The box's time, in UTC."""
        return self.clock().astimezone(UTC)

    def after(self, delay: timedelta, action: Callable[[], None]) -> None:
        """Run an action at the first request once `delay` has passed."""
        heapq.heappush(self._due, (self.now() + delay, next(self._order), action))

    def settle(self) -> None:
        """Run what has become due, in order of time."""
        while self._due and self._due[0][0] <= self.now():
            _, _, action = heapq.heappop(self._due)
            action()

    def shortage(self, pool: Pool) -> Shortage | None:
        """The last rule that was set for a pool, if any covers it."""
        return next((rule for rule in reversed(self.shortages) if rule.pool.covers(pool)), None)

    def consume(self, pool: Pool, count: int) -> None:
        """Take instances out of a pool that has a limited number left."""
        rule = self.shortage(pool)
        if rule is None or rule.left == 0:
            return
        index = self.shortages.index(rule)
        self.shortages[index] = Shortage(rule.pool, rule.code, rule.message, max(0, rule.left - count))

    def hides(self, name: str, made_at: datetime | None) -> bool:
        """Whether something is too new for the call being answered to see it."""
        if made_at is None:
            return False
        return self.faults.is_hidden(self.action, f"{self.token}:{name}", made_at, self.now())

    def on_demand_price(self, region: str, instance_type: str) -> float | None:
        """USD an hour, or None where the list has no such type."""
        return self.prices.on_demand(region, instance_type)

    def spot_price(self, zone: str, instance_type: str) -> float | None:
        """USD an hour in a zone now, or None where the type has no price."""
        price = self.prices.spot(zone, instance_type)
        if price is None:
            return None
        pool = Pool("spot", instance_type, zone)
        factor = next((f for p, f in reversed(self.spot_factor.items()) if p.covers(pool)), 1.0)
        return round(price * factor, 6)

    def forget(self) -> None:
        """Back to a fresh box with the same seed and clock."""
        self.timing = Timing()
        self.shortages.clear()
        self.health.clear()
        self.spot_factor.clear()
        self.zonal_shifts.clear()
        self.is_enforcing = False
        self.faults = Faults()
        self.journal = Journal()
        self._due.clear()


@dataclass(slots=True)
class _Holder:
    """The one mutable place; see the module's docstring."""

    world: World = field(default_factory=World)


_HOLDER: Final = _Holder()


def current() -> World:
    """The world that moto's backends belong to."""
    return _HOLDER.world


def install(world: World) -> None:
    """Make a world the current one."""
    _HOLDER.world = world
